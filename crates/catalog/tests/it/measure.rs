use crate::fixture::Fixture;
use crate::samples::*;
use safelight_catalog::*;
use safelight_testkit::postgres::{Cluster, Durability};
use std::time::Instant;

fn ticks(pid: &str) -> f64 {
    let s = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let Some(r) = s.rsplit_once(')') else {
        return 0.0;
    };
    let v: Vec<&str> = r.1.split_whitespace().collect();
    (v[11].parse::<f64>().unwrap() + v[12].parse::<f64>().unwrap()) * 10_000.0
}

async fn run(name: &str, url: &str, f: &Fixture) {
    let mut s = CatalogSettings::for_url(url);
    s.connections = 4;
    let catalog = Catalog::open(s).await.unwrap();
    for size in [64_usize, 37, 8, 1] {
        let n = if size == 1 {
            300
        } else {
            12_800 / size.max(16)
        };
        let batches: Vec<Vec<_>> = (0..n)
            .map(|b| {
                (0..size)
                    .map(|i| {
                        let mut c = hashed(
                            f,
                            &format!("o{}", (b * 7 + i) % 300),
                            &format!("{size}-{b}-{i}"),
                            &hash((b * size + i) as u64 + 1_000_000 * size as u64),
                        );
                        c.idempotency_key = safelight_model::ids::public_id(&*f.entropy);
                        c
                    })
                    .collect()
            })
            .collect();
        let (t, c0) = (Instant::now(), ticks("self"));
        let mut times = Vec::new();
        for b in &batches {
            let t = Instant::now();
            make(&catalog, b).await.unwrap();
            times.push(t.elapsed().as_micros());
        }
        let el = t.elapsed().as_micros() as f64;
        let total = (n * size) as f64;
        times.sort();
        eprintln!(
            "{name} batch {size}: {:.0} us wall/each, {:.0} us own CPU/each, batch p50 {} p90 {} p99 {} max {}",
            el / total,
            (ticks("self") - c0) / total,
            times[times.len() / 2],
            times[times.len() * 9 / 10],
            times[times.len() * 99 / 100],
            times.last().unwrap()
        );
    }
    catalog.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn measure() {
    if std::env::var("MEASURE").is_err() {
        return;
    }
    let f = Fixture::open(Backend::Sqlite).await;
    let dir = tempfile::tempdir_in("/work").unwrap();
    run(
        "sqlite",
        &format!("sqlite://{}/catalog.db", dir.path().display()),
        &f,
    )
    .await;
    let cluster = Cluster::start(Durability::Durable).unwrap();
    let url = cluster.fresh_database().unwrap();
    let pg = || {
        let mut sum = 0.0;
        for e in std::fs::read_dir("/proc").unwrap().flatten() {
            let n = e.file_name().to_string_lossy().to_string();
            if n.bytes().all(|b| b.is_ascii_digit())
                && std::fs::read_to_string(format!("/proc/{n}/comm"))
                    .unwrap_or_default()
                    .starts_with("postgres")
            {
                sum += ticks(&n);
            }
        }
        sum
    };
    let c = pg();
    run("postgres", &url, &f).await;
    eprintln!(
        "all postgres CPU {:.0} us over {} initiations",
        pg() - c,
        12_800 + 37 * (12_800 / 37) + 8 * 800 + 300
    );
}
