//! Previews: what a picture is like, in a few bytes, for those who look before it has arrived.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use safelight_model::limits::MAX_THUMBHASH_BYTES;

/// Makes previews. An app makes them by what it has: phones decode by their own means, and often hold the pixels of what was
/// just taken.
#[async_trait::async_trait]
pub trait Preview: Send + Sync {
    /// The [thumbhash](https://evanw.github.io/thumbhash/) of the picture at `path`, upright, at most 64 bytes; `None` if it
    /// has none, as what cannot be decoded. It is asked once for each file, several at the same time. The future is dropped
    /// when it takes too long ([`Settings::preview_within`](crate::uploader::Settings::preview_within)), and must not
    /// hold up its thread.
    async fn thumbhash(&self, path: &Path) -> Option<Vec<u8>>;
}

/// A thumbhash as it is sent; `None` if the server would not take it, and refuse the whole capture.
pub(crate) fn encoded(thumbhash: &[u8]) -> Option<String> {
    let is_one = (1..=MAX_THUMBHASH_BYTES).contains(&thumbhash.len());
    is_one.then(|| BASE64_STANDARD.encode(thumbhash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_would_refuse_is_no_preview() {
        assert_eq!(encoded(&[1, 2, 3]).as_deref(), Some("AQID"));
        assert!(encoded(&[7; 64]).is_some());
        assert_eq!((encoded(&[]), encoded(&[7; 65])), (None, None));
    }
}
