//! What others are told of objects.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    Delete, Event as EventName, FilterRule, FilterRuleName, MetadataDirective,
    NotificationConfiguration, NotificationConfigurationFilter, ObjectIdentifier,
    QueueConfiguration, S3KeyFilter, Tag, Tagging,
};
use safelight_diskstore::{Event, EventTarget, Receiver};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::harness::*;
use crate::multipart::{complete, create, list, upload};

fn channel(capacity: usize) -> (EventTarget, mpsc::Receiver<Event>) {
    let (sender, events) = mpsc::channel(capacity);
    let target = EventTarget {
        name: "inside".to_owned(),
        receiver: Receiver::Channel(sender),
    };
    (target, events)
}

/// A receiver of webhooks that answers as it is told.
struct Hook {
    target: EventTarget,
    /// Heads and messages, as they came.
    got: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Hook {
    /// Answers with these statuses in turn, then with 200.
    async fn open(statuses: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?x=1", listener.local_addr().unwrap());
        let got = Arc::default();
        let kept = Arc::clone(&got);
        tokio::spawn(async move {
            let mut statuses = statuses.iter();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let status = statuses.next().copied().unwrap_or(200);
                take(socket, status, &kept).await;
            }
        });
        Self {
            target: EventTarget {
                name: "hook".to_owned(),
                receiver: Receiver::Webhook {
                    url,
                    bearer: Some("hook-secret".to_owned()),
                },
            },
            got,
        }
    }

    fn records(&self) -> Vec<Value> {
        let got = self.got.lock().unwrap();
        got.iter()
            .flat_map(|(_, message)| message["Records"].as_array().unwrap().clone())
            .collect()
    }
}

/// Takes one message and answers.
async fn take(mut socket: TcpStream, status: u16, got: &Mutex<Vec<(String, Value)>>) {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        assert!(socket.read_buf(&mut bytes).await.unwrap() > 0);
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap()
        .parse()
        .unwrap();
    while bytes.len() < end + length {
        assert!(socket.read_buf(&mut bytes).await.unwrap() > 0);
    }
    let message = serde_json::from_slice(&bytes[end..]).unwrap();
    got.lock().unwrap().push((head, message));
    let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    socket.write_all(answer.as_bytes()).await.unwrap();
}

async fn subscribe(client: &Client, target: &EventTarget, events: &[EventName], suffix: &str) {
    let rule = FilterRule::builder()
        .name(FilterRuleName::Suffix)
        .value(suffix)
        .build();
    let key = S3KeyFilter::builder().filter_rules(rule).build();
    let filter = NotificationConfigurationFilter::builder().key(key).build();
    let queue = QueueConfiguration::builder()
        .id("all")
        .queue_arn(target.arn())
        .set_events(Some(events.to_vec()))
        .filter(filter)
        .build()
        .unwrap();
    let config = NotificationConfiguration::builder().queue_configurations(queue);
    client
        .put_bucket_notification_configuration()
        .bucket(BUCKET)
        .notification_configuration(config.build())
        .send()
        .await
        .unwrap();
}

const CREATED: EventName = EventName::S3ObjectCreated;
const REMOVED: EventName = EventName::S3ObjectRemoved;

#[tokio::test]
async fn every_change_is_told_in_order() {
    let (target, mut events) = channel(100);
    let named = target.clone();
    let store = Running::start_with(|settings| settings.event_targets = vec![named]).await;
    let client = store.client();
    put(&client, "before.jpg", b"not told").await;
    subscribe(&client, &target, &[CREATED, REMOVED], ".jpg").await;
    let etag = put(&client, "o/ä b.jpg", b"body").await;
    put(&client, "o/other.png", b"not told").await;
    let id = create(&client, "o/ä b.jpg").await;
    let parts = [upload(&client, "o/ä b.jpg", &id, 1, &noise(1, 1000)).await];
    complete!(client, "o/ä b.jpg", &id, &parts)
        .send()
        .await
        .unwrap();
    // A repetition changes nothing.
    complete!(client, "o/ä b.jpg", &id, &parts)
        .send()
        .await
        .unwrap();
    // A copy onto itself changes the record only; tags are not told.
    let onto = client.copy_object().bucket(BUCKET).key("o/ä b.jpg");
    onto.copy_source(format!("{BUCKET}/o%2F%C3%A4%20b.jpg"))
        .metadata_directive(MetadataDirective::Replace)
        .send()
        .await
        .unwrap();
    let tag = Tag::builder().key("a").value("b").build().unwrap();
    client
        .put_object_tagging()
        .bucket(BUCKET)
        .key("o/ä b.jpg")
        .tagging(Tagging::builder().tag_set(tag).build().unwrap())
        .send()
        .await
        .unwrap();
    client
        .copy_object()
        .bucket(BUCKET)
        .key("o/ä b.jpg")
        .copy_source(format!("{BUCKET}/o/other.png"))
        .send()
        .await
        .unwrap();
    for _ in 0..2 {
        let object = ObjectIdentifier::builder()
            .key("o/ä b.jpg")
            .build()
            .unwrap();
        let delete = Delete::builder().objects(object).build().unwrap();
        let delete = client.delete_objects().bucket(BUCKET).delete(delete);
        delete.send().await.unwrap();
    }
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        assert_eq!(
            (event.bucket.as_str(), event.key.as_str()),
            (BUCKET, "o/ä b.jpg")
        );
        assert_eq!(event.configuration_id, "all");
        told.push(event);
    }
    let names: Vec<&str> = told.iter().map(|event| event.name).collect();
    assert_eq!(
        names,
        [
            "ObjectCreated:Put",
            "ObjectCreated:CompleteMultipartUpload",
            "ObjectCreated:Copy",
            "ObjectCreated:Copy",
            "ObjectRemoved:Delete"
        ]
    );
    assert_eq!(told[0].size_bytes, Some(4));
    assert_eq!(told[0].etag.as_deref(), Some(etag.trim_matches('"')));
    assert_eq!(told[1].size_bytes, Some(1000));
    assert_eq!(told[2].size_bytes, Some(1000));
    assert_eq!(told[3].size_bytes, Some(8));
    assert_eq!(told[4].size_bytes, None);
    assert!(told.is_sorted_by(|a, b| a.sequencer < b.sequencer));
}

#[tokio::test]
async fn of_two_writers_the_last_event_is_that_of_what_stays() {
    let (target, mut events) = channel(1000);
    let named = target.clone();
    let store = Running::start_with(|settings| settings.event_targets = vec![named]).await;
    let client = store.client();
    subscribe(&client, &target, &[CREATED], "").await;
    for _ in 0..20 {
        let writers: Vec<_> = (1..5_usize)
            .map(|size| {
                let put = client.put_object().bucket(BUCKET).key("k");
                tokio::spawn(put.body(vec![0; size].into()).send())
            })
            .collect();
        for writer in writers {
            writer.await.unwrap().unwrap();
        }
        let stays = get(&client, "k").await.len() as u64;
        let mut last = None::<Event>;
        while let Ok(event) = events.try_recv() {
            if last
                .as_ref()
                .is_none_or(|last| last.sequencer < event.sequencer)
            {
                last = Some(event);
            }
        }
        assert_eq!(last.unwrap().size_bytes, Some(stays));
    }
}

#[tokio::test]
async fn a_webhook_gets_what_amazon_would_send() {
    let hook = Hook::open(&[]).await;
    let target = hook.target.clone();
    let store = Running::start_with(|settings| settings.event_targets = vec![target]).await;
    let client = store.client();
    subscribe(&client, &hook.target, &[CREATED], "").await;
    put(&client, "o/ä b", b"body").await;
    eventually("the event arrives", || !hook.records().is_empty()).await;
    let (head, _) = hook.got.lock().unwrap()[0].clone();
    assert!(head.starts_with("POST /hook?x=1 HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains("authorization: Bearer hook-secret\r\n"),
        "{head}"
    );
    let record = &hook.records()[0];
    assert_eq!(record["eventName"], "ObjectCreated:Put");
    assert_eq!(record["s3"]["bucket"]["name"], BUCKET);
    assert_eq!(record["s3"]["object"]["key"], "o/%C3%A4+b");
    assert_eq!(record["s3"]["object"]["size"], 4);
}

#[tokio::test]
async fn an_event_is_sent_until_it_is_taken() {
    let hook = Hook::open(&[500, 404, 503]).await;
    let target = hook.target.clone();
    let store = Running::start_with(|settings| {
        settings.event_targets = vec![target];
        settings.event_retry = Duration::from_millis(1);
    })
    .await;
    let client = store.client();
    subscribe(&client, &hook.target, &[CREATED], "").await;
    put(&client, "first", b"1").await;
    eventually("it is sent again", || hook.records().len() >= 4).await;
    put(&client, "second", b"2").await;
    eventually("the next is sent", || hook.records().len() >= 5).await;
    let keys: Vec<_> = hook
        .records()
        .iter()
        .map(|record| record["s3"]["object"]["key"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(keys, ["first", "first", "first", "first", "second"]);
}

#[tokio::test]
async fn an_event_that_is_refused_for_good_holds_up_no_other() {
    let hook = Hook::open(&[422]).await;
    let target = hook.target.clone();
    let store = Running::start_with(|settings| settings.event_targets = vec![target]).await;
    let client = store.client();
    subscribe(&client, &hook.target, &[CREATED], "").await;
    put(&client, "first", b"1").await;
    eventually("it is refused", || hook.records().len() == 1).await;
    put(&client, "second", b"2").await;
    eventually("the next is sent", || hook.records().len() == 2).await;
    assert_eq!(hook.records()[1]["s3"]["object"]["key"], "second");
}

#[tokio::test]
async fn nobody_waits_for_a_receiver() {
    // One that takes nothing, and one that cannot be reached.
    let (full, mut events) = channel(1);
    let dead = EventTarget {
        name: "dead".to_owned(),
        receiver: Receiver::Webhook {
            url: "http://127.0.0.1:9/".to_owned(),
            bearer: None,
        },
    };
    let targets = vec![full.clone(), dead.clone()];
    let store = Running::start_with(|settings| settings.event_targets = targets).await;
    let client = store.client();
    let queue = |target: &EventTarget| {
        QueueConfiguration::builder()
            .queue_arn(target.arn())
            .events(CREATED)
            .build()
            .unwrap()
    };
    let config = NotificationConfiguration::builder()
        .queue_configurations(queue(&full))
        .queue_configurations(queue(&dead));
    client
        .put_bucket_notification_configuration()
        .bucket(BUCKET)
        .notification_configuration(config.build())
        .send()
        .await
        .unwrap();
    for n in 0..20 {
        put(&client, &format!("k{n}"), b"x").await;
    }
    assert_eq!(events.recv().await.unwrap().key, "k0");
    assert!(events.try_recv().is_err(), "what does not fit is lost");
}

#[tokio::test]
async fn what_waits_is_sent_when_the_store_stops() {
    let hook = Hook::open(&[500]).await;
    let target = hook.target.clone();
    let store = Running::start_with(|settings| {
        settings.event_targets = vec![target];
        settings.event_retry = Duration::from_millis(300);
    })
    .await;
    let client = store.client();
    subscribe(&client, &hook.target, &[CREATED], "").await;
    put(&client, "first", b"1").await;
    eventually("it is refused", || hook.records().len() == 1).await;
    put(&client, "second", b"2").await;
    store.stop().await;
    let keys: Vec<_> = hook
        .records()
        .iter()
        .map(|record| record["s3"]["object"]["key"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(keys, ["first", "first", "second"]);
}

#[tokio::test]
async fn a_configuration_lasts_and_names_known_targets() {
    let (target, _events) = channel(1);
    let dir = tempfile::tempdir().unwrap();
    let with_target = || {
        let mut settings = settings(dir.path());
        settings.event_targets = vec![target.clone()];
        settings
    };
    let store = Running::open(with_target()).await;
    let client = store.client();
    let get = |client: &Client| {
        client
            .get_bucket_notification_configuration()
            .bucket(BUCKET)
            .send()
    };
    assert!(
        get(&client)
            .await
            .unwrap()
            .queue_configurations()
            .is_empty()
    );
    subscribe(&client, &target, &[REMOVED], ".jpg").await;
    let unknown = QueueConfiguration::builder()
        .queue_arn("arn:safelight:sqs::nobody:webhook")
        .events(CREATED)
        .build()
        .unwrap();
    let config = NotificationConfiguration::builder().queue_configurations(unknown);
    let put = client
        .put_bucket_notification_configuration()
        .bucket(BUCKET)
        .notification_configuration(config.build());
    assert_eq!(put.send().await.unwrap_err().code_text(), "InvalidArgument");
    drop(client);
    store.stop().await;
    let store = Running::open(with_target()).await;
    let kept = get(&store.client()).await.unwrap();
    let queue = &kept.queue_configurations()[0];
    assert_eq!(queue.queue_arn(), target.arn());
    assert_eq!(queue.events(), [REMOVED]);
}
