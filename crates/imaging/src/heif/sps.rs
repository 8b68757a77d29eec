//! The size that a sequence parameter set of HEVC announces (ITU-T H.265, 7.3.2.2), so that it is
//! known before a decoder allocates by it.

/// No more of a parameter set is looked at: what comes before the size fits.
const MAX_BYTES: usize = 160;
/// The head of a NAL unit.
const HEAD_BYTES: u32 = 2;
/// Bits of a profile, as in `profile_tier_level`, without the level that follows it.
const PROFILE_BITS: u32 = 88;
const LEVEL_BITS: u32 = 8;

/// What is stored, and what is left of it to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Announced {
    pub stored: (u32, u32),
    pub visible: (u32, u32),
    /// The first column and row to be seen.
    pub begins: (u32, u32),
    /// Bits of a sample, the most of any channel.
    pub max_bits: u32,
}

/// Reads a NAL unit that holds a sequence parameter set. Nothing where it makes no sense.
pub(super) fn announced(unit: &[u8]) -> Option<Announced> {
    // With its head, as decoders do.
    let payload = without_escapes(unit);
    let mut bits = Bits {
        bytes: &payload,
        at: 8 * HEAD_BYTES,
    };
    bits.skip(4)?;
    let sub_layers = bits.take(3)?;
    bits.skip(1 + PROFILE_BITS + LEVEL_BITS)?;
    let mut more = 0;
    for _ in 0..sub_layers {
        more += PROFILE_BITS * bits.take(1)? + LEVEL_BITS * bits.take(1)?;
    }
    if sub_layers > 0 {
        bits.skip(2 * (8 - sub_layers))?;
    }
    bits.skip(more)?;
    let _id = bits.golomb()?;
    let chroma = bits.golomb()?;
    // Planes coded one by one are not decoded by libde265.
    if chroma > 3 || (chroma == 3 && bits.take(1)? == 1) {
        return None;
    }
    let stored = (bits.golomb()?, bits.golomb()?);
    let (mut visible, mut begins) = (stored, (0, 0));
    if bits.take(1)? == 1 {
        let (across, along) = match chroma {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        let mut cut = |unit: u32| {
            let (before, after) = (bits.golomb()?, bits.golomb()?);
            let all = before.checked_add(after)?.checked_mul(unit)?;
            Some((before.checked_mul(unit)?, all))
        };
        let (left, columns) = cut(across)?;
        let (top, rows) = cut(along)?;
        visible.0 = stored.0.checked_sub(columns)?;
        visible.1 = stored.1.checked_sub(rows)?;
        begins = (left, top);
    }
    let depth = bits.golomb()?.max(bits.golomb()?);
    Some(Announced {
        stored,
        visible,
        begins,
        max_bits: depth.checked_add(8)?,
    })
}

/// The beginning of a NAL unit without the bytes that keep start codes out of it.
fn without_escapes(unit: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(MAX_BYTES);
    let mut zeros = 0;
    for byte in unit.iter().take(MAX_BYTES) {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        plain.push(*byte);
    }
    plain
}

/// Takes bits, the highest of a byte first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: u32,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get((self.at / 8) as usize)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    fn skip(&mut self, count: u32) -> Option<()> {
        self.at = self.at.checked_add(count)?;
        Some(())
    }

    /// An exponential Golomb code, `ue(v)`.
    fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.take(1)? == 0 {
            zeros += 1;
            (zeros < 32).then_some(())?;
        }
        Some((1 << zeros) - 1 + self.take(zeros)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golomb_codes() {
        let bytes = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut bits = Bits {
            bytes: &bytes,
            at: 0,
        };
        let codes: Vec<u32> = (0..5).map_while(|_| bits.golomb()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4]);
        let mut endless = Bits {
            bytes: &[0; 9],
            at: 0,
        };
        assert_eq!(endless.golomb(), None);
    }

    #[test]
    fn an_escape_may_begin_in_the_head() {
        // 64 by 64, 4:2:0, 8 bits: sub-layers, nesting, profile and level, id, chroma, sides, window, depths.
        let plain = [
            0x42, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xff, 0xa0, 0x20, 0x81, 0x05, 0xc0,
        ];
        let announced = announced(&plain).unwrap();
        assert_eq!((announced.stored, announced.max_bits), ((64, 64), 8));
        let mut escaped = plain.to_vec();
        escaped.insert(3, 3);
        assert_eq!(super::announced(&escaped), Some(announced));
    }

    #[test]
    fn escapes_are_left_out() {
        assert_eq!(
            without_escapes(&[0, 0, 3, 1, 3, 0, 0, 3, 0]),
            [0, 0, 1, 3, 0, 0, 0]
        );
    }
}
