//! Uploads through the gateway of which nobody says anything more: what is whole is completed, what is not expires and
//! leaves nothing, and what they keep at the store meanwhile is no orphan. The process that received is as good as
//! dead: it appends, and does nothing more.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use safelight_model::limits;
use safelight_objects::ObjectKey;
use safelight_service::intake::append::receive::{Ending, Incoming, receive};
use safelight_service::intake::append::take::{Took, take};
use safelight_service::retention::clear_segments::clear_segments;
use safelight_service::retention::{catalog_mark, sweep};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::http_rig::{
    Caller, Database, PART_BYTES, capture, large_photo, number, objects, on_both_databases, photo,
    rows, text,
};
use crate::in_process::{InProcess, TENANT};

on_both_databases!(
    what_was_appended_whole_is_completed_without_a_word,
    what_was_appended_in_part_expires_and_leaves_nothing,
    what_waits_for_more_is_no_orphan,
    requests_that_one_owner_keeps_open_leave_room_for_others,
    what_an_older_catalog_takes_for_missing_is_completed,
);

const MINUTE: Duration = Duration::from_secs(60);

/// An upload that is appended to; its id.
pub async fn begin(ann: &Caller, file: &[u8]) -> String {
    let mut asked = capture(&[file]);
    asked["accept_transports"] = json!(["append"]);
    let made = ann.post("/v1/captures", &asked).await.expect(201);
    let upload = &made["assets"][0]["uploads"][0];
    assert_eq!(upload["plan"]["transport"], "append", "{upload}");
    text(&upload["upload_id"]).to_owned()
}

/// Appends, as one request of the gateway does, and does not complete.
pub async fn append(service: &InProcess, upload_id: &str, bytes: &[u8], is_last: bool) {
    append_as(service, "ann", upload_id, bytes, is_last).await;
}

async fn append_as(
    service: &InProcess,
    owner_id: &str,
    upload_id: &str,
    bytes: &[u8],
    is_last: bool,
) {
    let (context, gateway) = (&service.context, &service.gateway);
    let taken = take(context, gateway, TENANT, upload_id, Some(owner_id)).await;
    let Took::Open(mut held) = taken.unwrap() else {
        panic!("it is not open");
    };
    let mut body = Body::from(bytes.to_vec()).into_data_stream();
    let incoming = Incoming {
        size_bytes: i64::try_from(bytes.len()).ok(),
        is_last,
        digest: None,
        on_progress: &|_| {},
    };
    let ending = receive(context, gateway, &mut held, &mut body, incoming).await;
    assert_eq!(ending.unwrap(), Ending::Whole);
}

async fn read(ann: &Caller, upload_id: &str) -> Value {
    let path = format!("/v1/uploads/{upload_id}");
    ann.get(&path).await.expect(200)
}

async fn what_was_appended_whole_is_completed_without_a_word(database: Database) {
    let service = InProcess::start(database).await;
    let (context, ann) = (&service.context, service.owner("ann"));
    let (small, large) = (photo(1), large_photo(2, PART_BYTES + 1000));
    let ids = [begin(&ann, &small).await, begin(&ann, &large).await];
    append(&service, &ids[0], &small, true).await;
    let half = large.len() / 2;
    append(&service, &ids[1], &large[..half], false).await;
    append(&service, &ids[1], &large[half..], true).await;
    assert_eq!(service.pass(MINUTE / 2).await, 0, "nobody is silent yet");
    assert_eq!(read(&ann, &ids[1]).await["state"], "open");
    assert_eq!(service.pass(MINUTE).await, 2);
    for (id, file) in ids.iter().zip([&small, &large]) {
        let upload = read(&ann, id).await;
        assert_eq!(upload["state"], "completed");
        assert_eq!(upload["received_bytes"], file.len());
    }
    let catalog = &context.catalog;
    let mut sizes = Vec::new();
    for row in rows(catalog, "SELECT object_key FROM blobs ORDER BY size_bytes").await {
        let key = ObjectKey::parse(&row.text(0).unwrap()).unwrap();
        let stored = context.objects.head(&key).await.unwrap().unwrap();
        sizes.push(usize::try_from(stored.size_bytes).unwrap());
    }
    assert_eq!(sizes, [small.len(), large.len()]);
    // Nothing but the objects is left, and nothing to do.
    service.clock.advance(60 * MINUTE);
    clear_segments(context).await.unwrap();
    assert_eq!(objects(&context.objects, "x/").await, [""; 0]);
    let left = "SELECT COUNT(*) FROM uploads WHERE look_at IS NOT NULL";
    assert_eq!(number(catalog, left).await, 0);
}

/// A request that has sent this much and says nothing more until it is dropped.
async fn keep_open(
    service: &InProcess,
    upload_id: String,
    bytes: Vec<u8>,
) -> (mpsc::Sender<Result<Bytes, Infallible>>, JoinHandle<Ending>) {
    let (context, gateway) = (service.context.clone(), service.gateway.clone());
    let (sender, mut body) = mpsc::channel(1);
    let received = tokio::spawn(async move {
        let taken = take(&context, &gateway, TENANT, &upload_id, Some("ann")).await;
        let Took::Open(mut held) = taken.unwrap() else {
            panic!("it is not open");
        };
        let incoming = Incoming {
            size_bytes: held.length_bytes(),
            is_last: true,
            digest: None,
            on_progress: &|_| {},
        };
        let mut body = futures::stream::poll_fn(move |cx| body.poll_recv(cx));
        let ending = receive(&context, &gateway, &mut held, &mut body, incoming).await;
        ending.unwrap()
    });
    // One more than fits: it was read once the second is taken.
    let chunks = bytes.chunks(100_000).map(Bytes::copy_from_slice);
    for chunk in chunks.chain([Bytes::new()]) {
        if sender.send(Ok(chunk)).await.is_err() {
            break;
        }
    }
    (sender, received)
}

async fn requests_that_one_owner_keeps_open_leave_room_for_others(database: Database) {
    let service = InProcess::start(database).await;
    let (ann, bob) = (service.owner("ann"), service.owner("bob"));
    let file = large_photo(5, PART_BYTES + 100_000);
    let mut open = Vec::new();
    // Nearly silent ones: by their parts they would need five times what the gateway has.
    for _ in 0..40 {
        let id = begin(&ann, &file).await;
        open.push(keep_open(&service, id, file[..1].to_vec()).await);
    }
    // And such as have sent much: together more than that, too.
    let mut ids = Vec::new();
    for _ in 0..8 {
        ids.push(begin(&ann, &file).await);
    }
    let much = &file[..PART_BYTES * 3 / 4];
    let begun = ids
        .iter()
        .map(|id| keep_open(&service, id.clone(), much.to_vec()));
    let begun = futures::future::join_all(begun).await;
    let mut held_bytes = 0;
    let mut refused = 0;
    for (id, (sender, received)) in ids.iter().zip(begun) {
        if sender.is_closed() {
            assert_eq!(received.await.unwrap(), Ending::NoRoom);
            refused += 1;
            let kept = read(&ann, id).await["received_bytes"].as_u64().unwrap();
            assert!((1..much.len() as u64).contains(&kept), "{kept}");
        } else {
            held_bytes += much.len();
            open.push((sender, received));
        }
    }
    assert!(
        refused > 0 && held_bytes <= 32 << 20,
        "half of the room is hers"
    );
    let id = begin(&bob, &file).await;
    append_as(&service, "bob", &id, &file, true).await;
    assert_eq!(read(&bob, &id).await["received_bytes"], file.len());
    drop(open);
}

async fn what_was_appended_in_part_expires_and_leaves_nothing(database: Database) {
    let service = InProcess::start(database).await;
    let (context, ann) = (&service.context, service.owner("ann"));
    let file = large_photo(3, PART_BYTES + 200_000);
    let ids = [begin(&ann, &file).await, begin(&ann, &file).await];
    append(&service, &ids[0], &file[..1000], false).await;
    append(&service, &ids[1], &file[..PART_BYTES + 1000], false).await;
    assert_eq!(objects(&context.objects, "x/").await.len(), 2);
    // What has come is known without asking: there is nothing to see before its end.
    for _ in 0..100 {
        assert_eq!(service.pass(60 * MINUTE).await, 0);
    }
    assert_eq!(read(&ann, &ids[0]).await["received_bytes"], 1000);
    service.pass(limits::UPLOAD).await;
    for id in &ids {
        assert_eq!(read(&ann, id).await["state"], "expired");
    }
    assert_eq!(clear_segments(context).await.unwrap(), 2);
    assert_eq!(objects(&context.objects, "").await, [""; 0]);
    let uploads = context.objects.list_uploads(None, 10).await.unwrap();
    assert!(uploads.uploads.is_empty());
    for left in [
        "appends",
        "append_parts",
        "append_segments",
        "uploads WHERE look_at IS NOT NULL OR cleared_at IS NULL",
    ] {
        let count = format!("SELECT COUNT(*) FROM {left}");
        assert_eq!(number(&context.catalog, &count).await, 0, "{left}");
    }
}

async fn what_waits_for_more_is_no_orphan(database: Database) {
    let service = InProcess::start(database).await;
    let (context, ann) = (&service.context, service.owner("ann"));
    catalog_mark::raise(context, context.now()).await.unwrap();
    let file = large_photo(4, 2 * PART_BYTES);
    let id = begin(&ann, &file).await;
    append(&service, &id, &file[..PART_BYTES + 1000], false).await;
    let before = objects(&context.objects, "").await;
    assert!(before.iter().any(|key| key.starts_with("x/")), "{before:?}");
    for _ in 0..3 {
        service.clock.advance(limits::ORPHAN_GRACE);
        sweep::sweep_all(context, true).await.unwrap();
        let found = "SELECT COUNT(*) FROM sweep_findings";
        assert_eq!(number(&context.catalog, found).await, 0);
    }
    assert_eq!(objects(&context.objects, "").await, before);
    let uploads = context.objects.list_uploads(None, 10).await.unwrap();
    assert_eq!(uploads.uploads.len(), 1);
}

/// An older copy of the catalog may know less of an upload than the store, which has made the object of it since.
async fn what_an_older_catalog_takes_for_missing_is_completed(database: Database) {
    let service = InProcess::start(database).await;
    let (context, ann) = (&service.context, service.owner("ann"));
    let file = photo(5);
    let id = begin(&ann, &file).await;
    append(&service, &id, &file[..1000], false).await;
    let row = &rows(&context.catalog, "SELECT object_key FROM uploads").await[0];
    let key = ObjectKey::parse(&row.text(0).unwrap()).unwrap();
    let whole = Bytes::from(file);
    let put = context.objects.put(&key, whole, Default::default()).await;
    put.unwrap();
    service.pass(limits::UPLOAD).await;
    assert_eq!(read(&ann, &id).await["state"], "completed");
    assert!(context.objects.head(&key).await.unwrap().is_some());
}
