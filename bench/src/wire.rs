//! A lean HTTP/1.1 client: requests are built by hand, answers are parsed no further than needed, so
//! that the generator leaves the machine to the server.

use std::io::IoSlice;
use std::net::SocketAddr;

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Room for what is read at once of a body that is not kept.
const LARGE_BYTES: usize = 256 << 10;

/// A connection that is kept open.
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// An answer, valid until the next request.
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
}

impl Answer<'_> {
    /// The body as JSON, if the status is the wanted one.
    pub fn json<T: serde::de::DeserializeOwned>(&self, wanted: u16) -> anyhow::Result<T> {
        self.expect(wanted)?;
        Ok(serde_json::from_slice(self.body)?)
    }

    /// Refuses every status but the wanted one.
    pub fn expect(&self, wanted: u16) -> anyhow::Result<()> {
        ensure!(
            self.status == wanted,
            "answered {}: {}",
            self.status,
            String::from_utf8_lossy(self.body)
        );
        Ok(())
    }
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: Vec::with_capacity(16 * 1024),
        })
    }

    /// Sends a whole request, given in pieces, and reads its answer.
    pub async fn exchange(&mut self, request: &[&[u8]]) -> anyhow::Result<Answer<'_>> {
        self.send(request).await?;
        let head = self.read_head().await?;
        let (status, length) = parse(&self.received[..head])?;
        while self.received.len() < head + length {
            self.read_more().await?;
        }
        Ok(Answer {
            status,
            body: &self.received[head..head + length],
        })
    }

    /// Sends a whole request and reads its answer without keeping the body: its status and how many bytes the
    /// body had. The beginning of a refusal's body is the error.
    pub async fn exchange_large(&mut self, request: &[&[u8]]) -> anyhow::Result<(u16, u64)> {
        self.send(request).await?;
        let head = self.read_head().await?;
        let (status, length) = parse(&self.received[..head])?;
        let mut left = (head + length).saturating_sub(self.received.len());
        if status >= 400 {
            let text = String::from_utf8_lossy(&self.received[head..]).into_owned();
            bail!("answered {status}: {text}");
        }
        while left > 0 {
            self.received.clear();
            self.received.reserve(LARGE_BYTES);
            self.read_more().await?;
            left = left.saturating_sub(self.received.len());
        }
        Ok((status, length as u64))
    }

    /// Sends a request whose answer has no body, and reads that: its status line and fields.
    pub async fn exchange_head(&mut self, request: &[u8]) -> anyhow::Result<String> {
        self.send(&[request]).await?;
        let head = self.read_head().await?;
        Ok(String::from_utf8_lossy(&self.received[..head]).into_owned())
    }

    async fn send(&mut self, pieces: &[&[u8]]) -> anyhow::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|p| IoSlice::new(p)).collect();
        let mut left = slices.as_mut_slice();
        // Skips leading pieces that are empty.
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            let written = self.stream.write_vectored(left).await?;
            ensure!(written > 0, "the server closed the connection");
            IoSlice::advance_slices(&mut left, written);
        }
        Ok(())
    }

    /// Reads until the head is whole; its length.
    async fn read_head(&mut self) -> anyhow::Result<usize> {
        self.received.clear();
        loop {
            let from = self.received.len().saturating_sub(3);
            self.read_more().await?;
            let fresh = self.received.get(from..).unwrap_or_default();
            if let Some(at) = fresh.windows(4).position(|w| w == b"\r\n\r\n") {
                return Ok(from + at + 4);
            }
        }
    }

    async fn read_more(&mut self) -> anyhow::Result<()> {
        if self.stream.read_buf(&mut self.received).await? == 0 {
            bail!("the server closed the connection");
        }
        Ok(())
    }
}

/// Status and body length of the head of an answer. Every answer that is asked for here has a length.
fn parse(head: &[u8]) -> anyhow::Result<(u16, usize)> {
    let head = std::str::from_utf8(head)?;
    let status: u16 = head.get(9..12).context("no status")?.parse()?;
    let length = head
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(Ok(0), |(_, value)| value.trim().parse())?;
    ensure!(
        length > 0 || !head.to_ascii_lowercase().contains("transfer-encoding"),
        "a chunked answer was not expected"
    );
    Ok((status, length))
}

/// The head of a request with a JSON body, up to the empty line.
pub fn head(method: &str, path: &str, token: &str, extra: &str, length: usize) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n{extra}\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_parsed() {
        let head = b"HTTP/1.1 201 Created\r\nContent-Length: 12\r\nx: y\r\n\r\n";
        assert_eq!(parse(head).unwrap(), (201, 12));
        assert_eq!(parse(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap(), (204, 0));
        assert!(parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(parse(b"HTTP\r\n\r\n").is_err());
    }

    #[tokio::test]
    async fn an_answer_may_come_in_pieces() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4];
            stream.read_exact(&mut request).await.unwrap();
            for piece in [
                "HTTP/1.1 200 OK\r\ncontent-len",
                "gth: 5\r\n\r",
                "\nab",
                "cde",
            ] {
                stream.write_all(piece.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
            }
            request
        });
        let mut connection = Connection::open(address).await.unwrap();
        let answer = connection.exchange(&[b"", b"ab", b"cd"]).await.unwrap();
        assert_eq!((answer.status, answer.body), (200, b"abcde".as_slice()));
        assert_eq!(&server.await.unwrap(), b"abcd");
    }
}
