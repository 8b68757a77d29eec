//! Big-endian fields and the boxes they lie in (ISO/IEC 14496-12).

/// The kind of a box, an item or a reference.
pub(super) type FourCc = [u8; 4];

/// Takes fields off the front of a slice; nothing where there are not enough bytes.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been taken.
    pub(super) fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A field of `width_bytes`: 0 (which is the value 0), 2, 4 or 8.
    pub(super) fn sized(&mut self, width_bytes: u8) -> Option<u64> {
        match width_bytes {
            0 => Some(0),
            2 => self.u16().map(u64::from),
            4 => self.u32().map(u64::from),
            8 => self.array().map(u64::from_be_bytes),
            _ => None,
        }
    }

    pub(super) fn four_cc(&mut self) -> Option<FourCc> {
        self.array()
    }

    /// Version and flags, with which a "full" box begins.
    pub(super) fn version_and_flags(&mut self) -> Option<(u8, u32)> {
        let word = self.u32()?;
        let [version, ..] = word.to_be_bytes();
        Some((version, word & 0x00ff_ffff))
    }

    /// The next box: kind and body. Nothing at the end, and where the box is not whole.
    pub(super) fn next_box(&mut self) -> Option<(FourCc, &'a [u8])> {
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
