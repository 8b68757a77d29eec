//! AWS Signature Version 4 in the query string.
//!
//! The SDK's orchestrator takes hundreds of microseconds to presign, most of them spent around the
//! signature. The cryptography here is the SDK's (`aws-sigv4`); only the canonical request is put
//! together by hand, and the signing key, which is good for a day and region, is kept.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, UNIX_EPOCH};

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use safelight_model::clock::Micros;
use sha2::{Digest, Sha256};

use super::PresignError;
use crate::settings::Endpoint;

/// Everything but RFC 3986's unreserved characters, as SigV4 wants query values.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// The same for keys, whose slashes stay.
const PATH: &AsciiSet = &VALUE.remove(b'/');

/// The longest life of a presigned URL that S3 allows, in seconds.
const MAX_TTL_S: u64 = 604_800;
const SECONDS_PER_DAY: u64 = 86_400;
/// The end of the year 9999, beyond which dates have no four-digit year.
const END_OF_TIME_S: u64 = 253_402_300_800;

/// Signs requests to one bucket with one access key.
pub(crate) struct Signer {
    endpoint: Endpoint,
    region: String,
    access_key: String,
    secret_key: String,
    /// The day since 1970 and its signing key.
    key_of_day: RwLock<Option<(u64, Vec<u8>)>>,
}

/// What to sign.
pub(crate) struct Request<'a> {
    pub method: &'static str,
    /// The object's key, not encoded.
    pub key: &'a str,
    /// Parameters besides those of the signature, not encoded.
    pub query: &'a [(&'a str, &'a str)],
    /// Headers that must be sent: names in lower case, values trimmed.
    pub headers: &'a BTreeMap<String, String>,
    pub length_bytes: Option<u64>,
    pub now: Micros,
    pub ttl: Duration,
}

/// A URL and when it ends.
pub(crate) struct Signed {
    pub url: String,
    pub expires_at: Micros,
}

impl Signer {
    pub(crate) fn of(endpoint: Endpoint, region: &str, access_key: &str, secret_key: &str) -> Self {
        Self {
            endpoint,
            region: region.to_owned(),
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            key_of_day: RwLock::new(None),
        }
    }

    /// Whether its URLs are without TLS.
    pub(crate) fn is_plain(&self) -> bool {
        self.endpoint.scheme == "http"
    }

    pub(crate) fn sign(&self, request: &Request<'_>) -> Result<Signed, PresignError> {
        let ttl_s = request.ttl.as_secs();
        if !(1..=MAX_TTL_S).contains(&ttl_s) {
            return Err(PresignError::Lifetime(request.ttl));
        }
        let now_s = u64::try_from(request.now.unix_seconds())
            .ok()
            .filter(|s| *s < END_OF_TIME_S)
            .ok_or(PresignError::Time(request.now))?;
        let (year, month, day) = request.now.date();
        let date = format!("{year:04}{month:02}{day:02}");
        let (hour, minute, second) = (now_s / 3600 % 24, now_s / 60 % 60, now_s % 60);
        let moment = format!("{date}T{hour:02}{minute:02}{second:02}Z");
        let scope = format!("{date}/{}/s3/aws4_request", self.region);

        let length = request.length_bytes.map(|n| n.to_string());
        let mut headers: Vec<(&str, &str)> = Vec::with_capacity(request.headers.len() + 2);
        headers.extend(
            request
                .headers
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str())),
        );
        headers.extend(length.as_deref().map(|n| ("content-length", n)));
        headers.push(("host", &self.endpoint.host));
        headers.sort_unstable();
        let names = headers
            .iter()
            .map(|(name, _)| *name)
            .collect::<Vec<_>>()
            .join(";");

        let path = format!(
            "{}/{}",
            self.endpoint.path,
            utf8_percent_encode(request.key, PATH)
        );
        let query = self.query(request.query, &scope, &moment, ttl_s, &names);

        let mut canonical = format!("{}\n{path}\n{query}\n", request.method);
        for (name, value) in &headers {
            canonical.extend([name, ":", value, "\n"]);
        }
        canonical.extend(["\n", &names, "\nUNSIGNED-PAYLOAD"]);
        let hash = hex::encode(Sha256::digest(canonical.as_bytes()));
        let to_sign = format!("AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hash}");
        let signature =
            self.with_key_of_day(now_s, |key| calculate_signature(key, to_sign.as_bytes()));

        let Endpoint { scheme, host, .. } = &self.endpoint;
        Ok(Signed {
            url: format!("{scheme}://{host}{path}?{query}&X-Amz-Signature={signature}"),
            expires_at: Micros(request.now.unix_seconds().saturating_mul(1_000_000))
                .plus(Duration::from_secs(ttl_s)),
        })
    }

    /// All parameters but the signature, encoded and in canonical order.
    fn query(
        &self,
        own: &[(&str, &str)],
        scope: &str,
        moment: &str,
        ttl_s: u64,
        signed_names: &str,
    ) -> String {
        let credential = format!("{}/{scope}", self.access_key);
        let ttl = ttl_s.to_string();
        let mut all: Vec<(&str, &str)> = Vec::with_capacity(own.len() + 5);
        all.extend([
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", moment),
            ("X-Amz-Expires", &ttl),
            ("X-Amz-SignedHeaders", signed_names),
        ]);
        all.extend_from_slice(own);
        // No name here needs encoding or stands twice, so sorting before encoding is canonical.
        all.sort_unstable();
        let mut query = String::with_capacity(512);
        for (name, value) in all {
            let separator = if query.is_empty() { "" } else { "&" };
            let value = utf8_percent_encode(value, VALUE);
            // Writing to a String cannot fail.
            let _ = write!(query, "{separator}{name}={value}");
        }
        query
    }

    fn with_key_of_day<T>(&self, now_s: u64, use_key: impl FnOnce(&[u8]) -> T) -> T {
        let day = now_s / SECONDS_PER_DAY;
        {
            let kept = self
                .key_of_day
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some((of, key)) = kept.as_ref()
                && *of == day
            {
                return use_key(key);
            }
        }
        let at = UNIX_EPOCH + Duration::from_secs(now_s);
        let key = generate_signing_key(&self.secret_key, at, &self.region, "s3")
            .as_ref()
            .to_vec();
        let outcome = use_key(&key);
        *self
            .key_of_day
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some((day, key));
        outcome
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::presigning::PresigningConfig;

    use super::*;
    use crate::connect::sdk_config;
    use crate::settings::StoreSettings;

    fn settings(endpoint: &str, bucket: &str, path_style: bool) -> StoreSettings {
        StoreSettings {
            endpoint: Some(endpoint.to_owned()),
            public_endpoint: None,
            region: "us-east-1".to_owned(),
            bucket: bucket.to_owned(),
            access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            path_style,
            request_timeout: StoreSettings::REQUEST_TIMEOUT,
            complete_timeout: StoreSettings::COMPLETE_TIMEOUT,
        }
    }

    fn signer(settings: &StoreSettings) -> Signer {
        Signer::of(
            settings.public().unwrap(),
            &settings.region,
            &settings.access_key,
            &settings.secret_key,
        )
    }

    /// "Authenticating Requests: Using Query Parameters" in Amazon's S3 API reference.
    #[test]
    fn the_published_example_comes_out() {
        let signed = signer(&settings(
            "https://s3.amazonaws.com",
            "examplebucket",
            false,
        ))
        .sign(&Request {
            method: "GET",
            key: "test.txt",
            query: &[],
            headers: &BTreeMap::new(),
            length_bytes: None,
            now: Micros::parse_rfc3339("2013-05-24T00:00:00Z").unwrap(),
            ttl: Duration::from_secs(86_400),
        })
        .unwrap();
        assert_eq!(
            signed.url,
            "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
        assert_eq!(
            signed.expires_at,
            Micros::parse_rfc3339("2013-05-25T00:00:00Z").unwrap()
        );
    }

    /// The parameters of a URL, in any order, and what stands before them.
    fn taken_apart(url: &str) -> (String, Vec<String>) {
        let (place, query) = url.split_once('?').unwrap();
        let mut query: Vec<String> = query.split('&').map(str::to_owned).collect();
        query.sort();
        (place.to_owned(), query)
    }

    #[tokio::test]
    async fn the_sdk_signs_the_same() {
        let now = Micros::parse_rfc3339("2026-11-23T23:59:59.9Z").unwrap();
        let now_s = u64::try_from(now.unix_seconds()).unwrap();
        let ttl = Duration::from_secs(900);
        let until = PresigningConfig::builder()
            .start_time(UNIX_EPOCH + Duration::from_secs(now_s))
            .expires_in(ttl)
            .build()
            .unwrap();
        let key = "o/ten_1/2026/11/23/a b+c@1~é'(x)*!.jpg";
        let hash = "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=";
        for (endpoint, path_style) in [
            ("http://127.0.0.1:7601", true),
            ("http://localhost:7601", false),
            ("https://store.example.org", true),
            ("https://store.example.org", false),
        ] {
            let settings = settings(endpoint, "safelight", path_style);
            let client = aws_sdk_s3::Client::from_conf(sdk_config(&settings));
            let put = client
                .put_object()
                .bucket("safelight")
                .key(key)
                .content_length(1234)
                .content_type("image/jpeg")
                .checksum_sha256(hash)
                .metadata("safelight-asset", "ast_1")
                .presigned(until.clone())
                .await
                .unwrap();
            let part = client
                .upload_part()
                .bucket("safelight")
                .key(key)
                .upload_id("up/load+id=")
                .part_number(7)
                .content_length(99)
                .checksum_sha256(hash)
                .presigned(until.clone())
                .await
                .unwrap();
            let get = client
                .get_object()
                .bucket("safelight")
                .key(key)
                .response_content_type("image/jpeg; q=1")
                .presigned(until.clone())
                .await
                .unwrap();
            let ours = signer(&settings);
            let own_headers = [
                ("content-type", "image/jpeg"),
                ("x-amz-checksum-sha256", hash),
                ("x-amz-meta-safelight-asset", "ast_1"),
            ];
            let all = BTreeMap::from(own_headers.map(|(n, v)| (n.to_owned(), v.to_owned())));
            let only_hash = BTreeMap::from([("x-amz-checksum-sha256".to_owned(), hash.to_owned())]);
            let none = BTreeMap::new();
            let part_query = [
                ("x-id", "UploadPart"),
                ("partNumber", "7"),
                ("uploadId", "up/load+id="),
            ];
            let get_query = [
                ("x-id", "GetObject"),
                ("response-content-type", "image/jpeg; q=1"),
            ];
            type Case<'a> = (
                &'static str,
                &'a [(&'a str, &'a str)],
                &'a BTreeMap<String, String>,
                Option<u64>,
                &'a str,
            );
            let cases: [Case<'_>; 3] = [
                ("PUT", &[("x-id", "PutObject")], &all, Some(1234), put.uri()),
                ("PUT", &part_query, &only_hash, Some(99), part.uri()),
                ("GET", &get_query, &none, None, get.uri()),
            ];
            for (method, query, headers, length_bytes, theirs) in cases {
                let signed = ours
                    .sign(&Request {
                        method,
                        key,
                        query,
                        headers,
                        length_bytes,
                        now,
                        ttl,
                    })
                    .unwrap();
                assert_eq!(taken_apart(&signed.url), taken_apart(theirs), "{endpoint}");
            }
        }
    }

    #[test]
    fn the_key_of_the_day_changes_at_midnight() {
        let settings = settings("http://127.0.0.1:7601", "safelight", true);
        let late = Micros::parse_rfc3339("2026-11-23T23:59:59Z").unwrap();
        let sign = |signer: &Signer, now| {
            signer
                .sign(&Request {
                    method: "GET",
                    key: "x/t/a",
                    query: &[],
                    headers: &BTreeMap::new(),
                    length_bytes: None,
                    now,
                    ttl: Duration::from_secs(60),
                })
                .map(|signed| signed.url)
        };
        let kept = signer(&settings);
        for now in [late, late.plus(Duration::from_secs(1)), late] {
            assert_eq!(sign(&kept, now), sign(&signer(&settings), now));
        }
        assert_eq!(sign(&kept, Micros(-1)), Err(PresignError::Time(Micros(-1))));
        assert!(sign(&kept, Micros(i64::MAX)).is_err());
    }
}
