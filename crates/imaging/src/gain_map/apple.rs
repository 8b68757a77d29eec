//! Apple's gain maps before ISO 21496-1: a value says how much of the headroom a pixel takes, in light rather than in stops.

use super::meaning::Meaning;
use crate::metadata::{apple_light, property};

/// What the gain map is called in XMP and in HEIF.
pub(crate) const NAME: &[u8] = b"urn:com:apple:photo:2020:aux:hdrgainmap";
/// A headroom that is no gain, and one that no camera has had.
const HEADROOM: std::ops::RangeInclusive<f64> = 1.01..=64.0;

/// What values mean once they were put through [`scale`].
pub(super) fn meaning(headroom: f64) -> Option<Meaning> {
    HEADROOM.contains(&headroom).then_some(())?;
    let stops = headroom.log2();
    Meaning {
        min: [0.0; 3],
        max: [stops; 3],
        gamma: [1.0; 3],
        offset_sdr: [0.0; 3],
        offset_hdr: [0.0; 3],
        capacity_min: 0.0,
        capacity_max: stops,
    }
    .checked()
}

/// How many times as bright as white the picture may become: as the gain map's XMP says, or else as follows from the maker note
/// in EXIF ("Applying Apple HDR effect to your photos").
pub(super) fn headroom(xmp: &[u8], tiff: Option<&[u8]>) -> Option<f64> {
    let told = property(xmp, ":HDRGainMapHeadroom");
    let told = told.and_then(|text| std::str::from_utf8(text).ok()?.trim().parse().ok());
    told.or_else(|| {
        let (headroom, gain) = apple_light(tiff?)?;
        let stops = match (headroom < 1.0, gain <= 0.01) {
            (true, true) => -20.0 * gain + 1.8,
            (true, false) => -0.101 * gain + 1.601,
            (false, true) => -70.0 * gain + 3.0,
            (false, false) => -0.303 * gain + 2.303,
        };
        Some(stops.max(0.0).exp2())
    })
}

/// What each value becomes: of `1 + (headroom - 1) * light`, where light is the value by sRGB's curve, its part of all stops.
pub(super) fn scale(headroom: f64) -> [u8; 256] {
    let mut scale = [0; 256];
    for (value, to) in (0_u32..).zip(&mut scale) {
        let coded = f64::from(value) / 255.0;
        let light = match coded <= 0.04045 {
            true => coded / 12.92,
            false => ((coded + 0.055) / 1.055).powf(2.4),
        };
        let stops = (1.0 + (headroom - 1.0) * light).log2() / headroom.log2();
        *to = (stops * 255.0).round().clamp(0.0, 255.0) as u8;
    }
    scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stays_nothing_and_all_stays_all() {
        let scale = scale(4.5);
        assert_eq!((scale[0], scale[255]), (0, 255));
        assert!(scale.is_sorted());
        // Half of the value is a fifth of the light: 1.75 times as bright, of 4.5.
        assert_eq!(scale[128], 95);
        assert_eq!(meaning(0.5), None);
        assert_eq!(meaning(4.0).map(|m| m.capacity_max), Some(2.0));
    }

    #[test]
    fn xmp_says_the_headroom() {
        let xmp = b"<H:HDRGainMapHeadroom>4.532783</H:HDRGainMapHeadroom>";
        assert_eq!(headroom(xmp, None), Some(4.532783));
        assert_eq!(headroom(b"", None), None);
    }
}
