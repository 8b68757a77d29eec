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
use peers::Peer;
use work::{CLIENTS, Work};

/// How much of a process's memory may be in use at any moment, in MB.
const GOAL_MEMORY_MB: f64 = 64.0;
/// How many times the floor's processor time storing and reading may take.
const GOAL_CPU: f64 = 1.25;

/// Runs the group.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut results = Vec::new();
    for kind in peers::present() {
        println!("diskstore: {}", kind.name());
        begin_alike();
        let dir = bench.scratch.join(kind.name());
        std::fs::create_dir_all(&dir)?;
        let peer = Peer::start(kind, bench, &dir).await?;
        let measured = measure(&peer).await;
        results.push((kind, measured.with_context(|| kind.name())?));
        peer.stop().await?;
        std::fs::remove_dir_all(&dir)?;
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

/// What one peer did, in the order of [`Work::all`] and [`CLIENTS`].
type Cells = Vec<Option<Measured>>;

async fn measure(peer: &Peer) -> anyhow::Result<Cells> {
    let mut cells = Vec::new();
    let mut stored = work::Stored::default();
    for work in Work::all() {
        for clients in CLIENTS {
            cells.push(drive::drive(peer, work, clients, &mut stored).await?);
        }
    }
    Ok(cells)
}

fn rows(results: &[(peers::Kind, Cells)]) -> anyhow::Result<Vec<Row>> {
    let of = |kind: peers::Kind, cell: usize| {
        let found = results.iter().find(|(k, _)| *k == kind);
        found.and_then(|(_, cells)| cells.get(cell)?.as_ref())
    };
    let mut rows = Vec::new();
    let mut memory: f64 = 0.0;
    let mut cell = 0;
    for work in Work::all() {
        for clients in CLIENTS {
            let ours = of(peers::Kind::Safelight, cell).context("the store was not measured")?;
            let floor = of(peers::Kind::Floor, cell);
            let nginx = of(peers::Kind::Nginx, cell);
            let garage = of(peers::Kind::Garage, cell);
            let name = |what: &str| format!("diskstore.{}.{clients}_clients.{what}", work.name());
            memory = memory.max(ours.memory_mb);
            let (unit, per) = work.unit();
            let rate = |m: &Measured| m.rate(work);
            let plain = || Row::plain(name("rate"), rate(ours), unit);
            rows.push(match garage {
                Some(garage) => {
                    let peer = rate(garage);
                    plain()
                        .against(peers::Kind::Garage.text(), peer)
                        .at_least(peer)
                }
                None => plain(),
            });
            for (kind, other) in [(peers::Kind::Floor, floor), (peers::Kind::Nginx, nginx)] {
                if let Some(other) = other {
                    let name = name(&format!("rate_of_{}", kind.name()));
                    rows.push(Row::plain(name, rate(other), unit));
                }
            }
            let p99 = Row::plain(name("p99"), ours.p99_ms, "ms");
            rows.push(match garage.or(floor) {
                Some(other) if garage.is_some() => {
                    p99.against(peers::Kind::Garage.text(), other.p99_ms)
                }
                Some(other) => p99.against(peers::Kind::Floor.text(), other.p99_ms),
                None => p99,
            });
            let cpu = Row::plain(name("cpu"), ours.cpu(work), per);
            rows.push(match floor {
                Some(floor) => {
                    let peer = floor.cpu(work);
                    cpu.against(peers::Kind::Floor.text(), peer)
                        .at_most(peer * GOAL_CPU)
                }
                None => cpu,
            });
            for (kind, other) in [(peers::Kind::Nginx, nginx), (peers::Kind::Garage, garage)] {
                if let Some(other) = other {
                    let name = name(&format!("cpu_of_{}", kind.name()));
                    rows.push(Row::plain(name, other.cpu(work), per));
                }
            }
            cell += 1;
        }
    }
    rows.push(Row::plain("diskstore.memory_peak", memory, "MB").below(GOAL_MEMORY_MB));
    Ok(rows)
}
