//! What a file is, by its content. Names and declared types are never asked.

/// How many bytes from the start [`sniff`] can make use of.
pub const SNIFF_BYTES: usize = 1024;

/// A kind of file that can be told from its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaType {
    /// JPEG, with or without trailers.
    Jpeg,
    /// PNG and APNG.
    Png,
    /// WebP, still or animated.
    Webp,
    /// GIF.
    Gif,
    /// HEIF with HEVC items, as iPhones write it.
    Heic,
    /// HEIF with AV1 items.
    Avif,
    /// TIFF and the raw formats built on it that cannot be told apart.
    Tiff,
    /// Adobe's raw format, told from TIFF by its version tag.
    Dng,
    /// SVG, an XML program rather than a picture.
    Svg,
    /// MPEG-4 video.
    Mp4,
    /// QuickTime video.
    Mov,
    /// 3GPP video.
    ThreeGp,
}

impl MediaType {
    /// The registered media type.
    #[must_use]
    pub fn mime(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Gif => "image/gif",
            Self::Heic => "image/heic",
            Self::Avif => "image/avif",
            Self::Tiff => "image/tiff",
            Self::Dng => "image/x-adobe-dng",
            Self::Svg => "image/svg+xml",
            Self::Mp4 => "video/mp4",
            Self::Mov => "video/quicktime",
            Self::ThreeGp => "video/3gpp",
        }
    }

    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::Jpeg,
        Self::Png,
        Self::Webp,
        Self::Gif,
        Self::Heic,
        Self::Avif,
        Self::Tiff,
        Self::Dng,
        Self::Svg,
        Self::Mp4,
        Self::Mov,
        Self::ThreeGp,
    ];

    /// The kind of a registered media type.
    #[must_use]
    pub fn of_mime(mime: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.mime() == mime)
    }

    /// How names of such files end, without the dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Gif => "gif",
            Self::Heic => "heic",
            Self::Avif => "avif",
            Self::Tiff => "tif",
            Self::Dng => "dng",
            Self::Svg => "svg",
            Self::Mp4 => "mp4",
            Self::Mov => "mov",
            Self::ThreeGp => "3gp",
        }
    }

    /// The kind of files whose names end so.
    #[must_use]
    pub fn of_extension(extension: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.extension() == extension)
    }

    /// Whether [`crate::read_metadata`] knows this kind.
    #[must_use]
    pub fn has_metadata(self) -> bool {
        self.is_cleanable() || matches!(self, Self::Tiff | Self::Dng)
    }

    /// Whether [`crate::clean`] knows this kind.
    #[must_use]
    pub fn is_cleanable(self) -> bool {
        match self {
            Self::Jpeg
            | Self::Png
            | Self::Webp
            | Self::Heic
            | Self::Avif
            | Self::Mp4
            | Self::Mov
            | Self::ThreeGp => true,
            Self::Gif | Self::Tiff | Self::Dng | Self::Svg => false,
        }
    }

    /// Whether it may be a motion photo: a picture whose file holds a clip too.
    #[must_use]
    pub fn may_hold_clip(self) -> bool {
        matches!(self, Self::Jpeg | Self::Heic | Self::Avif)
    }

    /// Whether it is a clip. Those are decoded elsewhere.
    #[must_use]
    pub fn is_clip(self) -> bool {
        matches!(self, Self::Mp4 | Self::Mov | Self::ThreeGp)
    }

    /// Whether [`crate::render`] knows this kind: of TIFF, raw photos alone.
    #[must_use]
    pub fn is_decodable(self) -> bool {
        match self {
            Self::Jpeg
            | Self::Png
            | Self::Webp
            | Self::Gif
            | Self::Heic
            | Self::Avif
            | Self::Tiff
            | Self::Dng => true,
            Self::Svg | Self::Mp4 | Self::Mov | Self::ThreeGp => false,
        }
    }
}

/// The kind of file that starts with `head`, if it is known. The first 64 bytes suffice for all
/// but SVG and DNG; more than [`SNIFF_BYTES`] are not looked at.
#[must_use]
pub fn sniff(head: &[u8]) -> Option<MediaType> {
    let head = head.get(..SNIFF_BYTES).unwrap_or(head);
    if head.starts_with(b"\xff\xd8\xff") {
        return Some(MediaType::Jpeg);
    }
    if head.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some(MediaType::Png);
    }
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        return Some(MediaType::Webp);
    }
    if head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a") {
        return Some(MediaType::Gif);
    }
    if head.starts_with(b"II*\0") || head.starts_with(b"MM\0*") {
        return Some(tiff(head));
    }
    iso_media(head).or_else(|| is_svg(head).then_some(MediaType::Svg))
}

/// DNG when the first directory lies in `head` and has the DNGVersion tag.
fn tiff(head: &[u8]) -> MediaType {
    const DNG_VERSION: u16 = 0xc612;
    let little = head.starts_with(b"II");
    let u16_at = |at: usize| {
        let bytes: [u8; 2] = head.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    };
    let entries_at = || {
        let bytes: [u8; 4] = head.get(4..8)?.try_into().ok()?;
        let offset = if little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        };
        usize::try_from(offset).ok()
    };
    let is_dng = entries_at().is_some_and(|at| {
        let count = usize::from(u16_at(at).unwrap_or(0)).min(SNIFF_BYTES / 12);
        (0..count).any(|i| u16_at(at.saturating_add(2 + i * 12)) == Some(DNG_VERSION))
    });
    if is_dng {
        MediaType::Dng
    } else {
        MediaType::Tiff
    }
}

/// MP4, QuickTime, HEIF and their relatives: the first box and its brands.
fn iso_media(head: &[u8]) -> Option<MediaType> {
    let kind = head.get(4..8)?;
    if kind != b"ftyp" {
        // QuickTime before 2001 has no `ftyp`; these are its top-level boxes.
        return [b"moov", b"mdat", b"wide", b"skip", b"pnot"]
            .iter()
            .any(|k| k.as_slice() == kind)
            .then_some(MediaType::Mov);
    }
    let size = head
        .get(..4)
        .and_then(|b| b.try_into().ok())
        .map_or(0, |b| u32::from_be_bytes(b) as usize);
    let major = head.get(8..12)?;
    let end = size.clamp(12, head.len().max(12));
    let compatible = head.get(16..end).unwrap_or_default();
    let has = |brands: &[&[u8; 4]]| {
        brands.iter().any(|b| b.as_slice() == major)
            || compatible
                .chunks_exact(4)
                .any(|c| brands.iter().any(|b| b.as_slice() == c))
    };
    let is = |brands: &[&[u8; 4]]| brands.iter().any(|b| b.as_slice() == major);
    Some(if is(&[b"avif", b"avis"]) {
        MediaType::Avif
    } else if is(&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"]) {
        MediaType::Heic
    } else if is(&[b"mif1", b"msf1"]) {
        // The structural brand says nothing of the codec.
        if has(&[b"avif", b"avis"]) {
            MediaType::Avif
        } else {
            MediaType::Heic
        }
    } else if is(&[b"qt  "]) {
        MediaType::Mov
    } else if major.starts_with(b"3gp") || major.starts_with(b"3g2") {
        MediaType::ThreeGp
    } else {
        MediaType::Mp4
    })
}

/// Text whose first element is `<svg`, behind an XML declaration, comments and a doctype.
fn is_svg(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    loop {
        let (open, close) = if rest.starts_with("<!--") {
            ("<!--", "-->")
        } else if rest.starts_with("<?") {
            ("<?", "?>")
        } else if rest.starts_with("<!") {
            // An internal subset has brackets; its end is `]>`.
            let plain = rest.find('>').unwrap_or(usize::MAX);
            let subset = rest.find('[').unwrap_or(usize::MAX);
            ("<!", if subset < plain { "]>" } else { ">" })
        } else {
            return rest
                .strip_prefix("<svg")
                .is_some_and(|r| r.is_empty() || r.starts_with([' ', '>', '\n', '\r', '\t', '/']));
        };
        let Some(end) = rest
            .get(open.len()..)
            .and_then(|r| r.find(close))
            .map(|at| at + open.len() + close.len())
        else {
            return false;
        };
        rest = rest.get(end..).unwrap_or_default().trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_heads() {
        let cases: [(&[u8], Option<MediaType>); 18] = [
            (b"\xff\xd8\xff\xe0", Some(MediaType::Jpeg)),
            (b"\x89PNG\r\n\x1a\n\0", Some(MediaType::Png)),
            (b"RIFF\x01\0\0\0WEBPVP8 ", Some(MediaType::Webp)),
            (b"RIFF\x01\0\0\0WAVEfmt ", None),
            (b"GIF89a..", Some(MediaType::Gif)),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Some(MediaType::Heic)),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", Some(MediaType::Heic)),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", Some(MediaType::Avif)),
            (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", Some(MediaType::Mov)),
            (b"\0\0\0\x14ftyp3gp5\0\0\0\0isom", Some(MediaType::ThreeGp)),
            (b"\0\0\0\x14ftypisom\0\0\0\0mp41", Some(MediaType::Mp4)),
            (b"\0\0\0\x03ftypisom", Some(MediaType::Mp4)),
            (b"\0\0\0\x08wide\0\0\0\0mdat", Some(MediaType::Mov)),
            (b"II*\0\x08\0\0\0\0\0", Some(MediaType::Tiff)),
            (
                b"II*\0\x08\0\0\0\x01\0\x12\xc6\x01\0\x04\0\0\0\x01\x04\0\0",
                Some(MediaType::Dng),
            ),
            (b"X5O!P%@AP", None),
            (b"", None),
            (b"<html><svg>", None),
        ];
        for (head, expected) in cases {
            assert_eq!(sniff(head), expected, "{:?}", String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn svg_behind_a_prologue() {
        for text in [
            "<svg xmlns=''/>",
            "\u{feff}  <svg>",
            "<?xml version='1.0'?>\n<!-- <svg> --><!DOCTYPE svg [<!ENTITY x \"y\">]>\n<svg\n>",
        ] {
            assert_eq!(sniff(text.as_bytes()), Some(MediaType::Svg), "{text}");
        }
        assert_eq!(sniff(b"<svgx>"), None);
        assert_eq!(sniff(b"<!-- <svg>"), None);
    }
}
