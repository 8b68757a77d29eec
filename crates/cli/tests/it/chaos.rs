//! Two devices of one owner, with half of the photos in common, send everything over links that break, lose answers and
//! double requests, while the server, the store and the devices' apps are killed (SIGKILL) at seeded moments and events of
//! the store come early, late, twice and out of order: every photo arrives, once, and nothing is left over, which a sweep
//! of store and catalog says at the end. At each start an app says another network, so that some files go by parts, some are
//! appended to through the gateway, and uploads that began are planned anew; and its phone's clock is another, hours, days or years off.
//!
//! `SEED=n` draws other sizes, faults and moments, `CAPTURES=n` other numbers of photos, of a phone's sizes from 200 on;
//! `CLIPS=n` adds large files of `CLIP_MB` each. `make chaos` is 1,000 photos and ten clips of 200 MB.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use safelight_catalog::Catalog;
use safelight_catalog::sweeps::{self, FindingKind};
use safelight_model::clock::{Clock as _, ManualClock, SystemClock};
use safelight_model::entropy::{self, SeededEntropy};
use safelight_model::limits;
use safelight_model::plan::Policy;
use safelight_objects::ObjectKey;
use safelight_service::retention::sweep;
use safelight_testkit::link::{Link, Weather};
use safelight_testkit::server::{Server, die_with_parent};
use safelight_testkit::skew::Skew;
use safelight_testkit::wait;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::http_rig::{
    Caller, Database, PART_BYTES, PATIENCE, change, http, large_photo, number, objects,
    on_both_databases, open_catalog, open_store, options, port, rows, sha256, text,
};
use crate::in_process;

on_both_databases!(every_photo_arrives_once);

/// Photos of each device, unless `CAPTURES` says otherwise.
const CAPTURES: usize = 16;
/// From so many on they are as large as a phone's.
const MANY: usize = 200;
/// How often something is killed, at least, and for how many photos once.
const KILLS: usize = 8;
const PHOTOS_PER_KILL: usize = 25;
/// What the store's events are sent with.
const EVENTS_SECRET: &str = "a secret of the store";
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
    to_gateway: Link,
    devices: [Device; 2],
    /// Of each device.
    captures: usize,
    /// The hashes of all photos.
    photos: BTreeSet<String>,
    /// Bytes on both devices.
    all_bytes: u64,
    /// As the store knows it, for the events that it would send.
    catalog: Catalog,
    chance: Chance,
    /// Events on their way.
    telling: JoinSet<()>,
    // Goes last.
    _dir: tempfile::TempDir,
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

/// Large bodies, which break off: a part as large as they get comes through now and then.
fn weather_to_store() -> Weather {
    let most = Policy::default().most_part_bytes * 3 / 2;
    Weather {
        cut_after_bytes: Some(100_000..=most),
        silent_cuts: 0.02,
        lost_answers: 0.05,
        duplicates: 0.05,
        ..Weather::default()
    }
}

async fn set_up(database: Database, seed: u64) -> Scenery {
    let captures = setting("CAPTURES").map_or(CAPTURES, |n| n as usize);
    let clips = setting("CLIPS").unwrap_or(0) as usize;
    let clip_bytes = setting("CLIP_MB").unwrap_or(200) * 1_000_000;
    let dir = tempfile::tempdir().unwrap();
    let chance = Chance(SeededEntropy::new(seed));
    let store = options(dir.path().join("store"), None, &["--roles", "store"]);
    let store = Server::start(store).await.unwrap();
    let to_store = Link::start(port(&store.store_url()), weather_to_store(), seed + 1);
    let to_store = to_store.await.unwrap();
    let keys = store.data_dir().join("keys").display().to_string();
    let args = [
        "--roles",
        "api,delivery,gateway,worker,janitor",
        "--keys-dir",
        &keys,
        "--store-public-url",
        &to_store.url(),
        // The janitor competes with clients that are still about to say that all is sent.
        "--upload-quiet-seconds",
        "2",
        "--store-events-secret",
        EVENTS_SECRET,
    ];
    let api = options(dir.path().join("api"), database.fresh(), &args);
    let mut api = Server::start(api).await.unwrap();
    // What is appended goes over a link of its own, to the same process.
    let to_gateway = Link::start(port(&api.url()), weather_to_store(), seed + 3);
    let to_gateway = to_gateway.await.unwrap();
    api.kill().await.unwrap();
    api.add_args(&["--gateway-public-url", &to_gateway.url()]);
    api.restart().await.unwrap();
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
    let mut all_bytes = 0;
    for number in 0..captures + clips {
        // Every eighth goes by parts.
        let bytes = match number % 8 {
            _ if number >= captures => clip_bytes,
            7 => chance.within(PART_BYTES as u64 + 1, 3 * PART_BYTES as u64),
            _ if captures >= MANY => chance.within(1_000_000, 8_000_000),
            _ => chance.within(30_000, 2_000_000),
        };
        all_bytes += 2 * bytes;
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
        catalog: open_catalog(&api).await,
        api,
        store,
        to_api,
        to_store,
        to_gateway,
        devices,
        captures: captures + clips,
        photos,
        all_bytes,
        chance,
        telling: JoinSet::new(),
        _dir: dir,
    }
}

impl Scenery {
    fn start_app(&mut self, device: usize) {
        let token = self.store.admin_key().unwrap();
        let url = self.to_api.url();
        // The first on a thin link, the second on a wide one, and later any.
        let networks: [&[&str]; 3] = [
            &["--network", "2g", "--uplink-kbps", "200"],
            &["--network", "wifi"],
            &[],
        ];
        let network = match self.devices[device].starts {
            0 => networks[device],
            _ => networks[self.chance.within(0, 3) as usize],
        };
        let skew = match self.devices[device].starts {
            // The clock of the second is wrong from the beginning.
            0 => Skew::PHONES[2 * device],
            _ => Skew::PHONES[self.chance.within(0, Skew::PHONES.len() as u64) as usize],
        };
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
            .args(network)
            .env_clear()
            .env("SAFELIGHT_URL", url)
            .env("SAFELIGHT_TOKEN", token)
            .env("SAFELIGHT_OWNER", "ann")
            .current_dir(&device.dir)
            .stdin(Stdio::null())
            .stdout(file("report.json", false))
            .stderr(file("app.log", true));
        skew.apply(&mut command).unwrap();
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

    /// Now and then tells of some uploads as the store would: before their bytes came or long after, and twice.
    async fn tell_events(&mut self) {
        while self.telling.try_join_next().is_some() {}
        if self.chance.within(0, 8) > 0 || self.telling.len() > 8 {
            return;
        }
        let from = self.chance.within(0, 1 << 30);
        let keys = format!(
            "SELECT object_key FROM uploads ORDER BY (created_at % 1000003 * 7919 + {from}) % 1000003 LIMIT 5"
        );
        let record = |key: String| {
            json!({ "eventName": "ObjectCreated:Put",
                    "s3": { "bucket": { "name": "safelight" }, "object": { "key": key, "size": 1 } } })
        };
        let keys = rows(&self.catalog, &keys).await;
        let records: Vec<Value> = keys.iter().map(|r| record(r.text(0).unwrap())).collect();
        for _ in 0..2 {
            let url = format!("{}/v1/store-events", self.to_api.url());
            let request = http().post(url).bearer_auth(EVENTS_SECRET);
            let request = request
                .timeout(Duration::from_secs(10))
                .json(&json!({ "Records": records.clone() }));
            // What is lost on the way is lost.
            self.telling
                .spawn(async move { drop(request.send().await) });
        }
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
        let links = [&self.to_api, &self.to_store, &self.to_gateway];
        links.iter().map(|link| link.carried().up_bytes).sum()
    }
}

async fn every_photo_arrives_once(database: Database) {
    let seed = setting("SEED").unwrap_or(20_261_128);
    let mut scenery = set_up(database, seed).await;
    let captures = scenery.captures;
    let kills = KILLS.max(captures / PHOTOS_PER_KILL);
    let began = Instant::now();
    println!("{database:?}: SEED={seed} {captures} files for each device, {kills} kills");
    scenery.start_app(0);
    scenery.start_app(1);
    let longest = LEAST_LONGEST.max(LONGEST * captures as u32);
    for kill in 1..=kills {
        // Three quarters of the bytes are sent at all, the rest is on both devices: the kills, and with them the networks,
        // are spread over all that moves.
        let apart = (scenery.all_bytes * 3 / 2 / kills as u64).max(2_000);
        let until = scenery.moved_bytes() + scenery.chance.within(1_000, apart);
        let moved = wait::until(longest, async || {
            scenery.tell_events().await;
            scenery.moved_bytes() >= until || scenery.look_after_apps()
        });
        moved
            .await
            .unwrap_or_else(|e| panic!("{e}: {}", scenery.logs()));
        let victim = scenery.chance.within(0, 4);
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
    let done = wait::until(longest, async || {
        scenery.tell_events().await;
        scenery.look_after_apps()
    });
    done.await
        .unwrap_or_else(|e| panic!("{e}: {}", scenery.logs()));
    let (api, store) = (scenery.to_api.carried(), scenery.to_store.carried());
    let gateway = scenery.to_gateway.carried();
    println!(
        "{database:?}: all sent after {:.1} s; {} bytes of files; to the API {api:?}; to the store {store:?}; \
         to the gateway {gateway:?}; apps started {} and {} times",
        began.elapsed().as_secs_f64(),
        scenery.all_bytes,
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
    let mut transports = Vec::new();
    for transport in ["single", "multipart", "append"] {
        let count = format!("SELECT COUNT(*) FROM uploads WHERE transport = '{transport}'");
        transports.push((transport, number(&scenery.catalog, &count).await));
    }
    println!("{database:?}: {transports:?}");
    assert!(transports[2].1 > 0, "{transports:?}");
    check_reports(&scenery);
    let_all_urls_end(&scenery).await;
    check_everything(&scenery).await;
    nothing_is_on_one_side_only(&scenery).await;
}

fn check_reports(scenery: &Scenery) {
    for device in &scenery.devices {
        let report = std::fs::read(device.dir.join("report.json")).unwrap();
        let report: Value = serde_json::from_slice(&report).unwrap();
        let files = report["files"].as_array().unwrap();
        assert_eq!(files.len(), scenery.captures);
        for file in files {
            assert_eq!(file["state"], "ready", "{file}");
        }
    }
}

/// What waits until nothing can arrive any more does so no longer.
async fn let_all_urls_end(scenery: &Scenery) {
    let catalog = &scenery.catalog;
    for sql in [
        "UPDATE uploads SET signed_until = 1 WHERE signed_until > 1",
        "UPDATE uploads SET look_at = 1 WHERE look_at > 1 AND state IN ('aborted', 'expired')",
        "UPDATE append_segments SET removable_at = 1 WHERE removable_at > 1",
        "UPDATE jobs SET run_at = 1 WHERE run_at > 1 AND state <> 'dead'",
    ] {
        change(catalog, sql, vec![]).await;
    }
    let idle = wait::until(PATIENCE, async || {
        let open = "SELECT COUNT(*) FROM uploads WHERE look_at IS NOT NULL";
        let jobs = "SELECT COUNT(*) FROM jobs WHERE state <> 'dead'";
        let segments = "SELECT COUNT(*) FROM append_segments";
        number(catalog, jobs).await == 0
            && number(catalog, open).await == 0
            && number(catalog, segments).await == 0
    });
    if let Err(error) = idle.await {
        let uploads =
            "SELECT state, COUNT(*) FROM uploads WHERE look_at IS NOT NULL GROUP BY state";
        let jobs = "SELECT kind, COUNT(*) FROM jobs GROUP BY kind";
        let mut left = Vec::new();
        for sql in [uploads, jobs] {
            for row in rows(catalog, sql).await {
                left.push((row.text(0).unwrap(), row.int(1).unwrap()));
            }
        }
        panic!("{error}: {left:?}\n{}", scenery.api.log());
    }
}

/// As an operator finds it days later.
async fn nothing_is_on_one_side_only(scenery: &Scenery) {
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let store = open_store(&scenery.store);
    let context = in_process::context(store, &scenery.api.catalog_url(), &clock).await;
    clock.advance(Duration::from_secs(2 * 24 * 3600));
    sweep::sweep_all(&context, false).await.unwrap();
    let found = async || {
        let mut reader = context.catalog.reader().await.unwrap();
        sweeps::findings(&mut reader.tx(), None, 1000)
            .await
            .unwrap()
    };
    let (store, mut begun_in_vain) = (&context.objects, 0);
    for one in found().await {
        // Begun twice at the store, by a request that was doubled or whose answer was lost: nobody was ever given a URL.
        assert_eq!(one.kind, FindingKind::OrphanUpload, "{one:?}");
        let key = ObjectKey::parse(&one.object_key).unwrap();
        let parts = store.list_parts(&key, &one.store_upload_id).await;
        assert_eq!(parts.unwrap().unwrap(), []);
        begun_in_vain += 1;
    }
    println!("{begun_in_vain} uploads were begun in vain");
    clock.advance(limits::ORPHAN_GRACE + Duration::from_secs(24 * 3600));
    for _ in 0..2 {
        sweep::sweep_all(&context, true).await.unwrap();
    }
    assert_eq!(found().await, [], "on one side only");
    let mut reader = context.catalog.reader().await.unwrap();
    let swept = sweeps::find(&mut reader.tx()).await.unwrap().unwrap();
    assert!(
        swept.examined >= 4 * scenery.photos.len() as i64,
        "{swept:?}"
    );
    assert_eq!(objects(store, "x/").await, [""; 0]);
    assert_eq!(store.list_uploads(None, 1000).await.unwrap().uploads, []);
}

async fn check_everything(scenery: &Scenery) {
    let catalog = &scenery.catalog;
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
        let found = number(catalog, &format!("SELECT COUNT(*) {query}")).await;
        assert_eq!(found, expected, "{query}");
    }
    let store = open_store(&scenery.store);
    assert_eq!(objects(&store, "o/").await.len(), expected.len());
    assert_eq!(objects(&store, "r/").await.len(), 3 * expected.len());
}
