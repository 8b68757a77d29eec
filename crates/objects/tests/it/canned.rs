//! A store that gives prepared answers, one per request, and remembers what it was asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use safelight_objects::{Capabilities, Objects, StoreSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What to do with a request.
pub enum Answer {
    /// These bytes, then the connection is closed.
    Bytes(String),
    /// Nothing at all; the connection stays open.
    Silence,
}

/// Settings for a store at this address.
pub fn settings(endpoint: &str) -> StoreSettings {
    StoreSettings {
        endpoint: Some(endpoint.to_owned()),
        public_endpoint: None,
        region: "us-east-1".to_owned(),
        bucket: "safelight".to_owned(),
        access_key: "test-key".to_owned(),
        secret_key: "test-secret".to_owned(),
        path_style: true,
        request_timeout: Duration::from_secs(20),
        complete_timeout: Duration::from_secs(20),
    }
}

/// An answer with a status line, headers and a body.
pub fn answer(status: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    Answer::Bytes(format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    ))
}

/// S3's form of an error.
pub fn error_body(code: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
         <Message>told so</Message></Error>"
    )
}

/// The running store.
pub struct Canned {
    /// Its URL.
    pub endpoint: String,
    asked: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Canned {
    /// Starts a store that gives these answers in turn, the last one for ever.
    pub async fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let mut silent = Vec::new();
            for turn in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read_request(&mut stream).await;
                seen.lock().unwrap().push(request);
                match &answers[usize::min(turn, answers.len() - 1)] {
                    Answer::Bytes(bytes) => {
                        stream.write_all(bytes.as_bytes()).await.unwrap();
                        stream.shutdown().await.ok();
                    }
                    Answer::Silence => silent.push(stream),
                }
            }
        });
        Self {
            endpoint,
            asked,
            task,
        }
    }

    /// A client of this store.
    pub fn objects(&self) -> Objects {
        Objects::connect(settings(&self.endpoint), Capabilities::embedded()).unwrap()
    }

    /// The requests so far: heads and bodies.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut got = Vec::new();
    let mut block = [0_u8; 4096];
    loop {
        let text = String::from_utf8_lossy(&got).to_lowercase();
        if let Some(end) = text.find("\r\n\r\n") {
            let length = text
                .split("\r\ncontent-length: ")
                .nth(1)
                .and_then(|rest| rest.split("\r\n").next())
                .map_or(0, |n| n.parse::<usize>().unwrap());
            if got.len() >= end + 4 + length {
                return String::from_utf8_lossy(&got).into_owned();
            }
        }
        let count = stream.read(&mut block).await.unwrap();
        if count == 0 {
            return String::from_utf8_lossy(&got).into_owned();
        }
        got.extend_from_slice(&block[..count]);
    }
}
