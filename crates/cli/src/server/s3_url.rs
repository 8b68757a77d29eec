//! The URL of an S3 store: `s3://bucket`, with an optional `?endpoint=URL`.

use std::fmt;

use anyhow::bail;

/// A bucket and where it is. Shown, it is the name under which the catalog knows the store, the same
/// for every way to write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Url {
    /// The bucket.
    pub bucket: String,
    /// The URL of the store; `None` is Amazon S3.
    pub endpoint: Option<String>,
}

impl S3Url {
    /// Reads a URL.
    pub fn parse(url: &str) -> anyhow::Result<Self> {
        let Some(rest) = url.strip_prefix("s3://") else {
            bail!("store_url: {url:?} does not begin with s3://");
        };
        let (bucket, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut endpoint = None;
        for pair in query.split('&').filter(|p| !p.is_empty()) {
            match pair.split_once('=') {
                Some(("endpoint", value)) => {
                    endpoint = Some(value.trim_end_matches('/').to_owned());
                }
                _ => bail!(
                    "store_url: {pair:?} is not understood; use s3://bucket?endpoint=http://host:port"
                ),
            }
        }
        let bucket = bucket.trim_end_matches('/');
        if bucket.is_empty() {
            bail!("store_url must name a bucket: s3://bucket");
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            endpoint,
        })
    }
}

impl fmt::Display for S3Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        match &self.endpoint {
            Some(endpoint) => write!(f, "?endpoint={endpoint}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_store_has_one_name() {
        for (url, name) in [
            ("s3://photos", "s3://photos"),
            ("s3://photos/", "s3://photos"),
            ("s3://photos?", "s3://photos"),
            (
                "s3://photos?endpoint=http://127.0.0.1:3900/",
                "s3://photos?endpoint=http://127.0.0.1:3900",
            ),
        ] {
            let read = S3Url::parse(url).unwrap().to_string();
            assert_eq!(read, name);
            assert_eq!(S3Url::parse(&read).unwrap().to_string(), name);
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (url, says) in [
            ("disk:///data", "s3://"),
            ("s3://", "must name a bucket"),
            ("s3://b?region=x", "region=x"),
            ("s3://b?endpoint", "endpoint"),
        ] {
            let error = S3Url::parse(url).unwrap_err().to_string();
            assert!(error.contains(says), "{url}: {error}");
        }
    }
}
