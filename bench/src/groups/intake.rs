//! `intake`: what the initiation of a capture costs, how many a second there can be, and how long one
//! takes at half of that. Commits are durable.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::Context as _;
use safelight_testkit::postgres::{Cluster, Durability};

use crate::Bench;
use crate::cpu::{Meter, postmaster};
use crate::disk::syncs_per_second;
use crate::floor::Floor;
use crate::load::{self, Closed, Source};
use crate::quantile::quantile_ms;
use crate::request::Template;
use crate::row::Row;
use crate::server::{Server, Start};

/// Owners whose tokens are used in turn.
const OWNERS: usize = 500;
const WARM: Duration = Duration::from_secs(3);
const SPAN: Duration = Duration::from_secs(10);
const GOAL_PER_SECOND: f64 = 2000.0;
const GOAL_P99_MS: f64 = 20.0;
const FLOOR: &str = "axum answering a constant of the same size";
/// Assets in a capture, and how rows name it.
const SIZES: [(usize, &str); 2] = [(1, "one_asset"), (12, "twelve_assets")];

/// Runs the group.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut rows = vec![Row::plain(
        "intake.disk.fdatasync_4k",
        syncs_per_second(&bench.scratch)?,
        "1/s",
    )];
    println!("intake: SQLite");
    let sqlite = measure(bench, "sqlite", None).await?;
    println!("intake: PostgreSQL");
    let cluster = Cluster::start(Durability::Durable)?;
    let postgres = measure(bench, "postgres", Some(&cluster)).await?;
    drop(cluster);
    println!("intake: the floor");
    let mut floors = Vec::new();
    for (at, (_, name)) in SIZES.iter().enumerate() {
        let source = sqlite.sources.get(at).context("a source")?;
        let size = sqlite.sizes.get(at).context("a size")?;
        let floor = floor(source, *size).await?;
        rows.push(Row::plain(
            format!("intake.floor.{name}.rate"),
            floor.per_second(),
            "1/s",
        ));
        floors.push(floor);
    }
    for measured in [sqlite, postgres] {
        measured.rows(&floors, &mut rows);
    }
    Ok(rows)
}

/// What was measured on one database.
struct Measured {
    database: &'static str,
    /// For each of [`SIZES`]: where requests came from, the size of an answer, and the highest rate.
    sources: Vec<Source>,
    sizes: Vec<usize>,
    closed: Vec<Closed>,
    /// Times at half the highest rate, and at the rate of the goal if it is reached.
    half: Vec<Duration>,
    goal: Option<Vec<Duration>>,
}

async fn measure(
    bench: &Bench,
    database: &'static str,
    cluster: Option<&Cluster>,
) -> anyhow::Result<Measured> {
    let url = cluster.map(Cluster::fresh_database).transpose()?;
    let start = Start {
        catalog_url: url.as_deref(),
        roles: None,
        ..Start::default()
    };
    let dir = bench.scratch.join(database);
    let server = Server::start(&bench.program, &dir, start).await?;
    let measured = measure_running(&server, database, cluster).await;
    let measured = measured.with_context(|| server.log_end())?;
    server.stop().await?;
    std::fs::remove_dir_all(dir)?;
    Ok(measured)
}

async fn measure_running(
    server: &Server,
    database: &'static str,
    cluster: Option<&Cluster>,
) -> anyhow::Result<Measured> {
    let mut roots = vec![server.pid()];
    if let Some(cluster) = cluster {
        roots.push(postmaster(cluster.port())?);
    }
    let meter = Meter { roots };
    let tokens = tokens(server).await?;
    let mut measured = Measured {
        database,
        sources: Vec::new(),
        sizes: Vec::new(),
        closed: Vec::new(),
        half: Vec::new(),
        goal: None,
    };
    let next = Arc::new(AtomicU64::new(0));
    for (assets, _) in SIZES {
        let templates: Vec<Template> = tokens
            .iter()
            .map(|token| Template::initiation(token, assets))
            .collect::<Result<_, _>>()?;
        let source = Source {
            address: server.api,
            templates: templates.into(),
            next: next.clone(),
        };
        measured.sizes.push(source.probe().await?);
        let closed = load::closed(&source, &meter, WARM, SPAN).await?;
        if assets == 1 {
            let highest = closed.per_second();
            if let Some(cluster) = cluster {
                // As in a server that has been up for a while, the log's files are used again: making
                // one, 16 MB of zeros, holds all commits up for some 25 ms.
                cluster.checkpoint()?;
            }
            measured.half = load::open(&source, highest / 2.0, SPAN).await?;
            if highest >= GOAL_PER_SECOND {
                measured.goal = Some(load::open(&source, GOAL_PER_SECOND, SPAN).await?);
            }
        }
        measured.closed.push(closed);
        measured.sources.push(source);
    }
    Ok(measured)
}

async fn tokens(server: &Server) -> anyhow::Result<Vec<String>> {
    let mut tokens = Vec::with_capacity(OWNERS);
    for first in (0..OWNERS).step_by(load::CONNECTIONS) {
        // At once, so that they share commits.
        let last = OWNERS.min(first + load::CONNECTIONS);
        let owners: Vec<String> = (first..last).map(|i| format!("owner-{i:04}")).collect();
        let minted = owners.iter().map(|owner| server.token(owner));
        for token in futures::future::join_all(minted).await {
            tokens.push(token?);
        }
    }
    Ok(tokens)
}

/// The same requests to the same HTTP server without a catalog.
async fn floor(source: &Source, size_bytes: usize) -> anyhow::Result<Closed> {
    let floor = Floor::constant(size_bytes).await?;
    let meter = Meter {
        roots: vec![floor.pid()],
    };
    let source = Source {
        address: floor.address,
        ..source.clone()
    };
    load::closed(
        &source,
        &meter,
        Duration::from_secs(1),
        Duration::from_secs(4),
    )
    .await
}

impl Measured {
    fn rows(mut self, floors: &[Closed], rows: &mut Vec<Row>) {
        let database = self.database;
        for (((_, size), closed), floor) in SIZES.iter().zip(&self.closed).zip(floors) {
            let name = |what: &str| format!("intake.{database}.{size}.{what}");
            let tree = |reading: &[u64], at: usize| reading.get(at).copied().unwrap_or(0);
            let us = |name: String, us: u64| Row::plain(name, closed.us_each(us), "us");
            let floor_us = floor.us_each(tree(&floor.used.trees, 0));
            rows.push(us(name("server_cpu"), tree(&closed.used.trees, 0)).against(FLOOR, floor_us));
            if let Some(postgres) = closed.used.trees.get(1) {
                rows.push(us(name("postgres_cpu"), *postgres));
            }
            rows.push(us(name("generator_cpu"), closed.used.own));
            rows.push(us(name("other_cpu"), closed.used.others()));
            let rate = Row::plain(name("highest_rate"), closed.per_second(), "1/s")
                .against(FLOOR, floor.per_second());
            rows.push(if *size == "one_asset" {
                rate.at_least(GOAL_PER_SECOND)
            } else {
                rate
            });
        }
        let at = |when: &str, q: &str| format!("intake.{database}.one_asset.{q}_at_{when}");
        let mut both = |when: &str, times: &mut [Duration]| {
            let (p50, p99) = (quantile_ms(times, 0.5), quantile_ms(times, 0.99));
            rows.push(Row::plain(at(when, "p50"), p50, "ms"));
            rows.push(Row::plain(at(when, "p99"), p99, "ms").below(GOAL_P99_MS));
        };
        both("half_highest_rate", &mut self.half);
        if let Some(times) = &mut self.goal {
            both("2000_per_second", times);
        }
    }
}
