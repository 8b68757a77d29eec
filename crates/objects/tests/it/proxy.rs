//! A network that fails: a TCP proxy that swallows answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A proxy in front of a store.
pub struct Proxy {
    /// Where it listens.
    pub endpoint: String,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct State {
    connections: AtomicUsize,
    to_swallow: AtomicUsize,
    swallowed: AtomicUsize,
}

impl Proxy {
    /// Starts a proxy in front of `store`.
    pub async fn start(store: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                let (phone, _) = listener.accept().await.unwrap();
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let shared = Arc::clone(&shared);
                tokio::spawn(async move { carry(phone, store, &shared).await });
            }
        });
        Self {
            endpoint,
            state,
            task,
        }
    }

    /// Lets the next `count` requests through to the store and cuts the connection when the
    /// answer comes.
    pub fn swallow_answers(&self, count: usize) {
        self.state.to_swallow.store(count, Ordering::SeqCst);
    }

    /// How many answers were swallowed.
    pub fn swallowed(&self) -> usize {
        self.state.swallowed.load(Ordering::SeqCst)
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(phone: TcpStream, store: SocketAddr, state: &State) {
    let Ok(upstream) = TcpStream::connect(store).await else {
        return;
    };
    let (mut from_phone, mut to_phone) = phone.into_split();
    let (mut from_store, mut to_store) = upstream.into_split();
    let requests = async { tokio::io::copy(&mut from_phone, &mut to_store).await };
    let answers = async {
        let mut block = vec![0_u8; 64 * 1024];
        loop {
            let count = from_store.read(&mut block).await.unwrap_or(0);
            let take_one = |left: usize| left.checked_sub(1);
            let swallow =
                state
                    .to_swallow
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take_one);
            if count > 0 && swallow.is_ok() {
                state.swallowed.fetch_add(1, Ordering::SeqCst);
                return;
            }
            if count == 0 || to_phone.write_all(&block[..count]).await.is_err() {
                return;
            }
        }
    };
    tokio::pin!(requests);
    tokio::select! {
        () = answers => {}
        _ = &mut requests => {}
    }
}
