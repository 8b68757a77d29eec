//! Two devices of one owner, with half of the photos in common, send everything over links that break, lose answers and
//! double requests, while the server, the store and the devices' apps are killed (SIGKILL) at seeded moments: every photo
//! arrives, once, and nothing is left over.
//!
//! `SEED=n` draws other sizes, faults and moments, `CAPTURES=n` other numbers of photos.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use safelight_model::entropy::{self, SeededEntropy};
use safelight_testkit::link::{Link, Weather};
use safelight_testkit::server::{Server, die_with_parent};
use safelight_testkit::wait;
use serde_json::Value;

use crate::http_rig::{
    Caller, Database, PART_BYTES, PATIENCE, http, large_photo, number, objects, on_both_databases,
    open_catalog, open_store, options, sha256, text,
};

on_both_databases!(every_photo_arrives_once);

/// Photos of each device, unless `CAPTURES` says otherwise.
const CAPTURES: usize = 16;
/// How often something is killed.
const KILLS: usize = 8;
/// How long all of it may take, for each photo and at least, on a machine under load.
const LONGEST: Duration = Duration::from_secs(15);
const LEAST_LONGEST: Duration = Duration::from_secs(240);

struct Chance(SeededEntropy);

impl Chance {
    fn within(&self, from: u64, to: u64) -> u64 {
        from + (entropy::fraction(&self.0) * (to - from) as f64) as u64
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// A phone with its app.
struct Device {
    dir: PathBuf,
    app: Option<Child>,
    starts: u32,
}

/// Everything, on one machine.
struct Scenery {
    api: Server,
    store: Server,
    to_api: Link,
    to_store: Link,
    devices: [Device; 2],
    /// The hashes of all photos.
    photos: BTreeSet<String>,
    // Goes last.
    _dir: tempfile::TempDir,
}

fn port(url: &str) -> u16 {
    url.rsplit_once(':').unwrap().1.parse().unwrap()
}

/// Small requests, which may arrive twice and out of order.
fn weather_to_api() -> Weather {
    Weather {
        cut_after_bytes: Some(1_500..=200_000),
        silent_cuts: 0.02,
        lost_answers: 0.05,
        duplicates: 0.15,
        ..Weather::default()
    }
}

/// Large bodies, which break off.
fn weather_to_store() -> Weather {
    Weather {
        cut_after_bytes: Some(100_000..=24_000_000),
        silent_cuts: 0.02,
        lost_answers: 0.05,
        duplicates: 0.05,
        ..Weather::default()
    }
}

async fn set_up(database: Database, seed: u64, captures: usize) -> Scenery {
    let dir = tempfile::tempdir().unwrap();
    let chance = Chance(SeededEntropy::new(seed));
    let store = options(dir.path().join("store"), None, &["--roles", "store"]);
    let store = Server::start(store).await.unwrap();
    let to_store = Link::start(port(&store.store_url()), weather_to_store(), seed + 1);
    let to_store = to_store.await.unwrap();
    let keys = store.data_dir().join("keys").display().to_string();
    let args = [
        "--roles",
        "api,delivery,worker,janitor",
        "--keys-dir",
        &keys,
        "--store-public-url",
        &to_store.url(),
    ];
    let api = options(dir.path().join("api"), database.fresh(), &args);
    let api = Server::start(api).await.unwrap();
    let to_api = Link::start(port(&api.url()), weather_to_api(), seed + 2);
    let to_api = to_api.await.unwrap();

    let mut photos = BTreeSet::new();
    let devices = [0, 1].map(|number| {
        let dir = dir.path().join(format!("device{number}"));
        std::fs::create_dir_all(dir.join("photos")).unwrap();
        Device {
            dir,
            app: None,
            starts: 0,
        }
    });
    for number in 0..captures {
        // Every eighth goes by parts.
        let bytes = match number % 8 {
            7 => chance.within(PART_BYTES as u64 + 1, 3 * PART_BYTES as u64),
            _ => chance.within(30_000, 2_000_000),
        };
        let mut photo = |seed: u64| {
            let photo = large_photo(seed, bytes as usize);
            photos.insert(sha256(&photo));
            photo
        };
        let first = photo(10_000 + number as u64);
        // Every other photo is on both devices, under other names.
        let second = match number % 2 {
            0 => first.clone(),
            _ => photo(20_000 + number as u64),
        };
        let path = |device: &Device, name: String| device.dir.join("photos").join(name);
        std::fs::write(path(&devices[0], format!("IMG_{number:04}.jpg")), first).unwrap();
        std::fs::write(path(&devices[1], format!("DSC_{number:04}.jpg")), second).unwrap();
    }
    Scenery {
        api,
        store,
        to_api,
        to_store,
        devices,
        photos,
        _dir: dir,
    }
}

impl Scenery {
    fn start_app(&mut self, device: usize) {
        let token = self.store.admin_key().unwrap();
        let url = self.to_api.url();
        let device = &mut self.devices[device];
        device.starts += 1;
        let file = |name: &str, append: bool| {
            let mut options = std::fs::File::options();
            options.create(true).write(true).append(append);
            Stdio::from(
                options
                    .truncate(!append)
                    .open(device.dir.join(name))
                    .unwrap(),
            )
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_safelight"));
        command
            .args([
                "upload",
                "--wait",
                "--json",
                "--retry-for",
                "60",
                "--journal",
            ])
            .arg(device.dir.join("journal.db"))
            .arg(device.dir.join("photos"))
            .env_clear()
            .env("SAFELIGHT_URL", url)
            .env("SAFELIGHT_TOKEN", token)
            .env("SAFELIGHT_OWNER", "ann")
            .current_dir(&device.dir)
            .stdin(Stdio::null())
            .stdout(file("report.json", false))
            .stderr(file("app.log", true));
        die_with_parent(&mut command);
        device.app = Some(command.spawn().unwrap());
    }

    /// Starts again the apps that gave up; whether all have done what they should.
    fn look_after_apps(&mut self) -> bool {
        let mut done = 0;
        for number in 0..self.devices.len() {
            let device = &mut self.devices[number];
            match device.app.as_mut().map(|app| app.try_wait().unwrap()) {
                Some(Some(status)) if status.success() => done += 1,
                Some(None) => {}
                _ => self.start_app(number),
            }
        }
        done == self.devices.len()
    }

    fn kill_app(&mut self, device: usize) {
        if let Some(mut app) = self.devices[device].app.take() {
            app.kill().unwrap();
            app.wait().unwrap();
        }
        self.start_app(device);
    }

    fn logs(&self) -> String {
        let log = |device: &Device| {
            let log = std::fs::read_to_string(device.dir.join("app.log")).unwrap_or_default();
            let from = log.len().saturating_sub(3000);
            log.get(from..).unwrap_or_default().to_owned()
        };
        self.devices
            .iter()
            .map(log)
            .collect::<Vec<_>>()
            .join("\n---\n")
    }

    fn moved_bytes(&self) -> u64 {
        self.to_api.carried().up_bytes + self.to_store.carried().up_bytes
    }
}

async fn every_photo_arrives_once(database: Database) {
    let seed = setting("SEED").unwrap_or(20_261_128);
    let captures = setting("CAPTURES").map_or(CAPTURES, |n| n as usize);
    let chance = Chance(SeededEntropy::new(seed ^ 0x5afe));
    let mut scenery = set_up(database, seed, captures).await;
    let began = Instant::now();
    println!("{database:?}: SEED={seed} CAPTURES={captures}");
    scenery.start_app(0);
    scenery.start_app(1);
    let all_bytes = std::fs::read_dir(scenery.devices[0].dir.join("photos"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum::<u64>();
    let longest = LEAST_LONGEST.max(LONGEST * captures as u32);
    for kill in 1..=KILLS {
        let until = scenery.moved_bytes() + chance.within(1_000, all_bytes / 4);
        let moved = wait::until(longest, async || {
            scenery.moved_bytes() >= until || scenery.look_after_apps()
        });
        moved
            .await
            .unwrap_or_else(|e| panic!("{e}: {}", scenery.logs()));
        let victim = chance.within(0, 4);
        println!(
            "{database:?} kill {kill} at {:.1} s: {}",
            began.elapsed().as_secs_f64(),
            ["device 0", "device 1", "api", "store"][victim as usize],
        );
        match victim {
            0 | 1 => scenery.kill_app(victim as usize),
            2 => {
                scenery.api.kill().await.unwrap();
                scenery.api.restart().await.unwrap();
            }
            _ => {
                scenery.store.kill().await.unwrap();
                scenery.store.restart().await.unwrap();
            }
        }
    }
    let done = wait::until(longest, async || scenery.look_after_apps());
    done.await
        .unwrap_or_else(|e| panic!("{e}: {}", scenery.logs()));
    let (api, store) = (scenery.to_api.carried(), scenery.to_store.carried());
    println!(
        "{database:?}: all sent after {:.1} s; to the API {api:?}; to the store {store:?}; apps started {} and {} times",
        began.elapsed().as_secs_f64(),
        scenery.devices[0].starts,
        scenery.devices[1].starts,
    );
    assert!(
        api.cuts + store.cuts > 0
            && api.lost_answers + store.lost_answers > 0
            && api.duplicates > 0,
        "nothing went wrong: {api:?} {store:?}"
    );
    scenery
        .to_api
        .change(|weather| *weather = Weather::default());
    scenery
        .to_store
        .change(|weather| *weather = Weather::default());
    check_reports(&scenery, captures);
    check_everything(&scenery).await;
}

fn check_reports(scenery: &Scenery, captures: usize) {
    for device in &scenery.devices {
        let report = std::fs::read(device.dir.join("report.json")).unwrap();
        let report: Value = serde_json::from_slice(&report).unwrap();
        let files = report["files"].as_array().unwrap();
        assert_eq!(files.len(), captures);
        for file in files {
            assert_eq!(file["state"], "ready", "{file}");
        }
    }
}

async fn check_everything(scenery: &Scenery) {
    let catalog = open_catalog(&scenery.api).await;
    let idle = wait::until(PATIENCE, async || {
        number(&catalog, "SELECT COUNT(*) FROM jobs WHERE state <> 'dead'").await == 0
    });
    idle.await.unwrap();
    let ann = Caller {
        base: scenery.api.url(),
        http: http(),
        token: Some(scenery.store.admin_key().unwrap()),
        owner: Some("ann".to_owned()),
    };
    let mut there = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = ann.get(&format!("/v1/assets?limit=200{cursor}")).await;
        let page = page.expect(200);
        for asset in page["items"].as_array().unwrap() {
            let asset_id = text(&asset["asset_id"]);
            let asset = ann.ready(asset_id).await;
            assert_eq!(
                sha256(&ann.original(asset_id).await),
                text(&asset["original"]["sha256"]),
                "{asset}"
            );
            there.push(text(&asset["original"]["sha256"]).to_owned());
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    there.sort();
    let expected: Vec<String> = scenery.photos.iter().cloned().collect();
    assert_eq!(there, expected, "each photo is there, and once");

    let photos = expected.len() as i64;
    for (query, expected) in [
        ("FROM blobs WHERE state = 'live'", photos),
        ("FROM blobs WHERE state = 'doomed'", 0),
        ("FROM uploads WHERE state IN ('open', 'completing')", 0),
        (
            "FROM assets WHERE state <> 'ready' AND state <> 'deleted'",
            0,
        ),
        ("FROM jobs", 0),
    ] {
        let found = number(&catalog, &format!("SELECT COUNT(*) {query}")).await;
        assert_eq!(found, expected, "{query}");
    }
    let store = open_store(&scenery.store);
    assert_eq!(objects(&store, "o/").await.len(), expected.len());
    assert_eq!(objects(&store, "r/").await.len(), 3 * expected.len());
}
