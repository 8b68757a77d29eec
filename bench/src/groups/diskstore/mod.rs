//! `diskstore`: what the embedded store costs and how fast it is, beside a floor, nginx's WebDAV for
//! reference and Garage if its program is there. Every write is durable when it is answered, but nginx's.

mod body;
mod drive;
mod peers;
mod work;

use anyhow::Context as _;

use crate::Bench;
use crate::row::Row;
use drive::Measured;
use peers::{Kind, Peer};
use work::{CLIENTS, Work};

/// How much of a process's memory may be in use at any moment, in MB.
const GOAL_MEMORY_MB: f64 = 64.0;
/// How many times the floor's processor time storing and reading may take.
const GOAL_CPU: f64 = 1.25;

/// Runs the group: the store and the floor side by side, the others after them, each by itself.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut results: Vec<(Kind, Vec<Option<Measured>>)> = Vec::new();
    let (pair, others): (Vec<Kind>, Vec<Kind>) = peers::present()
        .into_iter()
        .partition(|kind| kind.is_pair());
    let mut together = vec![pair];
    together.extend(others.into_iter().map(|kind| vec![kind]));
    for kinds in together {
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        println!("diskstore: {}", names.join(" and "));
        begin_alike();
        let mut peers = Vec::new();
        for kind in &kinds {
            let dir = bench.scratch.join(kind.name());
            std::fs::create_dir_all(&dir)?;
            let peer = Peer::start(*kind, bench, &dir).await?;
            peers.push((peer, work::Stored::default()));
        }
        let mut cells: Vec<Vec<Option<Measured>>> = vec![Vec::new(); kinds.len()];
        for work in Work::all() {
            for clients in CLIENTS {
                let measured = drive::drive(&mut peers, work, clients).await;
                let measured = measured.with_context(|| names.join(" and "))?;
                for (cells, measured) in cells.iter_mut().zip(measured) {
                    cells.push(measured);
                }
            }
        }
        for (kind, (peer, _)) in kinds.iter().zip(peers) {
            peer.stop().await?;
            std::fs::remove_dir_all(bench.scratch.join(kind.name()))?;
        }
        results.extend(kinds.into_iter().zip(cells));
    }
    rows(&results)
}

/// Empties the page cache. Whoever comes first would have to make room in one that is full, and who comes later find it
/// free, since what the one before wrote was removed.
fn begin_alike() {
    rustix::fs::sync();
    if let Err(error) = std::fs::write("/proc/sys/vm/drop_caches", "1") {
        println!(
            "diskstore: the page cache stays as it is, so the first may be at a disadvantage: {error}"
        );
    }
}

/// From what each did, in the order of [`Work::all`] and [`CLIENTS`]; nothing where one cannot do it.
fn rows(results: &[(Kind, Vec<Option<Measured>>)]) -> anyhow::Result<Vec<Row>> {
    let of = |kind: Kind, cell: usize| {
        let found = results.iter().find(|(k, _)| *k == kind);
        found.and_then(|(_, cells)| cells.get(cell)?.as_ref())
    };
    let mut rows = Vec::new();
    let mut memory: f64 = 0.0;
    let mut cell = 0;
    for work in Work::all() {
        for clients in CLIENTS {
            let ours = of(Kind::Safelight, cell).context("the store was not measured")?;
            let floor = of(Kind::Floor, cell);
            let nginx = of(Kind::Nginx, cell);
            let garage = of(Kind::Garage, cell);
            let name = |what: &str| format!("diskstore.{}.{clients}_clients.{what}", work.name());
            memory = memory.max(ours.memory_mb);
            let (unit, per) = work.unit();
            let rate = |measured: &Measured| measured.rate(work);
            let cpu_of = |measured: &Measured| measured.cpu(work);
            let p99_of = |measured: &Measured| measured.p99_ms;
            let plain = || Row::plain(name("rate"), rate(ours), unit);
            rows.push(match garage {
                Some(garage) => {
                    let peer = rate(garage);
                    plain().against(Kind::Garage.text(), peer).at_least(peer)
                }
                None => plain(),
            });
            for (kind, other) in [(Kind::Floor, floor), (Kind::Nginx, nginx)] {
                if let Some(other) = other {
                    let name = name(&format!("rate_of_{}", kind.name()));
                    rows.push(Row::plain(name, rate(other), unit));
                }
            }
            let p99 = Row::plain(name("p99"), p99_of(ours), "ms");
            rows.push(match garage.or(floor) {
                Some(other) if garage.is_some() => p99.against(Kind::Garage.text(), p99_of(other)),
                Some(other) => p99.against(Kind::Floor.text(), p99_of(other)),
                None => p99,
            });
            let cpu = Row::plain(name("cpu"), cpu_of(ours), per);
            rows.push(match floor {
                Some(floor) => {
                    let peer = cpu_of(floor);
                    cpu.against(Kind::Floor.text(), peer)
                        .at_most(peer * GOAL_CPU)
                }
                None => cpu,
            });
            for (kind, other) in [(Kind::Nginx, nginx), (Kind::Garage, garage)] {
                if let Some(other) = other {
                    let name = name(&format!("cpu_of_{}", kind.name()));
                    rows.push(Row::plain(name, cpu_of(other), per));
                }
            }
            cell += 1;
        }
    }
    rows.push(Row::plain("diskstore.memory_peak", memory, "MB").below(GOAL_MEMORY_MB));
    Ok(rows)
}
