//! Where requests begin and end in what a client sends.

/// The most of a request that is kept, so that it can be sent once more.
const KEPT_BYTES: usize = 64 << 10;
/// A head longer than this is none.
const HEAD_BYTES: usize = 64 << 10;

/// A request that was sent to its end.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// All of it, if it is small.
    pub bytes: Option<Vec<u8>>,
}

/// Follows one connection's HTTP/1.1 requests. What it does not understand it lets pass, and finds no more requests.
#[derive(Debug)]
pub(super) struct Requests {
    state: State,
    /// Of the request that is under way.
    kept: Option<Vec<u8>>,
    head: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    Body { left: u64 },
    Lost,
}

impl Requests {
    pub(super) fn begin() -> Self {
        Self {
            state: State::Head,
            kept: Some(Vec::new()),
            head: Vec::new(),
        }
    }

    /// How many of these bytes belong to the request that is under way, and that request if they end it.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (usize, Option<Request>) {
        let taken = match self.state {
            State::Lost => return (bytes.len(), None),
            State::Head => self.take_head(bytes),
            State::Body { left } => {
                let taken = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                self.state = State::Body {
                    left: left - taken as u64,
                };
                taken
            }
        };
        self.keep(bytes.get(..taken).unwrap_or_default());
        if self.state == (State::Body { left: 0 }) {
            self.state = State::Head;
            self.head.clear();
            let bytes = self.kept.replace(Vec::new());
            return (taken, Some(Request { bytes }));
        }
        (taken, None)
    }

    fn take_head(&mut self, bytes: &[u8]) -> usize {
        let before = self.head.len();
        self.head.extend_from_slice(bytes);
        let end = self.head.windows(4).position(|w| w == b"\r\n\r\n");
        let Some(end) = end.map(|at| at + 4) else {
            if self.head.len() > HEAD_BYTES {
                self.state = State::Lost;
            }
            return bytes.len();
        };
        self.head.truncate(end);
        self.state = match body_bytes(&self.head) {
            Some(left) => State::Body { left },
            None => State::Lost,
        };
        end - before
    }

    fn keep(&mut self, bytes: &[u8]) {
        match &mut self.kept {
            Some(kept) if kept.len() + bytes.len() <= KEPT_BYTES => kept.extend_from_slice(bytes),
            kept => *kept = None,
        }
    }
}

/// How long the body is; `None` if that cannot be known.
fn body_bytes(head: &[u8]) -> Option<u64> {
    let head = std::str::from_utf8(head).ok()?;
    let mut length = 0;
    for (name, value) in head.split("\r\n").filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return None;
        }
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_found_however_they_are_cut() {
        let first = b"POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello".to_vec();
        let second = b"GET /b HTTP/1.1\r\nhost: x\r\n\r\n".to_vec();
        let all = [first.clone(), second.clone()].concat();
        for step in 1..all.len() {
            let mut requests = Requests::begin();
            let mut found = Vec::new();
            for mut chunk in all.chunks(step) {
                while !chunk.is_empty() {
                    let (taken, request) = requests.take(chunk);
                    found.extend(request.and_then(|r| r.bytes));
                    chunk = &chunk[taken..];
                }
            }
            assert_eq!(found, [first.clone(), second.clone()], "in steps of {step}");
        }
    }

    #[test]
    fn a_large_request_is_found_and_not_kept() {
        let mut requests = Requests::begin();
        let head = format!("PUT /x HTTP/1.1\r\ncontent-length: {}\r\n\r\n", 1 << 20);
        assert_eq!(requests.take(head.as_bytes()), (head.len(), None));
        let body = vec![0; 1 << 20];
        let (taken, request) = requests.take(&body);
        assert_eq!((taken, request), (1 << 20, Some(Request { bytes: None })));
        let next = b"GET / HTTP/1.1\r\n\r\n";
        let (_, request) = requests.take(next);
        assert_eq!(request.unwrap().bytes.unwrap(), next);
    }

    #[test]
    fn what_is_not_understood_passes() {
        let mut requests = Requests::begin();
        let head = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
        let mut rest: &[u8] = head;
        while !rest.is_empty() {
            let (taken, request) = requests.take(rest);
            assert!(request.is_none());
            rest = &rest[taken..];
        }
    }
}
