//! Rendition presets: what is derived from an original, by name and version.

/// How a rendition is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// JPEG, 4:2:0, progressive off.
    Jpeg,
    /// Lossy WebP.
    Webp,
    /// AVIF, 4:2:0, 8 bits.
    Avif,
    /// A clip: H.264 and AAC in MP4, its index first.
    Mp4,
    /// A playlist of HTTP Live Streaming (RFC 8216).
    M3u8,
}

impl Format {
    /// The file name extension, which is part of object keys and public paths.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
            Self::Avif => "avif",
            Self::Mp4 => "mp4",
            Self::M3u8 => "m3u8",
        }
    }

    /// The media type sent with it.
    #[must_use]
    pub fn mime(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
            Self::Avif => "image/avif",
            Self::Mp4 => "video/mp4",
            Self::M3u8 => "application/vnd.apple.mpegurl",
        }
    }
}

/// How much smaller than its longer edge says a rendition may come out, in percent, where that saves
/// work: a JPEG decoder yields halves and quarters cheaply, and averages of a HEIC's tiles do, so a photo of 4032 columns becomes a
/// `large` of 2016 without any resize. Set by what users see and by what it saves: nobody sees a
/// twentieth, most phones' 12 megapixels come within it, and it saves a fifth of the processor time
/// (`make bench ONLY=imaging`).
pub const SIZE_TOLERANCE_PERCENT: u32 = 5;

/// Which part of the original a rendition shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// All of it.
    Whole,
    /// The square of its shorter edge that keeps what matters.
    Square,
}

/// A named, versioned recipe for a rendition. A changed recipe gets a new version, never the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// The name in keys and URLs.
    pub name: &'static str,
    /// The version in keys and URLs.
    pub version: u32,
    /// The longer edge in pixels; originals that are smaller are not enlarged. May come out
    /// [`SIZE_TOLERANCE_PERCENT`] smaller.
    pub long_edge: u32,
    /// The encoding.
    pub format: Format,
    /// The encoder's quality, 1 to 100.
    pub quality: u8,
    /// Which part of the original it shows.
    pub shape: Shape,
}

/// What a rendition is of, as it stands in links, object keys and rows: all that is known of one whose version is made no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label {
    /// The preset's name.
    pub name: &'static str,
    /// The preset's version.
    pub version: u32,
    /// The encoding.
    pub format: Format,
}

impl Label {
    /// Whether both are the same preset, whatever their formats.
    #[must_use]
    pub fn is_format_of(&self, other: &Self) -> bool {
        (self.name, self.version) == (other.name, other.version)
    }
}

impl Preset {
    /// What is made by it.
    #[must_use]
    pub fn label(&self) -> Label {
        Label {
            name: self.name,
            version: self.version,
            format: self.format,
        }
    }

    /// Whether a gain map of the original goes with it, behind the same picture as without one: an Ultra HDR JPEG.
    #[must_use]
    pub fn keeps_gain_map(&self) -> bool {
        self.name == LARGE.name
    }

    /// The shortest longer edge that serves, in pixels, of an original that is not smaller itself.
    #[must_use]
    pub fn least_long_edge(&self) -> u32 {
        let off = u64::from(self.long_edge) * u64::from(SIZE_TOLERANCE_PERCENT) / 100;
        self.long_edge - u32::try_from(off).unwrap_or(0)
    }
}

/// The first picture anyone sees; made by `inspect`.
pub const COVER: Preset = Preset {
    name: "cover",
    version: 1,
    long_edge: 320,
    format: Format::Webp,
    quality: 75,
    shape: Shape::Whole,
};
/// A phone's screen; made by `derive`.
pub const DISPLAY: Preset = Preset {
    name: "display",
    version: 1,
    long_edge: 1080,
    format: Format::Webp,
    quality: 75,
    shape: Shape::Whole,
};
/// Zooming and larger screens, with a gain map if there is one; made by `derive`.
pub const LARGE: Preset = Preset {
    name: "large",
    version: 1,
    long_edge: 2048,
    format: Format::Jpeg,
    quality: 80,
    shape: Shape::Whole,
};
/// A profile picture; made by `inspect` with the cover where a capture's purpose is [`PROFILE`], else when it first is for one.
pub const SQUARE: Preset = Preset {
    name: "square",
    version: 1,
    long_edge: 256,
    format: Format::Webp,
    quality: 75,
    shape: Shape::Square,
};

/// The purpose of captures whose pictures get a [`SQUARE`].
pub const PROFILE: &str = "profile";

/// What is shown of a clip before it plays: the picture that its cover is of; made by `inspect`.
pub const POSTER: Preset = Preset {
    name: "poster",
    version: 1,
    long_edge: 1080,
    format: Format::Webp,
    quality: 75,
    shape: Shape::Whole,
};
/// A clip as every player plays it, at most 1080p; made by `transcode`. Its quality is given to the encoder by what makes it.
pub const STREAM: Preset = Preset {
    name: "stream",
    version: 1,
    long_edge: 1920,
    format: Format::Mp4,
    quality: 0,
    shape: Shape::Whole,
};
/// The shorter edge of [`STREAM`], in pixels.
pub const STREAM_SHORT_EDGE: u32 = 1080;
/// [`STREAM`] for HTTP Live Streaming, of clips that run longer than [`HLS_FROM_S`]: a playlist of the pieces of one file
/// ([`HLS_MEDIA`](crate::variant::HLS_MEDIA)); made by `transcode` behind [`STREAM`], from it.
pub const HLS: Preset = Preset {
    name: "hls",
    format: Format::M3u8,
    ..STREAM
};
/// A clip that runs for longer has an [`HLS`], in seconds.
pub const HLS_FROM_S: f64 = 60.0;
/// What plays by itself, again and again, where clips are shown among others: 480p, silent, from the picture that its poster is
/// of; made by `transcode` before [`STREAM`]. H.264 in MP4, since that is what phones play inline.
pub const PREVIEW_CLIP: Preset = Preset {
    name: "preview_clip",
    version: 1,
    long_edge: 854,
    format: Format::Mp4,
    quality: 0,
    shape: Shape::Whole,
};
/// The shorter edge of [`PREVIEW_CLIP`], in pixels.
pub const PREVIEW_CLIP_SHORT_EDGE: u32 = 480;
/// How long [`PREVIEW_CLIP`] runs at most, in seconds.
pub const PREVIEW_CLIP_S: u32 = 3;
/// Pictures that [`PREVIEW_CLIP`] has in a second at most: half of what phones film, which a small picture hardly shows.
pub const PREVIEW_CLIP_FPS: u32 = 15;

/// The name under which a cleaned original stands beside renditions. It is none of [`ALL`]: it is no picture made by a recipe, but the
/// original without what it tells of its owner, made when somebody asks for it, and shown to nobody but by a grant.
pub const CLEANED: &str = "cleaned";
/// Raised when cleaned originals come out otherwise: those of other versions are made anew when they are next asked for.
pub const CLEANED_VERSION: u32 = 1;

/// What `derive` makes.
pub const DERIVED: [Preset; 2] = [DISPLAY, LARGE];
/// What every picture that can be shown has.
pub const OF_EVERY_PICTURE: [Preset; 3] = [COVER, DISPLAY, LARGE];
/// Every preset that a picture can be given.
pub const ALL: [Preset; 4] = [COVER, DISPLAY, LARGE, SQUARE];
/// The pictures that a clip is given, of one of its own.
pub const OF_CLIP: [Preset; 2] = [COVER, POSTER];
/// What `transcode` makes of a clip, in this order.
pub const PLAYED: [Preset; 2] = [PREVIEW_CLIP, STREAM];
/// What `transcode` makes of clips that run longer than [`HLS_FROM_S`], in this order.
pub const PLAYED_OF_LONG: [Preset; 3] = [PREVIEW_CLIP, STREAM, HLS];
/// What every clip has.
pub const OF_EVERY_CLIP: [Preset; 4] = [COVER, POSTER, PREVIEW_CLIP, STREAM];

/// Every preset there is.
pub fn every() -> impl Iterator<Item = Preset> {
    ALL.into_iter().chain([POSTER, PREVIEW_CLIP, STREAM, HLS])
}

/// The presets that an operator may change: of others one version is made.
pub const CHANGEABLE: [Preset; 2] = DERIVED;

/// What the preset of this name makes by default, in this version: of what an operator may change any, of others the one there is.
#[must_use]
pub fn labelled(name: &str, version: u32) -> Option<Label> {
    let known = every().find(|p| p.name == name)?;
    let may_be = version == known.version || (version > 0 && CHANGEABLE.contains(&known));
    may_be.then_some(Label {
        version,
        ..known.label()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rendition_may_be_a_twentieth_smaller() {
        assert_eq!(LARGE.least_long_edge(), 1946);
        assert_eq!(COVER.least_long_edge(), 304);
        for long_edge in [0, 1, u32::MAX] {
            let preset = Preset { long_edge, ..COVER };
            assert!(preset.least_long_edge() <= long_edge);
        }
    }

    #[test]
    fn names_and_versions_are_unique() {
        for (i, a) in every().enumerate() {
            let mut others = every().skip(i + 1);
            assert!(others.all(|b| (a.name, a.version) != (b.name, b.version)));
            assert_eq!(labelled(a.name, a.version), Some(a.label()));
            let is_changeable = CHANGEABLE.contains(&a);
            assert_eq!(labelled(a.name, 99).is_some(), is_changeable);
            assert_eq!(labelled(a.name, 0), None);
            assert_ne!(a.name, CLEANED);
        }
        assert!(OF_EVERY_CLIP.iter().all(|p| every().any(|one| one == *p)));
    }
}
