//! Walks the markers of a JPEG from its start to the end of its first image.
//!
//! The decoder reports only the first of its warnings, so what decides between a whole picture
//! and half of one is found here: whether the end was reached, how many scans there are, and
//! which bytes between segments belong to nothing.

use std::ops::Range;

use crate::ImagingError;
use crate::orientation::Orientation;

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const APP1: u8 = 0xe1;
const APP2: u8 = 0xe2;
const APP14: u8 = 0xee;
/// More stray stretches or profile chunks than this are no accident, and each takes memory. A
/// profile's chunks are numbered by one byte.
const MAX_STRAY: usize = 1000;
const MAX_ICC_CHUNKS: usize = 255;
const EXIF: &[u8] = b"Exif\0\0";
const ICC: &[u8] = b"ICC_PROFILE\0";
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

/// A marker with what belongs to it.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// The marker's second byte.
    pub marker: u8,
    /// From the first byte of the marker on; of a scan, its entropy-coded data too.
    pub whole: Range<usize>,
    /// What stands behind the length.
    pub body: Range<usize>,
}

impl Part {
    /// Whether it is a piece of a colour profile.
    pub(crate) fn is_icc(&self, bytes: &[u8]) -> bool {
        self.marker == APP2 && self.content(bytes).starts_with(ICC)
    }

    /// What stands behind the length.
    pub(crate) fn content<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.body.clone()).unwrap_or_default()
    }
}

/// The frame header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The marker's second byte: 0xc0 baseline, 0xc2 progressive, …
    pub process: u8,
    pub precision: u8,
    pub width: u32,
    pub height: u32,
    /// Horizontal and vertical sampling of each component.
    pub sampling: Vec<(u8, u8)>,
}

impl Frame {
    fn parse(process: u8, body: &[u8]) -> Option<Self> {
        let [precision, h1, h0, w1, w0, count, rest @ ..] = body else {
            return None;
        };
        let (components, _) = rest
            .get(..usize::from(*count).checked_mul(3)?)?
            .as_chunks::<3>();
        Some(Self {
            process,
            precision: *precision,
            width: u32::from(u16::from_be_bytes([*w1, *w0])),
            height: u32::from(u16::from_be_bytes([*h1, *h0])),
            sampling: components.iter().map(|c| (c[1] >> 4, c[1] & 15)).collect(),
        })
    }

    /// Bytes of the coefficients that a decoder holds when there is more than one scan.
    pub(crate) fn coefficient_bytes(&self) -> u64 {
        let max =
            |f: fn(&(u8, u8)) -> u8| u64::from(self.sampling.iter().map(f).max().unwrap_or(1));
        let (max_h, max_v) = (max(|s| s.0).max(1), max(|s| s.1).max(1));
        let columns = u64::from(self.width).div_ceil(8 * max_h);
        let rows = u64::from(self.height).div_ceil(8 * max_v);
        self.sampling
            .iter()
            .map(|(h, v)| columns * u64::from(*h) * rows * u64::from(*v) * 128)
            .sum()
    }
}

/// What the markers say.
#[derive(Debug, Default)]
pub(crate) struct Structure {
    pub frame: Option<Frame>,
    pub orientation: Option<Orientation>,
    /// Where the TIFF structure of the first EXIF segment lies.
    pub exif: Option<Range<usize>>,
    /// Where the first XMP packet lies.
    pub xmp: Option<Range<usize>>,
    /// Whether Adobe's marker is there: then CMYK is stored inverted.
    pub adobe: bool,
    icc_chunks: Vec<(u8, Range<usize>)>,
    /// Scans seen; counting stops behind the limit.
    pub scans: u32,
    /// Components in the first scan: fewer than the frame's mean that more scans must follow.
    pub first_scan_components: u8,
    /// Behind the end marker, where there is one.
    pub end: Option<usize>,
    /// Bytes between segments that belong to nothing.
    pub stray: Vec<Range<usize>>,
}

impl Structure {
    /// The colour profile, put together from its chunks.
    pub(crate) fn icc(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut chunks = self.icc_chunks.clone();
        chunks.sort_by_key(|(sequence, _)| *sequence);
        let profile: Vec<u8> = chunks
            .iter()
            .filter_map(|(_, range)| bytes.get(range.clone()))
            .flatten()
            .copied()
            .collect();
        (!profile.is_empty()).then_some(profile)
    }
}

/// Walks the markers. Stops early behind `max_scans` scans, and where the bytes end.
///
/// # Errors
/// [`ImagingError::Corrupt`] when it does not start like a JPEG, or is mostly rubbish.
pub(crate) fn walk(bytes: &[u8], max_scans: u32) -> Result<Structure, ImagingError> {
    walk_parts(bytes, max_scans, |_| ())
}

/// The same, and calls `visit` with each segment and scan on the way; not with what belongs to
/// nothing, restarts between scans among it.
///
/// # Errors
/// See [`walk`].
pub(crate) fn walk_parts(
    bytes: &[u8],
    max_scans: u32,
    mut visit: impl FnMut(Part),
) -> Result<Structure, ImagingError> {
    if bytes.get(..2) != Some(&[0xff, SOI]) {
        return Err(ImagingError::corrupt("no JPEG start marker"));
    }
    let mut found = Structure::default();
    let mut at = 2;
    while let Some((marker, from, behind)) = next_marker(bytes, at) {
        if from > at {
            if found.stray.len() == MAX_STRAY {
                return Err(ImagingError::corrupt("rubbish between its segments"));
            }
            found.stray.push(at..from);
        }
        at = behind;
        match marker {
            EOI => {
                found.end = Some(at);
                return Ok(found);
            }
            // Without a body: restarts, and one that arithmetic coding once used.
            0x01 | 0xd0..=0xd7 => continue,
            SOI => return Err(ImagingError::corrupt("a second JPEG start marker")),
            _ => {}
        }
        let Some(body) = segment(bytes, at) else {
            return Ok(found);
        };
        at = body.end;
        let content = bytes.get(body.clone()).unwrap_or_default();
        match marker {
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf if found.frame.is_none() => {
                let frame = Frame::parse(marker, content);
                found.frame =
                    Some(frame.ok_or_else(|| ImagingError::corrupt("frame header cut short"))?);
            }
            APP1 if found.orientation.is_none() && content.starts_with(EXIF) => {
                // Some programs put another before it, which tells nothing.
                let tiff = content.get(EXIF.len()..).unwrap_or_default();
                found.orientation = Orientation::told_by(tiff);
                if found.exif.is_none() || found.orientation.is_some() {
                    found.exif = Some(body.start + EXIF.len()..body.end);
                }
            }
            APP1 if found.xmp.is_none() && content.starts_with(XMP) => {
                found.xmp = Some(body.start + XMP.len()..body.end);
            }
            APP2 if content.starts_with(ICC)
                && content.len() > ICC.len() + 2
                && found.icc_chunks.len() < MAX_ICC_CHUNKS =>
            {
                let sequence = content.get(ICC.len()).copied().unwrap_or_default();
                found
                    .icc_chunks
                    .push((sequence, body.start + ICC.len() + 2..body.end));
            }
            APP14 if content.starts_with(b"Adobe") && content.len() >= 12 => found.adobe = true,
            SOS => {
                if found.scans == 0 {
                    found.first_scan_components = content.first().copied().unwrap_or_default();
                }
                found.scans += 1;
                if found.scans > max_scans {
                    return Ok(found);
                }
                at = behind_entropy_data(bytes, at);
            }
            _ => {}
        }
        visit(Part {
            marker,
            whole: from..at,
            body,
        });
    }
    Ok(found)
}

/// The next marker at or behind `at`: its second byte, where its first 0xff is, what follows it.
fn next_marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize, usize)> {
    loop {
        let from = at + memchr::memchr(0xff, bytes.get(at..)?)?;
        let mut behind = from + 1;
        while *bytes.get(behind)? == 0xff {
            behind += 1;
        }
        match *bytes.get(behind)? {
            0 => at = behind + 1,
            marker => return Some((marker, from, behind + 1)),
        }
    }
}

/// The body of the segment whose length stands at `at`.
fn segment(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let length: [u8; 2] = bytes.get(at..at + 2)?.try_into().ok()?;
    let end = at + usize::from(u16::from_be_bytes(length)).max(2);
    (end <= bytes.len()).then_some(at + 2..end)
}

/// Where the next marker that ends entropy-coded data starts, or the end of the bytes.
fn behind_entropy_data(bytes: &[u8], mut at: usize) -> usize {
    loop {
        let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr(0xff, rest)) else {
            return bytes.len();
        };
        let marker = at + found;
        match bytes.get(marker + 1) {
            // A stuffed byte, or a restart.
            Some(0 | 0xd0..=0xd7) => at = marker + 2,
            Some(0xff) => at = marker + 1,
            Some(_) => return marker,
            None => return bytes.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode_jpeg;

    #[test]
    fn walks_to_the_end_and_no_further() {
        let mut jpeg = encode_jpeg(20, 10, &[100; 600], 80).unwrap();
        let length = jpeg.len();
        jpeg.extend_from_slice(b"trailer \xff\xd8\xff");
        let found = walk(&jpeg, 100).unwrap();
        let frame = found.frame.unwrap();
        assert_eq!((frame.width, frame.height), (20, 10));
        assert_eq!(frame.sampling, [(2, 2), (1, 1), (1, 1)]);
        assert_eq!(frame.coefficient_bytes(), 2 * 6 * 128);
        assert_eq!(found.end, Some(length));
        assert_eq!((found.scans, found.first_scan_components), (1, 3));
        assert!(found.stray.is_empty());
        assert_eq!(walk(&jpeg[..length - 2], 100).unwrap().end, None);
    }

    #[test]
    fn names_stray_bytes() {
        let jpeg = encode_jpeg(8, 8, &[100; 192], 80).unwrap();
        let mut dirty = jpeg[..2].to_vec();
        dirty.extend_from_slice(b"abc\xff\0d");
        dirty.extend_from_slice(&jpeg[2..]);
        let found = walk(&dirty, 100).unwrap();
        assert_eq!(found.stray, vec![2..8; 1]);
        assert_eq!(found.end, Some(dirty.len()));
    }
}
