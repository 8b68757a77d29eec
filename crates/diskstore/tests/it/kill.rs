//! Killed with SIGKILL in the middle of things, again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::types::{CompletedPart, ObjectAttributes, Tag, Tagging};
use safelight_diskstore::{DiskStore, serve};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::harness::*;
use crate::multipart::list;
use crate::tags::tags_of;

const ROOT: &str = "DISKSTORE_TEST_ROOT";
const ROUNDS: u64 = 6;
const WORKERS: u64 = 6;
/// What the keys of copies end with.
const COPY: &str = "/copy";

/// The store that gets killed: this binary, started again by the test below.
#[test]
fn child_server() {
    let Some(root) = std::env::var_os(ROOT) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = DiskStore::open(settings(Path::new(&root))).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("\nLISTENING http://{}", listener.local_addr().unwrap());
        serve(store, listener, std::future::pending())
            .await
            .unwrap();
    });
}

/// Starts it over a directory; returns where it listens.
pub fn spawn(root: &Path) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child_server", "--nocapture"])
        .env(ROOT, root)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let endpoint = lines
        .find_map(|line| line.unwrap().strip_prefix("LISTENING ").map(str::to_owned))
        .expect("the child did not listen");
    (child, endpoint)
}

/// What the store acknowledged.
#[derive(Default)]
struct Known {
    /// By key: the last version that was acknowledged, and the last that was
    /// sent.
    objects: BTreeMap<String, (u64, u64)>,
    /// Keys whose deletion was acknowledged.
    deleted: BTreeSet<String>,
    /// Keys whose deletion was asked for and not acknowledged.
    unsure: BTreeSet<String>,
    /// By key: the version whose tags were acknowledged.
    tags: BTreeMap<String, u64>,
    /// By key: the upload and its acknowledged parts, while Complete was not
    /// asked for.
    uploads: BTreeMap<String, (String, Vec<CompletedPart>)>,
}

/// The bytes of a version of a key; they name it. Those of a copy are those of
/// its source.
fn body(key: &str, version: u64) -> Vec<u8> {
    let seed = key
        .trim_end_matches(COPY)
        .bytes()
        .fold(version, |sum, b| sum.wrapping_mul(131) + u64::from(b));
    let mut bytes = version.to_le_bytes().to_vec();
    bytes.extend(noise(seed, 1000 + (seed % 700_000) as usize));
    bytes
}

/// Puts, overwrites, uploads, tags, copies and deletes until the store dies.
async fn work(
    client: Client,
    worker: u64,
    round: u64,
    known: Arc<Mutex<Known>>,
    acked: Arc<(AtomicUsize, Notify)>,
) {
    let acknowledge = |change: &mut dyn FnMut(&mut Known)| {
        change(&mut known.lock().unwrap());
        acked.0.fetch_add(1, Ordering::SeqCst);
        acked.1.notify_waiters();
    };
    for version in 1_u64.. {
        let key = format!("o/{round}/{worker}/{}", version % 4);
        let version = round * 1_000_000 + version;
        let bytes = body(&key, version);
        known
            .lock()
            .unwrap()
            .objects
            .entry(key.clone())
            .or_default()
            .1 = version;
        if version.is_multiple_of(3) {
            let Ok(created) = client
                .create_multipart_upload()
                .bucket(BUCKET)
                .key(&key)
                .send()
                .await
            else {
                return;
            };
            let id = created.upload_id.unwrap();
            known
                .lock()
                .unwrap()
                .uploads
                .insert(key.clone(), (id.clone(), Vec::new()));
            for (at, chunk) in bytes.chunks(bytes.len().div_ceil(3)).enumerate() {
                let number = at as i32 + 1;
                let sent = client
                    .upload_part()
                    .bucket(BUCKET)
                    .key(&key)
                    .upload_id(&id)
                    .part_number(number)
                    .body(chunk.to_vec().into())
                    .send()
                    .await;
                let Ok(sent) = sent else { return };
                let part = CompletedPart::builder()
                    .part_number(number)
                    .e_tag(sent.e_tag.unwrap())
                    .build();
                acknowledge(&mut |known| known.uploads.get_mut(&key).unwrap().1.push(part.clone()));
            }
            let (_, parts) = known.lock().unwrap().uploads.remove(&key).unwrap();
            let done = client
                .complete_multipart_upload()
                .bucket(BUCKET)
                .key(&key)
                .upload_id(&id)
                .multipart_upload(list(&parts))
                .send()
                .await;
            if done.is_err() {
                return;
            }
        } else {
            let sent = client
                .put_object()
                .bucket(BUCKET)
                .key(&key)
                .body(bytes.into())
                .send()
                .await;
            if sent.is_err() {
                return;
            }
        }
        acknowledge(&mut |known| known.objects.get_mut(&key).unwrap().0 = version);
        // The tag of an object names its version.
        if version.is_multiple_of(2) {
            let tag = Tag::builder().key("version").value(version.to_string());
            let tagging = Tagging::builder().tag_set(tag.build().unwrap()).build();
            let tagged = client
                .put_object_tagging()
                .bucket(BUCKET)
                .key(&key)
                .tagging(tagging.unwrap())
                .send()
                .await;
            if tagged.is_err() {
                return;
            }
            acknowledge(&mut |known| {
                known.tags.insert(key.clone(), version);
            });
        }
        let copy = format!("{key}{COPY}");
        known
            .lock()
            .unwrap()
            .objects
            .entry(copy.clone())
            .or_default()
            .1 = version;
        let copied = client
            .copy_object()
            .bucket(BUCKET)
            .key(&copy)
            .copy_source(format!("{BUCKET}/{key}"))
            .send()
            .await;
        if copied.is_err() {
            return;
        }
        acknowledge(&mut |known| known.objects.get_mut(&copy).unwrap().0 = version);
        if version.is_multiple_of(5) {
            known.lock().unwrap().unsure.insert(key.clone());
            if client
                .delete_object()
                .bucket(BUCKET)
                .key(&key)
                .send()
                .await
                .is_err()
            {
                return;
            }
            acknowledge(&mut |known| {
                known.unsure.remove(&key);
                known.objects.remove(&key);
                known.deleted.insert(key.clone());
            });
        } else {
            known.lock().unwrap().deleted.remove(&key);
        }
    }
}

/// Everything acknowledged is there and whole; everything there is whole.
async fn check(client: &Client, known: &Known) -> usize {
    let mut seen = BTreeSet::new();
    let mut pages = client
        .list_objects_v2()
        .bucket(BUCKET)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        for object in page.unwrap().contents() {
            let key = object.key().unwrap();
            let bytes = get(client, key).await;
            let version = u64::from_le_bytes(bytes[..8].try_into().unwrap());
            assert!(bytes == body(key, version), "{key} is not whole");
            let tags = tags_of(client, key).await;
            let tag = tags
                .get("version")
                .map(|value| value.parse::<u64>().unwrap());
            assert!(
                tag.is_none_or(|tag| tag == version),
                "{key} has another's tags"
            );
            if known.tags.get(key) == Some(&version) {
                assert_eq!(tag, Some(version), "{key} has lost its tags");
            }
            if let Some((acked, sent)) = known.objects.get(key) {
                assert!(
                    (*acked..=*sent).contains(&version),
                    "{key} is version {version}, not {acked} to {sent}"
                );
            }
            seen.insert(key.to_owned());
        }
    }
    for (key, (acked, _)) in &known.objects {
        let may_be_gone = *acked == 0 || known.unsure.contains(key);
        assert!(seen.contains(key) || may_be_gone, "{key} is gone");
    }
    for key in &known.deleted {
        // A later write may have arrived without its answer.
        assert!(
            !seen.contains(key) || known.objects.contains_key(key),
            "{key} is back"
        );
    }
    for (key, (id, parts)) in &known.uploads {
        let listed = client
            .list_parts()
            .bucket(BUCKET)
            .key(key)
            .upload_id(id)
            .send()
            .await
            .unwrap();
        let found: BTreeMap<_, _> = listed
            .parts()
            .iter()
            .map(|p| (p.part_number(), p.e_tag()))
            .collect();
        for part in parts {
            assert_eq!(
                found.get(&part.part_number()),
                Some(&part.e_tag()),
                "a part of {key}"
            );
        }
        client
            .abort_multipart_upload()
            .bucket(BUCKET)
            .key(key)
            .upload_id(id)
            .send()
            .await
            .unwrap();
    }
    seen.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_store_keeps_what_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut all = BTreeMap::new();
    for round in 0..ROUNDS {
        let (mut child, endpoint) = spawn(dir.path());
        let known = Arc::new(Mutex::new(Known::default()));
        let acked = Arc::new((AtomicUsize::new(0), Notify::new()));
        let mut workers = JoinSet::new();
        for worker in 0..WORKERS {
            let client = client(&endpoint, RequestChecksumCalculation::WhenRequired);
            workers.spawn(work(
                client,
                worker,
                round,
                Arc::clone(&known),
                Arc::clone(&acked),
            ));
        }
        let enough = 15 + (round as usize * 37) % 60;
        loop {
            let woken = acked.1.notified();
            if acked.0.load(Ordering::SeqCst) >= enough {
                break;
            }
            woken.await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        workers.join_all().await;

        let store = Running::open(settings(dir.path())).await;
        assert_eq!(store.leftovers(), Vec::<std::path::PathBuf>::new());
        let mut known = Arc::try_unwrap(known).ok().unwrap().into_inner().unwrap();
        all.append(&mut known.objects.clone());
        let mut everything = Known {
            objects: all.clone(),
            ..Known::default()
        };
        everything.deleted.append(&mut known.deleted);
        everything.unsure.append(&mut known.unsure);
        everything.uploads.append(&mut known.uploads);
        everything.tags.append(&mut known.tags);
        let seen = check(&store.client(), &everything).await;
        println!("round {round}: killed after {enough} acknowledgements, {seen} objects are whole");
        // What nobody is sure of is settled now.
        all.retain(|key, (acked, _)| *acked > 0 && !everything.unsure.contains(key));
        // Only what belongs to a live object is on the disk: its parts, or its
        // bytes if its record was rewritten.
        let files = store.part_files().len();
        let mut needed = 0;
        for key in listed(&store.client()).await {
            let attributes = store
                .client()
                .get_object_attributes()
                .bucket(BUCKET)
                .key(&key)
                .object_attributes(ObjectAttributes::ObjectParts)
                .send()
                .await
                .unwrap();
            let parts = attributes
                .object_parts()
                .and_then(|parts| parts.total_parts_count());
            let tagged = !tags_of(&store.client(), &key).await.is_empty();
            needed += match parts {
                Some(parts) => parts as usize,
                None => usize::from(tagged && !key.ends_with(COPY)),
            };
        }
        assert!(files >= needed, "{files} files of {needed}");
        let forgotten = files - needed;
        assert!(
            forgotten <= (WORKERS * 3 * (round + 1)) as usize,
            "{forgotten} parts too many"
        );
        store.stop().await;
    }
}

async fn listed(client: &Client) -> Vec<String> {
    let mut keys = Vec::new();
    let mut pages = client
        .list_objects_v2()
        .bucket(BUCKET)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        keys.extend(
            page.unwrap()
                .contents()
                .iter()
                .filter_map(|o| o.key().map(str::to_owned)),
        );
    }
    keys
}
