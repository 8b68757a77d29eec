//! Killed with SIGKILL while buckets are made, configured and deleted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::types::{CorsConfiguration, CorsRule};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::harness::*;
use crate::kill::spawn;

const ROUNDS: usize = 5;
const WORKERS: usize = 4;

/// What a bucket is; `None` if it is not there.
type State = Option<Bucket>;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Bucket {
    /// The age that its CORS rule names.
    cors: Option<i32>,
    /// Whether it holds an object.
    object: bool,
}

/// The next thing to do to a bucket, and what it is then.
async fn step(client: &Client, bucket: &str, state: State, n: usize) -> (State, bool) {
    let made = state.unwrap_or_default();
    match (state, n % 5) {
        (None, _) => {
            let sent = client.create_bucket().bucket(bucket).send().await;
            (Some(Bucket::default()), sent.is_ok())
        }
        (Some(_), 0 | 1) => {
            let age = n as i32;
            let rule = CorsRule::builder()
                .allowed_methods("GET")
                .allowed_origins("*")
                .max_age_seconds(age);
            let rules = CorsConfiguration::builder().cors_rules(rule.build().unwrap());
            let sent = client.put_bucket_cors().bucket(bucket);
            let sent = sent.cors_configuration(rules.build().unwrap()).send().await;
            let state = Bucket {
                cors: Some(age),
                ..made
            };
            (Some(state), sent.is_ok())
        }
        (Some(_), 2) => {
            let sent = client.put_object().bucket(bucket).key("k");
            let sent = sent.body(bucket.as_bytes().to_vec().into()).send().await;
            let state = Bucket {
                object: true,
                ..made
            };
            (Some(state), sent.is_ok())
        }
        (Some(_), 3) => {
            let sent = client.delete_object().bucket(bucket).key("k").send().await;
            let state = Bucket {
                object: false,
                ..made
            };
            (Some(state), sent.is_ok())
        }
        (Some(_), _) => {
            let sent = client.delete_bucket().bucket(bucket).send().await;
            (None, sent.is_ok())
        }
    }
}

/// What a bucket is, by the store.
async fn look(client: &Client, bucket: &str) -> State {
    client.head_bucket().bucket(bucket).send().await.ok()?;
    let cors = match client.get_bucket_cors().bucket(bucket).send().await {
        Ok(cors) => cors.cors_rules()[0].max_age_seconds(),
        Err(error) => {
            assert_eq!(error.code_text(), "NoSuchCORSConfiguration");
            None
        }
    };
    let object = match client.get_object().bucket(bucket).key("k").send().await {
        Ok(object) => {
            let bytes = object.body.collect().await.unwrap().to_vec();
            assert_eq!(bytes, bucket.as_bytes());
            true
        }
        Err(error) => {
            assert_eq!(error.code_text(), "NoSuchKey");
            false
        }
    };
    Some(Bucket { cors, object })
}

/// Goes on until the store dies; returns what was acknowledged last and what was asked for then.
async fn work(client: Client, bucket: String, acked: Arc<(AtomicUsize, Notify)>) -> [State; 2] {
    let mut state = look(&client, &bucket).await;
    for n in 0.. {
        let (next, done) = step(&client, &bucket, state, n).await;
        if !done {
            return [state, next];
        }
        state = next;
        acked.0.fetch_add(1, Ordering::SeqCst);
        acked.1.notify_waiters();
    }
    [state, state]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_store_keeps_what_it_was_told_of_buckets() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..ROUNDS {
        let (mut child, endpoint) = spawn(dir.path());
        let acked = Arc::new((AtomicUsize::new(0), Notify::new()));
        let mut workers = JoinSet::new();
        for worker in 0..WORKERS {
            let client = client(&endpoint, RequestChecksumCalculation::WhenRequired);
            let bucket = format!("bucket-{worker}");
            let working = work(client, bucket.clone(), Arc::clone(&acked));
            workers.spawn(async { (bucket, working.await) });
        }
        let enough = 12 + (round * 29) % 50;
        loop {
            let woken = acked.1.notified();
            if acked.0.load(Ordering::SeqCst) >= enough {
                break;
            }
            woken.await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let known = workers.join_all().await;
        let store = Running::open(settings(dir.path())).await;
        assert_eq!(store.leftovers(), Vec::<std::path::PathBuf>::new());
        for (bucket, may_be) in known {
            let is = look(&store.client(), &bucket).await;
            assert!(
                may_be.contains(&is),
                "{bucket} is {is:?}, not of {may_be:?}"
            );
        }
        store.stop().await;
    }
}
