//! What is known without a probe.

use super::{
    BucketRule, Capabilities, ChecksumAlgorithm, Checksums, DuplicateComplete, Lifecycle, Support,
    Treatment,
};

/// Every store that we know of takes parts of this size. Amazon S3 takes no smaller ones.
const USUAL_MIN_PART_BYTES: i64 = 5 << 20;

impl Default for Capabilities {
    fn default() -> Self {
        Self::unprobed()
    }
}

impl Capabilities {
    /// A store that was never probed: nothing is relied on, and nothing asked for that any store is
    /// known to refuse.
    #[must_use]
    pub fn unprobed() -> Self {
        Self {
            signed_length: Treatment::Unknown,
            put_checksums: Checksums::new(),
            composite_checksums: Checksums::new(),
            full_object_checksums: Checksums::new(),
            listed_sha256: Support::Unknown,
            repeat_keeps_etag: Support::Unknown,
            put_if_none_match: Treatment::Unknown,
            put_if_match: Treatment::Unknown,
            complete_if_none_match: Treatment::Unknown,
            get_if_match: Treatment::Unknown,
            min_part_bytes: USUAL_MIN_PART_BYTES,
            equal_parts: true,
            duplicate_complete: DuplicateComplete::Unknown,
            copy: Support::Unknown,
            tagging: Support::Unknown,
            notifications: Support::Unknown,
            cors: BucketRule::Unknown,
            lifecycle: Lifecycle::default(),
        }
    }

    /// The embedded store of this version. It comes with the program, so nobody need record this; a
    /// test holds it against a probe.
    #[must_use]
    pub fn embedded() -> Self {
        use ChecksumAlgorithm::{Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
        let enforced = |algorithms: &[ChecksumAlgorithm]| {
            algorithms
                .iter()
                .map(|algorithm| (*algorithm, Treatment::Enforced))
                .collect::<Checksums>()
        };
        Self {
            signed_length: Treatment::Enforced,
            put_checksums: enforced(&[Crc32, Crc32c, Crc64Nvme, Sha1, Sha256]),
            composite_checksums: enforced(&[Crc32, Crc32c, Sha1, Sha256]),
            full_object_checksums: enforced(&[Crc32, Crc32c, Crc64Nvme]),
            listed_sha256: Support::Yes,
            repeat_keeps_etag: Support::Yes,
            put_if_none_match: Treatment::Enforced,
            put_if_match: Treatment::Enforced,
            complete_if_none_match: Treatment::Enforced,
            get_if_match: Treatment::Enforced,
            min_part_bytes: 1,
            equal_parts: false,
            duplicate_complete: DuplicateComplete::Succeeds,
            copy: Support::Yes,
            tagging: Support::Yes,
            notifications: Support::Yes,
            cors: BucketRule::Unset,
            lifecycle: Lifecycle {
                abort_incomplete: BucketRule::Unset,
                ..Lifecycle::default()
            },
        }
    }
}
