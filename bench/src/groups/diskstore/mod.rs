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

/// How often the store and the floor are measured, in turn: a virtual machine's disk and memory cost half as much again
/// at one time as at another, and what is told is the middle of all.
const ROUNDS: usize = 3;

/// Runs the group.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let kinds = peers::present();
    let mut results: Vec<(Kind, Vec<Cell>)> = kinds.iter().map(|kind| (*kind, vec![])).collect();
    for round in 0..ROUNDS {
        let mut turn: Vec<_> = results.iter_mut().collect();
        if round % 2 == 1 {
            turn.reverse();
        }
        for (kind, cells) in turn {
            if round > 0 && !kind.is_measured_again() {
                continue;
            }
            println!("diskstore: {}", kind.name());
            begin_alike();
            let dir = bench.scratch.join(kind.name());
            std::fs::create_dir_all(&dir)?;
            let peer = Peer::start(*kind, bench, &dir).await?;
            let measured = measure(&peer, cells).await;
            measured.with_context(|| kind.name())?;
            peer.stop().await?;
            std::fs::remove_dir_all(&dir)?;
        }
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

/// What one peer did with one kind of work and number of clients, in each round; nothing if it cannot do it.
#[derive(Debug, Default)]
struct Cell(Vec<Measured>);

impl Cell {
    /// The middle of what the rounds say.
    fn middle(&self, what: impl Fn(&Measured) -> f64) -> f64 {
        let mut all: Vec<f64> = self.0.iter().map(what).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// Adds a round to the cells, which are in the order of [`Work::all`] and [`CLIENTS`].
async fn measure(peer: &Peer, cells: &mut Vec<Cell>) -> anyhow::Result<()> {
    let mut stored = work::Stored::default();
    let mut cell = 0;
    for work in Work::all() {
        for clients in CLIENTS {
            if cells.len() == cell {
                cells.push(Cell::default());
            }
            let measured = drive::drive(peer, work, clients, &mut stored).await?;
            if let (Some(cell), Some(measured)) = (cells.get_mut(cell), measured) {
                cell.0.push(measured);
            }
            cell += 1;
        }
    }
    Ok(())
}

fn rows(results: &[(Kind, Vec<Cell>)]) -> anyhow::Result<Vec<Row>> {
    let of = |kind: Kind, cell: usize| {
        let found = results.iter().find(|(k, _)| *k == kind);
        found
            .and_then(|(_, cells)| cells.get(cell))
            .filter(|cell| !cell.0.is_empty())
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
            memory = ours.0.iter().map(|m| m.memory_mb).fold(memory, f64::max);
            let (unit, per) = work.unit();
            let rate = |cell: &Cell| cell.middle(|m| m.rate(work));
            let cpu_of = |cell: &Cell| cell.middle(|m| m.cpu(work));
            let p99_of = |cell: &Cell| cell.middle(|m| m.p99_ms);
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
