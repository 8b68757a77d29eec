//! Where the store is and how to speak to it.

use std::fmt;
use std::time::Duration;

use http::Uri;

/// Where the store is, who we are to it, and how long we wait.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// The URL that the server itself uses; `None` is AWS in `region`.
    pub endpoint: Option<String>,
    /// The URL that phones see: presigned URLs are made for it. `None` is `endpoint`.
    pub public_endpoint: Option<String>,
    /// The region that requests are signed for.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// The access key's id.
    pub access_key: String,
    /// The access key's secret.
    pub secret_key: String,
    /// Whether the bucket stands in the path (`host/bucket/key`) instead of in the host name.
    /// Addresses without a name and buckets with a dot are always addressed so.
    pub path_style: bool,
    /// How long one attempt of a request may take, body of a read excepted.
    pub request_timeout: Duration,
    /// How long one attempt of a Complete may take: stores may assemble for minutes.
    pub complete_timeout: Duration,
}

impl StoreSettings {
    /// The default of `request_timeout`.
    pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
    /// The default of `complete_timeout`.
    pub const COMPLETE_TIMEOUT: Duration = Duration::from_secs(300);
}

impl fmt::Debug for StoreSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreSettings")
            .field("endpoint", &self.endpoint)
            .field("public_endpoint", &self.public_endpoint)
            .field("region", &self.region)
            .field("bucket", &self.bucket)
            .field("path_style", &self.path_style)
            .finish_non_exhaustive()
    }
}

/// A setting that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// An endpoint that is not an `http` or `https` URL of a host.
    #[error("{setting} must be an http or https URL such as http://127.0.0.1:7601, not {value:?}")]
    Endpoint {
        /// Which endpoint.
        setting: &'static str,
        /// Its value.
        value: String,
    },
    /// A bucket name outside S3's rules.
    #[error("bucket must be 3 to 63 of a-z, 0-9, '-' and '.', not {0:?}")]
    Bucket(String),
    /// A setting that must not be empty.
    #[error("{0} must not be empty")]
    Empty(&'static str),
}

/// Where requests go: what stands in URLs and in the `host` header, which is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// `http` or `https`.
    pub scheme: String,
    /// Host and port, the port only where it is not the scheme's own.
    pub host: String,
    /// What comes before the key in the path: empty, or `/bucket`, percent-encoded.
    pub path: String,
}

impl StoreSettings {
    /// Refuses what cannot work, naming the setting.
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        for (name, value) in [
            ("region", &self.region),
            ("access_key", &self.access_key),
            ("secret_key", &self.secret_key),
        ] {
            if value.trim().is_empty() {
                return Err(SettingsError::Empty(name));
            }
        }
        let named = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
        let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = self.bucket.as_bytes();
        let fits = (3..=63).contains(&bytes.len())
            && bytes.iter().all(|b| named(*b))
            && edge(bytes.first())
            && edge(bytes.last())
            && !self.bucket.contains("..");
        if !fits {
            return Err(SettingsError::Bucket(self.bucket.clone()));
        }
        if let Some(url) = &self.endpoint {
            split("endpoint", url)?;
        }
        Ok(())
    }

    /// Where phones send their requests.
    pub(crate) fn public(&self) -> Result<Endpoint, SettingsError> {
        let (scheme, host, base) = match (&self.public_endpoint, &self.endpoint) {
            (Some(url), _) => split("public_endpoint", url)?,
            (None, Some(url)) => split("endpoint", url)?,
            (None, None) => {
                let suffix = if self.region.starts_with("cn-") {
                    ".cn"
                } else {
                    ""
                };
                let host = format!("s3.{}.amazonaws.com{suffix}", self.region);
                ("https".to_owned(), host, String::new())
            }
        };
        Ok(if self.in_path(&host) {
            let path = format!("{base}/{}", self.bucket);
            Endpoint { scheme, host, path }
        } else {
            let host = format!("{}.{host}", self.bucket);
            Endpoint {
                scheme,
                host,
                path: base,
            }
        })
    }

    fn in_path(&self, host: &str) -> bool {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let address = host.starts_with('[') || name.parse::<std::net::Ipv4Addr>().is_ok();
        self.path_style || address || self.bucket.contains('.')
    }
}

/// Scheme, host with port, and path without a closing slash.
fn split(setting: &'static str, url: &str) -> Result<(String, String, String), SettingsError> {
    let refused = || SettingsError::Endpoint {
        setting,
        value: url.to_owned(),
    };
    let uri: Uri = url.parse().map_err(|_| refused())?;
    let scheme = uri.scheme_str().ok_or_else(refused)?;
    let own_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return Err(refused()),
    };
    let authority = uri.authority().ok_or_else(refused)?;
    if uri.query().is_some() || authority.as_str().contains('@') || authority.host().is_empty() {
        return Err(refused());
    }
    let host = authority.host().to_ascii_lowercase();
    let host = match authority.port_u16() {
        Some(port) if port != own_port => format!("{host}:{port}"),
        _ => host,
    };
    let path = uri.path().trim_end_matches('/').to_owned();
    Ok((scheme.to_owned(), host, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> StoreSettings {
        StoreSettings {
            endpoint: None,
            public_endpoint: None,
            region: "eu-central-1".to_owned(),
            bucket: "safelight".to_owned(),
            access_key: "key".to_owned(),
            secret_key: "hush".to_owned(),
            path_style: false,
            request_timeout: StoreSettings::REQUEST_TIMEOUT,
            complete_timeout: StoreSettings::COMPLETE_TIMEOUT,
        }
    }

    fn public(change: impl FnOnce(&mut StoreSettings)) -> String {
        let mut all = settings();
        change(&mut all);
        all.check().unwrap();
        let at = all.public().unwrap();
        format!("{}://{}{}", at.scheme, at.host, at.path)
    }

    #[test]
    fn the_public_endpoint_is_where_phones_go() {
        let set = |url: &str| Some(url.to_owned());
        assert_eq!(
            public(|_| ()),
            "https://safelight.s3.eu-central-1.amazonaws.com"
        );
        assert_eq!(
            public(|s| s.region = "cn-north-1".to_owned()),
            "https://safelight.s3.cn-north-1.amazonaws.com.cn"
        );
        assert_eq!(
            public(|s| s.path_style = true),
            "https://s3.eu-central-1.amazonaws.com/safelight"
        );
        assert_eq!(
            public(|s| s.endpoint = set("http://127.0.0.1:7601/")),
            "http://127.0.0.1:7601/safelight"
        );
        assert_eq!(
            public(|s| {
                s.endpoint = set("http://127.0.0.1:7601");
                s.public_endpoint = set("https://Media.Example.org:443/store");
            }),
            "https://safelight.media.example.org/store"
        );
        assert_eq!(
            public(|s| s.public_endpoint = set("http://[::1]:7601")),
            "http://[::1]:7601/safelight"
        );
    }

    #[test]
    fn what_cannot_work_is_named() {
        for url in [
            "",
            "store",
            "ftp://host",
            "http://",
            "http://u:p@host",
            "http://host?x",
        ] {
            let mut all = settings();
            all.endpoint = Some(url.to_owned());
            assert!(
                matches!(
                    all.check(),
                    Err(SettingsError::Endpoint {
                        setting: "endpoint",
                        ..
                    })
                ),
                "{url}"
            );
        }
        for bucket in ["", "ab", "Upper", "-edge", "dot..dot", "sl/ash"] {
            let mut all = settings();
            all.bucket = bucket.to_owned();
            assert_eq!(all.check(), Err(SettingsError::Bucket(bucket.to_owned())));
        }
        let mut all = settings();
        all.secret_key.clear();
        assert_eq!(all.check(), Err(SettingsError::Empty("secret_key")));
        assert!(!format!("{:?}", settings()).contains("hush"));
    }
}
