//! The directories of a TIFF structure, with what is asked of them and no more.

use crate::ImagingError;

/// Most directories that are read: cameras write up to ten.
const MAX_DIRECTORIES: usize = 32;
/// Most entries of one: DNG defines some 150 tags.
const MAX_ENTRIES: u16 = 1024;
/// Most directories below one.
const MAX_BELOW: u32 = 8;

const COMPRESSION: u16 = 0x0103;
const PHOTOMETRIC: u16 = 0x0106;
const STRIP_OFFSETS: u16 = 0x0111;
const ORIENTATION: u16 = 0x0112;
const STRIP_BYTES: u16 = 0x0117;
const SUB_IFDS: u16 = 0x014a;
const JPEG_OFFSET: u16 = 0x0201;
const JPEG_BYTES: u16 = 0x0202;
const DNG_VERSION: u16 = 0xc612;

/// What a directory tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Directory {
    pub compression: Option<u32>,
    pub photometric: Option<u32>,
    pub orientation: Option<u32>,
    /// Offset and bytes of the strip, where there is just one.
    pub strip: (Option<u32>, Option<u32>),
    /// Offset and bytes of a JPEG.
    pub jpeg: (Option<u32>, Option<u32>),
    pub is_dng: bool,
    /// Offsets of directories below.
    below: Vec<u32>,
}

/// All directories, the first one first.
///
/// # Errors
/// [`ImagingError::Corrupt`] when one is not whole, or there are too many.
pub(super) fn read_all(bytes: &[u8]) -> Result<Vec<Directory>, ImagingError> {
    let cut_off = || ImagingError::corrupt("a directory of TIFF is not whole");
    let tiff = Tiff::start(bytes).ok_or_else(cut_off)?;
    let mut waiting = vec![tiff.u32(4).ok_or_else(cut_off)?];
    let mut found = Vec::new();
    while let Some(at) = waiting.pop() {
        if found.len() == MAX_DIRECTORIES {
            return Err(ImagingError::corrupt("too many directories of TIFF"));
        }
        let (directory, next) = tiff.directory(at).ok_or_else(cut_off)?;
        // Those below before the next one; each costs one of those that are allowed, so that a circle ends.
        waiting.extend((next != 0).then_some(next));
        waiting.extend(directory.below.iter().rev());
        found.push(directory);
    }
    Ok(found)
}

struct Tiff<'a> {
    bytes: &'a [u8],
    little: bool,
}

impl<'a> Tiff<'a> {
    fn start(bytes: &'a [u8]) -> Option<Self> {
        let little = match bytes.get(..4)? {
            b"II*\0" => true,
            b"MM\0*" => false,
            _ => return None,
        };
        Some(Self { bytes, little })
    }

    fn u16(&self, at: usize) -> Option<u16> {
        let bytes = self.bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(match self.little {
            true => u16::from_le_bytes(bytes),
            false => u16::from_be_bytes(bytes),
        })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(match self.little {
            true => u32::from_le_bytes(bytes),
            false => u32::from_be_bytes(bytes),
        })
    }

    /// The directory there, and where the next one is: 0 behind the last.
    fn directory(&self, at: u32) -> Option<(Directory, u32)> {
        let at = usize::try_from(at).ok()?;
        let count = self.u16(at).filter(|count| *count <= MAX_ENTRIES)?;
        let mut found = Directory::default();
        let mut entry = at.checked_add(2)?;
        for _ in 0..count {
            let tag = self.u16(entry)?;
            let one = || self.single(entry);
            match tag {
                COMPRESSION => found.compression = one(),
                PHOTOMETRIC => found.photometric = one(),
                ORIENTATION => found.orientation = one(),
                STRIP_OFFSETS => found.strip.0 = one(),
                STRIP_BYTES => found.strip.1 = one(),
                JPEG_OFFSET => found.jpeg.0 = one(),
                JPEG_BYTES => found.jpeg.1 = one(),
                DNG_VERSION => found.is_dng = true,
                SUB_IFDS => found.below = self.offsets(entry)?,
                _ => {}
            }
            entry = entry.checked_add(12)?;
        }
        Some((found, self.u32(entry)?))
    }

    /// The value of an entry that has one of 16 or 32 bits.
    fn single(&self, entry: usize) -> Option<u32> {
        (self.u32(entry + 4)? == 1).then_some(())?;
        match self.u16(entry + 2)? {
            3 => self.u16(entry + 8).map(u32::from),
            4 | 13 => self.u32(entry + 8),
            _ => None,
        }
    }

    /// The values of an entry that has a few of 32 bits.
    fn offsets(&self, entry: usize) -> Option<Vec<u32>> {
        let count = self.u32(entry + 4).filter(|count| *count <= MAX_BELOW)?;
        matches!(self.u16(entry + 2)?, 4 | 13).then_some(())?;
        if count == 1 {
            return Some(vec![self.u32(entry + 8)?]);
        }
        let start = usize::try_from(self.u32(entry + 8)?).ok()?;
        let places = (0..count as usize).map(|n| start.checked_add(n * 4));
        places.map(|at| self.u32(at?)).collect()
    }
}
