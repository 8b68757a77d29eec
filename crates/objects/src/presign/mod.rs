//! Presigned URLs for phones: bound to one key, an exact length, and the bytes' hash where known.

mod sigv4;

use std::collections::BTreeMap;
use std::time::Duration;

use safelight_model::clock::Micros;

use crate::{Metadata, ObjectKey, Objects, sha256};

pub(crate) use sigv4::Request;
use sigv4::Signed;
pub(crate) use sigv4::Signer;

/// What binds a body to its SHA-256.
const SHA256_HEADER: &str = "x-amz-checksum-sha256";

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
    /// The bytes' SHA-256 in hex, where known; other bytes are refused by a store that checks it.
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
    /// A header whose name or value HTTP does not carry unchanged.
    #[error("the header {0} needs a name in lower case and a value in visible ASCII")]
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
    /// A URL that stores a whole object under `key`. Costs no request to the store. One that could
    /// be used again for other bytes works once, where the store can see to that: then the answer is
    /// 412, and nothing is changed.
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
        let store = self.capabilities();
        bind_hash(&mut headers, binding.sha256_hex, store.binds_put_sha256())?;
        let is_hash_bound = headers.contains_key(SHA256_HEADER);
        if store.writes_once(is_hash_bound) {
            headers.insert("if-none-match".to_owned(), "*".to_owned());
        }
        for (name, value) in binding.metadata.into_iter().flatten() {
            let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            let sound = !name.is_empty() && name.bytes().all(lower);
            let name = format!("x-amz-meta-{name}");
            if !sound {
                return Err(PresignError::Header(name));
            }
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
        bind_hash(&mut headers, sha256_hex, true)?;
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
    is_checked: bool,
) -> Result<(), PresignError> {
    let Some(hash) = sha256_hex else {
        return Ok(());
    };
    let encoded =
        sha256::base64_of_hex(hash).ok_or_else(|| PresignError::Sha256(hash.to_owned()))?;
    if is_checked {
        headers.insert(SHA256_HEADER.to_owned(), encoded);
    }
    Ok(())
}

/// The value as signers and servers see it alike: trimmed, inner white space single.
fn plain(name: &str, value: &str) -> Result<String, PresignError> {
    let tidy = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    if tidy.is_empty() || value.bytes().any(|b| !(b' '..=b'~').contains(&b)) {
        return Err(PresignError::Header(name.to_owned()));
    }
    Ok(tidy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Capabilities, StoreSettings, Support, Treatment};

    const NOW: Micros = Micros(1_795_000_000_900_000);
    const TTL: Duration = Duration::from_secs(60);

    fn objects() -> Objects {
        on(Capabilities::embedded())
    }

    fn on(capabilities: Capabilities) -> Objects {
        let settings = StoreSettings {
            endpoint: Some("http://127.0.0.1:7601".to_owned()),
            public_endpoint: Some("https://media.example.org".to_owned()),
            region: "us-east-1".to_owned(),
            bucket: "safelight".to_owned(),
            access_key: "key".to_owned(),
            secret_key: "secret".to_owned(),
            path_style: false,
            request_timeout: StoreSettings::REQUEST_TIMEOUT,
            complete_timeout: StoreSettings::COMPLETE_TIMEOUT,
        };
        Objects::connect(settings, capabilities).unwrap()
    }

    #[test]
    fn urls_are_for_phones_and_end_on_the_second() {
        let key = ObjectKey::parse("r/t/b/cover@1.webp").unwrap();
        let signed = objects()
            .presign_get(&key, NOW, TTL, GetOptions::default())
            .unwrap();
        let place = "https://safelight.media.example.org/r/t/b/cover%401.webp?X-Amz-Algorithm=";
        assert!(signed.url.starts_with(place), "{}", signed.url);
        // The signature counts whole seconds, so the URL dies 0.9 s before `NOW + TTL`.
        assert_eq!(signed.expires_at, Micros(1_795_000_060_000_000));
    }

    #[test]
    fn urls_are_bound_to_what_the_store_checks() {
        let key = ObjectKey::parse("x/t/a").unwrap();
        let hash = "0".repeat(64);
        let headers = |capabilities: &Capabilities, sha256_hex| {
            let binding = PutBinding {
                size_bytes: 5,
                sha256_hex,
                ..PutBinding::default()
            };
            let signed = on(capabilities.clone()).presign_put(&key, binding, NOW, TTL);
            let names: Vec<String> = signed.unwrap().headers.into_keys().collect();
            names.join(" ")
        };
        let (bound, once) = (SHA256_HEADER, "if-none-match");
        let embedded = Capabilities::embedded();
        assert_eq!(headers(&embedded, Some(&hash)), bound);
        assert_eq!(headers(&embedded, None), once);
        let mut own_keys = embedded.clone();
        own_keys.repeat_keeps_etag = Support::No;
        assert_eq!(headers(&own_keys, Some(&hash)), format!("{once} {bound}"));
        let mut trusting = embedded;
        trusting.put_checksums.clear();
        assert_eq!(headers(&trusting, Some(&hash)), once);
        trusting.put_if_none_match = Treatment::Ignored;
        assert_eq!(headers(&trusting, Some(&hash)), "");
        // A hash that is none is refused whatever the store does.
        let nonsense = PutBinding {
            size_bytes: 5,
            sha256_hex: Some("abc"),
            ..PutBinding::default()
        };
        assert!(on(trusting).presign_put(&key, nonsense, NOW, TTL).is_err());
    }

    #[test]
    fn what_no_store_accepts_is_refused() {
        let key = ObjectKey::parse("x/t/a").unwrap();
        let objects = objects();
        let put = |binding: PutBinding<'_>, ttl| {
            objects.presign_put(&key, binding, NOW, ttl).unwrap_err()
        };
        let size_bytes = 5;
        let sound = PutBinding {
            size_bytes,
            ..PutBinding::default()
        };
        for ttl in [Duration::ZERO, Duration::from_secs(604_801)] {
            assert_eq!(put(sound, ttl), PresignError::Lifetime(ttl));
        }
        let negative = PutBinding {
            size_bytes: -1,
            ..sound
        };
        assert_eq!(put(negative, TTL), PresignError::Size(-1));
        for hash in ["", "abc"]
            .map(str::to_owned)
            .into_iter()
            .chain(["g".repeat(64), "0".repeat(66)])
        {
            let binding = PutBinding {
                sha256_hex: Some(&hash),
                ..sound
            };
            let refusal = put(binding, TTL);
            assert_eq!(refusal, PresignError::Sha256(hash));
        }
        for mime in ["", " ", "image/jpeg\r\nx: y", "bild/größe"] {
            let binding = PutBinding {
                content_type: Some(mime),
                ..sound
            };
            let refusal = PresignError::Header("content-type".to_owned());
            assert_eq!(put(binding, TTL), refusal);
        }
        for name in ["", "Upper", "a b", "a:b"] {
            let metadata = Metadata::from([(name.to_owned(), "v".to_owned())]);
            let binding = PutBinding {
                metadata: Some(&metadata),
                ..sound
            };
            assert!(matches!(put(binding, TTL), PresignError::Header(_)));
        }
        for number in [0, 10_001, -1] {
            let part = objects.presign_part(&key, "u", number, 5, None, NOW, TTL);
            assert_eq!(part, Err(PresignError::PartNumber(number)));
        }
    }
}
