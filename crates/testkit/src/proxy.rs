//! A TCP proxy that sees HTTP/1.1 requests pass, and can hold up them or their answers.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// A request that was passed on.
#[derive(Clone, Debug)]
pub struct Passed {
    /// Method, path and version: `POST /v1/captures HTTP/1.1`.
    pub line: String,
    answered: Arc<AtomicBool>,
}

impl Passed {
    /// Whether anything of its answer has come back.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.answered.load(Ordering::SeqCst)
    }
}

/// Told of every request, right after its first bytes went on to the server.
pub type Hook = Arc<dyn Fn(Passed) + Send + Sync>;

/// A proxy on a free loopback port; it ends when dropped. Each request is expected to begin a
/// packet of its own, as those of clients that wait for answers do.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    held: watch::Sender<Option<String>>,
    withheld: watch::Sender<Option<[String; 2]>>,
    waiting: Arc<Notify>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy in front of `127.0.0.1:target`.
    ///
    /// # Errors
    /// No port is left.
    pub async fn start(target: u16, hook: Hook) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let (held, holding) = watch::channel(None);
        let (withheld, withholding) = watch::channel(None);
        let waiting = Arc::new(Notify::new());
        let line = Line {
            target: SocketAddr::from((Ipv4Addr::LOCALHOST, target)),
            hook,
            holding,
            withholding,
            waiting: waiting.clone(),
        };
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(line.clone().carry(client));
            }
        });
        Ok(Self {
            port,
            held,
            withheld,
            waiting,
            accepting,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Holds requests whose line begins with `start`, until [`Proxy::release`].
    pub fn hold(&self, start: &str) {
        self.held.send_replace(Some(start.to_owned()));
    }

    /// Withholds the answers to requests whose line begins with `start` and has `inside` in it: they
    /// are carried out, and nobody hears of it until [`Proxy::release`].
    pub fn withhold(&self, start: &str, inside: &str) {
        self.withheld
            .send_replace(Some([start.to_owned(), inside.to_owned()]));
    }

    /// Waits until a request or an answer is held.
    pub async fn holds(&self) {
        self.waiting.notified().await;
    }

    /// Lets what is held go on.
    pub fn release(&self) {
        self.held.send_replace(None);
        self.withheld.send_replace(None);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[derive(Clone)]
struct Line {
    target: SocketAddr,
    hook: Hook,
    holding: watch::Receiver<Option<String>>,
    withholding: watch::Receiver<Option<[String; 2]>>,
    waiting: Arc<Notify>,
}

impl Line {
    /// Carries one connection until either side closes it.
    async fn carry(mut self, client: TcpStream) {
        // A server that is down refuses; so does the proxy then, by closing.
        let Ok(server) = TcpStream::connect(self.target).await else {
            return;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let current: Arc<std::sync::Mutex<Option<Passed>>> = Arc::default();
        let answering = current.clone();
        let mut answers = self.clone();
        let back = async move {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(n @ 1..) = from_server.read(&mut buffer).await {
                if let Some(passed) = answering.lock().ok().and_then(|mut c| c.take()) {
                    answers.wait_while_withheld(&passed.line).await;
                    passed.answered.store(true, Ordering::SeqCst);
                }
                if to_client.write_all(&buffer[..n]).await.is_err() {
                    break;
                }
            }
        };
        let forth = async move {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(n @ 1..) = from_client.read(&mut buffer).await {
                let bytes = &buffer[..n];
                let Some(line) = request_line(bytes) else {
                    if to_server.write_all(bytes).await.is_err() {
                        break;
                    }
                    continue;
                };
                let passed = Passed {
                    line,
                    answered: Arc::default(),
                };
                self.wait_while_held(&passed.line).await;
                if let Ok(mut current) = current.lock() {
                    *current = Some(passed.clone());
                }
                if to_server.write_all(bytes).await.is_err() {
                    break;
                }
                (self.hook)(passed);
            }
        };
        tokio::select! {
            () = back => {}
            () = forth => {}
        }
    }

    async fn wait_while_withheld(&mut self, line: &str) {
        let is_withheld = |withheld: &Option<[String; 2]>| {
            withheld
                .as_ref()
                .is_some_and(|[start, inside]| line.starts_with(start) && line.contains(inside))
        };
        if is_withheld(&self.withholding.borrow()) {
            self.waiting.notify_one();
            let withheld = self.withholding.wait_for(|of| !is_withheld(of));
            let _ = withheld.await;
        }
    }

    async fn wait_while_held(&mut self, line: &str) {
        let is_held =
            |held: &Option<String>| held.as_ref().is_some_and(|start| line.starts_with(start));
        if is_held(&self.holding.borrow()) {
            self.waiting.notify_one();
            let _ = self.holding.wait_for(|held| !is_held(held)).await;
        }
    }
}

/// The line of the request that begins with these bytes.
fn request_line(bytes: &[u8]) -> Option<String> {
    let end = bytes
        .windows(2)
        .take(4096)
        .position(|pair| pair == b"\r\n")?;
    let line = std::str::from_utf8(&bytes[..end]).ok()?;
    line.ends_with(" HTTP/1.1").then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn requests_are_seen_held_and_answered() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let target = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 1024];
            while let Ok(1..) = stream.read(&mut buffer).await {
                stream.write_all(b"HTTP/1.1 204 \r\n\r\n").await.unwrap();
            }
        });
        let seen: Arc<Mutex<Vec<Passed>>> = Arc::default();
        let noted = seen.clone();
        let hook: Hook = Arc::new(move |passed| noted.lock().unwrap().push(passed));
        let proxy = Proxy::start(target, hook).await.unwrap();
        proxy.hold("GET /held");
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port))
            .await
            .unwrap();
        let mut buffer = [0; 1024];
        client.write_all(b"GET /a HTTP/1.1\r\n\r\n").await.unwrap();
        assert!(client.read(&mut buffer).await.unwrap() > 0);
        client
            .write_all(b"GET /held HTTP/1.1\r\n\r\n")
            .await
            .unwrap();
        proxy.holds().await;
        assert_eq!(seen.lock().unwrap().len(), 1);
        proxy.release();
        assert!(client.read(&mut buffer).await.unwrap() > 0);
        proxy.withhold("POST /", "?uploadId=");
        client
            .write_all(b"POST /key?uploadId=1 HTTP/1.1\r\n\r\n")
            .await
            .unwrap();
        proxy.holds().await;
        let carried_out = seen.lock().unwrap().pop().unwrap();
        assert_eq!(carried_out.line, "POST /key?uploadId=1 HTTP/1.1");
        assert!(!carried_out.is_answered());
        proxy.release();
        assert!(client.read(&mut buffer).await.unwrap() > 0);
        assert!(carried_out.is_answered());
        let seen = seen.lock().unwrap();
        assert_eq!(seen[1].line, "GET /held HTTP/1.1");
        assert!(seen.iter().all(Passed::is_answered));
    }
}
