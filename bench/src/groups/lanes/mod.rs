//! `lanes`: photos and clips of many owners arrive within a time, at a server of two workers, while pictures of an earlier version
//! wait for their hashes. How long each kind of owner waits, in which order things are done, and what a photo costs; and
//! the same load at a server without lanes.

mod arrive;
mod tally;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use safelight_catalog::{Catalog, CatalogError, CatalogSettings};
use safelight_model::lane::{Lane, starvation_guard};
use tokio::time::{Instant, sleep};

use crate::Bench;
use crate::cpu::Meter;
use crate::photos::{Clips, Photos};
use crate::quantile::quantile_ms;
use crate::row::Row;
use crate::server::{Server, Start};
use arrive::{Load, arrive};
use tally::{Tally, tally};

/// Photos unless `PHOTOS` says otherwise.
const PHOTOS: u64 = 200;
/// The fewest that make a load.
const LEAST_PHOTOS: u64 = 40;
/// The time that one photo is given: 2,000 arrive in two minutes.
const PER_PHOTO: Duration = Duration::from_millis(60);
/// Of so many photos one is another's clip.
const PHOTOS_PER_CLIP: u64 = 100;
/// Of so many photos one was there before, without a hash.
const PHOTOS_PER_OLD: u64 = 2;
/// Light jobs at once, unless `WORKERS` says otherwise.
const WORKERS: &str = "2";
/// Clips go by one PUT, as the phone of this program sends them.
const SINGLE_MAX_BYTES: &str = "268435456";
/// How often it is looked whether all work is done.
const LOOK: Duration = Duration::from_millis(250);
/// How long all work may take.
const DONE_WITHIN: Duration = Duration::from_secs(3600);
/// Of another owner's single photo.
const GOAL_MS: f64 = 1000.0;
const PEER: &str = "one lane";

/// Runs the group.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let photos = match std::env::var("PHOTOS") {
        Ok(text) => text.parse().context("PHOTOS is a number")?,
        Err(_) => PHOTOS,
    };
    ensure!(photos >= LEAST_PHOTOS, "PHOTOS is {LEAST_PHOTOS} or more");
    println!("lanes: taking photos and clips");
    let load = Load {
        photos: Photos::take(&bench.scratch.join("camera"))?,
        clips: Clips::make(&bench.scratch.join("clips"))?,
        count: photos,
        clip_count: photos.div_ceil(PHOTOS_PER_CLIP),
        span: PER_PHOTO.saturating_mul(u32::try_from(photos)?),
    };
    println!("lanes: {photos} photos, without lanes");
    let without = measure(bench, &load, false).await?;
    println!("lanes: {photos} photos");
    let with = measure(bench, &load, true).await?;
    Ok(rows(&load, with, without))
}

/// What one run came to.
struct Measured {
    tally: Tally,
    /// Another owner's single photos, as the phone saw it.
    singles: Vec<Duration>,
    /// Processor time of the server's processes, in microseconds.
    cpu_us: u64,
    /// Of everything that was neither the server nor this program.
    other_us: u64,
    /// Light jobs at once.
    workers: f64,
    /// From the first arrival until everything was done. Not from the last: what slows a phone down delays that.
    all_done: Duration,
}

async fn measure(bench: &Bench, load: &Load, lanes: bool) -> anyhow::Result<Measured> {
    let dir = bench.scratch.join("lanes");
    let answer = if lanes { "yes" } else { "no" };
    let workers = std::env::var("WORKERS").unwrap_or_else(|_| WORKERS.to_owned());
    let more = [
        "--workers",
        &workers,
        "--lanes",
        answer,
        "--single-max-bytes",
        SINGLE_MAX_BYTES,
    ];
    let more = more.map(str::to_owned);
    let start = || Start {
        more: &more,
        ..Start::default()
    };
    let server = Server::start(&bench.program, &dir, start()).await?;
    arrive::old(&server, load, load.count / PHOTOS_PER_OLD).await?;
    let catalog = catalog(&dir).await?;
    done(&server, &catalog).await?;
    server.stop().await?;
    forget_hashes(&catalog).await?;

    let server = Server::start(&bench.program, &dir, start()).await?;
    let meter = Meter {
        roots: vec![server.pid()],
    };
    let before = meter.read()?;
    let began = Instant::now();
    let singles = arrive(&server, load).await?;
    done(&server, &catalog).await?;
    let all_done = began.elapsed();
    let used = meter.read()?.since(&before);
    let tally = tally(&catalog, &singles.sent).await?;
    catalog.close().await;
    server.stop().await?;
    std::fs::remove_dir_all(dir)?;
    Ok(Measured {
        tally,
        singles: singles.viewable,
        cpu_us: used.trees.iter().sum(),
        other_us: used.others(),
        workers: workers.parse().context("WORKERS is a number")?,
        all_done,
    })
}

/// The catalog of the server below `dir`.
async fn catalog(dir: &Path) -> anyhow::Result<Catalog> {
    let url = format!("sqlite://{}", dir.join("catalog.db").display());
    Ok(Catalog::open(CatalogSettings::for_url(&url)).await?)
}

/// Has the old pictures be of a version that knew no hashes: the janitor has them decoded, in the bulk lane.
async fn forget_hashes(catalog: &Catalog) -> anyhow::Result<()> {
    let sql = "UPDATE blobs SET picture_hash = NULL, hash_sought_at = NULL";
    catalog
        .write::<_, CatalogError, _>(move |tx| Box::pin(async move { tx.exec(sql, &[]).await }))
        .await?;
    Ok(())
}

/// Waits until nothing is to be done any more.
async fn done(server: &Server, catalog: &Catalog) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let mut reader = catalog.reader().await?;
        let left = tally::work_left(&mut reader.tx()).await?;
        drop(reader);
        if left == 0 {
            return Ok(());
        }
        ensure!(
            began.elapsed() < DONE_WITHIN,
            "{left} jobs and pictures were left after {DONE_WITHIN:?}; {}",
            server.log_end()
        );
        sleep(LOOK).await;
    }
}

fn rows(load: &Load, mut with: Measured, mut without: Measured) -> Vec<Row> {
    let mut rows = vec![
        Row::plain("lanes.photos", load.count as f64, "count"),
        Row::plain("lanes.clips", load.clip_count as f64, "count"),
        Row::plain("lanes.singles", with.singles.len() as f64, "count"),
    ];
    for (share, name) in [(0.5, "p50"), (0.99, "p99")] {
        let row = |what: &str, with: &mut [Duration], without: &mut [Duration]| {
            Row::plain(
                format!("lanes.{what}_{name}"),
                quantile_ms(with, share),
                "ms",
            )
            .against(PEER, quantile_ms(without, share))
        };
        let single = row("single.viewable", &mut with.singles, &mut without.singles);
        rows.push(single.below(GOAL_MS));
        for (what, with, without) in [
            (
                "many.viewable",
                &mut with.tally.many.viewable,
                &mut without.tally.many.viewable,
            ),
            (
                "import.viewable",
                &mut with.tally.import.viewable,
                &mut without.tally.import.viewable,
            ),
            (
                "clip.viewable",
                &mut with.tally.clips.viewable,
                &mut without.tally.clips.viewable,
            ),
            (
                "clip.streamed",
                &mut with.tally.clips.derived,
                &mut without.tally.clips.derived,
            ),
            (
                "many.derived",
                &mut with.tally.many.derived,
                &mut without.tally.many.derived,
            ),
            (
                "import.derived",
                &mut with.tally.import.derived,
                &mut without.tally.import.derived,
            ),
        ] {
            rows.push(row(what, with, without));
        }
    }
    let seconds = |us: u64| us as f64 / 1e6;
    let each = |us: u64| seconds(us) / load.count as f64;
    let plain = |name: &str, with: f64, without: f64, unit| {
        Row::plain(format!("lanes.{name}"), with, unit).against(PEER, without)
    };
    let (order, other) = (with.tally.order, without.tally.order);
    // Backfill has a turn now and then, so that it does not stand still for ever; and what had begun before steps back, and ends late.
    let took = with.all_done;
    let turns_of_bulk = took.div_duration_f64(starvation_guard(Lane::Bulk)).floor() + with.workers;
    rows.extend([
        plain(
            "order.derived_before_covers",
            order.derived as f64,
            other.derived as f64,
            "count",
        ),
        plain(
            "order.hashed_before_pictures",
            order.hashed as f64,
            other.hashed as f64,
            "count",
        )
        .at_most(turns_of_bulk),
        plain(
            "order.hashed",
            order.hashed_in_all as f64,
            other.hashed_in_all as f64,
            "count",
        ),
        plain(
            "server_cpu_per_photo",
            each(with.cpu_us),
            each(without.cpu_us),
            "s",
        ),
        plain(
            "other_cpu",
            seconds(with.other_us),
            seconds(without.other_us),
            "s",
        ),
        plain(
            "all_done_after",
            with.all_done.as_secs_f64(),
            without.all_done.as_secs_f64(),
            "s",
        ),
    ]);
    rows
}
