//! Presigned URLs for phones: bound to one key, an exact length, and the bytes' hash where known.

mod sigv4;

use std::collections::BTreeMap;
use std::time::Duration;

use safelight_model::clock::Micros;

use crate::{Metadata, ObjectKey, Objects, sha256};

pub(crate) use sigv4::Signer;
use sigv4::{Request, Signed};

/// A URL that its holder may use until it expires, as often as it likes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presigned {
    /// The URL, for the store's public endpoint.
    pub url: String,
    /// The headers that must be sent with exactly these values, besides `content-length`.
    pub headers: BTreeMap<String, String>,
    /// When the store begins to refuse it, to the second.
    pub expires_at: Micros,
}

/// What a presigned PUT is bound to.
#[derive(Clone, Copy, Debug, Default)]
pub struct PutBinding<'a> {
    /// The exact number of bytes; another number is refused by the store.
    pub size_bytes: i64,
    /// The bytes' SHA-256 in hex, where known; other bytes are refused by the store.
    pub sha256_hex: Option<&'a str>,
    /// The media type to keep with the object.
    pub content_type: Option<&'a str>,
    /// What the object says of itself.
    pub metadata: Option<&'a Metadata>,
}

/// What the store answers a presigned GET with, instead of what was stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct GetOptions<'a> {
    /// The `content-type` of the answer.
    pub content_type: Option<&'a str>,
    /// The `content-disposition` of the answer.
    pub content_disposition: Option<&'a str>,
}

/// Why a URL cannot be signed: the caller asked for something that no store accepts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PresignError {
    /// S3 allows 1 s to 7 days.
    #[error("a presigned URL lives from 1 s to 604800 s, not {0:?}")]
    Lifetime(Duration),
    /// A negative size.
    #[error("a size cannot be {0}")]
    Size(i64),
    /// A part number outside 1 to 10,000.
    #[error("parts are numbered 1 to 10000, not {0}")]
    PartNumber(i64),
    /// Not 64 hexadecimal digits.
    #[error("not a SHA-256 in hex: {0:?}")]
    Sha256(String),
    /// A header value with characters that HTTP does not carry unchanged.
    #[error("the header {0} can hold visible ASCII only")]
    Header(String),
    /// A moment outside the years 1970 to 9999.
    #[error("cannot sign for the moment {0}")]
    Time(Micros),
}

impl PresignError {
    /// The code that callers answer with: every one of these is a fault of the server's own,
    /// since requests are validated before anything is signed.
    #[must_use]
    pub fn code(&self) -> safelight_model::codes::Code {
        match self {
            Self::Lifetime(_)
            | Self::Size(_)
            | Self::PartNumber(_)
            | Self::Sha256(_)
            | Self::Header(_)
            | Self::Time(_) => safelight_model::codes::Code::Internal,
        }
    }
}

impl Objects {
    /// A URL that stores a whole object under `key`. Costs no request to the store.
    ///
    /// # Errors
    /// When the binding or the lifetime is none that S3 accepts.
    pub fn presign_put(
        &self,
        key: &ObjectKey,
        binding: PutBinding<'_>,
        now: Micros,
        ttl: Duration,
    ) -> Result<Presigned, PresignError> {
        let mut headers = BTreeMap::new();
        if let Some(mime) = binding.content_type {
            headers.insert("content-type".to_owned(), plain("content-type", mime)?);
        }
        bind_hash(&mut headers, binding.sha256_hex)?;
        for (name, value) in binding.metadata.into_iter().flatten() {
            let name = format!("x-amz-meta-{name}");
            let value = plain(&name, value)?;
            headers.insert(name, value);
        }
        let signed = self.inner.signer.sign(&Request {
            method: "PUT",
            key: key.as_str(),
            query: &[],
            headers: &headers,
            length_bytes: Some(length(binding.size_bytes)?),
            now,
            ttl,
        })?;
        Ok(presigned(signed, headers))
    }

    /// A URL that stores part `number` of the multipart upload `store_upload_id`. Give the hash
    /// exactly when the upload was created with checksums: some stores refuse the mixture.
    ///
    /// # Errors
    /// When the number, the size, the hash or the lifetime is none that S3 accepts.
    #[allow(
        clippy::too_many_arguments,
        reason = "each is one thing that the URL is bound to"
    )]
    pub fn presign_part(
        &self,
        key: &ObjectKey,
        store_upload_id: &str,
        number: i64,
        size_bytes: i64,
        sha256_hex: Option<&str>,
        now: Micros,
        ttl: Duration,
    ) -> Result<Presigned, PresignError> {
        if !(1..=10_000).contains(&number) {
            return Err(PresignError::PartNumber(number));
        }
        let mut headers = BTreeMap::new();
        bind_hash(&mut headers, sha256_hex)?;
        let signed = self.inner.signer.sign(&Request {
            method: "PUT",
            key: key.as_str(),
            query: &[
                ("partNumber", &number.to_string()),
                ("uploadId", store_upload_id),
            ],
            headers: &headers,
            length_bytes: Some(length(size_bytes)?),
            now,
            ttl,
        })?;
        Ok(presigned(signed, headers))
    }

    /// A URL that reads the object under `key`.
    ///
    /// # Errors
    /// When the lifetime is none that S3 accepts.
    pub fn presign_get(
        &self,
        key: &ObjectKey,
        now: Micros,
        ttl: Duration,
        options: GetOptions<'_>,
    ) -> Result<Presigned, PresignError> {
        let mut query = Vec::with_capacity(2);
        if let Some(value) = options.content_disposition {
            query.push(("response-content-disposition", value));
        }
        if let Some(value) = options.content_type {
            query.push(("response-content-type", value));
        }
        let headers = BTreeMap::new();
        let signed = self.inner.signer.sign(&Request {
            method: "GET",
            key: key.as_str(),
            query: &query,
            headers: &headers,
            length_bytes: None,
            now,
            ttl,
        })?;
        Ok(presigned(signed, headers))
    }
}

fn presigned(signed: Signed, headers: BTreeMap<String, String>) -> Presigned {
    Presigned {
        url: signed.url,
        headers,
        expires_at: signed.expires_at,
    }
}

fn length(size_bytes: i64) -> Result<u64, PresignError> {
    u64::try_from(size_bytes).map_err(|_| PresignError::Size(size_bytes))
}

fn bind_hash(
    headers: &mut BTreeMap<String, String>,
    sha256_hex: Option<&str>,
) -> Result<(), PresignError> {
    let Some(hash) = sha256_hex else {
        return Ok(());
    };
    let encoded =
        sha256::base64_of_hex(hash).ok_or_else(|| PresignError::Sha256(hash.to_owned()))?;
    headers.insert("x-amz-checksum-sha256".to_owned(), encoded);
    Ok(())
}

/// The value as signers and servers see it alike: trimmed, inner white space single.
fn plain(name: &str, value: &str) -> Result<String, PresignError> {
    let tidy = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    if tidy.is_empty() || tidy.bytes().any(|b| !(b' '..=b'~').contains(&b)) {
        return Err(PresignError::Header(name.to_owned()));
    }
    Ok(tidy)
}
