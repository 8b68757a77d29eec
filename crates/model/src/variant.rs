//! Presets in other formats than their own, or at a lower quality: the same picture for who shows something smaller, or nothing but JPEG,
//! or would rather have fewer bytes; the file that a playlist is of; and the clip in a motion photo.
//!
//! A preset's own format is made at once. An alternative stands beside it: in links and object keys under the same name and version
//! with another extension, or under another name where the extension is the same, in rows under a name of its own ([`slot`]), since rows are told apart by name and version. A version of the
//! program that does not know it takes such a row for that of a preset it does not know: it shows it without a link, counts it among
//! what is ready, and removes it with its blob.

use crate::preset::{self, COVER, DISPLAY, Format, HLS, LARGE, Label, Preset, STREAM};

/// A preset in another format, and its name in rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Alternative {
    slot: &'static str,
    /// The name of the preset that it stands beside.
    beside: &'static str,
    preset: Preset,
}

/// `display` for browsers that show AVIF; made in the bulk lane. At this quality it is as like its original as the WebP is, in fewer
/// bytes; `docs/guide/benchmarks.md` has the figures.
pub const DISPLAY_AVIF: Preset = Preset {
    format: Format::Avif,
    quality: 58,
    ..DISPLAY
};
/// `display` for who shows JPEG only; made when it is first asked for.
pub const DISPLAY_JPEG: Preset = Preset {
    format: Format::Jpeg,
    quality: 80,
    ..DISPLAY
};
/// `display` for who would rather have fewer bytes (`Save-Data`); made when it is first asked for. `docs/guide/benchmarks.md` has what it
/// saves.
pub const LEAN: Preset = Preset {
    name: "lean",
    quality: 35,
    ..DISPLAY
};
/// `cover` for who shows JPEG only; made when it is first asked for.
pub const COVER_JPEG: Preset = Preset {
    format: Format::Jpeg,
    quality: 80,
    ..COVER
};

/// The file of which [`HLS`] names the pieces: MP4 in fragments, each of which can be played by itself.
pub const HLS_MEDIA: Preset = Preset {
    format: Format::Mp4,
    ..HLS
};

/// The clip in a motion photo as every player plays it: what [`STREAM`] is of a clip; made when it is first asked for. It stands beside the
/// cover, which every picture has, and is none of the pictures that one is shown by.
pub const MOTION: Preset = Preset {
    name: "motion",
    ..STREAM
};

const ALTERNATIVES: [Alternative; 6] = [
    Alternative {
        slot: "display.avif",
        beside: DISPLAY.name,
        preset: DISPLAY_AVIF,
    },
    Alternative {
        slot: "display.jpg",
        beside: DISPLAY.name,
        preset: DISPLAY_JPEG,
    },
    Alternative {
        slot: "display.lean",
        beside: DISPLAY.name,
        preset: LEAN,
    },
    Alternative {
        slot: "cover.jpg",
        beside: COVER.name,
        preset: COVER_JPEG,
    },
    Alternative {
        slot: "hls.mp4",
        beside: HLS.name,
        preset: HLS_MEDIA,
    },
    Alternative {
        slot: "cover.motion",
        beside: COVER.name,
        preset: MOTION,
    },
];

/// What is made in the bulk lane, once everything that users wait for is there.
pub const IN_BULK: [Preset; 1] = [DISPLAY_AVIF];
/// What is made when it is first asked for by who shows nothing else.
pub const ON_REQUEST: [Preset; 2] = [DISPLAY_JPEG, COVER_JPEG];

/// The sizes of the whole picture, the smallest first: what a link that names none is to.
pub const SIZES: [Preset; 3] = [COVER, DISPLAY, LARGE];
/// Raised when links of that kind choose otherwise.
pub const AUTO_VERSION: u32 = 1;
/// What stands in such a link in place of a preset's name.
pub const AUTO: &str = "auto";

/// The alternatives that are pictures.
pub const OF_PICTURES: [Preset; 4] = [DISPLAY_AVIF, DISPLAY_JPEG, LEAN, COVER_JPEG];

/// Every alternative there is.
pub fn all() -> impl Iterator<Item = Preset> {
    ALTERNATIVES.into_iter().map(|a| a.preset)
}

/// The name of the row of what is made by this preset: the preset's own, or that of the alternative that it is.
#[must_use]
pub fn slot(of: &Label) -> &'static str {
    ALTERNATIVES
        .iter()
        .find(|a| (a.preset.name, a.preset.format) == (of.name, of.format))
        .map_or(of.name, |a| a.slot)
}

/// What the row of this name and version is of.
#[must_use]
pub fn of_slot(slot: &str, version: u32) -> Option<Label> {
    match ALTERNATIVES.iter().find(|a| a.slot == slot) {
        None => preset::labelled(slot, version),
        Some(a) => in_format(a.preset.name, version, a.preset.format.extension()),
    }
}

/// The preset, or alternative, of rows of this name, as it is built in.
#[must_use]
pub fn built_in(slot: &str) -> Option<Preset> {
    let own = preset::every().find(|p| p.name == slot);
    own.or_else(|| {
        let mut alternatives = ALTERNATIVES.iter();
        alternatives.find(|a| a.slot == slot).map(|a| a.preset)
    })
}

/// Whether a row of this name is that of an alternative, of whatever version.
#[must_use]
pub fn is_alternative(slot: &str) -> bool {
    slot.contains('.')
}

/// The name of the preset that what is made by this stands beside, or is.
#[must_use]
pub fn beside(of: &Label) -> &'static str {
    let slot = slot(of);
    let mut alternatives = ALTERNATIVES.iter();
    alternatives
        .find(|a| a.slot == slot)
        .map_or(of.name, |a| a.beside)
}

/// What is made by the preset of this name and version in the format of this extension, if there is such.
#[must_use]
pub fn in_format(name: &str, version: u32, extension: &str) -> Option<Label> {
    let is_asked = |of: &Preset| of.name == name && of.format.extension() == extension;
    match ALTERNATIVES.iter().find(|a| is_asked(&a.preset)) {
        Some(a) => {
            let is_changeable = preset::CHANGEABLE.iter().any(|p| p.name == a.beside);
            let may_be = version == a.preset.version || (version > 0 && is_changeable);
            may_be.then_some(Label {
                version,
                ..a.preset.label()
            })
        }
        None => {
            let own = preset::labelled(name, version)?;
            (own.format.extension() == extension).then_some(own)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_has_a_row_and_a_link_of_its_own() {
        let every: Vec<Preset> = preset::every().chain(all()).collect();
        for (i, a) in every.iter().enumerate() {
            let label = a.label();
            let (slot_of, extension) = (slot(&label), a.format.extension());
            assert_eq!(of_slot(slot_of, a.version), Some(label));
            assert_eq!(built_in(slot_of), Some(*a));
            assert_eq!(in_format(a.name, a.version, extension), Some(label));
            assert!(
                every
                    .iter()
                    .skip(i + 1)
                    .all(|b| slot(&b.label()) != slot_of)
            );
            // Rows are told apart by their version.
            let later = Label {
                version: 7,
                ..label
            };
            assert_eq!(slot(&later), slot_of);
            let beside = beside(&label);
            let is_changeable = preset::CHANGEABLE.iter().any(|p| p.name == beside);
            assert_eq!(of_slot(slot_of, 7), is_changeable.then_some(later));
        }
        for made in IN_BULK.iter().chain(&ON_REQUEST) {
            assert!(all().any(|a| a == *made));
        }
        assert_eq!(IN_BULK.len() + ON_REQUEST.len() + 1, OF_PICTURES.len());
        let is_picture = |a: &Preset| ![HLS_MEDIA, MOTION].contains(a);
        let pictures: Vec<Preset> = all().filter(is_picture).collect();
        assert_eq!(pictures, OF_PICTURES);
        assert_eq!(of_slot("cover.jpg", 2), None);
        assert_eq!(of_slot("display.png", 1), None);
        assert_eq!(in_format("large", 1, "webp"), None);
    }

    #[test]
    fn an_alternative_is_the_same_picture() {
        for alternative in all().filter(|a| *a != MOTION) {
            let beside = beside(&alternative.label());
            let own = preset::labelled(beside, alternative.version).unwrap();
            let is_format = own.is_format_of(&alternative.label());
            assert_eq!(is_format, own.format != alternative.format);
            assert_eq!(is_format, alternative != LEAN);
            assert!(is_alternative(slot(&alternative.label())) && !is_alternative(slot(&own)));
        }
    }

    #[test]
    fn every_size_can_be_had_as_jpeg_and_they_grow() {
        for preset in SIZES {
            assert!(in_format(preset.name, preset.version, "jpg").is_some());
            assert_ne!(preset.name, AUTO);
        }
        assert!(SIZES.is_sorted_by_key(|p| p.long_edge));
    }
}
