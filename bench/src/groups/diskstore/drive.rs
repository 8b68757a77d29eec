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
/// No request begins later than this after the first.
const SPAN: Duration = Duration::from_secs(4);

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

/// Does the work with so many clients at once. `None` if this peer cannot do it.
pub async fn drive(
    peer: &Peer,
    work: Work,
    clients: usize,
    stored: &mut Stored,
) -> anyhow::Result<Option<Measured>> {
    if work == Work::List && !peer.can_list() {
        return Ok(None);
    }
    let noise = Noise::new();
    let plan = Plan::make(peer, work, clients, &noise, stored).await?;
    // What earlier work left to be written is not to be waited for in this.
    rustix::fs::sync();
    let meter = Meter {
        roots: vec![peer.pid()],
    };
    reset_memory(peer.pid())?;
    let (before, began) = (meter.read()?, Instant::now());
    let running = (0..clients).map(|_| client(peer, &plan, began));
    let times = futures::future::try_join_all(running).await?;
    let span = began.elapsed();
    let used = meter.read()?.since(&before);
    let mut times: Vec<Duration> = times.into_iter().flatten().collect();
    if let Work::Put(size) = work {
        *stored.of(size) += times.len() as u64;
    }
    ensure!(!times.is_empty(), "nothing was done");
    Ok(Some(Measured {
        requests: times.len() as u64,
        span,
        cpu_us: used.trees.iter().sum(),
        p99_ms: quantile_ms(&mut times, 0.99),
        memory_mb: peak_memory_mb(peer.pid())?,
    }))
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
            Work::Get(size) => plan.count = *stored.of(size),
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

async fn client(peer: &Peer, plan: &Plan<'_>, began: Instant) -> anyhow::Result<Vec<Duration>> {
    let mut connection = Connection::open(peer.address()).await?;
    let mut times = Vec::new();
    while began.elapsed() < SPAN {
        let turn = plan.next.fetch_add(1, Ordering::Relaxed);
        let number = match plan.work {
            Work::Put(_) | Work::Parts if turn >= plan.count => break,
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
