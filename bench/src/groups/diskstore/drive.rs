//! Clients that do one kind of work, and what it took.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::Instant;

use super::body::Noise;
use super::peers::Peer;
use super::work::{Stored, Work};
use crate::cpu::Meter;
use crate::quantile::quantile_ms;
use crate::wire::Connection;

/// A page of 1,000 keys is longer than this.
const LEAST_PAGE_BYTES: u64 = 100_000;
/// No request of a slice begins later than this after its first.
const SLICE: Duration = Duration::from_millis(500);

/// What a number of clients did.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    requests: u64,
    span: Duration,
    cpu_us: u64,
    /// The slowest of a hundred.
    pub p99_ms: f64,
    /// Most memory in use at any moment, of the process that was started.
    pub memory_mb: f64,
}

impl Measured {
    /// How much was done in a second.
    pub fn rate(&self, work: Work) -> f64 {
        let each = match work.bytes() {
            0 => 1.0,
            bytes => bytes as f64 / 1e6,
        };
        self.requests as f64 * each / self.span.as_secs_f64()
    }

    /// Processor time per gigabyte, or per request where bytes are not what counts.
    pub fn cpu(&self, work: Work) -> f64 {
        let each = self.cpu_us as f64 / self.requests as f64;
        match work.bytes() {
            0 => each,
            bytes => each / 1e3 / (bytes as f64 / 1e9),
        }
    }
}

/// Lets each peer do the work with so many clients at once, in slices by turns: a virtual machine's disk and memory cost
/// twice at one time what they cost at another, so that only what is measured within a second of the other can be held
/// against it. What a peer does after it has answered counts too, if it is still at it in another's slice. `None` for
/// who cannot do it.
pub async fn drive(
    peers: &mut [(Peer, Stored)],
    work: Work,
    clients: usize,
) -> anyhow::Result<Vec<Option<Measured>>> {
    let noise = Noise::new();
    let mut runs = Vec::new();
    for (at, (peer, stored)) in peers.iter_mut().enumerate() {
        if work == Work::List && !peer.can_list() {
            continue;
        }
        runs.push((at, Run::begin(peer, work, clients, &noise, stored).await?));
    }
    let meter = Meter {
        roots: peers.iter().map(|(peer, _)| peer.pid()).collect(),
    };
    // Not counted: what a server does once, for its first requests of a kind.
    for (at, run) in &mut runs {
        run.slice(&peers[*at].0).await?;
        run.begin_counting();
    }
    // What earlier work left to be written is not to be waited for in this.
    rustix::fs::sync();
    for (peer, _) in peers.iter() {
        reset_memory(peer.pid())?;
    }
    let before = meter.read()?;
    for slice in 0..work.slices() {
        // Who comes first is also who comes last, so that neither has what the other has warmed.
        if slice % 2 == 0 {
            for (at, run) in &mut runs {
                run.slice(&peers[*at].0).await?;
            }
        } else {
            for (at, run) in runs.iter_mut().rev() {
                run.slice(&peers[*at].0).await?;
            }
        }
    }
    let used = meter.read()?.since(&before);
    let mut all: Vec<Option<Measured>> = peers.iter().map(|_| None).collect();
    for (at, run) in runs {
        let (peer, stored) = &mut peers[at];
        if let Work::Put(size) = work {
            *stored.of(size) += run.done;
        }
        let mut times = run.times;
        ensure!(!times.is_empty(), "nothing was done");
        all[at] = Some(Measured {
            requests: times.len() as u64,
            span: run.span,
            cpu_us: used.trees[at],
            p99_ms: quantile_ms(&mut times, 0.99),
            memory_mb: peak_memory_mb(peer.pid())?,
        });
    }
    Ok(all)
}

/// One peer's work, slice by slice.
struct Run<'a> {
    plan: Plan<'a>,
    connections: Vec<Connection>,
    /// Requests so far, those that do not count too.
    done: u64,
    times: Vec<Duration>,
    span: Duration,
}

impl<'a> Run<'a> {
    async fn begin(
        peer: &Peer,
        work: Work,
        clients: usize,
        noise: &'a Noise,
        stored: &mut Stored,
    ) -> anyhow::Result<Self> {
        let mut connections = Vec::new();
        for _ in 0..clients {
            connections.push(Connection::open(peer.address()).await?);
        }
        Ok(Self {
            plan: Plan::make(peer, work, clients, noise, stored).await?,
            connections,
            done: 0,
            times: Vec::new(),
            span: Duration::ZERO,
        })
    }

    async fn slice(&mut self, peer: &Peer) -> anyhow::Result<()> {
        let (plan, began) = (&self.plan, Instant::now());
        let end = self.done + plan.work.most() / (plan.work.slices() + 1);
        let running = self.connections.iter_mut();
        let running = running.map(|connection| client(peer, plan, connection, began, end));
        let times = futures::future::try_join_all(running).await?;
        self.span += began.elapsed();
        for times in times {
            self.done += times.len() as u64;
            self.times.extend(times);
        }
        // Those that found that all was taken took a number too.
        plan.next.store(self.done, Ordering::Relaxed);
        Ok(())
    }

    fn begin_counting(&mut self) {
        self.times.clear();
        self.span = Duration::ZERO;
    }
}

/// What all clients share.
struct Plan<'a> {
    work: Work,
    noise: &'a Noise,
    /// The number of the first object.
    first: u64,
    /// Objects to read, or requests to make at most.
    count: u64,
    /// The next request.
    next: AtomicU64,
    /// For writes to who checks them.
    hashes: Vec<String>,
    /// The store's ids of the uploads that parts belong to.
    uploads: Vec<String>,
}

impl<'a> Plan<'a> {
    async fn make(
        peer: &Peer,
        work: Work,
        clients: usize,
        noise: &'a Noise,
        stored: &mut Stored,
    ) -> anyhow::Result<Self> {
        let mut plan = Self {
            work,
            noise,
            first: 0,
            count: work.most(),
            next: AtomicU64::new(0),
            hashes: Vec::new(),
            uploads: Vec::new(),
        };
        match work {
            Work::Put(size) => plan.first = *stored.of(size),
            // Parts of one run are not those of another.
            Work::Parts => plan.first = work.most() * clients as u64,
            Work::Get(size) => plan.count = (*stored.of(size)).min(size.read()),
            Work::GetRange => plan.count = *stored.of(super::work::Size::Large),
            Work::List => {}
        }
        if matches!(work, Work::Put(_) | Work::Parts) && peer.checks_hashes() {
            let numbers = plan.first..plan.first + plan.count;
            let hash = |number| noise.body(number, work.bytes()).sha256_hex();
            plan.hashes = numbers.map(hash).collect();
        }
        if work == Work::Parts {
            plan.uploads = peer.uploads(plan.first, plan.count).await?;
        }
        Ok(plan)
    }
}

/// Makes requests until the slice ends or all of it is taken, whose end is number `end`.
async fn client(
    peer: &Peer,
    plan: &Plan<'_>,
    connection: &mut Connection,
    began: Instant,
    end: u64,
) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::new();
    while began.elapsed() < SLICE {
        let turn = plan.next.fetch_add(1, Ordering::Relaxed);
        let number = match plan.work {
            Work::Put(_) | Work::Parts if turn >= end.min(plan.count) => break,
            Work::Put(_) | Work::Parts => plan.first + turn,
            Work::List => 0,
            _ => turn % plan.count,
        };
        let at = usize::try_from(turn)?;
        let hash = plan.hashes.get(at).map(String::as_str);
        let head = match plan.work {
            Work::Put(size) => peer.put(size, number, hash)?,
            Work::Parts => peer.put_part(&plan.uploads, number, turn, hash)?,
            Work::Get(size) => peer.get(size, number)?,
            Work::GetRange => peer.get_range(number)?,
            Work::List => peer.list()?,
        };
        let writes = matches!(plan.work, Work::Put(_) | Work::Parts);
        let body = writes.then(|| plan.noise.body(number, plan.work.bytes()));
        let mut request = vec![head.as_bytes()];
        request.extend(body.iter().flat_map(|body| body.pieces()));
        let from = Instant::now();
        let (status, length) = connection.exchange_large(&request).await?;
        times.push(from.elapsed());
        let is_whole = match plan.work {
            Work::Put(_) | Work::Parts => true,
            Work::Get(_) | Work::GetRange => length == plan.work.bytes(),
            Work::List => length >= LEAST_PAGE_BYTES,
        };
        ensure!(
            (200..=206).contains(&status) && is_whole,
            "answered {status} with {length} bytes"
        );
    }
    Ok(times)
}

/// Forgets the peak: proc(5), `clear_refs`.
fn reset_memory(pid: u32) -> anyhow::Result<()> {
    std::fs::write(proc(pid, "clear_refs"), "5").context("clear_refs")
}

fn peak_memory_mb(pid: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(proc(pid, "status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kb: f64 = line
        .and_then(|l| l.split_whitespace().next())
        .context("no VmHWM")?
        .parse()?;
    Ok(kb * 1024.0 / 1e6)
}

fn proc(pid: u32, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{file}"))
}
