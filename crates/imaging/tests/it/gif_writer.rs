//! GIFs made in code, of four colours.

/// Red, green, blue and yellow, as the scene has them.
const PALETTE: [u8; 12] = [220, 40, 30, 30, 190, 60, 40, 60, 210, 230, 220, 50];
/// Bits of a colour's number, and what they lead to: a code that forgets all others, and one that ends.
const BITS: u8 = 2;
const CLEAR: u32 = 4;
const END: u32 = 5;

/// A frame on the screen.
#[derive(Clone, Debug)]
pub struct Frame {
    pub place: (u16, u16),
    pub size: (u16, u16),
    pub transparent: Option<u8>,
    pub is_interlaced: bool,
}

impl Frame {
    /// Quarters in the palette's colours.
    pub fn quarters(width: u16, height: u16) -> Self {
        Self {
            place: (0, 0),
            size: (width, height),
            transparent: None,
            is_interlaced: false,
        }
    }

    fn row(&self, y: u16) -> impl Iterator<Item = u32> {
        let (width, height) = self.size;
        let low = u32::from(y * 2 >= height) * 2;
        (0..width).map(move |x| u32::from(x * 2 >= width) + low)
    }

    /// Rows in the order in which they are stored.
    fn rows(&self) -> Vec<u16> {
        let passes: &[(u16, usize)] = match self.is_interlaced {
            true => &[(0, 8), (4, 8), (2, 4), (1, 2)],
            false => &[(0, 1)],
        };
        let rows = |(from, step): &(u16, usize)| (*from..self.size.1).step_by(*step);
        passes.iter().flat_map(rows).collect()
    }
}

/// A GIF of these frames on a screen of this size.
pub fn gif(screen: (u16, u16), frames: &[Frame]) -> Vec<u8> {
    let mut out = b"GIF89a".to_vec();
    out.extend(screen.0.to_le_bytes());
    out.extend(screen.1.to_le_bytes());
    out.extend([0x80 | (BITS - 1), 0, 0]);
    out.extend(PALETTE);
    for frame in frames {
        let (flag, number) = frame.transparent.map_or((0, 0), |number| (1, number));
        out.extend([0x21, 0xf9, 4, flag, 10, 0, number, 0, 0x2c]);
        for side in [frame.place.0, frame.place.1, frame.size.0, frame.size.1] {
            out.extend(side.to_le_bytes());
        }
        out.extend([u8::from(frame.is_interlaced) << 6, BITS]);
        for block in codes(frame).chunks(255) {
            out.push(block.len() as u8);
            out.extend(block);
        }
        out.push(0);
    }
    out.push(0x3b);
    out
}

/// Codes of three bits, as if nothing was ever seen twice: all is forgotten before they would get longer.
fn codes(frame: &Frame) -> Vec<u8> {
    let numbers: Vec<u32> = frame
        .rows()
        .into_iter()
        .flat_map(|y| frame.row(y))
        .collect();
    let pairs = numbers.chunks(2).flat_map(|pair| [&[CLEAR], pair].concat());
    let (mut out, mut bits, mut count) = (Vec::new(), 0, 0);
    for code in pairs.chain([END]) {
        bits |= code << count;
        count += u32::from(BITS) + 1;
        while count >= 8 {
            out.push(bits as u8);
            bits >>= 8;
            count -= 8;
        }
    }
    out.push(bits as u8);
    out
}

/// Two frames, of which the first is interlaced, not all of the screen, and clear in a quarter.
pub fn gif_seed() -> Vec<u8> {
    let first = Frame {
        place: (3, 5),
        transparent: Some(2),
        is_interlaced: true,
        ..Frame::quarters(20, 12)
    };
    gif((24, 20), &[first, Frame::quarters(24, 20)])
}
