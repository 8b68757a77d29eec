//! What a client says of a body, and what the body is.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, StatusCode};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

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
    /// Reads the headers.
    pub(crate) fn of_headers(headers: &HeaderMap) -> S3Result<Self> {
        let mut this = Self::default();
        for algorithm in Algorithm::ALL {
            if let Some(value) = headers.get(algorithm.header()) {
                let value = value.to_str().unwrap_or_default();
                this.values.insert(algorithm, algorithm.canonical(value)?);
            }
        }
        if let Some(names) = header(headers, "x-amz-trailer") {
            this.trailer = announced(names)?;
        }
        this.compute.extend(this.values.keys());
        this.compute.extend(this.trailer);
        if this.values.len() + this.trailer.iter().len() > 1 {
            return Err(s3_error!(
                InvalidRequest,
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
            ));
        }
        if let Some(name) = header(headers, "x-amz-sdk-checksum-algorithm") {
            this.compute.insert(Algorithm::parse(name)?);
            if this.compute.len() > 1 {
                return Err(s3_error!(
                    InvalidRequest,
                    "Value for x-amz-sdk-checksum-algorithm header is invalid."
                ));
            }
        }
        this.md5 = given_md5(headers)?;
        this.proven_sha256 = header(headers, "x-amz-content-sha256")
            .filter(|value| value.len() == 64)
            .and_then(|value| hex::decode(value).ok())
            .map(|bytes| BASE64.encode(bytes));
        Ok(this)
    }

    /// Only what `Content-MD5` says, for bodies that other checksums in the
    /// headers are not about.
    pub(crate) fn of_md5(headers: &HeaderMap) -> S3Result<Self> {
        Ok(Self {
            md5: given_md5(headers)?,
            ..Self::default()
        })
    }

    /// The body's MD5 in hexadecimal, if the client gave it.
    pub(crate) fn md5_hex(&self) -> Option<String> {
        self.md5
            .as_ref()
            .and_then(|md5| BASE64.decode(md5).ok())
            .map(hex::encode)
    }

    /// Whether the client said what the body is.
    pub(crate) fn is_given(&self) -> bool {
        !self.values.is_empty() || self.md5.is_some()
    }

    /// The algorithms that the client named.
    pub(crate) fn algorithms(&self) -> &BTreeSet<Algorithm> {
        &self.compute
    }

    /// Whether anything is to be computed for its own sake.
    pub(crate) fn computes(&self) -> bool {
        !self.compute.is_empty()
    }

    /// Has this algorithm computed, too.
    pub(crate) fn also(&mut self, algorithm: Algorithm) {
        self.compute.insert(algorithm);
    }

    /// Takes the value that came after the body.
    pub(crate) fn take_trailer(&mut self, trailers: Option<HeaderMap>) -> S3Result<()> {
        let trailers = trailers.unwrap_or_default();
        let announced = self.trailer.map(Algorithm::header);
        if trailers.keys().any(|name| Some(name) != announced.as_ref()) {
            return Err(malformed_trailer());
        }
        if let Some(algorithm) = self.trailer {
            let value = header(&trailers, algorithm.header().as_str());
            let value = value.ok_or_else(malformed_trailer)?;
            self.values.insert(algorithm, algorithm.canonical(value)?);
        }
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

fn malformed_trailer() -> S3Error {
    let mut error = S3Error::with_message(
        S3ErrorCode::Custom("MalformedTrailerError".into()),
        "The request contained trailing data that was not well-formed or did not conform to our published schema.",
    );
    error.set_status_code(StatusCode::BAD_REQUEST);
    error
}

/// The checksum that is to come in a trailer.
fn announced(names: &str) -> S3Result<Option<Algorithm>> {
    let mut found = None;
    for name in names.split(',').map(str::trim) {
        let algorithm = Algorithm::ALL
            .into_iter()
            .find(|algorithm| algorithm.header().as_str().eq_ignore_ascii_case(name));
        if algorithm.is_none() || found.is_some() {
            return Err(s3_error!(
                InvalidRequest,
                "The value specified in the x-amz-trailer header is not supported."
            ));
        }
        found = algorithm;
    }
    Ok(found)
}

fn given_md5(headers: &HeaderMap) -> S3Result<Option<String>> {
    let Some(value) = headers.get("content-md5") else {
        return Ok(None);
    };
    match BASE64.decode(value.as_bytes()) {
        Ok(bytes) if bytes.len() == 16 => Ok(Some(BASE64.encode(bytes))),
        _ => Err(s3_error!(
            InvalidDigest,
            "The Content-MD5 you specified is not valid."
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused() {
        let parse = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            Expectation::of_headers(&headers)
        };
        assert!(parse("x-amz-checksum-sha256", "AAAA").is_err());
        assert!(parse("x-amz-checksum-crc32", "????").is_err());
        assert!(parse("content-md5", "AAAA").is_err());
        assert!(parse("x-amz-trailer", "x-amz-checksum-crc7").is_err());
        assert!(parse("x-amz-trailer", "x-amz-checksum-crc32,x-amz-checksum-sha1").is_err());
        assert!(parse("x-amz-sdk-checksum-algorithm", "CRC7").is_err());
        assert!(parse("x-amz-checksum-crc32", "AAAAAA==").is_ok());
    }
}
