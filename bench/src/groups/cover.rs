//! `cover`: how long after its last byte a single photo can be looked at, when nothing else is to be
//! done, and while another owner's photos wait for `derive`. On the embedded defaults.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::{Instant, sleep};

use crate::Bench;
use crate::phone::{Backlog, Phone, is_derived, is_viewable};
use crate::photos::Photos;
use crate::quantile::quantile_ms;
use crate::row::Row;
use crate::server::{Server, Start};

/// Photos measured, one after another.
const PHOTOS: u64 = 100;
/// Photos of the other owner. While they are inspected some are derived as well; 500 are to be left.
const WAITING: u64 = 625;
/// The measurement ends early when fewer are left, so that it is under load to its end.
const FEWEST_WAITING: usize = 20;
/// How often the backlog is looked at, in photos.
const EVERY: u64 = 20;
/// How long the inspection of the other owner's photos may take.
const INSPECTED_WITHIN: Duration = Duration::from_secs(300);
const UPLOADS_AT_ONCE: u64 = 4;
const GOAL_MS: f64 = 1000.0;

/// Runs the group.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    println!("cover: taking photos");
    let photos = Photos::take(&bench.scratch.join("camera"))?;
    let mut rows = Vec::new();
    println!("cover: idle");
    idle(bench, &photos, &mut rows).await?;
    println!("cover: with {WAITING} photos of another owner waiting");
    loaded(bench, &photos, &mut rows).await?;
    Ok(rows)
}

fn push(rows: &mut Vec<Row>, when: &str, times: &mut [Duration]) {
    let name = |what: &str| format!("cover.{when}.{what}");
    let (p50, p99) = (quantile_ms(times, 0.5), quantile_ms(times, 0.99));
    rows.push(Row::plain(name("photos"), times.len() as f64, "count"));
    rows.push(Row::plain(name("viewable_p50"), p50, "ms"));
    rows.push(Row::plain(name("viewable_p99"), p99, "ms").below(GOAL_MS));
}

async fn idle(bench: &Bench, photos: &Photos, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let dir = bench.scratch.join("idle");
    let server = Server::start(&bench.program, &dir, Start::default()).await?;
    let token = server.token("mine").await?;
    let mut phone = Phone::connect(server.api, &token).await?;
    let mut times = Vec::new();
    for number in 0..PHOTOS {
        let sent = phone.upload(&photos.photo(number)).await?;
        let (id, from) = (&sent.asset_id, sent.last_byte);
        let viewable = phone.wait(id, from, is_viewable).await;
        times.push(viewable.with_context(|| server.log_end())?);
        // Idle means that the photo before has left nothing to do.
        phone.wait(id, Instant::now(), is_derived).await?;
    }
    push(rows, "idle", &mut times);
    server.stop().await?;
    std::fs::remove_dir_all(dir)?;
    Ok(())
}

async fn loaded(bench: &Bench, photos: &Photos, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let dir = bench.scratch.join("loaded");
    // Without the worker first, so that everything waits at the same time.
    let start = Start {
        roles: Some("api,store,delivery,janitor"),
        ..Start::default()
    };
    let server = Server::start(&bench.program, &dir, start).await?;
    let token = server.token("other").await?;
    let uploads = (0..UPLOADS_AT_ONCE).map(|lane| upload_many(&server, &token, photos, lane));
    futures::future::try_join_all(uploads).await?;
    server.stop().await?;

    let server = Server::start(&bench.program, &dir, Start::default()).await?;
    let mut other = Phone::connect(server.api, &token).await?;
    let before = inspected(&mut other).await?;
    let mine = server.token("mine").await?;
    let mut phone = Phone::connect(server.api, &mine).await?;
    let (mut times, mut after) = (Vec::new(), before);
    for number in WAITING..WAITING + PHOTOS {
        let sent = phone.upload(&photos.photo(number)).await?;
        let viewable = phone
            .wait(&sent.asset_id, sent.last_byte, is_viewable)
            .await;
        times.push(viewable.with_context(|| server.log_end())?);
        if (number + 1).is_multiple_of(EVERY) {
            after = other.backlog().await?;
            if after.underived < FEWEST_WAITING {
                break;
            }
        }
    }
    push(rows, "loaded", &mut times);
    for (when, backlog) in [("start", before), ("end", after)] {
        let name = format!("cover.loaded.derive_waiting_at_{when}");
        rows.push(Row::plain(name, backlog.underived as f64, "count"));
    }
    // What still waits is of no interest.
    drop(server);
    std::fs::remove_dir_all(dir)?;
    Ok(())
}

async fn upload_many(
    server: &Server,
    token: &str,
    photos: &Photos,
    lane: u64,
) -> anyhow::Result<()> {
    let mut phone = Phone::connect(server.api, token).await?;
    for number in (lane..WAITING).step_by(UPLOADS_AT_ONCE as usize) {
        phone.upload(&photos.photo(number)).await?;
    }
    Ok(())
}

/// Waits until all photos are inspected; what then waits is `derive`.
async fn inspected(other: &mut Phone) -> anyhow::Result<Backlog> {
    let began = Instant::now();
    loop {
        let backlog = other.backlog().await?;
        if backlog.viewable as u64 == WAITING {
            return Ok(backlog);
        }
        ensure!(
            began.elapsed() < INSPECTED_WITHIN,
            "only {} of {WAITING} photos were inspected in {INSPECTED_WITHIN:?}",
            backlog.viewable
        );
        sleep(Duration::from_secs(1)).await;
    }
}
