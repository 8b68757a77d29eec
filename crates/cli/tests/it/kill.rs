//! Server and client killed (SIGKILL) at seeded points of an upload of 50 photos: whatever was
//! acknowledged is there, nothing twice, and the client finishes by itself.
//!
//! `SEED=n` repeats a run.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use safelight_catalog::{Catalog, CatalogSettings};
use safelight_model::entropy::{self, SeededEntropy};
use safelight_testkit::camera::{self, Burst, Scene};
use safelight_testkit::proxy::{Passed, Proxy};
use safelight_testkit::server::{Process, Server, die_with_parent};
use safelight_testkit::wait;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::http_rig::{
    Caller, Database, PART_BYTES, PATIENCE, large_photo, number, objects, on_both_databases,
    open_catalog, open_store, options, photo, rows, sha256, text,
};

on_both_databases!(nothing_is_lost_and_nothing_is_there_twice);

/// Photos in all: a burst, single ones, and some that go by parts.
const BURST: u64 = 20;
const SINGLE: u64 = 24;
const LARGE: u64 = 6;
const PHOTOS: usize = (BURST + SINGLE + LARGE) as usize;
const LARGE_BYTES: usize = 2 * PART_BYTES + 300_000;
/// Longest time from a request's passing to the kill, in microseconds: about what a completion takes.
const LONGEST_DELAY_US: f64 = 15_000.0;
/// How long the whole may take, on a machine under load.
const DEADLINE: Duration = Duration::from_secs(240);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Server,
    Client,
    Both,
}

/// A kill that is to be.
#[derive(Clone, Copy, Debug)]
struct Plan {
    victim: Victim,
    /// While a completion runs; else while any request does.
    at_complete: bool,
    /// At which such request from now on.
    nth: usize,
    delay: Duration,
}

struct Chance(SeededEntropy);

impl Chance {
    fn below(&self, limit: usize) -> usize {
        ((entropy::fraction(&self.0) * limit as f64) as usize).min(limit - 1)
    }

    fn kills(&self) -> Vec<Plan> {
        use Victim::{Both, Client, Server};
        let mut victims: Vec<(Victim, bool)> = Vec::new();
        victims.extend([(Server, true); 5]);
        victims.extend([(Client, true), (Client, true), (Both, true), (Both, false)]);
        victims.extend([
            (Server, false),
            (Server, false),
            (Client, false),
            (Client, false),
        ]);
        for i in (1..victims.len()).rev() {
            victims.swap(i, self.below(i + 1));
        }
        let plan = |(victim, at_complete)| Plan {
            victim,
            at_complete,
            nth: 1 + self.below(if at_complete { 6 } else { 16 }),
            delay: Duration::from_micros(self.below(LONGEST_DELAY_US as usize) as u64),
        };
        victims.into_iter().map(plan).collect()
    }
}

/// The photos, made once for both databases.
fn photos() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("fifty-photos");
        let _ = std::fs::remove_dir_all(&dir);
        let burst = Burst {
            seed: 1,
            count: BURST as u32,
            megapixels: 0.1,
        };
        camera::shoot(&burst, &dir).unwrap();
        for i in 0..SINGLE {
            let scene = Scene {
                seed: 100 + i,
                width: 320,
                height: 240,
                ms_of_day: 36_000_000 + i as u32 * 60_000,
                ..Scene::default()
            };
            let path = dir.join(format!("IMG_2026_{i:02}.jpg"));
            std::fs::write(path, camera::photo(&scene)).unwrap();
        }
        for i in 0..LARGE {
            // Some are sent first, the others last.
            let place = if i % 2 == 0 { "00" } else { "Z" };
            let path = dir.join(format!("{place}-PANO_{i}.jpg"));
            std::fs::write(path, large_photo(200 + i, LARGE_BYTES)).unwrap();
        }
        dir
    })
}

/// Everything that is killed, and what is needed to begin it again.
struct Scenery {
    server: Server,
    proxy: Proxy,
    client: Option<Child>,
    dir: tempfile::TempDir,
    passed: UnboundedReceiver<Passed>,
    children: Vec<Process>,
}

impl Scenery {
    fn start_client(&mut self) {
        let file = |name: &str| {
            let path = self.dir.path().join(name);
            let file = std::fs::File::options()
                .create(true)
                .append(true)
                .open(path);
            Stdio::from(file.unwrap())
        };
        let report = self.dir.path().join("report.json");
        let _ = std::fs::remove_file(&report);
        let mut command = Command::new(env!("CARGO_BIN_EXE_safelight"));
        command
            .args(["upload", "--wait", "--json", "--journal"])
            .arg(self.dir.path().join("journal.db"))
            .arg(photos())
            .env_clear()
            .env("SAFELIGHT_URL", self.proxy.url())
            .env("SAFELIGHT_TOKEN", self.server.admin_key().unwrap())
            .env("SAFELIGHT_OWNER", "ann")
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(file("report.json"))
            .stderr(file("client.log"));
        die_with_parent(&mut command);
        self.client = Some(command.spawn().unwrap());
    }

    fn client_log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("client.log")).unwrap_or_default()
    }

    /// Waits for the request at which to kill; `None` if the client ends before.
    async fn moment(&mut self, plan: &Plan, hit: &HashSet<String>) -> Option<Passed> {
        let mut left = plan.nth;
        loop {
            let next = tokio::time::timeout(Duration::from_millis(200), self.passed.recv()).await;
            let Ok(Some(passed)) = next else {
                let client = self.client.as_mut().unwrap();
                if client.try_wait().unwrap().is_some() {
                    return None;
                }
                continue;
            };
            let is_complete = passed.line.contains("/complete ");
            if plan.at_complete && (!is_complete || hit.contains(&passed.line)) {
                continue;
            }
            left = left.saturating_sub(1);
            if left > 0 || passed.is_answered() {
                continue;
            }
            // A sleep would be too coarse. What is answered in time is let go, for the next one.
            let began = Instant::now();
            while began.elapsed() < plan.delay && !passed.is_answered() {
                std::thread::yield_now();
            }
            if !plan.at_complete || !passed.is_answered() {
                return Some(passed);
            }
        }
    }

    fn strike(&mut self, victim: Victim) {
        if victim != Victim::Client {
            let children = self.server.strike().unwrap();
            self.children.extend(children);
        }
        if victim != Victim::Server {
            let mut client = self.client.take().unwrap();
            client.kill().unwrap();
            client.wait().unwrap();
        }
    }

    async fn begin_again(&mut self, victim: Victim) {
        if victim != Victim::Client {
            self.server.restart().await.unwrap();
        }
        if victim != Victim::Server {
            self.start_client();
        }
    }

    /// What the kill left: states of uploads and jobs, keys in flight, and of the upload in question.
    async fn left_behind(&self, line: &str) -> String {
        let catalog = self.look().await;
        let mut said = Vec::new();
        for table in ["uploads", "jobs"] {
            let query =
                format!("SELECT state, COUNT(*) FROM {table} GROUP BY state ORDER BY state");
            let states: Vec<String> = rows(&catalog.0, &query)
                .await
                .iter()
                .map(|r| format!("{} {}", r.int(1).unwrap(), r.text(0).unwrap()))
                .collect();
            said.push(format!("{table}: {}", states.join(", ")));
        }
        let flying = "SELECT COUNT(*) FROM idempotency WHERE state = 'in_flight'";
        said.push(format!(
            "keys in flight: {}",
            number(&catalog.0, flying).await
        ));
        if let Some((_, rest)) = line.split_once("/v1/uploads/") {
            let id = rest.split(['/', ' ']).next().unwrap_or_default();
            let query = format!("SELECT state FROM uploads WHERE upload_id = '{id}'");
            if let Some(row) = rows(&catalog.0, &query).await.first() {
                said.push(format!("its upload: {}", row.text(0).unwrap()));
            }
        }
        said.join("; ")
    }

    /// The catalog as it is. Of a server that is dead a copy of the file is opened, so that it is
    /// the server that finds its own as it left it.
    async fn look(&self) -> (Catalog, Option<tempfile::TempDir>) {
        if self.server.pid().is_some() || !self.server.catalog_url().starts_with("sqlite") {
            return (open_catalog(&self.server).await, None);
        }
        let copy = tempfile::tempdir().unwrap();
        for name in ["catalog.db", "catalog.db-wal"] {
            let _ = std::fs::copy(self.server.data_dir().join(name), copy.path().join(name));
        }
        let url = format!("sqlite://{}/catalog.db", copy.path().display());
        let catalog = Catalog::open(CatalogSettings::for_url(&url)).await;
        (catalog.unwrap(), Some(copy))
    }
}

async fn set_up(database: Database) -> Scenery {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path().join("server"), database.fresh(), &[]);
    let server = Server::start(options).await.unwrap();
    let port = crate::http_rig::port(&server.url());
    let (sender, passed) = unbounded_channel();
    let hook = Arc::new(move |passed| {
        let _ = sender.send(passed);
    });
    Scenery {
        proxy: Proxy::start(port, hook).await.unwrap(),
        server,
        client: None,
        dir,
        passed,
        children: Vec::new(),
    }
}

async fn nothing_is_lost_and_nothing_is_there_twice(database: Database) {
    let seed = std::env::var("SEED").ok().and_then(|s| s.parse().ok());
    let seed: u64 = seed.unwrap_or(20_261_123);
    let chance = Chance(SeededEntropy::new(seed));
    photos();
    let mut scenery = set_up(database).await;
    let began = Instant::now();
    println!("{database:?}: SEED={seed}");
    scenery.start_client();
    let mut hit = HashSet::new();
    let (mut kills, mut at_complete) = (0, 0);
    for plan in chance.kills() {
        let Some(passed) = scenery.moment(&plan, &hit).await else {
            break;
        };
        let answered = passed.is_answered();
        scenery.strike(plan.victim);
        kills += 1;
        let interrupted = plan.at_complete || passed.line.contains("/complete ") && !answered;
        at_complete += usize::from(interrupted);
        let left = scenery.left_behind(&passed.line).await;
        println!(
            "{database:?} kill {kills} at {:.1} s: {:?}, {} ms after `{}`{}\n  {left}",
            began.elapsed().as_secs_f64(),
            plan.victim,
            plan.delay.as_micros() as f64 / 1e3,
            passed.line,
            if answered { ", already answered" } else { "" },
        );
        hit.insert(passed.line);
        scenery.begin_again(plan.victim).await;
    }
    println!("{database:?}: {kills} kills, {at_complete} hit Complete");
    assert!(at_complete >= 5, "only {at_complete} kills hit Complete");

    let client = scenery.client.as_mut().unwrap();
    let ended = wait::until_some(DEADLINE, async || client.try_wait().unwrap()).await;
    let status = ended.unwrap_or_else(|e| panic!("{e}: {}", scenery.client_log()));
    println!(
        "{database:?}: the client ended after {:.1} s",
        began.elapsed().as_secs_f64()
    );
    assert!(status.success(), "{status}: {}", scenery.client_log());
    let report = std::fs::read(scenery.dir.path().join("report.json")).unwrap();
    check_report(&serde_json::from_slice(&report).unwrap());
    check_everything(&scenery).await;
    let gone = wait::until(PATIENCE, async || {
        scenery.children.iter().all(|child| !child.is_there())
    });
    gone.await.unwrap();
    println!(
        "{database:?}: all is well after {:.1} s",
        began.elapsed().as_secs_f64()
    );
}

fn check_report(report: &Value) {
    let files = report["files"].as_array().unwrap();
    assert_eq!(files.len(), PHOTOS);
    for file in files {
        assert_eq!(file["state"], "ready", "{file}");
    }
    assert_eq!(
        (&report["uploaded"], &report["failed"]),
        (&PHOTOS.into(), &0.into())
    );
}

async fn check_everything(scenery: &Scenery) {
    let ann = Caller {
        base: scenery.server.url(),
        http: crate::http_rig::http(),
        token: Some(scenery.server.admin_key().unwrap()),
        owner: Some("ann".to_owned()),
    };
    let sent: BTreeMap<String, Vec<u8>> = std::fs::read_dir(photos())
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .map(|bytes| (sha256(&bytes), bytes))
        .collect();
    assert_eq!(sent.len(), PHOTOS);
    let list = ann.get("/v1/assets?limit=200").await.expect(200);
    let list = list["items"].as_array().unwrap();
    assert_eq!(list.len(), PHOTOS, "one asset for each photo");
    let mut there = BTreeSet::new();
    for asset in list {
        let asset_id = text(&asset["asset_id"]);
        let asset = ann.ready(asset_id).await;
        let hash = text(&asset["original"]["sha256"]).to_owned();
        let original = ann.original(asset_id).await;
        assert!(
            sent.get(&hash).is_some_and(|bytes| *bytes == original),
            "{asset}"
        );
        there.insert(hash);
        for (preset, rendition) in asset["renditions"].as_object().unwrap() {
            assert_eq!(rendition["state"], "ready", "{preset}: {asset}");
        }
    }
    assert_eq!(there.len(), PHOTOS, "each photo once");

    let catalog = open_catalog(&scenery.server).await;
    let photos = PHOTOS as i64;
    for (query, expected) in [
        ("FROM blobs WHERE state = 'live'", photos),
        ("FROM blobs", photos),
        ("FROM resources", photos),
        ("FROM capture_assets", photos),
        ("FROM captures", (1 + SINGLE + LARGE) as i64),
        ("FROM uploads WHERE state = 'completed'", photos),
        ("FROM uploads", photos),
        ("FROM renditions WHERE state = 'ready'", 3 * photos),
        ("FROM renditions", 3 * photos),
        ("FROM events WHERE kind = 'upload.completed'", photos),
        ("FROM jobs WHERE state = 'dead'", 0),
    ] {
        let found = number(&catalog, &format!("SELECT COUNT(*) {query}")).await;
        assert_eq!(found, expected, "{query}");
    }
    let idle = wait::until(PATIENCE, async || {
        number(&catalog, "SELECT COUNT(*) FROM jobs").await == 0
    });
    idle.await.unwrap();
    let store = open_store(&scenery.server);
    assert_eq!(objects(&store, "o/").await.len(), PHOTOS);
    assert_eq!(objects(&store, "r/").await.len(), 3 * PHOTOS);
    // And it still takes what comes.
    let more = ann.upload(&photo(999)).await;
    ann.ready(&more).await;
}
