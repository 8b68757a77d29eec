//! What a store can do, as far as Safelight cares: stores that speak S3 differ.
//!
//! [`Capabilities`] are data. They are found out by [`Objects::probe_capabilities`](crate::Objects::probe_capabilities),
//! recorded by whoever runs the probe, and handed to [`Objects::connect`](crate::Objects::connect),
//! which plans by them (`plan.rs`). `assess.rs` says what they mean to an operator.

mod algorithm;
mod assess;
mod embedded;
mod judge;
mod known;
mod plan;
mod probe;
mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use algorithm::ChecksumAlgorithm;
pub use assess::{Assessment, Verdict};
pub use probe::{ProbeError, Probed};

/// What a store can do. What is missing in a record of another version is unknown, and nothing is
/// built on what is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// What it does with a length that is signed into a presigned URL.
    pub signed_length: Treatment,
    /// What it does with a checksum that comes with a whole object.
    pub put_checksums: Checksums,
    /// What it does with a checksum that comes with a part of an upload whose checksum is one of the
    /// parts' checksums (`COMPOSITE`), from its beginning to a completed object.
    pub composite_checksums: Checksums,
    /// What it does with a checksum of the whole that comes with the completion of an upload in parts
    /// (`FULL_OBJECT`).
    pub full_object_checksums: Checksums,
    /// Whether its list of parts has their SHA-256.
    pub listed_sha256: Support,
    /// Whether an object that is stored again, the same bytes with the same SHA-256, keeps its ETag.
    pub repeat_keeps_etag: Support,
    /// What it does with `If-None-Match: *` on a presigned PUT.
    pub put_if_none_match: Treatment,
    /// What it does with `If-Match` on a PUT.
    pub put_if_match: Treatment,
    /// What it does with `If-None-Match: *` on a completion.
    pub complete_if_none_match: Treatment,
    /// What it does with `If-Match` on a read.
    pub get_if_match: Treatment,
    /// The least size of a part but the last that it was seen to take, in bytes.
    pub min_part_bytes: i64,
    /// Whether all parts but the last must be of one size.
    pub equal_parts: bool,
    /// What it answers to a completion that comes a second time.
    pub duplicate_complete: DuplicateComplete,
    /// Whether it copies objects by itself.
    pub copy: Support,
    /// Whether it keeps tags of objects.
    pub tagging: Support,
    /// Whether it tells others of what happens in a bucket.
    pub notifications: Support,
    /// Which browsers' requests the bucket allows (CORS).
    pub cors: BucketRule,
    /// What the bucket removes by itself.
    pub lifecycle: Lifecycle,
}

/// What a store does by checksum algorithm. An algorithm that is not there is unknown.
pub type Checksums = BTreeMap<ChecksumAlgorithm, Treatment>;

/// What a store does with something that it is asked to check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Treatment {
    /// It checks it, and refuses what does not hold.
    Enforced,
    /// It takes it, and does not check it.
    Ignored,
    /// It refuses the request also where it holds.
    Refused,
    /// Nobody has found out.
    #[default]
    Unknown,
}

impl Treatment {
    /// As in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforced => "enforced",
            Self::Ignored => "ignored",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether a store does something at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// Nobody has found out, or we may not ask.
    #[default]
    Unknown,
}

/// What a store answers to a completion that comes a second time, with the same parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateComplete {
    /// The same as the first time.
    Succeeds,
    /// That there is no such upload.
    NoSuchUpload,
    /// Another error; the object stands.
    Fails,
    /// Whatever it answers, the object is not what it was.
    Damages,
    /// Nobody has found out.
    #[default]
    Unknown,
}

/// A rule of a bucket that its owner sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BucketRule {
    /// There is one.
    Set,
    /// There could be one.
    Unset,
    /// The store has no such rules.
    Unsupported,
    /// Nobody has found out, or we may not ask.
    #[default]
    Unknown,
}

/// What a bucket removes by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lifecycle {
    /// Whether uploads that nobody completes are aborted.
    pub abort_incomplete: BucketRule,
    /// After how many days, where they are.
    pub abort_after_days: Option<i32>,
    /// Whether a rule removes objects that Safelight means to keep.
    pub removes_objects: bool,
}
