//! Random interleavings of all that may happen to uploads, on both databases: what two devices, the store, janitors and workers do,
//! in any order and two things at once. Whatever comes, no photo is lost that was said to be there, none is there twice, nothing
//! is stuck without a reason, and in the end neither catalog nor store has anything that the other knows nothing of.
//!
//! Time is moved by hand; workers work when it is their turn.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt as _, TryStreamExt as _};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use safelight_model::clock::{Clock as _, Micros, SystemClock};
use safelight_model::limits;
use safelight_objects::{ObjectKey, PutBinding};
use safelight_service::intake::hear_events::{Way, hear_events};
use safelight_service::intake::read_event::Created;
use safelight_service::look_after;
use safelight_service::processing::AtHand;
use safelight_service::processing::sandbox::{Sandbox, SandboxSettings};
use safelight_service::queue::{Executor, ExecutorSettings};
use safelight_service::retention::clear_segments::clear_segments;
use safelight_service::retention::complete_deletions::complete_deletions;
use safelight_service::retention::sweep::sweep_all;
use safelight_service::system_entropy::SystemEntropy;
use safelight_service::worker::Worker;
use safelight_testkit::wait;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::http_rig::{
    Answer, Caller, Database, PART_BYTES, PATIENCE, capture, fresh_key, large_photo, number,
    objects, photo, put, rows, sha256, text,
};
use crate::in_process::InProcess;
use crate::sweep::found;

/// Something that happens. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Op {
    /// A device has taken a photo, the same as another's perhaps.
    Initiate {
        photo: usize,
        keeps_duplicates: bool,
        tells_hash: bool,
    },
    /// It heard no answer and asks again.
    Repeat(usize),
    /// It sends all its bytes, by URLs that it has or asks for.
    Send(usize),
    /// As all goes well.
    SendAndComplete(usize),
    /// It sends one part of them.
    SendPart(usize, usize),
    /// It says that all is sent, whether or not that is so.
    Complete(usize),
    /// The store tells of its object, whether or not there is one.
    StoreTells(usize),
    Abort(usize),
    Delete(usize),
    /// Minutes pass, and janitors look at who was silent.
    Pass(u64),
    /// Workers do all that is due.
    Work,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..PHOTOS, prop::bool::weighted(0.35), prop::bool::weighted(0.7)).prop_map(
            |(photo, keeps_duplicates, tells_hash)| Op::Initiate { photo, keeps_duplicates, tells_hash }
        ),
        1 => any::<usize>().prop_map(Op::Repeat),
        6 => any::<usize>().prop_map(Op::Send),
        10 => any::<usize>().prop_map(Op::SendAndComplete),
        2 => any::<(usize, usize)>().prop_map(|(upload, part)| Op::SendPart(upload, part)),
        5 => any::<usize>().prop_map(Op::Complete),
        2 => any::<usize>().prop_map(Op::StoreTells),
        1 => any::<usize>().prop_map(Op::Abort),
        4 => any::<usize>().prop_map(Op::Delete),
        2 => (1..90_u64).prop_map(Op::Pass),
        6 => Just(Op::Work),
    ]
}

/// One after another, or two at once.
fn steps() -> impl Strategy<Value = Vec<(Op, Option<Op>)>> {
    prop::collection::vec((op(), prop::option::weighted(0.4, op())), 8..40)
}

/// Different photos; the last goes by parts.
const PHOTOS: usize = 3;
/// Longer than any URL works, and bytes may come by it.
const LONG: Duration = Duration::from_secs(3 * 3600);
/// A URL of a single PUT works for so long, at most.
const URL_WORKS: Duration = Duration::from_secs(14 * 60);

/// An upload, as the device knows it.
#[derive(Clone)]
struct Sending {
    upload_id: String,
    photo: usize,
    /// What it was given with the answer.
    url: Option<Value>,
    at: Micros,
}

/// What devices did and were told.
#[derive(Default)]
struct Told {
    uploads: Vec<Sending>,
    /// What each asset shows, of all that were ever named.
    photos: BTreeMap<String, usize>,
    /// Made to stand beside another of the same bytes.
    kept: BTreeSet<String>,
    /// Said to be there, by an answer to a completion or an initiation.
    there: BTreeSet<String>,
    /// Deleted by their owner.
    deleted: BTreeSet<String>,
    /// Requests with their keys and first answers.
    asked: Vec<(String, Value, Value)>,
}

struct World {
    service: InProcess,
    ann: Caller,
    photos: Arc<Vec<Vec<u8>>>,
    sandbox: Sandbox,
    told: Mutex<Told>,
}

impl World {
    async fn begin(database: Database, photos: Arc<Vec<Vec<u8>>>, sandbox: Sandbox) -> Self {
        let service = InProcess::start(database).await;
        Self {
            ann: service.owner("ann"),
            service,
            photos,
            sandbox,
            told: Mutex::default(),
        }
    }

    async fn go(&self, steps: &[(Op, Option<Op>)], ends: &Mutex<BTreeMap<String, i64>>) {
        for (one, other) in steps {
            match other {
                Some(other) => {
                    tokio::join!(self.act(one), self.act(other));
                }
                None => self.act(one).await,
            }
        }
        self.end().await;
        self.check().await;
        self.count(ends).await;
    }

    fn upload(&self, n: usize) -> Option<Sending> {
        let told = self.told.lock().unwrap();
        let at = n.checked_rem(told.uploads.len())?;
        Some(told.uploads[at].clone())
    }

    async fn act(&self, op: &Op) {
        match op {
            Op::Initiate {
                photo,
                keeps_duplicates,
                tells_hash,
            } => self.initiate(*photo, *keeps_duplicates, *tells_hash).await,
            Op::Repeat(n) => self.repeat(*n).await,
            Op::Send(n) => {
                if let Some(upload) = self.upload(*n) {
                    self.send(&upload, None).await;
                }
            }
            Op::SendAndComplete(n) => {
                if let Some(upload) = self.upload(*n) {
                    self.send(&upload, None).await;
                    self.complete(&upload).await;
                }
            }
            Op::SendPart(n, part) => {
                if let Some(upload) = self.upload(*n) {
                    self.send(&upload, Some(*part)).await;
                }
            }
            Op::Complete(n) => {
                if let Some(upload) = self.upload(*n) {
                    self.complete(&upload).await;
                }
            }
            Op::StoreTells(n) => {
                if let Some(upload) = self.upload(*n) {
                    self.store_tells(&upload).await;
                }
            }
            Op::Abort(n) => {
                if let Some(upload) = self.upload(*n) {
                    let path = format!("/v1/uploads/{}", upload.upload_id);
                    let given_up = self.ann.delete(&path).await;
                    let may_be = [200, 409, 410, 422];
                    assert!(may_be.contains(&given_up.status), "{given_up:?}");
                }
            }
            Op::Delete(n) => self.delete(*n).await,
            Op::Pass(minutes) => {
                self.service.pass(Duration::from_secs(60 * minutes)).await;
            }
            Op::Work => self.work().await,
        }
    }

    async fn initiate(&self, photo: usize, keeps_duplicates: bool, tells_hash: bool) {
        let mut request = capture(&[&self.photos[photo]]);
        if keeps_duplicates {
            request["duplicates"] = json!("keep");
        }
        if !tells_hash {
            let resource = &mut request["assets"][0]["resources"][0];
            resource.as_object_mut().unwrap().remove("sha256");
        }
        let (key, at) = (fresh_key(), self.service.context.now());
        let made = self.ann.post_as("/v1/captures", &key, &request).await;
        let made = made.expect(201);
        let asset = &made["assets"][0];
        let asset_id = text(&asset["asset_id"]).to_owned();
        let mut told = self.told.lock().unwrap();
        let known = told.photos.insert(asset_id.clone(), photo);
        assert_eq!(known.unwrap_or(photo), photo, "{made}");
        if keeps_duplicates && known.is_none() {
            told.kept.insert(asset_id.clone());
        }
        match asset["uploads"].as_array().and_then(|all| all.first()) {
            Some(upload) => {
                assert_eq!(known, None, "an asset that is there is sent again: {made}");
                told.uploads.push(Sending {
                    upload_id: text(&upload["upload_id"]).to_owned(),
                    photo,
                    url: upload["urls"].get(0).cloned(),
                    at,
                });
            }
            None => {
                told.there.insert(asset_id);
            }
        }
        told.asked.push((key, request, made));
    }

    async fn repeat(&self, n: usize) {
        let asked = {
            let told = self.told.lock().unwrap();
            let at = n.checked_rem(told.asked.len());
            at.map(|at| told.asked[at].clone())
        };
        let Some((key, request, made)) = asked else {
            return;
        };
        let again = self.ann.post_as("/v1/captures", &key, &request).await;
        assert_eq!(again.header("idempotency-replayed"), "true", "{again:?}");
        let again = again.expect(201);
        assert_eq!(again["capture_id"], made["capture_id"]);
        // It may have become another of the same bytes meanwhile.
        let told = self.told.lock().unwrap();
        let shows = |of: &Value| told.photos.get(text(&of["assets"][0]["asset_id"])).copied();
        assert_eq!(shows(&again), shows(&made), "{made} {again}");
    }

    /// Sends one part, or all there is. A URL that was given is used as long as it works, whatever became of the upload meanwhile.
    async fn send(&self, upload: &Sending, part: Option<usize>) {
        let file = &self.photos[upload.photo];
        let http = &self.ann.http;
        let path = format!("/v1/uploads/{}/urls", upload.upload_id);
        if file.len() <= PART_BYTES {
            let works_until = upload.at.plus(URL_WORKS);
            let url = match &upload.url {
                Some(url) if self.service.context.now() < works_until => url.clone(),
                _ => {
                    let asked = json!({ "parts": [{ "number": 1 }] });
                    let signed = self.ann.post(&path, &asked).await;
                    let Some(url) = one_url(&signed) else {
                        return;
                    };
                    url
                }
            };
            let sent = put(http, &self.of_now(&url, file), file.clone()).await;
            // Once it is there, what is there is not written over.
            assert!([200, 412].contains(&sent.status), "{sent:?}");
            return;
        }
        let chunks: Vec<&[u8]> = file.chunks(PART_BYTES).collect();
        let numbers = match part {
            Some(n) => vec![n % chunks.len()],
            None => (0..chunks.len()).collect(),
        };
        for n in numbers {
            let part = json!({ "number": n + 1, "sha256": sha256(chunks[n]) });
            let signed = self.ann.post(&path, &json!({ "parts": [part] })).await;
            let Some(url) = one_url(&signed) else {
                return;
            };
            let sent = put(http, &self.of_now(&url, chunks[n]), chunks[n].to_vec()).await;
            // The store may have made an object of the parts, or have given them up.
            assert!([200, 404].contains(&sent.status), "{sent:?}");
        }
    }

    /// The same URL by the store's own clock, which nobody moves.
    fn of_now(&self, url: &Value, bytes: &[u8]) -> Value {
        let store = &self.service.context.objects;
        let (now, sha256) = (SystemClock.now(), sha256(bytes));
        let size_bytes = i64::try_from(bytes.len()).unwrap();
        let parsed = reqwest::Url::parse(text(&url["url"])).unwrap();
        let (_, key) = parsed.path().split_once("/safelight/").unwrap();
        let key = ObjectKey::parse(key).unwrap();
        let query: BTreeMap<_, _> = parsed.query_pairs().into_owned().collect();
        let signed = match query.get("uploadId") {
            Some(id) => {
                let number = query["partNumber"].parse().unwrap();
                store.presign_part(&key, id, number, size_bytes, Some(&sha256), now, URL_WORKS)
            }
            None => {
                let headers = url["headers"].as_object().unwrap().iter();
                let metadata = headers.filter_map(|(name, value)| {
                    let name = name.strip_prefix("x-amz-meta-")?;
                    Some((name.to_owned(), text(value).to_owned()))
                });
                let metadata = metadata.collect();
                let binding = PutBinding {
                    size_bytes,
                    sha256_hex: Some(&sha256),
                    content_type: Some("image/jpeg"),
                    metadata: Some(&metadata),
                };
                store.presign_put(&key, binding, now, URL_WORKS)
            }
        };
        let signed = signed.unwrap();
        json!({ "url": signed.url, "headers": signed.headers })
    }

    async fn complete(&self, upload: &Sending) {
        let done = self.ann.complete(&upload.upload_id).await;
        if done.status != 200 {
            // Not all is there yet, or it is no more.
            assert!([409, 410, 422].contains(&done.status), "{done:?}");
            return;
        }
        let done = done.json();
        let asset_id = text(&done["asset_id"]).to_owned();
        let mut told = self.told.lock().unwrap();
        let shows = told.photos.get(&asset_id);
        assert_eq!(shows, Some(&upload.photo), "{done}");
        told.there.insert(asset_id);
    }

    async fn store_tells(&self, upload: &Sending) {
        let context = &self.service.context;
        let sql = format!(
            "SELECT object_key FROM uploads WHERE upload_id = '{}'",
            upload.upload_id
        );
        let key = rows(&context.catalog, &sql).await[0].text(0).unwrap();
        let created = Created {
            bucket: context.objects.bucket().to_owned(),
            key,
        };
        hear_events(context, Way::Http, &[created]).await.unwrap();
        look_after::round(context).await.unwrap();
    }

    async fn delete(&self, n: usize) {
        let asset_id = {
            let told = self.told.lock().unwrap();
            // Mostly one that is there: of the others there is little to delete.
            let any: Vec<&String> = match n % 4 {
                0 => told.photos.keys().collect(),
                _ => told.there.difference(&told.deleted).collect(),
            };
            let at = (n / 4).checked_rem(any.len());
            at.map(|at| any[at].clone())
        };
        let Some(asset_id) = asset_id else {
            return;
        };
        let gone = self.ann.delete(&format!("/v1/assets/{asset_id}")).await;
        let gone = gone.expect(202);
        assert_eq!(gone["state"], "deleted", "{gone}");
        let mut told = self.told.lock().unwrap();
        // Where it was merged, it is the other that is deleted.
        told.deleted.insert(text(&gone["asset_id"]).to_owned());
        told.deleted.insert(asset_id);
    }

    /// Has workers do what is due, as a server would that starts and stops.
    async fn work(&self) {
        let context = &self.service.context;
        let stop = CancellationToken::new();
        let worker = Worker {
            context: context.clone(),
            sandbox: self.sandbox.clone(),
            at_hand: AtHand::default(),
        };
        let executor = Executor::start(
            context.catalog.clone(),
            Arc::new(worker),
            Arc::new(SystemEntropy),
            ExecutorSettings {
                poll: Duration::from_millis(20),
                ..ExecutorSettings::for_workers(2, fresh_key())
            },
            stop.clone(),
        );
        let idle = wait::until(PATIENCE, async || {
            let due = format!(
                "SELECT COUNT(*) FROM jobs WHERE state IN ('queued', 'leased')
                     OR (state = 'scheduled' AND run_at <= {})",
                context.now().0
            );
            number(&context.catalog, &due).await == 0
        });
        idle.await.unwrap();
        stop.cancel();
        executor.drained().await;
    }

    /// Lets everything come to its end: nobody sends any more, and all that waits is waited for.
    async fn end(&self) {
        let context = &self.service.context;
        for _ in 0..12 {
            self.work().await;
            self.service.pass(LONG).await;
            clear_segments(context).await.unwrap();
            complete_deletions(context).await.unwrap();
        }
        self.service.pass(limits::UPLOAD).await;
        for _ in 0..4 {
            self.work().await;
            self.service.pass(LONG).await;
            complete_deletions(context).await.unwrap();
        }
    }

    async fn check(&self) {
        let told = std::mem::take(&mut *self.told.lock().unwrap());
        self.check_assets(&told).await;
        self.check_rows().await;
        self.check_store().await;
    }

    /// None is lost, none is there twice, none is stuck.
    async fn check_assets(&self, told: &Told) {
        let mut live: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        for (asset_id, photo) in &told.photos {
            let answer = self.ann.get(&format!("/v1/assets/{asset_id}")).await;
            if answer.status == 410 {
                let is_his =
                    told.deleted.contains(asset_id) || self.leads_to_deleted(told, asset_id).await;
                assert!(is_his, "{asset_id} is gone, and nobody deleted it");
                continue;
            }
            let asset = answer.expect(200);
            match text(&asset["state"]) {
                "ready" => {
                    let id = text(&asset["asset_id"]);
                    assert!(!told.deleted.contains(id), "{asset} was deleted");
                    let original = self.original(id).await;
                    assert_eq!(sha256(&original), sha256(&self.photos[*photo]), "{asset}");
                    live.entry(*photo).or_default().insert(id.to_owned());
                }
                "failed" | "expired" => {
                    assert!(
                        !told.there.contains(asset_id),
                        "{asset} was said to be there"
                    );
                    assert!(asset["reason"]["code"].is_string(), "{asset}");
                }
                _ => panic!("stuck: {asset}"),
            }
        }
        for (photo, assets) in live {
            let merged = assets.difference(&told.kept).count();
            assert!(
                merged <= 1,
                "photo {photo} is there {merged} times: {assets:?}"
            );
        }
    }

    /// The bytes that an asset shows, as the store has them.
    async fn original(&self, asset_id: &str) -> Vec<u8> {
        let context = &self.service.context;
        let sql = format!(
            "SELECT b.object_key FROM resources r JOIN blobs b ON b.tenant_id = r.tenant_id AND b.blob_id = r.blob_id
              WHERE r.asset_id = '{asset_id}'"
        );
        let key = rows(&context.catalog, &sql).await[0].text(0).unwrap();
        let key = ObjectKey::parse(&key).unwrap();
        let there = context.objects.get(&key, None, None).await.unwrap();
        let there = there.unwrap_or_else(|| panic!("the bytes of {asset_id} are lost"));
        let chunks: Vec<Bytes> = there.stream.try_collect().await.unwrap();
        chunks.concat()
    }

    /// Whether an asset became another that was deleted.
    async fn leads_to_deleted(&self, told: &Told, asset_id: &str) -> bool {
        let mut at = asset_id.to_owned();
        loop {
            let sql = format!("SELECT merged_into FROM assets WHERE asset_id = '{at}'");
            let row = rows(&self.service.context.catalog, &sql).await;
            match row[0].maybe_text(0).unwrap() {
                Some(next) => at = next,
                None => return told.deleted.contains(&at),
            }
        }
    }

    async fn check_rows(&self) {
        let catalog = &self.service.context.catalog;
        for left in [
            "jobs",
            "deletions WHERE completed_at IS NULL",
            "uploads WHERE state IN ('open', 'completing')",
            "uploads WHERE look_at IS NOT NULL",
            "blobs WHERE state = 'doomed'",
            "append_segments",
            "blobs b WHERE b.state = 'live'
                AND NOT EXISTS (SELECT 1 FROM resources r WHERE r.tenant_id = b.tenant_id AND r.blob_id = b.blob_id)",
        ] {
            let sql = format!("SELECT COUNT(*) FROM {left}");
            assert_eq!(number(catalog, &sql).await, 0, "{left}");
        }
        // What happens once is told once.
        for kind in ["upload.completed", "asset.deleted", "deletion.completed"] {
            let sql = format!(
                "SELECT COUNT(*) FROM (SELECT asset_id FROM events WHERE kind = '{kind}' GROUP BY asset_id HAVING COUNT(*) > 1) twice"
            );
            assert_eq!(number(catalog, &sql).await, 0, "{kind}");
        }
    }

    /// What became of uploads and assets, added to what became of others.
    async fn count(&self, ends: &Mutex<BTreeMap<String, i64>>) {
        let all = "SELECT 'upload ' || CASE WHEN merged_into IS NULL THEN state ELSE 'merged' END AS became, COUNT(*) FROM uploads GROUP BY became
             UNION ALL
             SELECT 'asset ' || CASE WHEN merged_into IS NULL THEN state ELSE 'merged' END AS became, COUNT(*) FROM assets GROUP BY became";
        for row in rows(&self.service.context.catalog, all).await {
            let mut ends = ends.lock().unwrap();
            *ends.entry(row.text(0).unwrap()).or_default() += row.int(1).unwrap();
        }
    }

    async fn check_store(&self) {
        let context = &self.service.context;
        for (prefix, sql) in [
            (
                "o/",
                "SELECT object_key FROM blobs WHERE state = 'live' ORDER BY object_key",
            ),
            (
                "r/",
                "SELECT object_key FROM renditions WHERE object_key IS NOT NULL ORDER BY object_key",
            ),
        ] {
            let mut there = objects(&context.objects, prefix).await;
            there.sort();
            let known = rows(&context.catalog, sql).await;
            let mut known: Vec<String> = known.iter().map(|r| r.text(0).unwrap()).collect();
            known.sort();
            assert_eq!(there, known, "{prefix}");
        }
        assert_eq!(objects(&context.objects, "x/").await, [""; 0]);
        let uploads = context.objects.list_uploads(None, 1000).await.unwrap();
        assert_eq!(uploads.uploads, []);
        // As an operator would ask.
        sweep_all(context, false).await.unwrap();
        assert_eq!(found(context).await, []);
    }
}

/// The URL that was signed, unless nothing more is to be sent.
fn one_url(signed: &Answer) -> Option<Value> {
    if signed.status == 200 {
        return Some(signed.json()["urls"][0].clone());
    }
    assert!([409, 410, 422].contains(&signed.status), "{signed:?}");
    None
}

/// Whatever devices, janitors and workers do. `PROPTEST_CASES` has more of it tried.
fn nothing_is_lost_twice_or_left(database: Database) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mut photos: Vec<Vec<u8>> = (1..PHOTOS as u64).map(photo).collect();
    photos.push(large_photo(99, PART_BYTES + 1000));
    let photos = Arc::new(photos);
    let sandbox = runtime.block_on(async {
        Sandbox::start(SandboxSettings {
            program: env!("CARGO_BIN_EXE_safelight").into(),
            processes: 2,
            ..SandboxSettings::own_program()
        })
        .unwrap()
    });
    let mut runner = TestRunner::new(Config {
        cases: std::env::var("PROPTEST_CASES").map_or(24, |n| n.parse().unwrap()),
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    });
    let ends = Mutex::new(BTreeMap::new());
    let ran = runner.run(&steps(), |steps| {
        runtime.block_on(async {
            let world = World::begin(database, photos.clone(), sandbox.clone()).await;
            let went = AssertUnwindSafe(world.go(&steps, &ends))
                .catch_unwind()
                .await;
            // One that failed as well: there are few connections, and other cases are to be tried.
            world.service.context.catalog.close().await;
            if let Err(failed) = went {
                std::panic::resume_unwind(failed);
            }
        });
        Ok(())
    });
    runtime.block_on(sandbox.shutdown());
    ran.unwrap_or_else(|error| panic!("{error}"));
    // All that may become of an upload and of an asset did.
    let ends = ends.into_inner().unwrap();
    println!("{database:?}: {ends:?}");
    for end in [
        "upload completed",
        "upload aborted",
        "upload expired",
        "upload merged",
        "asset ready",
        "asset expired",
        "asset deleted",
        "asset merged",
    ] {
        assert!(ends.contains_key(end), "no {end}: {ends:?}");
    }
}

#[test]
fn nothing_is_lost_twice_or_left_on_sqlite() {
    nothing_is_lost_twice_or_left(Database::Sqlite);
}

#[test]
fn nothing_is_lost_twice_or_left_on_postgres() {
    nothing_is_lost_twice_or_left(Database::Postgres);
}
