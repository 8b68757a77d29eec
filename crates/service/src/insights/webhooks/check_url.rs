//! Where an endpoint is, and whether anything may be sent there. What a name stands for is only seen when a connection
//! is made (see [`post`](super::post)); what is wrong already in the URL is refused here.

use std::net::IpAddr;

use http::Uri;
use safelight_model::codes::Code;
use safelight_model::{address, limits};

use crate::context::WebhookRules;

/// A URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether it is spoken to over TLS.
    pub is_https: bool,
    /// The name or address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// As it stands in the header `Host`.
    pub authority: String,
    /// Path and query.
    pub path: String,
}

/// Why a URL is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is none.
    #[error(
        "url must be an absolute URL of at most 2048 characters, without user, password and fragment"
    )]
    Form,
    /// It is one without TLS.
    #[error("url must begin with https://")]
    Scheme,
    /// It leads to where the public does not.
    #[error("url leads to a private address: its host must be on the public internet")]
    Private,
}

impl UrlError {
    /// The stable code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Form | Self::Scheme => Code::ValidationFailed,
            Self::Private => Code::WebhookAddressRefused,
        }
    }
}

/// Takes a URL apart.
///
/// # Errors
/// If it is none, or nothing may be sent there.
pub fn check_url(url: &str, rules: WebhookRules) -> Result<Target, UrlError> {
    let is_sound = url.len() <= limits::MAX_WEBHOOK_TEXT.0
        && url
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'#' && b != b'\\');
    if !is_sound {
        return Err(UrlError::Form);
    }
    let uri: Uri = url.parse().map_err(|_| UrlError::Form)?;
    let is_https = match uri.scheme_str() {
        Some("https") => true,
        Some("http") if rules.allow_http => false,
        Some("http") => return Err(UrlError::Scheme),
        _ => return Err(UrlError::Form),
    };
    let authority = uri.authority().ok_or(UrlError::Form)?;
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return Err(UrlError::Form);
    }
    let bracketed = authority.host();
    let host = bracketed
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(bracketed);
    // What stands behind the colon must be a port, if anything does.
    let port = match authority.as_str().strip_prefix(bracketed) {
        Some("") => {
            if is_https {
                443
            } else {
                80
            }
        }
        _ => authority
            .port_u16()
            .filter(|p| *p > 0)
            .ok_or(UrlError::Form)?,
    };
    if !rules.allow_private && is_private(host) {
        return Err(UrlError::Private);
    }
    Ok(Target {
        is_https,
        host: host.to_owned(),
        port,
        authority: authority.as_str().to_owned(),
        path: uri
            .path_and_query()
            .map_or_else(|| "/".to_owned(), |p| p.as_str().to_owned()),
    })
}

/// Whether a host is private by its name alone (RFC 6761 for `localhost`).
fn is_private(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    if let Ok(ip) = name.parse::<IpAddr>() {
        return !address::is_public(ip);
    }
    name == "localhost"
        || [".localhost", ".local", ".internal"]
            .iter()
            .any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: WebhookRules = WebhookRules {
        allow_private: true,
        allow_http: true,
    };

    fn strictly(url: &str) -> Result<Target, UrlError> {
        check_url(url, WebhookRules::default())
    }

    #[test]
    fn a_url_is_taken_apart() {
        let target = strictly("https://app.example/hooks?a=b").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("app.example", 443));
        assert_eq!(target.path, "/hooks?a=b");
        let target = check_url("http://[::1]:8080", OPEN).unwrap();
        assert_eq!((target.host.as_str(), target.port), ("::1", 8080));
        assert_eq!(
            (target.authority.as_str(), target.path.as_str()),
            ("[::1]:8080", "/")
        );
        assert_eq!(strictly("https://[2606:4700::1111]/").unwrap().port, 443);
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for url in [
            "",
            "/hooks",
            "app.example",
            "ftp://app.example/",
            "https://",
            "https:///path",
            "https://user@app.example/",
            "https://user:word@app.example/",
            "https://app.example/#part",
            "https://app.example:0/",
            "https://app.example:99999/",
            "https://app.example:/",
            "https://app .example/",
            "https://app.example\\@10.0.0.1/",
            "https://\u{e4}pp.example/",
        ] {
            assert_eq!(check_url(url, OPEN), Err(UrlError::Form), "{url}");
        }
        let long = format!("https://app.example/{}", "a".repeat(2_048));
        assert_eq!(strictly(&long), Err(UrlError::Form));
        assert_eq!(strictly("http://app.example/"), Err(UrlError::Scheme));
    }

    #[test]
    fn what_is_private_by_name_is_refused() {
        for host in [
            "127.0.0.1",
            "10.0.0.1",
            "169.254.169.254",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[fd00::1]",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "metadata.google.internal",
            "printer.local",
        ] {
            let url = format!("https://{host}/");
            assert_eq!(strictly(&url), Err(UrlError::Private), "{host}");
            assert!(check_url(&url, OPEN).is_ok(), "{host}");
        }
    }
}
