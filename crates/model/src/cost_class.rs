//! What a job costs, roughly: light, heavy, or a clip. Each class has workers of its own, so that what takes long holds up
//! only its like.
//!
//! Before a file was read there is only what its client says of it: kind and size. Bounds by size are such that photos of
//! phones' everyday modes are light, whatever their quality, and modes of 50 megapixels and more are heavy. Afterwards it is
//! known how many pixels there are.

/// What a job costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CostClass {
    /// Tens of milliseconds: an ordinary photo, or nothing to decode at all.
    #[default]
    Light,
    /// Up to seconds, and hundreds of megabytes: very large pictures, and the clips of motion photos.
    Heavy,
    /// Minutes: clips.
    Video,
}

/// From this size on a picture is heavy: a JPEG of 12 megapixels has 3 to 8 MB, one of 50 has 12 to 30.
const HEAVY_BYTES: i64 = 12_000_000;
/// The same for pictures that are coded as videos are, twice as tight and several times as slow to decode: a HEIC of 12
/// megapixels has 1 to 3 MB, one of 48 has 5 to 10.
const HEAVY_HEIF_BYTES: i64 = 5_000_000;
/// From so many pixels on a picture is heavy.
const HEAVY_PIXELS: i64 = 50_000_000;
/// The same for pictures that are coded as videos are: phones' modes of 48 megapixels are above, those of 24 below.
const HEAVY_HEIF_PIXELS: i64 = 40_000_000;

impl CostClass {
    /// The clip of a motion photo: the work of a large picture, and not behind clips that take minutes.
    pub const MOTION: Self = Self::Heavy;

    /// Every class.
    pub const ALL: [Self; 3] = [Self::Light, Self::Heavy, Self::Video];

    /// As in rows and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Heavy => "heavy",
            Self::Video => "video",
        }
    }

    /// The class of this text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }

    /// What a file is expected to cost by what its client says of it.
    #[must_use]
    pub fn declared(mime: Option<&str>, size_bytes: i64) -> Self {
        let mime = mime.unwrap_or_default();
        if mime.starts_with("video/") {
            return Self::Video;
        }
        let heavy_bytes = if is_heif(mime) {
            HEAVY_HEIF_BYTES
        } else {
            HEAVY_BYTES
        };
        if size_bytes >= heavy_bytes {
            Self::Heavy
        } else {
            Self::Light
        }
    }

    /// What a picture costs of this kind by content, of so many columns and rows; light where that is not known.
    #[must_use]
    pub fn of_picture(mime: Option<&str>, width: Option<i64>, height: Option<i64>) -> Self {
        let (width, height) = (width.unwrap_or(0), height.unwrap_or(0));
        if width.saturating_mul(height) > most_light_pixels(mime) {
            Self::Heavy
        } else {
            Self::Light
        }
    }
}

/// How many pixels a picture of this kind by content has at most that is light.
#[must_use]
pub fn most_light_pixels(mime: Option<&str>) -> i64 {
    let heavy = if is_heif(mime.unwrap_or_default()) {
        HEAVY_HEIF_PIXELS
    } else {
        HEAVY_PIXELS
    };
    heavy - 1
}

fn is_heif(mime: &str) -> bool {
    ["image/heic", "image/heif", "image/avif"]
        .iter()
        .any(|heif| mime.starts_with(heif))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_reads_back() {
        for class in CostClass::ALL {
            assert_eq!(CostClass::parse(class.as_str()), Some(class));
        }
        assert_eq!(CostClass::parse("free"), None);
    }

    #[test]
    fn phones_modes_fall_where_they_should() {
        for (mime, size_bytes, class) in [
            (Some("image/jpeg"), 4_200_000, CostClass::Light),
            (Some("image/jpeg"), 8_000_000, CostClass::Light),
            (Some("image/jpeg"), 14_000_000, CostClass::Heavy),
            (Some("image/heic"), 2_000_000, CostClass::Light),
            (Some("image/heic-sequence"), 6_000_000, CostClass::Heavy),
            (Some("image/avif"), 5_000_000, CostClass::Heavy),
            (Some("video/mp4"), 10, CostClass::Video),
            (None, 1, CostClass::Light),
            (None, i64::MAX, CostClass::Heavy),
        ] {
            assert_eq!(
                CostClass::declared(mime, size_bytes),
                class,
                "{mime:?} {size_bytes}"
            );
        }
        for (mime, width, height, class) in [
            ("image/jpeg", 4032, 3024, CostClass::Light),
            ("image/jpeg", 8165, 6124, CostClass::Heavy),
            ("image/heic", 5712, 4284, CostClass::Light),
            ("image/heic", 8064, 6048, CostClass::Heavy),
            ("image/jpeg", i64::MAX, 2, CostClass::Heavy),
        ] {
            assert_eq!(
                CostClass::of_picture(Some(mime), Some(width), Some(height)),
                class,
                "{mime} {width}"
            );
        }
    }
}
