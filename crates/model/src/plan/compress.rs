//! What a client had better do with a file before it sends it.

use super::{Content, File, Hints, Line, Policy};

/// Advice to send a smaller copy. It is advice only: the client decides, declares what it sends as a file of its own, and
/// keeps the original until that is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compress {
    /// The media type to encode as.
    pub format: &'static str,
    /// From 1 to 100; 100 is lossless where the format can be.
    pub quality: u32,
    /// The longest edge in pixels; `None` to keep the size.
    pub max_edge_px: Option<u32>,
}

impl Policy {
    /// The advice for a file; none where the original itself is wanted (no purpose, or `archive`), where it is no picture
    /// that phones can encode anew, where it is small, or where the link carries it soon and free of charge.
    ///
    /// Screenshots stay as sharp as they are, since blurred text is worse than a late picture; flat scenes stand more
    /// than detailed ones.
    #[must_use]
    pub fn compress(&self, file: &File<'_>, hints: &Hints<'_>, line: &Line) -> Option<Compress> {
        let is_for_showing = matches!(hints.purpose, Some("profile" | "post" | "message"));
        let mime = file.mime?;
        let is_picture = [
            "image/jpeg",
            "image/png",
            "image/heic",
            "image/heif",
            "image/webp",
        ]
        .contains(&mime);
        let is_large = u64::try_from(file.size_bytes).is_ok_and(|s| s >= self.compress_least_bytes);
        let takes_long = line
            .bytes_in(self.compress_seconds)
            .is_some_and(|soon| file.size_bytes > soon);
        if !(is_for_showing && is_picture && is_large && (takes_long || hints.link.is_dear)) {
            return None;
        }
        let edge = if hints.purpose == Some("profile") {
            self.profile_edge_px
        } else {
            self.max_edge_px
        };
        let edge = u32::try_from(edge).unwrap_or(u32::MAX);
        let narrow = |quality: u64| u32::try_from(quality).unwrap_or(100);
        let quality = match self.content(file, mime) {
            Content::Screenshot => {
                return (mime == "image/png").then_some(Compress {
                    format: "image/webp",
                    quality: 100,
                    max_edge_px: None,
                });
            }
            Content::Flat => narrow(self.flat_quality),
            Content::Detailed => narrow(self.detailed_quality),
        };
        let is_small_already = file.pixels.is_some_and(|(w, h)| w.max(h) <= edge);
        // What is small in pixels and flat has nothing left to give.
        let has_little = file
            .centibits_per_pixel()
            .is_some_and(|c| c <= self.flat_centibits);
        if is_small_already && has_little {
            return None;
        }
        Some(Compress {
            format: "image/jpeg",
            quality,
            max_edge_px: (!is_small_already).then_some(edge),
        })
    }

    /// What is seen in it: what the client says, or what its size says.
    fn content(&self, file: &File<'_>, mime: &str) -> Content {
        if let Some(said) = file.content {
            return said;
        }
        if mime == "image/png" {
            return Content::Screenshot;
        }
        match file.centibits_per_pixel() {
            Some(centibits) if centibits <= self.flat_centibits => Content::Flat,
            _ => Content::Detailed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Link;
    use super::*;

    #[test]
    fn it_follows_purpose_content_and_link() {
        let policy = Policy::default();
        let dear = Link {
            is_dear: true,
            ..Link::default()
        };
        let slow = Link {
            uplink_kbps: Some(1_000),
            ..Link::default()
        };
        let jpeg = File {
            size_bytes: 4_000_000,
            mime: Some("image/jpeg"),
            pixels: Some((4_000, 3_000)),
            content: None,
        };
        let flat = File {
            size_bytes: 1_400_000,
            ..jpeg
        };
        let shot = File {
            mime: Some("image/png"),
            ..jpeg
        };
        let clip = File {
            mime: Some("video/mp4"),
            ..jpeg
        };
        let said = File {
            content: Some(Content::Flat),
            ..jpeg
        };
        let small = File {
            pixels: Some((1_200, 900)),
            ..jpeg
        };
        let of = |quality, max_edge_px| {
            Some(Compress {
                format: "image/jpeg",
                quality,
                max_edge_px,
            })
        };
        let lossless = Some(Compress {
            format: "image/webp",
            quality: 100,
            max_edge_px: None,
        });
        for (file, purpose, link, expected) in [
            (jpeg, Some("message"), dear, of(80, Some(2_048))),
            (jpeg, Some("message"), slow, of(80, Some(2_048))),
            (jpeg, Some("profile"), dear, of(80, Some(1_024))),
            (flat, Some("post"), dear, of(70, Some(2_048))),
            (said, Some("post"), dear, of(70, Some(2_048))),
            (small, Some("post"), dear, of(80, None)),
            (shot, Some("post"), dear, lossless),
            (clip, Some("post"), dear, None),
            (jpeg, Some("archive"), dear, None),
            (jpeg, None, dear, None),
            (jpeg, Some("message"), Link::default(), None),
        ] {
            let hints = Hints {
                purpose,
                link,
                ..Hints::default()
            };
            let line = Line::of(&link, &policy);
            assert_eq!(
                policy.compress(&file, &hints, &line),
                expected,
                "{file:?} {hints:?}"
            );
        }
    }
}
