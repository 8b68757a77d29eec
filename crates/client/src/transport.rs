//! How requests and bytes travel. The seam behind which a phone puts its own background transfer.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Method of an API request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes.
    Post,
    /// Removes.
    Delete,
}

/// A small request to the API.
#[derive(Clone, Debug)]
pub struct ApiRequest {
    /// The method.
    pub method: Method,
    /// Path and query, below the server's base URL.
    pub path: String,
    /// Headers, `authorization` among them.
    pub headers: Vec<(&'static str, String)>,
    /// A JSON body, sent byte for byte.
    pub body: Option<String>,
}

/// What is done with the bytes of a [`FilePut`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutMethod {
    /// They are all of the object or of its part.
    Put,
    /// They go on where an upload is.
    Patch,
}

/// A range of a file that goes to a presigned URL.
#[derive(Clone, Debug)]
pub struct FilePut {
    /// How.
    pub method: PutMethod,
    /// Where to.
    pub url: String,
    /// With exactly these headers, besides `content-length`.
    pub headers: Vec<(String, String)>,
    /// The file.
    pub path: PathBuf,
    /// Where the range begins.
    pub offset: u64,
    /// How long it is.
    pub size_bytes: u64,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The named time to wait, of a `Retry-After` in seconds.
    pub retry_after: Option<Duration>,
    /// Where an upload is that is appended to, of an `Upload-Offset` in bytes.
    pub upload_offset: Option<u64>,
    /// The body; cut at 4 MiB.
    pub body: Vec<u8>,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// No connection could be made.
    #[error("no connection: {0}")]
    Unreachable(String),
    /// The connection broke or stalled; whether the other side acted is unknown.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The file could not be read.
    #[error("the file cannot be read: {0}")]
    File(#[source] std::io::Error),
    /// The request cannot be made at all, for instance because the URL is none.
    #[error("the request is malformed: {0}")]
    Malformed(String),
}

/// Hears how many more bytes of a [`FilePut`] were handed to the network.
pub type OnSent = Arc<dyn Fn(u64) + Send + Sync>;

/// Carries requests and bytes.
#[async_trait::async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends a small request and reads the answer.
    async fn call(&self, request: ApiRequest) -> Result<Answer, TransportError>;

    /// Sends a range of a file, streamed from the disk with its exact length.
    async fn put(&self, put: FilePut, on_sent: OnSent) -> Result<Answer, TransportError>;

    /// Asks with `HEAD` how things stand at a presigned URL.
    async fn look(
        &self,
        url: &str,
        headers: &[(&'static str, &'static str)],
    ) -> Result<Answer, TransportError>;
}
