//! What a client says of a body, and what the body is.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, Uri};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::{S3Result, s3_error};

use crate::checksum::{Algorithm, Checksums};

/// What is to be computed over a body and what must come out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expectation {
    compute: BTreeSet<Algorithm>,
    values: Checksums,
    trailer: Option<Algorithm>,
    md5: Option<String>,
    /// The body's SHA-256 by `x-amz-content-sha256`. s3s fails the body's
    /// stream unless it is true, so it need not be computed again.
    proven_sha256: Option<String>,
}

impl Expectation {
    /// Reads the headers; in a presigned URL the checksum may also stand in
    /// the query.
    pub(crate) fn of_request(headers: &HeaderMap, uri: &Uri) -> S3Result<Self> {
        let mut this = Self::default();
        for algorithm in Algorithm::ALL {
            let name = algorithm.header();
            let value = match headers.get(&name) {
                Some(value) => Some(value.to_str().unwrap_or_default().to_owned()),
                None => query_value(uri, name.as_str()),
            };
            if let Some(value) = value {
                this.values.insert(algorithm, algorithm.canonical(&value)?);
            }
        }
        if this.values.len() > 1 {
            return Err(s3_error!(
                InvalidRequest,
                "Expecting a single x-amz-checksum- header."
            ));
        }
        this.compute.extend(this.values.keys());
        for name in header(headers, "x-amz-trailer")
            .unwrap_or_default()
            .split(',')
        {
            let name = name.trim();
            if name.starts_with("x-amz-checksum-") {
                let algorithm = Algorithm::ALL
                    .into_iter()
                    .find(|algorithm| algorithm.header() == name)
                    .ok_or_else(|| s3_error!(InvalidRequest, "Unknown trailer {name}."))?;
                this.trailer = Some(algorithm);
                this.compute.insert(algorithm);
            }
        }
        if let Some(name) = header(headers, "x-amz-sdk-checksum-algorithm") {
            this.compute.insert(Algorithm::parse(name)?);
        }
        if let Some(value) = header(headers, "content-md5") {
            let bytes = BASE64.decode(value).unwrap_or_default();
            if bytes.len() != 16 {
                return Err(s3_error!(
                    InvalidDigest,
                    "The Content-MD5 you specified is not valid."
                ));
            }
            this.md5 = Some(BASE64.encode(bytes));
        }
        this.proven_sha256 = header(headers, "x-amz-content-sha256")
            .filter(|value| value.len() == 64)
            .and_then(|value| hex::decode(value).ok())
            .map(|bytes| BASE64.encode(bytes));
        Ok(this)
    }

    /// The algorithms that the client named.
    pub(crate) fn algorithms(&self) -> &BTreeSet<Algorithm> {
        &self.compute
    }

    /// Has this algorithm computed, too.
    pub(crate) fn also(&mut self, algorithm: Algorithm) {
        self.compute.insert(algorithm);
    }

    /// Takes the value that came after the body.
    pub(crate) fn take_trailer(&mut self, trailers: Option<HeaderMap>) -> S3Result<()> {
        let Some(algorithm) = self.trailer else {
            return Ok(());
        };
        let name = algorithm.header();
        let trailers = trailers.unwrap_or_default();
        let Some(value) = header(&trailers, name.as_str()) else {
            return Err(s3_error!(
                IncompleteBody,
                "The trailer {name} was announced and did not come."
            ));
        };
        self.values.insert(algorithm, algorithm.canonical(value)?);
        Ok(())
    }

    /// What computes while the bytes pass.
    pub(crate) fn hasher(&self) -> Hasher {
        let wants = |algorithm| {
            self.compute.contains(&algorithm)
                && !(algorithm == Algorithm::Sha256 && self.proven_sha256.is_some())
        };
        Hasher {
            sums: ChecksumHasher {
                crc32: wants(Algorithm::Crc32).then(Crc32::new),
                crc32c: wants(Algorithm::Crc32c).then(Crc32c::new),
                sha1: wants(Algorithm::Sha1).then(Sha1::new),
                sha256: wants(Algorithm::Sha256).then(Sha256::new),
                crc64nvme: wants(Algorithm::Crc64nvme).then(Crc64Nvme::new),
            },
            md5: self.md5.is_some().then(Md5::new),
        }
    }

    /// Compares; gives what was computed if all of it is as it must be.
    pub(crate) fn verify(&self, hasher: Hasher) -> S3Result<Checksums> {
        if let (Some(md5), Some(expected)) = (hasher.md5, &self.md5)
            && BASE64.encode(md5.finalize()) != *expected
        {
            return Err(s3_error!(
                BadDigest,
                "The Content-MD5 you specified did not match what we received."
            ));
        }
        let sums = hasher.sums.finalize();
        let mut computed = Checksums::new();
        for (algorithm, value) in [
            (Algorithm::Crc32, sums.checksum_crc32),
            (Algorithm::Crc32c, sums.checksum_crc32c),
            (Algorithm::Crc64nvme, sums.checksum_crc64nvme),
            (Algorithm::Sha1, sums.checksum_sha1),
            (Algorithm::Sha256, sums.checksum_sha256),
        ] {
            computed.extend(value.map(|value| (algorithm, value)));
        }
        if self.compute.contains(&Algorithm::Sha256)
            && let Some(proven) = &self.proven_sha256
        {
            computed.insert(Algorithm::Sha256, proven.clone());
        }
        for (algorithm, expected) in &self.values {
            if computed.get(algorithm) != Some(expected) {
                return Err(s3_error!(
                    BadDigest,
                    "The {} you specified did not match the calculated checksum.",
                    algorithm.name()
                ));
            }
        }
        Ok(computed)
    }
}

/// Hashes under way.
pub(crate) struct Hasher {
    sums: ChecksumHasher,
    md5: Option<Md5>,
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.sums.update(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn query_value(uri: &Uri, wanted: &str) -> Option<String> {
    uri.query()?.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.eq_ignore_ascii_case(wanted).then(|| {
            percent_encoding::percent_decode_str(value)
                .decode_utf8_lossy()
                .into_owned()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused() {
        let parse = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            Expectation::of_request(&headers, &Uri::from_static("/"))
        };
        assert!(parse("x-amz-checksum-sha256", "AAAA").is_err());
        assert!(parse("x-amz-checksum-crc32", "????").is_err());
        assert!(parse("content-md5", "AAAA").is_err());
        assert!(parse("x-amz-trailer", "x-amz-checksum-crc7").is_err());
        assert!(parse("x-amz-sdk-checksum-algorithm", "CRC7").is_err());
        assert!(parse("x-amz-checksum-crc32", "AAAAAA==").is_ok());
    }
}
