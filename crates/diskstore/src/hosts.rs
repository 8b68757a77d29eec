//! Which bucket a request is for: by the name of its host, or else by its path.

use std::net::IpAddr;

use http::header;
use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};
use s3s::path::{S3Path, parse_virtual_hosted_style};

/// The names by which the store is called. `bucket.name` is the host of a
/// bucket; a request to any other host names its bucket in the path.
#[derive(Debug, Clone)]
pub(crate) struct Hosts {
    /// In lower case, the longest first, so that of two names of which one ends
    /// in the other the closer one is found.
    names: Vec<String>,
}

impl Hosts {
    /// Hosts of these names, without ports; `Err` gives one that is no name.
    pub(crate) fn of(names: &[String]) -> Result<Self, String> {
        let mut lower = Vec::with_capacity(names.len());
        for name in names {
            if !is_name(name) {
                return Err(name.clone());
            }
            lower.push(name.to_ascii_lowercase());
        }
        lower.sort_unstable_by_key(|name| std::cmp::Reverse(name.len()));
        Ok(Self { names: lower })
    }

    /// The bucket that a `Host` header names, if it names one.
    pub(crate) fn bucket(&self, host: &str) -> Option<String> {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if self.names.contains(&name) {
            return None;
        }
        self.names.iter().find_map(|of| {
            let bucket = name.strip_suffix(of.as_str())?.strip_suffix('.')?;
            (!bucket.is_empty()).then(|| bucket.to_owned())
        })
    }

    /// What a request is for; `None` if it names nothing that can exist.
    pub(crate) fn place(&self, parts: &http::request::Parts) -> Option<S3Path> {
        let host = parts.headers.get(header::HOST)?.to_str().ok()?;
        let path = percent_encoding::percent_decode_str(parts.uri.path())
            .decode_utf8()
            .ok()?;
        parse_virtual_hosted_style(self.bucket(host).as_deref(), &path).ok()
    }
}

impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let named = VirtualHost::new(host);
        Ok(match self.bucket(host) {
            Some(bucket) => named.with_bucket(bucket),
            None => named,
        })
    }
}

/// Whether this is a host's name: labels of letters, digits, `-` and, in private
/// networks, `_`. Addresses are none; buckets cannot stand before them.
fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    name.parse::<IpAddr>().is_err() && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(names: &[&str]) -> Hosts {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Hosts::of(&names).unwrap()
    }

    #[test]
    fn a_bucket_stands_before_the_name() {
        let hosts = hosts(&["store.example", "eu.store.example", "localhost"]);
        for (host, bucket) in [
            ("photos.store.example", Some("photos")),
            ("Photos.Store.Example:7601", Some("photos")),
            ("a.b.store.example.", Some("a.b")),
            ("photos.eu.store.example", Some("photos")),
            ("eu.store.example", None),
            ("store.example:80", None),
            (".store.example", None),
            ("photosstore.example", None),
            ("photos.localhost:7601", Some("photos")),
            ("elsewhere.example", None),
            ("127.0.0.1:7601", None),
            ("[::1]:7601", None),
        ] {
            assert_eq!(hosts.bucket(host).as_deref(), bucket, "{host}");
        }
    }

    #[test]
    fn addresses_and_ports_are_no_names() {
        for wrong in ["", "127.0.0.1", "::1", "store:7601", "a..b", "http://a"] {
            assert!(Hosts::of(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
