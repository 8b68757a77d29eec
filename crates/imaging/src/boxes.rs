//! Big-endian fields and the boxes they lie in (ISO/IEC 14496-12): HEIF, MP4, QuickTime, 3GP.

use std::ops::Range;

/// The kind of a box, an item or a reference.
pub(crate) type FourCc = [u8; 4];

/// Takes fields off the front of a slice; nothing where there are not enough bytes.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been taken.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A field of `width_bytes`: 0 (which is the value 0), 2, 4 or 8.
    pub(crate) fn sized(&mut self, width_bytes: u8) -> Option<u64> {
        match width_bytes {
            0 => Some(0),
            2 => self.u16().map(u64::from),
            4 => self.u32().map(u64::from),
            8 => self.array().map(u64::from_be_bytes),
            _ => None,
        }
    }

    pub(crate) fn four_cc(&mut self) -> Option<FourCc> {
        self.array()
    }

    /// Version and flags, with which a "full" box begins.
    pub(crate) fn version_and_flags(&mut self) -> Option<(u8, u32)> {
        let word = self.u32()?;
        let [version, ..] = word.to_be_bytes();
        Some((version, word & 0x00ff_ffff))
    }

    /// The next box: kind and body. Nothing at the end, and where the box is not whole.
    pub(crate) fn next_box(&mut self) -> Option<(FourCc, &'a [u8])> {
        let whole = self.rest.len() as u64;
        let size = self.u32()?;
        let kind = self.four_cc()?;
        let size = match size {
            0 => whole,
            1 => self.sized(8)?,
            size => u64::from(size),
        };
        let head = whole - self.rest.len() as u64;
        let body = usize::try_from(size.checked_sub(head)?).ok()?;
        Some((kind, self.take(body)?))
    }
}

/// A box, and where it lies in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub kind: FourCc,
    /// Where its size stands; the kind follows.
    pub start: usize,
    pub body: Range<usize>,
}

impl Placed {
    /// Where its kind stands.
    pub(crate) fn kind_place(&self) -> Range<usize> {
        self.start + 4..self.start + 8
    }
}

/// The boxes in a part of a file, one after another, up to the first that is not whole.
pub(crate) struct Boxes<'a> {
    reader: Reader<'a>,
    /// Behind the last whole box.
    at: usize,
    end: usize,
}

impl<'a> Boxes<'a> {
    /// What lies outside of the file is not looked at.
    pub(crate) fn new(file: &'a [u8], part: Range<usize>) -> Self {
        let end = part.end.min(file.len());
        let at = part.start.min(end);
        Self {
            reader: Reader::new(file.get(at..end).unwrap_or_default()),
            at,
            end,
        }
    }

    /// What is left behind the last whole box.
    pub(crate) fn rest(&self) -> Range<usize> {
        self.at..self.end
    }
}

impl Iterator for Boxes<'_> {
    type Item = Placed;

    fn next(&mut self) -> Option<Placed> {
        let start = self.at;
        let Some((kind, body)) = self.reader.next_box() else {
            self.reader = Reader::new(&[]);
            return None;
        };
        self.at = self.end - self.reader.rest().len();
        Some(Placed {
            kind,
            start,
            body: self.at - body.len()..self.at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_of_every_length() {
        let mut bytes = b"\0\0\0\x0aabcd\x01\x02".to_vec();
        bytes.extend_from_slice(b"\0\0\0\x01long\0\0\0\0\0\0\0\x11\x03");
        bytes.extend_from_slice(b"\0\0\0\0rest\x04\x05");
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.next_box(), Some((*b"abcd", &[1, 2][..])));
        assert_eq!(reader.next_box(), Some((*b"long", &[3][..])));
        assert_eq!(reader.next_box(), Some((*b"rest", &[4, 5][..])));
        assert_eq!(reader.next_box(), None);
    }

    #[test]
    fn boxes_know_their_place() {
        let file = b"..\0\0\0\x0aabcd\x01\x02\0\0\0\x08efgh\0\0\0\x09ijkl";
        let mut boxes = Boxes::new(file, 2..file.len());
        let found: Vec<_> = boxes.by_ref().collect();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].start, found[0].body.clone()), (2, 10..12));
        assert_eq!((found[1].start, found[1].body.clone()), (12, 20..20));
        assert_eq!(&file[found[1].kind_place()], b"efgh");
        assert_eq!(boxes.rest(), 20..28);
        assert_eq!(boxes.next(), None);
    }

    #[test]
    fn boxes_that_are_not_whole() {
        for bytes in [
            &b"\0\0\0\x07abcd"[..],
            b"\0\0\0\x09abcd",
            b"\0\0\0\x01abcd\0\0\0\0\0\0\0\x0f",
            b"\0\0\0\x01abcd\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\0\0\0",
        ] {
            assert_eq!(Reader::new(bytes).next_box(), None, "{bytes:?}");
        }
    }
}
