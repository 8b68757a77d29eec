//! One connection through a link.

use std::collections::VecDeque;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use safelight_model::entropy::{self, SeededEntropy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::requests::Requests;
use super::{Shared, Weather};

/// The most that is carried at a time. Less on a slow link, so that connections share it evenly.
const MOST_BYTES: usize = 16 << 10;
/// How long a slow link is busy with what is carried at a time.
const SLICE: Duration = Duration::from_millis(20);
/// So many slices are on their way at once.
const ON_THEIR_WAY: usize = 1024;
/// A duplicate arrives after at most so many later requests.
const LATEST_DUPLICATE: f64 = 4.0;
/// How long a duplicate's answer is read for, which nobody waits for.
const UNREAD: Duration = Duration::from_secs(10);

/// Why a connection ended.
enum End {
    /// A side closed it.
    Closed,
    /// The link cut it.
    Cut,
    /// It cut it, and nobody heard.
    Silent,
}

/// What was decided for the requests of a connection.
#[derive(Default)]
struct Fates {
    /// Whether the answer is lost, for requests that were sent to their end and are not answered.
    lost: Mutex<VecDeque<bool>>,
}

/// Carries a connection until a side closes it or the link cuts it.
pub(super) async fn carry(
    shared: Arc<Shared>,
    weather: watch::Receiver<Weather>,
    client: TcpStream,
    number: u64,
) {
    // What a client sends at once waits for the handshake.
    let round_trip = weather.borrow().round_trip;
    wait_until(Instant::now() + round_trip).await;
    // A server that is down refuses; so does the link then, by closing.
    let Ok(server) = TcpStream::connect(shared.target).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    // Connections differ, and each is the same from run to run.
    let chance = SeededEntropy::new(shared.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    // Kept until the end: dropping one closes its way.
    let (from_client, mut to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let fates = Arc::new(Fates::default());
    let mut up = Up {
        shared: shared.clone(),
        weather: weather.clone(),
        chance,
        from: from_client,
        fates: fates.clone(),
        requests: Requests::begin(),
        own: super::Pacer::idle(),
    };
    let end = {
        let down = down(shared.clone(), weather, from_server, &mut to_client, fates);
        let up = up.carry(&mut to_server);
        tokio::select! {
            end = up => end,
            end = down => end,
        }
    };
    match end {
        End::Closed => {}
        End::Cut => {
            shared.cuts.fetch_add(1, Ordering::SeqCst);
        }
        End::Silent => {
            shared.cuts.fetch_add(1, Ordering::SeqCst);
            // What the client still sends goes nowhere, until it has had enough.
            let mut nowhere = vec![0; MOST_BYTES];
            while let Ok(1..) = up.from.read(&mut nowhere).await {}
        }
    }
}

/// The way to the server.
struct Up {
    shared: Arc<Shared>,
    weather: watch::Receiver<Weather>,
    chance: SeededEntropy,
    from: OwnedReadHalf,
    fates: Arc<Fates>,
    requests: Requests,
    own: super::Pacer,
}

impl Up {
    async fn carry(&mut self, to: &mut OwnedWriteHalf) -> End {
        let cut_at = self.draw_cut();
        let (sender, due) = mpsc::channel(ON_THEIR_WAY);
        let shared = self.shared.clone();
        let end = {
            let most = Some(&shared.most_up_bytes);
            let mut deliver = pin!(deliver(due, to, &shared.up_bytes, most));
            let mut read = pin!(self.read(sender, cut_at));
            let mut end = None;
            // What was read still arrives, so that a connection is cut exactly at its byte.
            loop {
                tokio::select! {
                    () = &mut deliver => break end.unwrap_or(End::Closed),
                    read = &mut read, if end.is_none() => end = Some(read),
                }
            }
        };
        if matches!(end, End::Closed) {
            // The client has said all, and may still wait for an answer.
            let _ = to.shutdown().await;
            std::future::pending::<()>().await;
        }
        end
    }

    async fn read(&mut self, sender: mpsc::Sender<(Instant, Vec<u8>)>, cut_at: Option<u64>) -> End {
        let mut carried: u64 = 0;
        let mut buffer = vec![0; MOST_BYTES];
        loop {
            let Some(weather) = wait_out(&mut self.weather).await else {
                return End::Closed;
            };
            let speed = slowest(weather.up_bits_per_s, weather.connection_bits_per_s());
            let mut most = slice_bytes(speed);
            if let Some(cut_at) = cut_at {
                let left = usize::try_from(cut_at - carried).unwrap_or(usize::MAX);
                most = most.min(left);
                if most == 0 {
                    let is_silent = entropy::fraction(&self.chance) < weather.silent_cuts;
                    return if is_silent { End::Silent } else { End::Cut };
                }
            }
            let bytes = buffer.get_mut(..most).unwrap_or_default();
            let Ok(read @ 1..) = self.from.read(bytes).await else {
                return End::Closed;
            };
            let bytes = bytes.get(..read).unwrap_or_default();
            carried += read as u64;
            self.note(bytes, &weather);
            let at = self.shared.up.sent_at(read, weather.up_bits_per_s);
            let own = self.own.sent_at(read, weather.connection_bits_per_s());
            let sent_at = at.max(own);
            wait_until(sent_at).await;
            let arrives = sent_at + weather.round_trip / 2;
            if sender.send((arrives, bytes.to_vec())).await.is_err() {
                return End::Closed;
            }
        }
    }

    /// Decides what becomes of the requests that end in these bytes.
    fn note(&mut self, mut bytes: &[u8], weather: &Weather) {
        while !bytes.is_empty() {
            let (taken, request) = self.requests.take(bytes);
            bytes = bytes.get(taken..).unwrap_or_default();
            let Some(request) = request else {
                continue;
            };
            let is_lost = entropy::fraction(&self.chance) < weather.lost_answers;
            lock(&self.fates.lost).push_back(is_lost);
            let doubled = entropy::fraction(&self.chance) < weather.duplicates;
            let after = (entropy::fraction(&self.chance) * LATEST_DUPLICATE) as u64;
            self.send_later(request.bytes.filter(|_| doubled).map(|b| (after, b)));
        }
    }

    /// Sends what was to come after this request, and keeps what is to come after later ones.
    fn send_later(&self, more: Option<(u64, Vec<u8>)>) {
        let mut later = lock(&self.shared.later);
        let mut kept = Vec::new();
        for (after, bytes) in later.drain(..) {
            match after.checked_sub(1) {
                Some(after) => kept.push((after, bytes)),
                None => {
                    tokio::spawn(duplicate(self.shared.clone(), bytes));
                }
            }
        }
        kept.extend(more);
        *later = kept;
    }

    fn draw_cut(&self) -> Option<u64> {
        let range = self.weather.borrow().cut_after_bytes.clone()?;
        let span = range.end().saturating_sub(*range.start()) as f64 + 1.0;
        Some(range.start() + (entropy::fraction(&self.chance) * span) as u64)
    }
}

/// The way back.
async fn down(
    shared: Arc<Shared>,
    mut weather: watch::Receiver<Weather>,
    mut from: OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    fates: Arc<Fates>,
) -> End {
    let (sender, due) = mpsc::channel(ON_THEIR_WAY);
    let own = super::Pacer::idle();
    let counts = shared.clone();
    let deliver = deliver(due, to, &counts.down_bytes, None);
    let read = async move {
        let mut buffer = vec![0; MOST_BYTES];
        loop {
            let Some(now) = wait_out(&mut weather).await else {
                return End::Closed;
            };
            let speed = slowest(now.down_bits_per_s, now.connection_bits_per_s());
            let bytes = buffer.get_mut(..slice_bytes(speed)).unwrap_or_default();
            let Ok(read @ 1..) = from.read(bytes).await else {
                // What is on its way still arrives; that it does ends the other half.
                drop(sender);
                return std::future::pending().await;
            };
            if lock(&fates.lost).pop_front() == Some(true) {
                shared.lost_answers.fetch_add(1, Ordering::SeqCst);
                return End::Cut;
            }
            let bytes = bytes.get(..read).unwrap_or_default();
            let at = shared.down.sent_at(read, now.down_bits_per_s);
            let sent_at = at.max(own.sent_at(read, now.connection_bits_per_s()));
            wait_until(sent_at).await;
            let arrives = sent_at + now.round_trip / 2;
            if sender.send((arrives, bytes.to_vec())).await.is_err() {
                return End::Closed;
            }
        }
    };
    tokio::select! {
        () = deliver => End::Closed,
        end = read => end,
    }
}

/// Writes what is on its way when it is due, until there is no more or the other side has gone.
async fn deliver(
    mut due: mpsc::Receiver<(Instant, Vec<u8>)>,
    to: &mut OwnedWriteHalf,
    count: &AtomicU64,
    most: Option<&AtomicU64>,
) {
    let mut delivered = 0;
    while let Some((at, bytes)) = due.recv().await {
        wait_until(at).await;
        if to.write_all(&bytes).await.is_err() {
            break;
        }
        count.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        delivered += bytes.len() as u64;
        if let Some(most) = most {
            most.fetch_max(delivered, Ordering::SeqCst);
        }
    }
}

/// Sends a request once more, as if the network had kept it. Nobody hears the answer.
async fn duplicate(shared: Arc<Shared>, bytes: Vec<u8>) -> io::Result<()> {
    let mut server = TcpStream::connect(shared.target).await?;
    server.write_all(&bytes).await?;
    shared.duplicates.fetch_add(1, Ordering::SeqCst);
    let mut nowhere = vec![0; MOST_BYTES];
    let read = async { while let Ok(1..) = server.read(&mut nowhere).await {} };
    let _ = timeout(UNREAD, read).await;
    Ok(())
}

/// Waits until something passes at all; `None` when the link is being dropped.
async fn wait_out(weather: &mut watch::Receiver<Weather>) -> Option<Weather> {
    let now = weather.wait_for(|now| !now.is_out).await;
    now.ok().map(|now| now.clone())
}

/// Waits until then. The timer would make what is due at once late.
async fn wait_until(at: Instant) {
    if at > Instant::now() {
        sleep_until(at).await;
    }
}

fn slowest(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

/// What is carried at a time at this speed.
fn slice_bytes(bits_per_s: Option<u64>) -> usize {
    let Some(bits_per_s) = bits_per_s else {
        return MOST_BYTES;
    };
    let bytes = bits_per_s as f64 / 8.0 * SLICE.as_secs_f64();
    (bytes as usize).clamp(512, MOST_BYTES)
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
