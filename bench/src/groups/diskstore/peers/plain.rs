//! Requests to who takes all.

/// The head of a PUT.
pub fn put(key: &str, size_bytes: u64) -> String {
    format!("PUT /{key} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {size_bytes}\r\n\r\n")
}

/// The head of a GET; `extra` are further header lines.
pub fn get(key: &str, extra: &str) -> String {
    format!("GET /{key} HTTP/1.1\r\nhost: localhost\r\n{extra}\r\n")
}
