//! `weaknet`: a burst over links as phones have them on a train, and what of it others see when. The client SDK on the
//! embedded defaults, beside tus-js-client, plain presigned PUTs, and what the link can carry.
//!
//! The links are emulated by the fault proxy in this process: it paces bytes, delays them, makes each connection wait
//! for its handshake, and slows each one to what TCP reaches where packets are lost. Network namespaces with netem
//! would need a kernel that has it, and root.
//!
//! | variable | |
//! |---|---|
//! | `PHOTOS` | frames of the burst (12) |
//! | `PHOTO_KB` | size of each (300; on the link with an outage at least 1,500, so that there is something to interrupt). 3000 is what the goals are meant for, and takes an hour and a half |
//! | `LINKS` | some of the links, separated by commas |
//! | `SDK_ONLY` | if set, nobody else sends the burst |
//! | `SAFELIGHT_TOOLS` | where `make test-tools` has put tus-js-client; without it that is left out |

mod burst;
mod iperf;
mod onlooker;
mod phone;
mod rivals;
mod scene;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use safelight_testkit::link::Weather;

use crate::Bench;
use crate::row::Row;
use burst::Photos;
use scene::Scene;

const PHOTOS: u32 = 12;
const PHOTO_KB: usize = 300;
const GOAL_THUMBHASH_S: f64 = 2.0;
const GOAL_COVER_S: f64 = 1.0;
/// Times what the link carries.
const GOAL_OF_LINK: f64 = 1.1;

/// An emulated link.
#[derive(Clone, Copy, Debug)]
pub struct Emulated {
    name: &'static str,
    /// What the phone's system calls it.
    kind: &'static str,
    kbps: u64,
    round_trip_ms: u64,
    loss: f64,
    /// Nothing passes for so long, once a third of the bytes has.
    outage: Duration,
    least_photo_kb: usize,
}

const LINKS: [Emulated; 4] = [
    Emulated {
        name: "1mbit",
        kind: "3g",
        kbps: 1_000,
        round_trip_ms: 300,
        loss: 0.0,
        outage: Duration::ZERO,
        least_photo_kb: 0,
    },
    Emulated {
        name: "1mbit_loss",
        kind: "3g",
        kbps: 1_000,
        round_trip_ms: 300,
        loss: 0.02,
        outage: Duration::ZERO,
        least_photo_kb: 0,
    },
    Emulated {
        name: "250kbit",
        kind: "2g",
        kbps: 250,
        round_trip_ms: 300,
        loss: 0.0,
        outage: Duration::ZERO,
        least_photo_kb: 0,
    },
    Emulated {
        name: "10mbit_outage",
        kind: "4g",
        kbps: 10_000,
        round_trip_ms: 50,
        loss: 0.0,
        outage: Duration::from_secs(20),
        least_photo_kb: 1_500,
    },
];

impl Emulated {
    fn weather(&self) -> Weather {
        Weather {
            up_bits_per_s: Some(self.kbps * 1000),
            down_bits_per_s: Some(self.kbps * 1000),
            round_trip: Duration::from_millis(self.round_trip_ms),
            loss: self.loss,
            ..Weather::default()
        }
    }

    /// Connections that are needed to fill it.
    fn flows(&self) -> u64 {
        match self.weather().connection_bits_per_s() {
            Some(each) => (self.kbps * 1000).div_ceil(each.max(1)) + 1,
            None => 1,
        }
    }
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> anyhow::Result<T> {
    match std::env::var(name) {
        Ok(text) => text.parse().ok().with_context(|| format!("{name}={text}")),
        Err(_) => Ok(default),
    }
}

/// Runs the group.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let count: u32 = setting("PHOTOS", PHOTOS)?;
    let photo_kb: usize = setting("PHOTO_KB", PHOTO_KB)?;
    ensure!((2..=100).contains(&count), "a burst has 2 to 100 photos");
    let wanted = std::env::var("LINKS").unwrap_or_default();
    let wanted: Vec<&str> = wanted.split(',').filter(|w| !w.is_empty()).collect();
    let unknown = wanted.iter().find(|w| !LINKS.iter().any(|l| l.name == **w));
    ensure!(unknown.is_none(), "{unknown:?} is not a link");
    let mut rows = Vec::new();
    for link in LINKS {
        if !wanted.is_empty() && !wanted.contains(&link.name) {
            continue;
        }
        let kb = photo_kb.max(link.least_photo_kb);
        println!(
            "weaknet: {}, a burst of {count} photos of {kb} kB",
            link.name
        );
        let photos = Photos::take(&bench.scratch.join("burst"), count, kb * 1000)?;
        rows.push(Row::plain(
            name(&link, "bytes"),
            photos.bytes() as f64 / 1e6,
            "MB",
        ));
        let measured = over(bench, &link, &photos, &mut rows).await;
        measured.with_context(|| format!("the link {}", link.name))?;
        photos.remove()?;
    }
    Ok(rows)
}

fn name(link: &Emulated, what: &str) -> String {
    format!("weaknet.{}.{what}", link.name)
}

async fn over(
    bench: &Bench,
    link: &Emulated,
    photos: &Photos,
    rows: &mut Vec<Row>,
) -> anyhow::Result<()> {
    let scene = Scene::start(bench, *link).await?;
    println!("weaknet: {}, what it carries", link.name);
    let carried = iperf::carried(&scene).await?;
    let ideal_s = photos.bytes() as f64 * 8.0 / carried.bits_per_s + link.outage.as_secs_f64();
    rows.push(
        Row::plain(name(link, "carries"), carried.bits_per_s / 1000.0, "kbit/s")
            .against("the link's setting", link.kbps as f64),
    );
    println!(
        "weaknet: {}, the client SDK; {ideal_s:.0} s at best",
        link.name
    );
    let seen = phone::send(&scene, photos).await?;
    rows.push(
        Row::plain(name(link, "thumbhashes"), seen.thumbhashes_s, "s").at_most(GOAL_THUMBHASH_S),
    );
    rows.push(Row::plain(name(link, "key_cover"), seen.key_cover_s, "s").at_most(GOAL_COVER_S));
    rows.push(
        Row::plain(name(link, "all_bytes"), seen.all_s, "s")
            .against(carried.by, ideal_s)
            .at_most(GOAL_OF_LINK * ideal_s),
    );
    rows.push(
        Row::plain(
            name(link, "all_bytes_of_link"),
            seen.all_s / ideal_s,
            "ratio",
        )
        .at_most(GOAL_OF_LINK),
    );
    let again = seen.up_bytes as f64 / photos.bytes() as f64;
    rows.push(Row::plain(name(link, "sent_of_photos"), again, "ratio"));
    if std::env::var_os("SDK_ONLY").is_some() {
        return scene.end().await;
    }
    println!("weaknet: {}, plain PUTs", link.name);
    let beside = |what: &str, took: anyhow::Result<f64>| match took {
        Ok(s) => Some(Row::plain(name(link, what), s, "s").against("the client SDK", seen.all_s)),
        Err(error) => {
            // Others may fail where this is not to.
            println!("weaknet: {} has no {what}: {error:#}", link.name);
            None
        }
    };
    rows.extend(beside("put_all_bytes", rivals::put(&scene, photos).await));
    if let Some(tools) = std::env::var_os("SAFELIGHT_TOOLS").filter(|t| !t.is_empty()) {
        println!("weaknet: {}, tus-js-client", link.name);
        let tus = rivals::tus(&scene, photos, &tools).await;
        rows.extend(beside("tus_js_all_bytes", tus));
    } else {
        println!("weaknet: tus-js-client is left out: SAFELIGHT_TOOLS does not say where it is");
    }
    scene.end().await
}
