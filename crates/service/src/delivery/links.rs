//! Signed links: `/m/{public_id}/{file}?e={expiry}&k={key id}&s={signature}`.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use safelight_api::paths;
use safelight_imaging::MediaType;
use safelight_model::preset::{self, Label};
use safelight_model::{limits, link, variant};

use crate::context::Context;

/// The file name that stands for an original.
pub const ORIGINAL: &str = "original";

/// What a link is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// Something derived.
    Rendition(Label),
    /// The same in the format that serves who asks; it stands there with its own.
    AnyFormat(Label),
    /// The same in the size too.
    AnySize,
    /// The bytes as they were received.
    Original,
    /// The same without what they tell of their owner, of a file of this kind.
    Cleaned(MediaType),
}

impl File {
    /// Reads `{preset}@{version}.{format}`, `{preset}@{version}`, `auto@{version}`, `cleaned@{version}.{extension}` or `original`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if name == ORIGINAL {
            return Some(Self::Original);
        }
        let Some((stem, extension)) = name.rsplit_once('.') else {
            let (preset, version) = name.split_once('@')?;
            let version = version_of(version)?;
            if preset == variant::AUTO {
                return (version == variant::AUTO_VERSION).then_some(Self::AnySize);
            }
            return preset::labelled(preset, version).map(Self::AnyFormat);
        };
        let (preset, version) = stem.split_once('@')?;
        let version = version_of(version)?;
        if preset == preset::CLEANED {
            let media = MediaType::of_extension(extension)?;
            return (version == preset::CLEANED_VERSION).then_some(Self::Cleaned(media));
        }
        variant::in_format(preset, version, extension).map(Self::Rendition)
    }

    /// The name in the link.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Original => ORIGINAL.to_owned(),
            Self::Cleaned(media) => {
                let (name, version) = (preset::CLEANED, preset::CLEANED_VERSION);
                format!("{name}@{version}.{}", media.extension())
            }
            Self::Rendition(p) => format!("{}@{}.{}", p.name, p.version, p.format.extension()),
            Self::AnyFormat(p) => format!("{}@{}", p.name, p.version),
            Self::AnySize => format!("{}@{}", variant::AUTO, variant::AUTO_VERSION),
        }
    }
}

/// A version as it is written in links, without zeros before it.
fn version_of(text: &str) -> Option<u32> {
    text.parse().ok().filter(|v: &u32| v.to_string() == text)
}

/// The path of a file of an asset.
#[must_use]
pub fn path(public_id: &str, file: File) -> String {
    paths::MEDIA
        .replace("{public_id}", public_id)
        .replace("{file}", &file.name())
}

/// A link to something derived. The same for everyone within a window, so that caches can do their work.
#[must_use]
pub fn derived(context: &Context, public_id: &str, file: File) -> String {
    let window = limits::DELIVERY_WINDOW;
    let expiry = link::expiry(context.now(), window, window);
    signed(context, &path(public_id, file), expiry)
}

/// `path` signed until `expiry` (Unix seconds), as a full URL.
#[must_use]
pub fn signed(context: &Context, path: &str, expiry: i64) -> String {
    let ring = &context.keyring;
    let signature = BASE64_URL_SAFE_NO_PAD.encode(ring.sign_link(path, expiry));
    format!(
        "{}{path}?e={expiry}&k={}&s={signature}",
        context.settings.public_url, ring.link_key_id
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_read_back() {
        for file in preset::every()
            .chain(variant::all())
            .map(|preset| File::Rendition(preset.label()))
            .chain(preset::ALL.map(|preset| File::AnyFormat(preset.label())))
            .chain(preset::labelled("large", 12).map(File::Rendition))
            .chain(variant::in_format("display", 12, "avif").map(File::Rendition))
            .chain(preset::labelled("display", 12).map(File::AnyFormat))
            .chain([File::Original, File::AnySize])
            .chain(MediaType::ALL.into_iter().map(File::Cleaned))
        {
            assert_eq!(File::parse(&file.name()), Some(file));
        }
        for wrong in [
            "cover@1.png",
            "cover@2.webp",
            "cover@2",
            "display@0",
            "display@02",
            "display@+2",
            "display@2.jpeg",
            "large@2.webp",
            "cover@1.",
            "auto@2",
            "auto@1.webp",
            "auto",
            "cover.webp",
            "x@1.webp",
            "",
            "original.jpg",
            "cleaned@1.exe",
            "cleaned@2.jpg",
            "../x",
        ] {
            assert_eq!(File::parse(wrong), None, "{wrong}");
        }
    }
}
