//! HTTP/1.1 as bytes on a socket, for what client libraries hide: interim responses, bodies that stop half way.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::Value;

use crate::http_rig::PATIENCE;

/// A connection.
pub struct Wire {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
    host: String,
}

/// A response, interim or final.
#[derive(Clone, Debug)]
pub struct Got {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Got {
    /// The value of a header; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value)
    }

    pub fn has(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(n, _)| n.eq_ignore_ascii_case(name))
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub fn offset(&self) -> usize {
        let value = self.header("upload-offset");
        value.parse().unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// This response, if it has this status.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

impl Wire {
    /// Connects to the host of this URL.
    pub fn open(url: &str) -> Self {
        let rest = url.strip_prefix("http://").unwrap();
        let host = rest.split('/').next().unwrap().to_owned();
        let stream = TcpStream::connect(&host).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        Self {
            stream,
            reader,
            host,
        }
    }

    /// Sends the head of a request to a URL or path.
    pub fn head(&mut self, method: &str, url: &str, headers: &[(&str, &str)]) {
        let path = url
            .strip_prefix("http://")
            .map_or(url, |rest| &rest[rest.find('/').unwrap()..]);
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.host);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        self.stream.write_all(head.as_bytes()).unwrap();
    }

    /// Sends bytes of a body; whether the server took them.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Breaks off. What was sent before arrives: closing at once could take back what is still on its way.
    pub fn cut(mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        let _ = self.reader.read_to_end(&mut Vec::new());
    }

    /// The next response, if the connection has one. One to HEAD has no body.
    pub fn next(&mut self, to_head: bool) -> Option<Got> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::ConnectionReset => return None,
            Err(e) => panic!("{e}"),
        }
        let status = line.split(' ').nth(1).and_then(|s| s.parse().ok());
        let status: u16 = status.unwrap_or_else(|| panic!("no response: {line:?}"));
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).unwrap();
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap();
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut got = Got {
            status,
            headers,
            body: Vec::new(),
        };
        if status >= 200 && status != 204 && !to_head {
            let length = got.header("content-length").parse().unwrap_or(0);
            got.body = vec![0; length];
            self.reader.read_exact(&mut got.body).unwrap();
        }
        Some(got)
    }

    /// The final response, with the interim ones before it.
    pub fn answer(&mut self) -> (Vec<Got>, Got) {
        let mut interim = Vec::new();
        loop {
            let got = self.next(false).expect("the server says nothing");
            if got.status >= 200 {
                return (interim, got);
            }
            interim.push(got);
        }
    }
}

/// A whole request; its final response.
pub fn ask(method: &str, url: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Got {
    let mut wire = Wire::open(url);
    let length = body.map(|b| b.len().to_string());
    let mut all = headers.to_vec();
    if let Some(length) = &length {
        all.push(("content-length", length));
    }
    wire.head(method, url, &all);
    wire.send(body.unwrap_or_default());
    if method == "HEAD" {
        return wire.next(true).expect("the server says nothing");
    }
    wire.answer().1
}
