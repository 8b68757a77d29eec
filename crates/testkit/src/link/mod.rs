//! A network as phones have it, in front of a server: slow, far, lossy, and cut off at any byte.
//!
//! Everything that happens by chance is drawn from one seed, per connection in the order in which they are made, so a
//! client that does the same again meets the same.

mod carry;
mod pacer;
mod requests;
mod weather;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use weather::Weather;

use pacer::Pacer;

/// What a connection's end of a slow link takes without passing it on.
const SLOW_BUFFER_BYTES: u32 = 64 << 10;
/// The largest segment that it asks for, as on Ethernet. Loopback's would have clients' systems buffer megabytes.
const SLOW_SEGMENT_BYTES: u32 = 1460;

/// A link on a free loopback port; it ends, with all it carries, when dropped.
#[derive(Debug)]
pub struct Link {
    port: u16,
    shared: Arc<Shared>,
    weather: watch::Sender<Weather>,
    _accepting: JoinSet<()>,
}

/// What a link has carried and done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Bytes that reached the server, duplicates not counted.
    pub up_bytes: u64,
    /// Bytes that reached clients.
    pub down_bytes: u64,
    /// Connections that were cut, the silent ones included.
    pub cuts: u64,
    /// Answers that were lost after the request was carried out.
    pub lost_answers: u64,
    /// Requests that arrived a second time.
    pub duplicates: u64,
}

/// What the connections of a link have in common.
#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    seed: u64,
    up: Arc<Pacer>,
    down: Arc<Pacer>,
    up_bytes: AtomicU64,
    down_bytes: AtomicU64,
    cuts: AtomicU64,
    lost_answers: AtomicU64,
    duplicates: AtomicU64,
    /// Requests that are to arrive once more, after so many others.
    later: Mutex<Vec<(u64, Vec<u8>)>>,
    /// The most that one connection has carried up.
    most_up_bytes: AtomicU64,
}

impl Link {
    /// Starts a link to `127.0.0.1:target`.
    ///
    /// # Errors
    /// No port is left.
    pub async fn start(target: u16, weather: Weather, seed: u64) -> std::io::Result<Self> {
        let (weather, _) = watch::channel(weather);
        let pacers = [Arc::new(Pacer::idle()), Arc::new(Pacer::idle())];
        Self::over(target, weather, seed, pacers)
    }

    /// Another way through the same link, to `127.0.0.1:target`: both share what the link moves, and how it behaves. What it
    /// carries counts apart.
    ///
    /// # Errors
    /// No port is left.
    #[allow(clippy::unused_async, reason = "needs a runtime, as its like does")]
    pub async fn beside(&self, target: u16) -> std::io::Result<Self> {
        let pacers = [self.shared.up.clone(), self.shared.down.clone()];
        let seed = self.shared.seed.wrapping_add(u64::from(self.port));
        Self::over(target, self.weather.clone(), seed, pacers)
    }

    fn over(
        target: u16,
        weather: watch::Sender<Weather>,
        seed: u64,
        [up, down]: [Arc<Pacer>; 2],
    ) -> std::io::Result<Self> {
        let listener = listen(&weather.borrow())?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            target: SocketAddr::from((Ipv4Addr::LOCALHOST, target)),
            seed,
            up,
            down,
            up_bytes: AtomicU64::new(0),
            down_bytes: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
            lost_answers: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            later: Mutex::default(),
            most_up_bytes: AtomicU64::new(0),
        });
        let watching = weather.subscribe();
        let mut accepting = JoinSet::new();
        let carried = shared.clone();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            let mut number = 0;
            while let Ok((client, _)) = listener.accept().await {
                number += 1;
                connections.spawn(carry::carry(
                    carried.clone(),
                    watching.clone(),
                    client,
                    number,
                ));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            port,
            shared,
            weather,
            _accepting: accepting,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes how it behaves, from now on; when a connection is to be cut was decided when it was made.
    pub fn change(&self, change: impl FnOnce(&mut Weather)) {
        self.weather.send_modify(change);
    }

    /// What reached the server over that connection of all over which most did, in bytes.
    #[must_use]
    pub fn most_up_bytes(&self) -> u64 {
        self.shared.most_up_bytes.load(Ordering::SeqCst)
    }

    /// What it has carried and done so far.
    #[must_use]
    pub fn carried(&self) -> Carried {
        let of = |count: &AtomicU64| count.load(Ordering::SeqCst);
        Carried {
            up_bytes: of(&self.shared.up_bytes),
            down_bytes: of(&self.shared.down_bytes),
            cuts: of(&self.shared.cuts),
            lost_answers: of(&self.shared.lost_answers),
            duplicates: of(&self.shared.duplicates),
        }
    }
}

/// Listens on a free port. Of a slow link clients are not to believe that it has taken more than a phone's own buffers
/// would.
fn listen(weather: &Weather) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    if weather.up_bits_per_s.is_some() {
        // The kernel takes twice as much as it is told.
        socket.set_recv_buffer_size(match weather.connection_bytes_under_way() {
            Some(bytes) => SLOW_BUFFER_BYTES.min(bytes),
            None => SLOW_BUFFER_BYTES,
        })?;
        SockRef::from(&socket).set_tcp_mss(SLOW_SEGMENT_BYTES)?;
    }
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    socket.listen(1024)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::Instant;

    use super::*;
    use crate::wait;

    const REQUEST: &[u8] = b"POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\nbody";
    const ANSWER: &[u8] = b"HTTP/1.1 204 \r\n\r\n";
    const PATIENCE: Duration = Duration::from_secs(30);

    /// A server that answers each request, and counts what it gets.
    struct Seen {
        port: u16,
        bytes: Arc<AtomicU64>,
    }

    async fn server() -> Seen {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = bytes.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let counted = counted.clone();
                tokio::spawn(async move {
                    let mut buffer = vec![0; 1 << 20];
                    let mut open = 0;
                    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                        counted.fetch_add(read as u64, Ordering::SeqCst);
                        open += read;
                        while open >= REQUEST.len() {
                            open -= REQUEST.len();
                            let _ = stream.write_all(ANSWER).await;
                        }
                    }
                });
            }
        });
        Seen { port, bytes }
    }

    async fn client(link: &Link) -> TcpStream {
        let address = (Ipv4Addr::LOCALHOST, link.port());
        TcpStream::connect(address).await.unwrap()
    }

    /// Sends a request; what comes of it, `None` if the connection ends instead.
    async fn ask(client: &mut TcpStream) -> Option<Vec<u8>> {
        client.write_all(REQUEST).await.ok()?;
        let mut answer = vec![0; ANSWER.len()];
        client.read_exact(&mut answer).await.ok()?;
        Some(answer)
    }

    #[tokio::test]
    async fn good_weather_changes_nothing() {
        let server = server().await;
        let link = Link::start(server.port, Weather::default(), 1)
            .await
            .unwrap();
        let mut client = client(&link).await;
        for _ in 0..3 {
            assert_eq!(ask(&mut client).await.unwrap(), ANSWER);
        }
        let carried = link.carried();
        assert_eq!(carried.up_bytes, 3 * REQUEST.len() as u64);
        assert_eq!(carried.down_bytes, 3 * ANSWER.len() as u64);
        assert_eq!((carried.cuts, carried.duplicates), (0, 0));
    }

    #[tokio::test]
    async fn a_connection_is_cut_at_its_byte() {
        let server = server().await;
        let weather = Weather {
            cut_after_bytes: Some(100_000..=100_000),
            ..Weather::default()
        };
        let link = Link::start(server.port, weather, 1).await.unwrap();
        let mut client = client(&link).await;
        // It does not take all of this, since it ends.
        let _ = client.write_all(&vec![0; 8 << 20]).await;
        let ended = client.read(&mut [0; 1]).await;
        assert!(!matches!(ended, Ok(1)), "{ended:?}");
        let all = wait::until(PATIENCE, async || {
            server.bytes.load(Ordering::SeqCst) == 100_000
        });
        all.await.unwrap();
        assert_eq!(link.carried().cuts, 1);
    }

    #[tokio::test]
    async fn of_a_silent_cut_nobody_hears() {
        let server = server().await;
        let weather = Weather {
            cut_after_bytes: Some(REQUEST.len() as u64..=REQUEST.len() as u64),
            silent_cuts: 1.0,
            ..Weather::default()
        };
        let link = Link::start(server.port, weather, 1).await.unwrap();
        let mut client = client(&link).await;
        let cut = wait::until(PATIENCE, async || {
            let _ = client.try_write(REQUEST);
            link.carried().cuts == 1
        });
        cut.await.unwrap();
        // There may be the answer to what came before. Then nothing, and no end.
        let mut buffer = [0; 1024];
        let nothing = async { while client.read(&mut buffer).await.unwrap() > 0 {} };
        let waited = tokio::time::timeout(Duration::from_millis(200), nothing).await;
        assert!(waited.is_err(), "the connection ended");
    }

    #[tokio::test]
    async fn an_answer_is_lost_after_the_request_was_carried_out() {
        let server = server().await;
        let weather = Weather {
            lost_answers: 1.0,
            ..Weather::default()
        };
        let link = Link::start(server.port, weather, 1).await.unwrap();
        assert_eq!(ask(&mut client(&link).await).await, None);
        assert_eq!(server.bytes.load(Ordering::SeqCst), REQUEST.len() as u64);
        assert_eq!(link.carried().lost_answers, 1);
        link.change(|weather| weather.lost_answers = 0.0);
        assert!(ask(&mut client(&link).await).await.is_some());
    }

    #[tokio::test]
    async fn requests_arrive_a_second_time() {
        let server = server().await;
        let weather = Weather {
            duplicates: 1.0,
            ..Weather::default()
        };
        let link = Link::start(server.port, weather, 1).await.unwrap();
        let mut client = client(&link).await;
        for _ in 0..20 {
            assert!(ask(&mut client).await.is_some());
        }
        // The last few are still to come.
        let more = wait::until(PATIENCE, async || {
            let seen = server.bytes.load(Ordering::SeqCst) / REQUEST.len() as u64;
            link.carried().duplicates >= 15 && seen >= 35
        });
        more.await.unwrap();
    }

    #[tokio::test]
    async fn what_is_slow_and_far_takes_its_time_and_an_outage_as_long_as_it_lasts() {
        let server = server().await;
        let weather = Weather {
            up_bits_per_s: Some(8_000_000),
            round_trip: Duration::from_millis(100),
            ..Weather::default()
        };
        let link = Link::start(server.port, weather, 1).await.unwrap();
        let mut client = client(&link).await;
        let began = Instant::now();
        assert!(ask(&mut client).await.is_some());
        assert!(
            began.elapsed() >= Duration::from_millis(200),
            "the handshake counts"
        );
        let began = Instant::now();
        let two = [REQUEST; 4].concat().repeat(1000);
        client.write_all(&two).await.unwrap();
        let all = wait::until(PATIENCE, async || {
            link.carried().up_bytes == (two.len() + REQUEST.len()) as u64
        });
        all.await.unwrap();
        let least = Duration::from_secs_f64(two.len() as f64 / 1_000_000.0);
        assert!(began.elapsed() >= least, "{:?}", began.elapsed());

        link.change(|weather| {
            *weather = Weather {
                is_out: true,
                ..Weather::default()
            }
        });
        let mut other = self::client(&link).await;
        let waited = tokio::time::timeout(Duration::from_millis(100), ask(&mut other)).await;
        assert!(waited.is_err());
        link.change(|weather| weather.is_out = false);
        let mut answer = vec![0; ANSWER.len()];
        other.read_exact(&mut answer).await.unwrap();
    }

    #[tokio::test]
    async fn two_ways_through_one_link_share_it() {
        let (one, other) = (server().await, server().await);
        let weather = Weather {
            up_bits_per_s: Some(8_000_000),
            ..Weather::default()
        };
        let link = Link::start(one.port, weather, 1).await.unwrap();
        let beside = link.beside(other.port).await.unwrap();
        let began = Instant::now();
        let bytes = REQUEST.repeat(4000);
        let (mut a, mut b) = (client(&link).await, client(&beside).await);
        let (first, second) = tokio::join!(a.write_all(&bytes), b.write_all(&bytes));
        assert!(first.is_ok() && second.is_ok());
        let all = wait::until(PATIENCE, async || {
            let there = |link: &Link| link.carried().up_bytes == bytes.len() as u64;
            there(&link) && there(&beside)
        });
        all.await.unwrap();
        let least = Duration::from_secs_f64(2.0 * bytes.len() as f64 / 1_000_000.0);
        assert!(began.elapsed() >= least, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn the_same_seed_cuts_at_the_same_bytes() {
        let mut seen = Vec::new();
        for seed in [1, 1, 2] {
            let server = server().await;
            let weather = Weather {
                cut_after_bytes: Some(1000..=1_000_000),
                ..Weather::default()
            };
            let link = Link::start(server.port, weather, seed).await.unwrap();
            for number in 1..=4 {
                let mut client = client(&link).await;
                let _ = client.write_all(&vec![0; 4 << 20]).await;
                let cut = wait::until(PATIENCE, async || link.carried().cuts == number);
                cut.await.unwrap();
            }
            seen.push(link.carried().up_bytes);
        }
        assert_eq!(seen[0], seen[1]);
        assert_ne!(seen[0], seen[2]);
    }
}
