//! The size that a sequence parameter set of HEVC announces (ITU-T H.265, 7.3.2.2), so that it is
//! known before a decoder allocates by it.

/// No more of a parameter set is looked at: what comes before the size fits.
const MAX_BYTES: usize = 160;
/// Bits of a profile, as in `profile_tier_level`, without the level that follows it.
const PROFILE_BITS: u32 = 88;
const LEVEL_BITS: u32 = 8;

/// What is stored, and what is left of it to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Announced {
    pub stored: (u32, u32),
    pub visible: (u32, u32),
}

/// Reads a NAL unit that holds a sequence parameter set. Nothing where it makes no sense.
pub(super) fn announced(unit: &[u8]) -> Option<Announced> {
    let payload = without_escapes(unit.get(2..)?);
    let mut bits = Bits {
        bytes: &payload,
        at: 0,
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
    if chroma == 3 {
        bits.skip(1)?;
    }
    let stored = (bits.golomb()?, bits.golomb()?);
    let mut visible = stored;
    if bits.take(1)? == 1 {
        let (across, along) = match chroma {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        let mut cut = |unit: u32| {
            bits.golomb()?
                .checked_add(bits.golomb()?)?
                .checked_mul(unit)
        };
        visible.0 = stored.0.checked_sub(cut(across)?)?;
        visible.1 = stored.1.checked_sub(cut(along)?)?;
    }
    Some(Announced { stored, visible })
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
    fn escapes_are_left_out() {
        assert_eq!(
            without_escapes(&[0, 0, 3, 1, 3, 0, 0, 3, 0]),
            [0, 0, 1, 3, 0, 0, 0]
        );
    }
}
