//! Load on one server: as fast as it answers, or on a fixed schedule.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::cpu::{Meter, Reading};
use crate::request::Template;
use crate::wire::Connection;

/// Connections, all kept open.
pub const CONNECTIONS: usize = 64;

/// What to send, and where.
#[derive(Clone)]
pub struct Source {
    /// The server.
    pub address: SocketAddr,
    /// One request per owner, used in turn.
    pub templates: Arc<[Template]>,
    /// The number of the next request; never used twice on one server.
    pub next: Arc<AtomicU64>,
}

impl Source {
    fn fill(&self, out: &mut Vec<u8>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let turn = usize::try_from(number).unwrap_or(0) % self.templates.len().max(1);
        if let Some(template) = self.templates.get(turn) {
            template.fill(number, out);
        }
    }

    /// Sends one and returns the size of the answer's body in bytes.
    pub async fn probe(&self) -> anyhow::Result<usize> {
        let mut request = Vec::new();
        self.fill(&mut request);
        let mut connection = Connection::open(self.address).await?;
        let answer = connection.exchange(&[&request]).await?;
        answer.expect(201)?;
        Ok(answer.body.len())
    }
}

/// What the server did when every connection always had a request under way.
pub struct Closed {
    /// Requests answered.
    pub answered: u64,
    /// In this time.
    pub span: Duration,
    /// Processor time used in it.
    pub used: Reading,
}

impl Closed {
    /// Answers a second.
    pub fn per_second(&self) -> f64 {
        self.answered as f64 / self.span.as_secs_f64()
    }

    /// Microseconds of processor time per answer, of so many in all.
    pub fn us_each(&self, us: u64) -> f64 {
        us as f64 / self.answered.max(1) as f64
    }
}

/// Keeps a request under way on every connection, and measures after `warm`, for `span`.
pub async fn closed(
    source: &Source,
    meter: &Meter,
    warm: Duration,
    span: Duration,
) -> anyhow::Result<Closed> {
    let answered = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let mut running = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (source, answered, stop) = (source.clone(), answered.clone(), stop.clone());
        running.spawn(async move {
            let mut connection = Connection::open(source.address).await?;
            let mut request = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                source.fill(&mut request);
                connection.exchange(&[&request]).await?.expect(201)?;
                answered.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    sleep(warm).await;
    let (before, began) = (meter.read()?, Instant::now());
    let from = answered.load(Ordering::Relaxed);
    sleep(span).await;
    let count = answered.load(Ordering::Relaxed) - from;
    let (span, after) = (began.elapsed(), meter.read()?);
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = running.join_next().await {
        ended?.context("a connection of the load")?;
    }
    Ok(Closed {
        answered: count,
        span,
        used: after.since(&before),
    })
}

/// Sends `per_second` requests a second, evenly spaced, whatever the server does, and returns how long
/// each took from the moment it was due. One that finds all connections busy waits, and its wait counts:
/// a stall is seen by every request that was due in it. The first second is not counted.
pub async fn open(
    source: &Source,
    per_second: f64,
    span: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let slots = (per_second * (span.as_secs_f64() + 1.0)) as u64;
    let counted_from = per_second as u64;
    let begin = Instant::now() + Duration::from_millis(50);
    let slot = Arc::new(AtomicU64::new(0));
    let mut running = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (source, slot) = (source.clone(), slot.clone());
        running.spawn(async move {
            let mut connection = Connection::open(source.address).await?;
            let (mut request, mut times) = (Vec::new(), Vec::new());
            loop {
                let at = slot.fetch_add(1, Ordering::Relaxed);
                if at >= slots {
                    return anyhow::Ok(times);
                }
                let due = begin + Duration::from_secs_f64(at as f64 / per_second);
                source.fill(&mut request);
                // The timer rounds up to the next millisecond; that counts as well.
                sleep_until(due).await;
                connection.exchange(&[&request]).await?.expect(201)?;
                if at >= counted_from {
                    times.push(due.elapsed());
                }
            }
        });
    }
    let mut times = Vec::new();
    while let Some(ended) = running.join_next().await {
        times.extend(ended?.context("a connection of the load")?);
    }
    Ok(times)
}
