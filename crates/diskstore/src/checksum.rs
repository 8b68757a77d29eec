//! Checksums, and how those of parts make that of an object.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::CrcAlgorithm;
use http::HeaderName;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Sha1, Sha256};
use s3s::dto::ChecksumType;
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};

/// The algorithms that S3 knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64nvme,
    Sha1,
    Sha256,
}

/// What the checksum of a multipart object is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Coverage {
    /// Its bytes.
    FullObject,
    /// The checksums of its parts.
    Composite,
}

impl Coverage {
    /// As S3 writes it.
    pub(crate) fn dto(self) -> ChecksumType {
        ChecksumType::from_static(match self {
            Self::FullObject => ChecksumType::FULL_OBJECT,
            Self::Composite => ChecksumType::COMPOSITE,
        })
    }

    /// The coverage with this name.
    pub(crate) fn parse(name: &ChecksumType) -> S3Result<Self> {
        match name.as_str() {
            ChecksumType::FULL_OBJECT => Ok(Self::FullObject),
            ChecksumType::COMPOSITE => Ok(Self::Composite),
            other => Err(s3_error!(InvalidRequest, "Unknown checksum type {other}.")),
        }
    }
}

/// Checksums in Base64, as S3 writes them.
pub(crate) type Checksums = BTreeMap<Algorithm, String>;

impl Algorithm {
    pub(crate) const ALL: [Self; 5] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64nvme,
        Self::Sha1,
        Self::Sha256,
    ];

    /// The name in `x-amz-checksum-algorithm`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The header that carries a value.
    pub(crate) fn header(self) -> HeaderName {
        HeaderName::from_static(match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        })
    }

    /// The algorithm with this name.
    pub(crate) fn parse(name: &str) -> S3Result<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| s3_error!(InvalidRequest, "Unknown checksum algorithm {name}."))
    }

    fn digest_bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The CRC by which values of parts combine to that of the whole.
    pub(crate) fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }

    /// A value in its one spelling; an error if it cannot be one.
    pub(crate) fn canonical(self, value: &str) -> S3Result<String> {
        match BASE64.decode(value) {
            Ok(bytes) if bytes.len() == self.digest_bytes() => Ok(BASE64.encode(bytes)),
            _ => Err(s3_error!(
                InvalidRequest,
                "Value for {} header is invalid.",
                self.header()
            )),
        }
    }
}

/// The checksum of an object from those of its parts with their sizes, in
/// order; `None` if a part has no such value or the algorithm cannot do this.
pub(crate) fn of_parts<'a>(
    algorithm: Algorithm,
    coverage: Coverage,
    parts: impl Iterator<Item = (Option<&'a String>, u64)>,
) -> Option<String> {
    let values: Vec<(Vec<u8>, u64)> = parts
        .map(|(value, size_bytes)| Some((BASE64.decode(value?).ok()?, size_bytes)))
        .collect::<Option<_>>()?;
    match coverage {
        Coverage::FullObject => {
            let crc = algorithm.crc()?;
            let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, b| sum << 8 | u64::from(*b));
            let mut values = values.iter();
            let first = number(&values.next()?.0);
            let whole = values.fold(first, |sum, (value, size_bytes)| {
                crc_fast::checksum_combine(crc, sum, number(value), *size_bytes)
            });
            let bytes = whole.to_be_bytes();
            Some(BASE64.encode(&bytes[8 - algorithm.digest_bytes()..]))
        }
        Coverage::Composite => {
            let count = values.len();
            let joined: Vec<u8> = values.into_iter().flat_map(|(value, _)| value).collect();
            let digest = match algorithm {
                Algorithm::Crc32 => BASE64.encode(Crc32::checksum(&joined)),
                Algorithm::Crc32c => BASE64.encode(Crc32c::checksum(&joined)),
                Algorithm::Crc64nvme => return None,
                Algorithm::Sha1 => BASE64.encode(Sha1::checksum(&joined)),
                Algorithm::Sha256 => BASE64.encode(Sha256::checksum(&joined)),
            };
            Some(format!("{digest}-{count}"))
        }
    }
}

/// Writes checksums into the fields of an S3 output.
macro_rules! put_checksums {
    ($output:expr, $checksums:expr) => {{
        let sums = &$checksums;
        let value = |algorithm| sums.get(&algorithm).cloned();
        $output.checksum_crc32 = value($crate::checksum::Algorithm::Crc32);
        $output.checksum_crc32c = value($crate::checksum::Algorithm::Crc32c);
        $output.checksum_crc64nvme = value($crate::checksum::Algorithm::Crc64nvme);
        $output.checksum_sha1 = value($crate::checksum::Algorithm::Sha1);
        $output.checksum_sha256 = value($crate::checksum::Algorithm::Sha256);
    }};
}
pub(crate) use put_checksums;

/// Reads checksums out of the fields of an S3 input.
macro_rules! given_checksums {
    ($input:expr) => {
        [
            (
                $crate::checksum::Algorithm::Crc32,
                $input.checksum_crc32.as_deref(),
            ),
            (
                $crate::checksum::Algorithm::Crc32c,
                $input.checksum_crc32c.as_deref(),
            ),
            (
                $crate::checksum::Algorithm::Crc64nvme,
                $input.checksum_crc64nvme.as_deref(),
            ),
            (
                $crate::checksum::Algorithm::Sha1,
                $input.checksum_sha1.as_deref(),
            ),
            (
                $crate::checksum::Algorithm::Sha256,
                $input.checksum_sha256.as_deref(),
            ),
        ]
        .into_iter()
        .filter_map(|(algorithm, value)| Some((algorithm, value?)))
    };
}
pub(crate) use given_checksums;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expectation::Expectation;

    fn sums(bytes: &[u8], algorithm: Algorithm) -> String {
        let mut expectation = Expectation::default();
        expectation.also(algorithm);
        let mut hasher = expectation.hasher();
        hasher.update(bytes);
        expectation.verify(hasher).unwrap()[&algorithm].clone()
    }

    #[test]
    fn crcs_have_their_check_values() {
        let check = |algorithm| hex::encode(BASE64.decode(sums(b"123456789", algorithm)).unwrap());
        assert_eq!(check(Algorithm::Crc64nvme), "ae8b14860a799888");
        assert_eq!(check(Algorithm::Crc32c), "e3069283");
        assert_eq!(check(Algorithm::Crc32), "cbf43926");
    }

    #[test]
    fn crcs_of_parts_combine_to_that_of_the_whole() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| ((n * 31) >> 3) as u8).collect();
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64nvme] {
            for cuts in [vec![0, 100_000], vec![0, 1, 7, 50_000, 100_000]] {
                let parts: Vec<(String, u64)> = cuts
                    .windows(2)
                    .map(|cut| {
                        (
                            sums(&bytes[cut[0]..cut[1]], algorithm),
                            (cut[1] - cut[0]) as u64,
                        )
                    })
                    .collect();
                let whole = of_parts(
                    algorithm,
                    Coverage::FullObject,
                    parts.iter().map(|(value, size)| (Some(value), *size)),
                );
                assert_eq!(whole, Some(sums(&bytes, algorithm)));
            }
        }
    }

    #[test]
    fn a_hash_of_hashes_carries_the_count() {
        let parts = [sums(b"a", Algorithm::Sha256), sums(b"b", Algorithm::Sha256)];
        let joined: Vec<u8> = parts
            .iter()
            .flat_map(|p| BASE64.decode(p).unwrap())
            .collect();
        let whole = of_parts(
            Algorithm::Sha256,
            Coverage::Composite,
            parts.iter().map(|value| (Some(value), 1)),
        );
        assert_eq!(
            whole,
            Some(format!("{}-2", sums(&joined, Algorithm::Sha256)))
        );
    }
}
