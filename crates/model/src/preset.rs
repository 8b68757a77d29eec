//! Rendition presets: what is derived from an original, by name and version.

/// How a rendition is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// JPEG, 4:2:0, progressive off.
    Jpeg,
    /// Lossy WebP.
    Webp,
}

impl Format {
    /// The file name extension, which is part of object keys and public paths.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
        }
    }

    /// The media type sent with it.
    #[must_use]
    pub fn mime(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }
}

/// A named, versioned recipe for a rendition. A changed recipe gets a new version, never the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// The name in keys and URLs.
    pub name: &'static str,
    /// The version in keys and URLs.
    pub version: u32,
    /// The longer edge in pixels; originals that are smaller are not enlarged.
    pub long_edge: u32,
    /// The encoding.
    pub format: Format,
    /// The encoder's quality, 1 to 100.
    pub quality: u8,
}

/// The first picture anyone sees; made by `inspect`.
pub const COVER: Preset = Preset {
    name: "cover",
    version: 1,
    long_edge: 320,
    format: Format::Webp,
    quality: 75,
};
/// A phone's screen; made by `derive`.
pub const DISPLAY: Preset = Preset {
    name: "display",
    version: 1,
    long_edge: 1080,
    format: Format::Webp,
    quality: 75,
};
/// Zooming and larger screens; made by `derive`.
pub const LARGE: Preset = Preset {
    name: "large",
    version: 1,
    long_edge: 2048,
    format: Format::Jpeg,
    quality: 80,
};

/// What `derive` makes.
pub const DERIVED: [Preset; 2] = [DISPLAY, LARGE];
/// Every preset there is.
pub const ALL: [Preset; 3] = [COVER, DISPLAY, LARGE];

/// The preset of this name and version.
#[must_use]
pub fn find(name: &str, version: u32) -> Option<Preset> {
    ALL.into_iter()
        .find(|p| p.name == name && p.version == version)
}

/// The current preset of this name.
#[must_use]
pub fn current(name: &str) -> Option<Preset> {
    ALL.into_iter()
        .filter(|p| p.name == name)
        .max_by_key(|p| p.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions_are_unique() {
        for (i, a) in ALL.iter().enumerate() {
            assert!(
                ALL.iter()
                    .skip(i + 1)
                    .all(|b| (a.name, a.version) != (b.name, b.version))
            );
            assert_eq!(find(a.name, a.version), Some(*a));
        }
        assert_eq!(find("cover", 99), None);
        assert_eq!(current("large"), Some(LARGE));
    }
}
