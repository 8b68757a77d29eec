//! What a store is opened with.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::events::{EventTarget, Watch};
use crate::keys::AccessKey;

/// Where the store lives and who may use it.
#[derive(Clone)]
pub struct Settings {
    /// The directory; made if it does not exist, refused if it holds anything
    /// else.
    pub root: PathBuf,
    /// The store's own access key, which may do everything.
    pub access_key: String,
    /// The secret that requests with this access key are signed with.
    pub secret_key: String,
    /// Further keys, each with what it may do.
    pub keys: Vec<AccessKey>,
    /// Names of the store's host, without ports. A request to
    /// `bucket.name` is for that bucket, in the virtual-hosted style; where
    /// there are none every request names its bucket in the path.
    pub hosts: Vec<String>,
    /// Origins such as `https://app.example` whose pages may use buckets that
    /// have no CORS rules of their own. `*` stands for any text, once in each.
    pub cors_origins: Vec<String>,
    /// Who can be told of events, if a bucket's configuration asks for it.
    pub event_targets: Vec<EventTarget>,
    /// Who is told of everything that comes to or goes from a bucket, whatever the bucket's
    /// configuration says.
    pub watches: Vec<Watch>,
    /// The wait before an event is sent again that was not taken; it doubles
    /// each time, up to five minutes.
    pub event_retry: Duration,
    /// The region that `HeadBucket` reports. Signatures for any region hold.
    pub region: String,
    /// Buckets that exist once the store is open.
    pub buckets: Vec<String>,
    /// The least size of a part that is not the last, in bytes; 0 for none.
    /// Amazon S3 has 5 MiB.
    pub min_part_bytes: u64,
    /// The most that one PutObject or UploadPart may bring, in bytes.
    pub max_put_bytes: u64,
    /// A client that sends nothing of its body for this long is given up.
    pub body_idle: Duration,
}

impl Settings {
    /// Settings with the defaults: region `us-east-1`, no buckets, no other
    /// keys, hosts, origins or targets, no least part size, 5 GiB a request, as
    /// Amazon S3 has, 60 s of patience, 1 s before an event is sent again.
    pub fn new(
        root: impl Into<PathBuf>,
        access_key: impl Into<String>,
        secret_key: impl Into<String>,
    ) -> Self {
        Self {
            root: root.into(),
            access_key: access_key.into(),
            secret_key: secret_key.into(),
            keys: Vec::new(),
            hosts: Vec::new(),
            cors_origins: Vec::new(),
            event_targets: Vec::new(),
            watches: Vec::new(),
            event_retry: Duration::from_secs(1),
            region: "us-east-1".to_owned(),
            buckets: Vec::new(),
            min_part_bytes: 0,
            max_put_bytes: 5 << 30,
            body_idle: Duration::from_secs(60),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("root", &self.root)
            .field("access_key", &self.access_key)
            .field("keys", &self.keys)
            .field("hosts", &self.hosts)
            .field("cors_origins", &self.cors_origins)
            .field("event_targets", &self.event_targets)
            .field("event_retry", &self.event_retry)
            .field("region", &self.region)
            .field("buckets", &self.buckets)
            .field("min_part_bytes", &self.min_part_bytes)
            .field("max_put_bytes", &self.max_put_bytes)
            .field("body_idle", &self.body_idle)
            .finish_non_exhaustive()
    }
}
