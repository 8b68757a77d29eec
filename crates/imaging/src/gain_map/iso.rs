//! What the values of a gain map mean, as ISO 21496-1 (annex C) writes it.

use super::meaning::Meaning;

/// With this the segment of a JPEG begins.
pub(super) const NAME: &[u8] = b"urn:iso:std:iso:ts:21496:-1\0";
/// What the picture's own segment has behind its name: versions, and nothing else.
pub(super) const VERSIONS: [u8; 4] = [0; 4];
const IS_COLOURED: u8 = 0x80;
const BY_BASE_COLOURS: u8 = 0x40;
/// One denominator for all, as some writers have it; and a picture that is the brighter one, which is no base for everyone.
const ONE_DENOMINATOR: u8 = 0x08;
const IS_BACKWARD: u8 = 0x04;
/// Of what is written.
const DENOMINATOR: u32 = 1_000_000;

/// Reads what stands behind the name.
pub(super) fn read(mut bytes: &[u8]) -> Option<Meaning> {
    // Who wrote a later version may still want to be read by this one.
    let least_version = u16::from_be_bytes([take(&mut bytes)?, take(&mut bytes)?]);
    let _writer_version = [take(&mut bytes)?, take(&mut bytes)?];
    let flags = take(&mut bytes)?;
    if least_version != 0 || flags & IS_BACKWARD != 0 {
        return None;
    }
    let common = match flags & ONE_DENOMINATOR {
        0 => None,
        _ => Some(word(&mut bytes)?),
    };
    let unsigned = |bytes: &mut &[u8]| fraction(word(bytes)?.into(), bytes, common);
    let capacity_min = unsigned(&mut bytes)?;
    let capacity_max = unsigned(&mut bytes)?;
    let channels = if flags & IS_COLOURED == 0 { 1 } else { 3 };
    let mut found = [[0.0; 3]; 5];
    for channel in 0..channels {
        for (kind, values) in found.iter_mut().enumerate() {
            let numerator = word(&mut bytes)?;
            // All but gamma are signed.
            let numerator: i64 = match kind {
                2 => numerator.into(),
                _ => numerator.cast_signed().into(),
            };
            *values.get_mut(channel)? = fraction(numerator, &mut bytes, common)?;
        }
    }
    if channels == 1 {
        found = found.map(|[first, ..]| [first; 3]);
    }
    let [min, max, gamma, offset_sdr, offset_hdr] = found;
    Meaning {
        min,
        max,
        gamma,
        offset_sdr,
        offset_hdr,
        capacity_min,
        capacity_max,
    }
    .checked()
}

/// What stands behind the name.
pub(super) fn write(meaning: &Meaning) -> Vec<u8> {
    let mut out = VERSIONS.to_vec();
    let (flag, channels) = match meaning.is_coloured() {
        true => (IS_COLOURED, 3),
        false => (0, 1),
    };
    out.push(flag | BY_BASE_COLOURS);
    let mut push = |value: f64| {
        // Checked to be within 32 of nothing, so it fits.
        let numerator = (value * f64::from(DENOMINATOR)).round() as i32;
        out.extend(numerator.to_be_bytes());
        out.extend(DENOMINATOR.to_be_bytes());
    };
    push(meaning.capacity_min);
    push(meaning.capacity_max);
    let kinds = [
        meaning.min,
        meaning.max,
        meaning.gamma,
        meaning.offset_sdr,
        meaning.offset_hdr,
    ];
    for channel in 0..channels {
        for values in kinds {
            push(values[channel]);
        }
    }
    out
}

fn take(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

fn word(bytes: &mut &[u8]) -> Option<u32> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u32::from_be_bytes(*first))
}

fn fraction(numerator: i64, bytes: &mut &[u8], common: Option<u32>) -> Option<f64> {
    let denominator = match common {
        Some(common) => common,
        None => word(bytes)?,
    };
    (denominator != 0).then(|| numerator as f64 / f64::from(denominator))
}

#[cfg(test)]
mod tests {
    use super::super::meaning::plain;
    use super::*;

    #[test]
    fn is_read_as_it_was_written() {
        let gray = plain(2.180401);
        assert_eq!(read(&write(&gray)), Some(gray));
        let coloured = Meaning {
            min: [-3.835419, -1.485931, -1.444519],
            gamma: [1.114899, 0.630917, 0.610173],
            ..gray
        };
        let written = write(&coloured);
        assert_eq!(read(&written), Some(coloured));
        for cut in 0..written.len() {
            assert_eq!(read(&written[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn one_denominator_for_all() {
        let mut bytes = vec![0, 0, 0, 0, ONE_DENOMINATOR];
        for value in [4_u32, 0, 8, 0, 8, 4, 1, 1] {
            bytes.extend(value.to_be_bytes());
        }
        let found = read(&bytes).unwrap();
        assert_eq!(
            (found.capacity_max, found.max, found.gamma),
            (2.0, [2.0; 3], [1.0; 3])
        );
        bytes[4] |= IS_BACKWARD;
        assert_eq!(read(&bytes), None);
    }
}
