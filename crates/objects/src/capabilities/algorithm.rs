//! The algorithms of `x-amz-checksum-…`.

use aws_sdk_s3::types::ChecksumAlgorithm as Wire;
use serde::{Deserialize, Serialize};

/// A checksum that S3 knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChecksumAlgorithm {
    /// CRC-32 as in Ethernet and zip.
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl ChecksumAlgorithm {
    /// As in records, and after `x-amz-checksum-` in headers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crc32 => "crc32",
            Self::Crc32c => "crc32c",
            Self::Crc64Nvme => "crc64nvme",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    pub(crate) fn wire(self) -> Wire {
        match self {
            Self::Crc32 => Wire::Crc32,
            Self::Crc32c => Wire::Crc32C,
            Self::Crc64Nvme => Wire::Crc64Nvme,
            Self::Sha1 => Wire::Sha1,
            Self::Sha256 => Wire::Sha256,
        }
    }
}
