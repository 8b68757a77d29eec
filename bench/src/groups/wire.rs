//! `wire`: how many bytes really travel, over links that break and that lose answers. On the embedded defaults, with
//! the client SDK; counted by the link, headers included.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use safelight_api::captures::{CaptureInitiated, Network};
use safelight_api::paths;
use safelight_testkit::link::{Carried, Link, Weather};
use safelight_testkit::ports;
use serde_json::json;

use crate::Bench;
use crate::row::Row;
use crate::sdk::App;
use crate::server::Server;
use crate::wire::{Connection, head};

/// A clip of a few seconds.
const FILE_BYTES: u64 = 64 << 20;
const SEED: u64 = 4;

/// A server behind two links.
struct Scene {
    server: Server,
    to_api: Link,
    to_store: Link,
    token: String,
    dir: PathBuf,
}

impl Scene {
    async fn start(bench: &Bench, name: &str, weather: Weather) -> anyhow::Result<Self> {
        let dir = bench.scratch.join(name);
        let (api, store) = (ports::free()?, ports::free()?);
        let to_api = Link::start(api, weather.clone(), SEED).await?;
        let to_store = Link::start(store, weather, SEED + 1).await?;
        let ports = (api, store);
        let server = Server::start_behind(&bench.program, &dir, ports, &to_api, &to_store).await?;
        let token = server.token("mine").await?;
        Ok(Self {
            server,
            to_api,
            to_store,
            token,
            dir,
        })
    }

    fn app(&self, name: &str, downlink_kbps: u32) -> anyhow::Result<App> {
        let network = Network {
            kind: Some("cellular".to_owned()),
            downlink_kbps: Some(downlink_kbps),
            ..Network::default()
        };
        App::open(
            &self.to_api.url(),
            &self.token,
            network,
            &self.dir.join(name),
        )
    }

    /// How large the server plans the parts of such a file, for an app as below.
    async fn part_bytes(&self, downlink_kbps: u32) -> anyhow::Result<u64> {
        let body = serde_json::to_vec(&json!({
            "client_ref": "planned only", "mode": "single",
            "network": { "type": "cellular", "downlink_kbps": downlink_kbps },
            "accept_transports": ["single", "multipart", "append"],
            "assets": [{ "client_ref": "file", "role": "still",
                         "resources": [{ "kind": "primary", "mime": "image/jpeg", "size_bytes": FILE_BYTES }] }],
        }))?;
        let key = "idempotency-key: \"planned-only\"\r\n";
        let head = head("POST", paths::CAPTURES, &self.token, key, body.len());
        let mut connection = Connection::open(self.server.api).await?;
        let answer = connection.exchange(&[head.as_bytes(), &body]).await?;
        let made: CaptureInitiated = answer.json(201)?;
        let planned = made.assets.first().and_then(|asset| asset.uploads.first());
        let plan = &planned.context("no upload is planned")?.plan;
        ensure!(
            plan.transport == "multipart",
            "planned is {}",
            plan.transport
        );
        Ok(u64::try_from(plan.part_size_bytes)?)
    }

    fn carried(&self) -> (Carried, Carried) {
        (self.to_api.carried(), self.to_store.carried())
    }

    /// Sends one file that nobody has; what the links carried up for it, and how often they broke.
    async fn send(&self, name: &str, downlink_kbps: u32, file: &Path) -> anyhow::Result<Cost> {
        let app = self.app(name, downlink_kbps)?;
        let before = self.carried();
        app.upload(&[file.to_owned()]).await?;
        let after = self.carried();
        let sum = |of: fn(&Carried) -> u64| {
            (of(&after.0) - of(&before.0)) + (of(&after.1) - of(&before.1))
        };
        Ok(Cost {
            up_bytes: sum(|c| c.up_bytes),
            cuts: sum(|c| c.cuts),
            lost_answers: sum(|c| c.lost_answers),
        })
    }

    async fn end(self) -> anyhow::Result<()> {
        self.server.stop().await?;
        std::fs::remove_dir_all(&self.dir)?;
        Ok(())
    }
}

struct Cost {
    up_bytes: u64,
    cuts: u64,
    lost_answers: u64,
}

fn take(bench: &Bench, name: &str, seed: u64) -> anyhow::Result<PathBuf> {
    let path = bench.scratch.join(name);
    let mut bytes = Vec::with_capacity(FILE_BYTES as usize);
    let mut state = seed;
    while bytes.len() < FILE_BYTES as usize {
        // xorshift64: does not compress, and no two files have a block in common.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    std::fs::write(&path, bytes)?;
    Ok(path)
}

/// Runs the group.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let file_bytes = FILE_BYTES as f64;

    println!("wire: append, each connection cut after 1 MiB");
    let cut = Weather {
        cut_after_bytes: Some(1 << 20..=1 << 20),
        ..Weather::default()
    };
    let scene = Scene::start(bench, "append", cut).await?;
    let file = take(bench, "append.jpg", 1)?;
    let cost = scene.send("phone", 300, &file).await?;
    ensure!(cost.cuts >= 60, "only {} cuts", cost.cuts);
    rows.push(Row::plain("wire.append.cuts", cost.cuts as f64, "count"));
    let ratio = cost.up_bytes as f64 / file_bytes;
    rows.push(Row::plain("wire.append.sent_of_file", ratio, "ratio").at_most(1.03));

    println!("wire: the same file from another device");
    let cost = scene.send("other", 300, &file).await?;
    rows.push(Row::plain("wire.known.up", cost.up_bytes as f64, "B").at_most(16_384.0));
    scene.end().await?;

    println!("wire: parts, connections cut after 4 to 24 MiB");
    let cut = Weather {
        cut_after_bytes: Some(4 << 20..=24 << 20),
        ..Weather::default()
    };
    let scene = Scene::start(bench, "parts", cut).await?;
    let file = take(bench, "parts.jpg", 2)?;
    let cost = scene.send("phone", 20_000, &file).await?;
    ensure!(cost.cuts >= 2, "only {} cuts", cost.cuts);
    let part_bytes = scene.part_bytes(20_000).await? as f64;
    let extra = (cost.up_bytes as f64 - file_bytes) / part_bytes / cost.cuts as f64;
    rows.push(Row::plain("wire.multipart.cuts", cost.cuts as f64, "count"));
    rows.push(Row::plain("wire.multipart.parts_again_per_cut", extra, "parts").at_most(1.0));
    scene.end().await?;

    println!("wire: parts, every second answer lost");
    let lossy = Weather {
        lost_answers: 0.5,
        ..Weather::default()
    };
    let scene = Scene::start(bench, "answers", Weather::default()).await?;
    scene.to_store.change(|weather| *weather = lossy);
    let file = take(bench, "answers.jpg", 3)?;
    let cost = scene.send("phone", 20_000, &file).await?;
    ensure!(cost.lost_answers >= 2, "only {} lost", cost.lost_answers);
    let lost = cost.lost_answers as f64;
    rows.push(Row::plain("wire.multipart.lost_answers", lost, "count"));
    let ratio = cost.up_bytes as f64 / file_bytes;
    rows.push(
        Row::plain(
            "wire.multipart.sent_of_file_when_answers_are_lost",
            ratio,
            "ratio",
        )
        .at_most(1.01),
    );
    scene.end().await?;
    Ok(rows)
}
