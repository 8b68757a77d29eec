//! Stores an object that the server made itself.

use aws_sdk_s3::primitives::ByteStream;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use crc_fast::CrcAlgorithm;

use crate::{ChecksumAlgorithm, Metadata, ObjectKey, Objects, StoreError, sha256};

/// What is stored with the bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct PutOptions<'a> {
    /// The media type.
    pub content_type: Option<&'a str>,
    /// What the store answers reads with as `cache-control`.
    pub cache_control: Option<&'a str>,
    /// What the object says of itself.
    pub metadata: Option<&'a Metadata>,
    /// The bytes' SHA-256 in hex, if the caller has it already.
    pub sha256_hex: Option<&'a str>,
    /// What must stand under the key, where the store looks at that: [`PreconditionFailed`](crate::StoreErrorKind::PreconditionFailed) if it does not,
    /// and [`Conflict`](crate::StoreErrorKind::Conflict) if others write at this moment.
    pub condition: Option<PutCondition<'a>>,
}

/// What must stand under a key for something to be stored there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutCondition<'a> {
    /// Nothing.
    Absent,
    /// The object with this ETag.
    Is(&'a str),
}

const OPERATION: &str = "put object";

impl Objects {
    /// Stores `bytes` under `key`, replacing what was there, and returns the ETag. The store
    /// checks the bytes against the strongest checksum that it knows.
    ///
    /// # Errors
    /// [`StoreError`]. After an unavailable store the object may be there; storing it again is
    /// harmless.
    pub async fn put(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        options: PutOptions<'_>,
    ) -> Result<String, StoreError> {
        let algorithm = self.capabilities().own_put_checksum();
        let sum = match algorithm {
            Some(algorithm) => Some(sum(algorithm, &bytes, options.sha256_hex)?),
            None => None,
        };
        let sum_by = |of| sum.clone().filter(|_| algorithm == Some(of));
        let (if_none_match, if_match) = match options.condition {
            Some(PutCondition::Absent) if self.capabilities().puts_if_absent() => {
                (Some("*".to_owned()), None)
            }
            Some(PutCondition::Is(etag)) if self.capabilities().puts_if_same() => {
                (None, Some(etag.to_owned()))
            }
            _ => (None, None),
        };
        let metadata = options
            .metadata
            .map(|all| all.clone().into_iter().collect());
        let answer = self
            .inner
            .client
            .put_object()
            .bucket(&self.inner.bucket)
            .key(key.as_str())
            .set_content_type(options.content_type.map(str::to_owned))
            .set_cache_control(options.cache_control.map(str::to_owned))
            .set_metadata(metadata)
            .set_if_none_match(if_none_match)
            .set_if_match(if_match)
            .set_checksum_crc32(sum_by(ChecksumAlgorithm::Crc32))
            .set_checksum_crc32_c(sum_by(ChecksumAlgorithm::Crc32c))
            .set_checksum_crc64_nvme(sum_by(ChecksumAlgorithm::Crc64Nvme))
            .set_checksum_sha256(sum_by(ChecksumAlgorithm::Sha256))
            .body(ByteStream::from(bytes))
            .send()
            .await
            .map_err(|e| StoreError::of(OPERATION, e).of_bucket())?;
        answer
            .e_tag
            .filter(|etag| !etag.is_empty())
            .ok_or_else(|| StoreError::nonsense(OPERATION, "the answer has no ETag"))
    }
}

/// The bytes' checksum as S3 wants it: base64, of CRCs the most significant byte first.
fn sum(
    algorithm: ChecksumAlgorithm,
    bytes: &[u8],
    sha256_hex: Option<&str>,
) -> Result<String, StoreError> {
    let crc32 = |by| {
        let value = u32::try_from(crc_fast::checksum(by, bytes));
        value.map(|value| STANDARD.encode(value.to_be_bytes()))
    };
    let sum = match (algorithm, sha256_hex) {
        (ChecksumAlgorithm::Crc32, _) => crc32(CrcAlgorithm::Crc32IsoHdlc).ok(),
        (ChecksumAlgorithm::Crc32c, _) => crc32(CrcAlgorithm::Crc32Iscsi).ok(),
        (ChecksumAlgorithm::Crc64Nvme, _) => {
            let value = crc_fast::checksum(CrcAlgorithm::Crc64Nvme, bytes);
            Some(STANDARD.encode(value.to_be_bytes()))
        }
        (ChecksumAlgorithm::Sha256, Some(hash)) => sha256::base64_of_hex(hash),
        (ChecksumAlgorithm::Sha256, None) => Some(sha256::base64_of(bytes)),
        (ChecksumAlgorithm::Sha1, _) => {
            return Err(StoreError::unsendable(OPERATION, "no SHA-1 is sent"));
        }
    };
    sum.ok_or_else(|| StoreError::unsendable(OPERATION, "not a SHA-256 in hex"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_catalogues() {
        let of = |algorithm| sum(algorithm, b"123456789", None).unwrap();
        assert_eq!(of(ChecksumAlgorithm::Crc32), "y/Q5Jg==");
        assert_eq!(of(ChecksumAlgorithm::Crc32c), "4waSgw==");
        assert_eq!(of(ChecksumAlgorithm::Crc64Nvme), "rosUhgp5mIg=");
        let known = of(ChecksumAlgorithm::Sha256);
        assert_eq!(known, "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=");
        assert!(sum(ChecksumAlgorithm::Sha256, b"", Some("abc")).is_err());
    }
}
