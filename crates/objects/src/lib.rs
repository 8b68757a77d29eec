//! The object store as the server sees it, and the only client of S3.
//!
//! [`Objects`] presigns URLs for phones and does the server's own reads and writes. Keys are made
//! by [`keys`] and nowhere else. ETags are opaque: they are returned and sent back verbatim, quotes
//! included.
//!
//! Stores differ. What this one can do is known ([`Capabilities`]) before anything is asked of it:
//! [`Objects::probe_capabilities`] finds it out, and [`Objects::connect`] is told.

mod abort;
mod capabilities;
mod clock;
mod complete;
mod connect;
mod create_multipart;
mod delete;
mod error;
mod file_slice;
mod get;
mod head;
pub mod keys;
mod list;
mod list_parts;
mod list_uploads;
mod metadata;
mod presign;
mod probe;
mod put;
mod settings;
mod sha256;
mod upload_part;
mod url_encoded;

use std::sync::Arc;

pub use capabilities::{
    Assessment, BucketRule, Capabilities, ChecksumAlgorithm, Checksums, DuplicateComplete,
    Lifecycle, ProbeError, Probed, Support, Treatment, Verdict,
};
pub use complete::{CompleteError, Completed};
pub use error::{StoreError, StoreErrorKind};
pub use file_slice::FileSlice;
pub use get::{ObjectRead, ObjectStream};
pub use head::ObjectHead;
pub use keys::ObjectKey;
pub use list::{ListPage, Listed};
pub use list_parts::Part;
pub use list_uploads::{ListedUpload, UploadsPage};
pub use metadata::{Metadata, catalog_of, ownership, tenant_of};
pub use presign::{GetOptions, PresignError, Presigned, PutBinding};
pub use put::{PutCondition, PutOptions};
pub use settings::{SettingsError, StoreSettings};
pub use upload_part::Served;

/// A bucket of an S3 store. Cheap to clone; clones share connections and the signing key.
#[derive(Clone, Debug)]
pub struct Objects {
    inner: Arc<Inner>,
    /// What tells the store's time instead of its answers.
    told_by: Option<clock::ToldBy>,
}

#[derive(Debug)]
struct Inner {
    client: aws_sdk_s3::Client,
    bucket: String,
    region: String,
    complete_timeout: std::time::Duration,
    signer: presign::Signer,
    capabilities: Capabilities,
}
