//! What a store is opened with.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where the store lives and who may use it.
#[derive(Clone)]
pub struct Settings {
    /// The directory; made if it does not exist, refused if it holds anything
    /// else.
    pub root: PathBuf,
    /// The only access key that is known.
    pub access_key: String,
    /// The secret that requests with this access key are signed with.
    pub secret_key: String,
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
    /// Settings with the defaults: region `us-east-1`, no buckets, no least
    /// part size, 5 GiB a request, as Amazon S3 has, 60 s of patience.
    pub fn new(
        root: impl Into<PathBuf>,
        access_key: impl Into<String>,
        secret_key: impl Into<String>,
    ) -> Self {
        Self {
            root: root.into(),
            access_key: access_key.into(),
            secret_key: secret_key.into(),
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
            .field("region", &self.region)
            .field("buckets", &self.buckets)
            .field("min_part_bytes", &self.min_part_bytes)
            .field("max_put_bytes", &self.max_put_bytes)
            .field("body_idle", &self.body_idle)
            .finish_non_exhaustive()
    }
}
