//! A stream of events, read as any client reads it.

use serde_json::Value;

use crate::http_rig::{Caller, PATIENCE};

/// A piece of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Piece {
    pub id: Option<String>,
    pub event: Option<String>,
    pub data: Option<Value>,
    pub comment: Option<String>,
    pub retry: Option<String>,
}

/// A stream that is read.
pub struct Stream {
    pub response: reqwest::Response,
    pub buffer: String,
    pub last_id: Option<String>,
}

impl Stream {
    pub async fn open(caller: &Caller, path: &str, last_id: Option<&str>) -> Self {
        let mut request = caller.request(reqwest::Method::GET, path);
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let response = request.timeout(4 * PATIENCE).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let mut stream = Self {
            response,
            buffer: String::new(),
            last_id: None,
        };
        let opening = stream.piece().await.unwrap();
        assert!(
            opening.retry.is_some() && opening.id.is_some(),
            "{opening:?}"
        );
        stream
    }

    /// The next piece of whatever kind; nothing at the end.
    pub async fn piece(&mut self) -> Option<Piece> {
        loop {
            if let Some((piece, rest)) = self.buffer.split_once("\n\n") {
                let piece = parse(piece);
                self.buffer = rest.to_owned();
                if piece.id.is_some() {
                    self.last_id.clone_from(&piece.id);
                }
                return Some(piece);
            }
            let more = tokio::time::timeout(PATIENCE, self.response.chunk());
            let more = more.await.unwrap().unwrap()?;
            self.buffer.push_str(std::str::from_utf8(&more).unwrap());
        }
    }

    /// The next that is no heartbeat.
    pub async fn next(&mut self) -> Piece {
        loop {
            let piece = self.piece().await.unwrap();
            if piece.data.is_some() {
                return piece;
            }
        }
    }

    /// The next event.
    pub async fn told(&mut self) -> Value {
        let piece = self.next().await;
        assert_eq!(piece.event, None, "{piece:?}");
        let told = piece.data.unwrap();
        assert_eq!(piece.id.as_deref(), told["position"].as_str());
        told
    }

    /// Events until one of this type, with it.
    pub async fn until(&mut self, last: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            all.push(self.told().await);
            if last(all.last().unwrap()) {
                return all;
            }
        }
    }

    /// Reads to the end; its last words.
    pub async fn end(mut self) -> Piece {
        let mut last = Piece::default();
        while let Some(piece) = self.piece().await {
            last = piece;
        }
        last
    }
}

fn parse(piece: &str) -> Piece {
    let mut parsed = Piece::default();
    for line in piece.lines() {
        let (field, value) = line.split_once(": ").unwrap();
        let value = value.to_owned();
        match field {
            "id" => parsed.id = Some(value),
            "event" => parsed.event = Some(value),
            "data" => parsed.data = Some(serde_json::from_str(&value).unwrap()),
            "retry" => parsed.retry = Some(value),
            "" => parsed.comment = Some(value),
            other => panic!("{other} in {piece:?}"),
        }
    }
    parsed
}
