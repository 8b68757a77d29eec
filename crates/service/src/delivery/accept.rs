//! Which formats a client shows, by `Accept` (RFC 9110, section 12.5.1).
//!
//! WebP and AVIF are shown by who names them. `*/*` and `image/*` are sent by everything that speaks HTTP, old browsers and mail
//! readers among them, so they mean what everything shows: JPEG. So does no `Accept` at all.

use http::{HeaderMap, header};
use safelight_model::preset::Format;

/// How much a client wants each format, in thousandths; 0 is not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    avif: u16,
    webp: u16,
    jpeg: u16,
}

/// As sent without a number.
const WHOLE: u16 = 1000;

impl Accepted {
    /// What the request says.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let fields = headers.get_all(header::ACCEPT).iter();
        let ranges = fields
            .filter_map(|field| field.to_str().ok())
            .flat_map(|field| field.split(','))
            .filter_map(range);
        let (mut avif, mut webp) = (0, 0);
        // The narrowest that covers JPEG decides.
        let (mut jpeg, mut narrowest) = (None, 0);
        for (name, quality) in ranges {
            let narrowness = match name.as_str() {
                "image/avif" => {
                    avif = quality;
                    continue;
                }
                "image/webp" => {
                    webp = quality;
                    continue;
                }
                "image/jpeg" => 3,
                "image/*" => 2,
                "*/*" => 1,
                _ => continue,
            };
            if narrowness > narrowest {
                (jpeg, narrowest) = (Some(quality), narrowness);
            }
        }
        let is_silent = avif == 0 && webp == 0;
        Self {
            avif,
            webp,
            // Who wants none of these is answered with what everything shows, rather than not at all.
            jpeg: match jpeg {
                Some(0) | None if is_silent => WHOLE,
                Some(quality) => quality,
                None => 0,
            },
        }
    }

    /// How much this format is wanted, if at all. Of equals the smaller file goes first.
    pub(super) fn wants(self, format: Format) -> Option<(u16, u8)> {
        let (quality, smallness) = match format {
            Format::Avif => (self.avif, 2),
            Format::Webp => (self.webp, 1),
            Format::Jpeg => (self.jpeg, 0),
            // There is nothing to choose from: of a playlist and the file that it is of, the playlist is what is asked for.
            Format::M3u8 => (WHOLE, 1),
            Format::Mp4 => (WHOLE, 0),
        };
        (quality > 0).then_some((quality, smallness))
    }
}

/// A range of media types and its weight. One whose weight cannot be read is not there.
fn range(text: &str) -> Option<(String, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let weight = parts.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")));
    Some((name, weight.map_or(Some(WHOLE), thousandths)?))
}

/// `0` to `1` with up to three digits behind the point.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part: u16 = format!("{part:0<3}").parse().ok()?;
    match whole {
        "0" => Some(part),
        "1" if part == 0 => Some(WHOLE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order(accept: Option<&str>) -> Vec<Format> {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(header::ACCEPT, accept.parse().unwrap());
        }
        let accepted = Accepted::of(&headers);
        let mut formats = vec![Format::Jpeg, Format::Webp, Format::Avif];
        formats.retain(|f| accepted.wants(*f).is_some());
        formats.sort_by_key(|f| std::cmp::Reverse(accepted.wants(*f)));
        formats
    }

    #[test]
    fn browsers_get_what_they_show() {
        use Format::{Avif, Jpeg, Webp};
        for (accept, expected) in [
            // Chrome, Firefox 128, Safari 17, Firefox 65, Safari 13, curl, nothing.
            (
                Some("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"),
                vec![Avif, Webp, Jpeg],
            ),
            (
                Some("image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"),
                vec![Avif, Webp, Jpeg],
            ),
            (
                Some(
                    "image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,image/png,*/*;q=0.5",
                ),
                vec![Avif, Webp, Jpeg],
            ),
            (Some("image/webp,*/*"), vec![Webp, Jpeg]),
            (
                Some("image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5"),
                vec![Jpeg],
            ),
            (Some("*/*"), vec![Jpeg]),
            (None, vec![Jpeg]),
        ] {
            assert_eq!(order(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn weights_are_honoured() {
        use Format::{Avif, Jpeg, Webp};
        for (accept, expected) in [
            ("image/avif;q=0.5, image/webp", vec![Webp, Avif]),
            ("image/avif;q=0, image/webp;q=0.001", vec![Webp]),
            ("image/avif;q=0.9,image/*;q=0.95", vec![Jpeg, Avif]),
            ("image/*;q=0, image/jpeg;q=0.3", vec![Jpeg]),
            ("image/jpeg;q=0, */*, image/webp", vec![Webp]),
            ("IMAGE/WebP ; Q=0.8 , */*;q=0.1", vec![Webp, Jpeg]),
            ("image/webp;q=2, image/avif;q=x", vec![Jpeg]),
            // Nothing that there is: what everything shows.
            ("image/png", vec![Jpeg]),
            ("image/jpeg;q=0", vec![Jpeg]),
            ("", vec![Jpeg]),
        ] {
            assert_eq!(order(Some(accept)), expected, "{accept}");
        }
    }

    proptest! {
        #[test]
        fn there_is_always_something_to_send(accept in "[ -~]{0,60}") {
            prop_assert!(!order(Some(&accept)).is_empty());
        }

        #[test]
        fn wildcards_alone_mean_jpeg(quality in 0..=1000_u16, wide in any::<bool>()) {
            let name = if wide { "*/*" } else { "image/*" };
            let accept = format!("{name};q={}.{:03}", quality / 1000, quality % 1000);
            prop_assert_eq!(order(Some(&accept)), vec![Format::Jpeg]);
        }
    }
}
