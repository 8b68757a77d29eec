//! Decodes a JPEG, shrunk by the inverse DCT where that leaves enough pixels.

use std::borrow::Cow;
use std::ffi::{CStr, c_int};
use std::ptr;

use turbojpeg::raw;

use super::structure::{Frame, Structure, walk};
use crate::color::is_srgb;
use crate::picture::Picture;
use crate::pixels::{Decoded, Extent, Kind, Pixels, Profile};
use crate::planes::Planes;
use crate::{ImagingError, Limits};

/// Baseline, extended sequential and progressive, Huffman or arithmetic. The rest is lossless or
/// hierarchical, and no camera writes it.
const PROCESSES: [u8; 5] = [0xc0, 0xc1, 0xc2, 0xc9, 0xca];
const PROGRESSIVE: [u8; 2] = [0xc2, 0xca];
/// Eighths that the inverse DCT yields fast; 5/8 to 7/8 are slower than the whole. Each divides 8.
const EIGHTHS: [u32; 4] = [1, 2, 4, 8];
/// Eighths whose picture may be given out as it is, somewhat smaller than wanted. At one eighth each
/// pixel is the mean of a block, which is too coarse to be looked at without a filter behind it.
const EIGHTHS_AS_IS: [u32; 2] = [2, 4];
/// From this many halves of the wanted edge on, the resize that follows hides what the simple
/// chroma upsampling loses.
const FAST_UPSAMPLE_HALVES: u32 = 3;

/// Whether [`decode`] knows pictures with this header.
pub(crate) fn is_decodable(frame: &Frame) -> bool {
    PROCESSES.contains(&frame.process)
        && frame.precision == 8
        && matches!(frame.sampling.len(), 1 | 3 | 4)
}

/// Decodes the first image in `bytes`. Its longer edge is not below `long_edge` unless the file's is,
/// or unless it is at least `least_edge` and the decoder gets there by itself.
pub(crate) fn decode(
    bytes: &[u8],
    long_edge: u32,
    least_edge: u32,
    limits: &Limits,
) -> Result<Decoded, ImagingError> {
    let structure = walk(bytes, limits.max_scans)?;
    let Some(frame) = &structure.frame else {
        return Err(ImagingError::corrupt("no frame header"));
    };
    if !PROCESSES.contains(&frame.process) {
        return Err(ImagingError::unsupported(format!(
            "a JPEG of process {:#04x} (lossless or hierarchical)",
            frame.process
        )));
    }
    if frame.precision != 8 {
        return Err(ImagingError::unsupported(format!(
            "a JPEG with {} bits a sample",
            frame.precision
        )));
    }
    let kind = match frame.sampling.len() {
        1 => Kind::Gray,
        3 => Kind::Rgb,
        4 => Kind::Cmyk,
        n => {
            return Err(ImagingError::unsupported(format!(
                "a JPEG with {n} components"
            )));
        }
    };
    if structure.scans > limits.max_scans {
        return Err(ImagingError::corrupt(format!(
            "more than {} scans",
            limits.max_scans
        )));
    }
    let progressive = PROGRESSIVE.contains(&frame.process);
    let many_scans =
        progressive || usize::from(structure.first_scan_components) < frame.sampling.len();
    if structure.end.is_none() && many_scans {
        return Err(ImagingError::corrupt("cut off before its last scan"));
    }

    let long = frame.width.max(frame.height);
    let eighths = eighths(long, long_edge, least_edge);
    let coefficients = if many_scans {
        frame.coefficient_bytes()
    } else {
        0
    };
    let profile = structure.icc(bytes).map(Profile::Icc);
    // Only what is in sRGB already can go without red, green and blue.
    let sampling = luma_for_chroma(&frame.sampling).filter(|_| is_srgb(profile.as_ref()));
    let scaled = |side: u32| (u64::from(side) * u64::from(eighths)).div_ceil(8);
    let needed = coefficients + scaled(frame.width) * scaled(frame.height) * kind.channels() as u64;
    if needed > limits.max_decode_bytes {
        return Err(ImagingError::memory(format!("{needed} bytes")));
    }

    let stream = primary_image(bytes, &structure);
    let mut decoder = Decoder::start()?;
    decoder.set(raw::TJPARAM_TJPARAM_SAVEMARKERS, 0)?;
    let scan_limit = c_int::try_from(limits.max_scans).unwrap_or(c_int::MAX);
    decoder.set(raw::TJPARAM_TJPARAM_SCANLIMIT, scan_limit)?;
    let megabytes = c_int::try_from(limits.max_decode_bytes >> 20).unwrap_or(c_int::MAX);
    decoder.set(raw::TJPARAM_TJPARAM_MAXMEMORY, megabytes.max(1))?;
    let fast = u64::from(long) * u64::from(eighths) / 8 * 2
        >= u64::from(long_edge) * u64::from(FAST_UPSAMPLE_HALVES);
    decoder.set(raw::TJPARAM_TJPARAM_FASTUPSAMPLE, c_int::from(fast))?;
    let size = (frame.width, frame.height);
    decoder.read_header(&stream, size, eighths)?;
    let extent = |side: u32| (f64::from(side) * f64::from(eighths) / 8.0).max(1.0);
    let extent = Extent::from_corner(extent(frame.width), extent(frame.height));
    if let Some(sampling) = sampling
        && decoder.get(raw::TJPARAM_TJPARAM_COLORSPACE) == raw::TJCS_TJCS_YCbCr
    {
        let planes = decoder.planes(&stream, size, eighths, sampling)?;
        return Ok(Decoded {
            picture: Picture::Planar(planes),
            extent,
            profile: None,
        });
    }
    let mut pixels = decoder.pixels(&stream, size, eighths, kind)?;
    if kind == Kind::Cmyk && structure.adobe {
        // Adobe stores ink inverted, and everybody follows.
        for ink in &mut pixels.bytes {
            *ink = 255 - *ink;
        }
    }
    Ok(Decoded {
        picture: Picture::Packed(pixels),
        extent,
        profile,
    })
}

/// Samples of luma for one of chroma, across and down, where they are as cameras have them.
fn luma_for_chroma(sampling: &[(u8, u8)]) -> Option<(u32, u32)> {
    match sampling {
        [luma @ ((1, 1) | (2, 1) | (2, 2)), (1, 1), (1, 1)] => Some((luma.0.into(), luma.1.into())),
        _ => None,
    }
}

/// The fewest eighths that serve a longer edge of `long_edge`, or of `least_edge` without a resize.
fn eighths(long: u32, long_edge: u32, least_edge: u32) -> u32 {
    let serves = |n: &u32| {
        let scaled = u64::from(long) * u64::from(*n) / 8;
        scaled >= u64::from(long_edge)
            || (EIGHTHS_AS_IS.contains(n) && scaled >= u64::from(least_edge))
    };
    EIGHTHS.into_iter().find(serves).unwrap_or(8)
}

/// The first image alone, without what follows it. Stray bytes between segments are left out and a
/// missing end is put there, so that the decoder's first warning is about the picture itself.
fn primary_image<'a>(bytes: &'a [u8], structure: &Structure) -> Cow<'a, [u8]> {
    let end = structure.end.unwrap_or(bytes.len());
    let whole = bytes.get(..end).unwrap_or(bytes);
    if structure.stray.is_empty() && structure.end.is_some() {
        return Cow::Borrowed(whole);
    }
    let mut clean = Vec::with_capacity(whole.len() + 2);
    let mut at = 0;
    for stray in &structure.stray {
        clean.extend_from_slice(whole.get(at..stray.start).unwrap_or_default());
        at = stray.end;
    }
    clean.extend_from_slice(whole.get(at..).unwrap_or_default());
    if structure.end.is_none() {
        clean.extend_from_slice(&[0xff, 0xd9]);
    }
    Cow::Owned(clean)
}

/// Whether a warning of libjpeg's leaves a whole picture. `text` is its first warning: bytes too
/// many behind the last scan or between scans, and oddities of the header, do; whatever it says of
/// the entropy-coded data itself means that pixels are missing or wrong.
fn is_harmless(text: &str) -> bool {
    let extraneous = text.contains("extraneous bytes before marker")
        && !(0xd0..=0xd7).any(|m| text.ends_with(&format!("0x{m:02x}")));
    extraneous
        || text.contains("Unknown Adobe color transform code")
        || text.contains("JFIF major revision")
        || text.contains("Invalid SOS parameters for sequential JPEG")
}

/// An instance of the native decoder.
struct Decoder(raw::tjhandle);

impl Decoder {
    fn start() -> Result<Self, ImagingError> {
        // SAFETY: no preconditions; a null handle is checked.
        let handle = unsafe { raw::tj3Init(raw::TJINIT_TJINIT_DECOMPRESS as c_int) };
        if handle.is_null() {
            return Err(ImagingError::memory("no JPEG decoder"));
        }
        Ok(Self(handle))
    }

    fn set(&mut self, parameter: raw::TJPARAM, value: c_int) -> Result<(), ImagingError> {
        // SAFETY: the handle is alive.
        let status = unsafe { raw::tj3Set(self.0, parameter as c_int, value) };
        self.check(status)
    }

    fn get(&mut self, parameter: raw::TJPARAM) -> u32 {
        // SAFETY: the handle is alive.
        let value = unsafe { raw::tj3Get(self.0, parameter as c_int) };
        u32::try_from(value).unwrap_or(0)
    }

    /// Turns a failed call into an error, unless it only warned harmlessly.
    fn check(&mut self, status: c_int) -> Result<(), ImagingError> {
        if status == 0 {
            return Ok(());
        }
        // SAFETY: the handle is alive; the text is the library's own, zero-ended.
        let text = unsafe { CStr::from_ptr(raw::tj3GetErrorStr(self.0)) }.to_string_lossy();
        // SAFETY: the handle is alive.
        let code = unsafe { raw::tj3GetErrorCode(self.0) };
        if code == raw::TJERR_TJERR_WARNING as c_int && is_harmless(&text) {
            return Ok(());
        }
        let detail = text.into_owned();
        if detail.contains("emory") {
            return Err(ImagingError::memory(detail));
        }
        Err(ImagingError::corrupt(detail))
    }

    /// Reads the header of a picture of this size, and sets the scale.
    fn read_header(
        &mut self,
        stream: &[u8],
        size: (u32, u32),
        eighths: u32,
    ) -> Result<(), ImagingError> {
        // SAFETY: pointer and length are those of a live slice.
        let status =
            unsafe { raw::tj3DecompressHeader(self.0, stream.as_ptr(), stream.len() as _) };
        self.check(status)?;
        // Buffers are sized by what the decoder itself read.
        let width = self.get(raw::TJPARAM_TJPARAM_JPEGWIDTH);
        let height = self.get(raw::TJPARAM_TJPARAM_JPEGHEIGHT);
        if (width, height) != size || width == 0 || height == 0 {
            return Err(ImagingError::corrupt("two readings of the frame header"));
        }
        let factor = raw::tjscalingfactor {
            // The library lists its factors in lowest terms; `eighths` divides 8.
            num: 1,
            denom: (8 / eighths) as c_int,
        };
        // SAFETY: the handle is alive.
        let status = unsafe { raw::tj3SetScalingFactor(self.0, factor) };
        self.check(status)
    }

    /// The picture whose header was read, with all channels side by side.
    fn pixels(
        &mut self,
        stream: &[u8],
        (width, height): (u32, u32),
        eighths: u32,
        kind: Kind,
    ) -> Result<Pixels, ImagingError> {
        let (format, pixel_format) = match kind {
            Kind::Gray => (Kind::Gray, raw::TJPF_TJPF_GRAY),
            Kind::Cmyk => (Kind::Cmyk, raw::TJPF_TJPF_CMYK),
            Kind::Rgb | Kind::Rgba => (Kind::Rgb, raw::TJPF_TJPF_RGB),
        };
        let scaled = |side: u32| (side * eighths).div_ceil(8);
        let mut pixels = Pixels::zeroed(scaled(width), scaled(height), format)?;
        let pitch =
            c_int::try_from(pixels.stride()).map_err(|_| ImagingError::memory("rows too long"))?;
        // SAFETY: the stream is a live slice; the buffer holds ceil(side * eighths / 8) rows and
        // columns in the requested format, which is what the library writes for this header and
        // scaling factor, with the pitch given.
        let status = unsafe {
            raw::tj3Decompress8(
                self.0,
                stream.as_ptr(),
                stream.len() as _,
                pixels.bytes.as_mut_ptr(),
                pitch,
                pixel_format,
            )
        };
        self.check(status)?;
        Ok(pixels)
    }

    /// The picture whose header was read, as it is coded.
    fn planes(
        &mut self,
        stream: &[u8],
        (width, height): (u32, u32),
        eighths: u32,
        sampling: (u32, u32),
    ) -> Result<Planes, ImagingError> {
        let name = match sampling {
            (1, 1) => raw::TJSAMP_TJSAMP_444,
            (2, 1) => raw::TJSAMP_TJSAMP_422,
            _ => raw::TJSAMP_TJSAMP_420,
        };
        if self.get(raw::TJPARAM_TJPARAM_SUBSAMP) != name.cast_unsigned() {
            return Err(ImagingError::corrupt("two readings of the sampling"));
        }
        let scaled = |side: u32| (side * eighths).div_ceil(8);
        let (width, height) = (scaled(width), scaled(height));
        // The library rounds luma up to whole samples of chroma.
        let (columns, rows) = (width.div_ceil(sampling.0), height.div_ceil(sampling.1));
        let mut luma = Pixels::zeroed(columns * sampling.0, rows * sampling.1, Kind::Gray)?;
        let mut blue = Pixels::zeroed(columns, rows, Kind::Gray)?;
        let mut red = Pixels::zeroed(columns, rows, Kind::Gray)?;
        let mut starts = [&mut luma, &mut blue, &mut red].map(|plane| plane.bytes.as_mut_ptr());
        // SAFETY: the stream is a live slice; the header was read, and its size and sampling compared, so that each
        // buffer holds what the library writes for this scaling factor: rows without padding, of luma rounded up to
        // whole samples of chroma.
        let status = unsafe {
            raw::tj3DecompressToYUVPlanes8(
                self.0,
                stream.as_ptr(),
                stream.len() as _,
                starts.as_mut_ptr(),
                ptr::null_mut(),
            )
        };
        self.check(status)?;
        cut(&mut luma, width, height);
        Ok(Planes {
            luma,
            chroma: [blue, red],
            sampling,
        })
    }
}

/// Drops columns and rows behind the last of the picture.
fn cut(plane: &mut Pixels, width: u32, height: u32) {
    if plane.width != width {
        let (from, to) = (plane.width as usize, width as usize);
        for row in 1..height as usize {
            plane
                .bytes
                .copy_within(row * from..row * from + to, row * to);
        }
    }
    plane.bytes.truncate(width as usize * height as usize);
    (plane.width, plane.height) = (width, height);
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: the handle is alive and not used again.
        unsafe { raw::tj3Destroy(self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_that_serves_is_decoded() {
        for (long, expected) in [
            (4032, 4),
            (4000, 4),
            (3892, 4),
            (3891, 8),
            (4640, 4),
            (8160, 2),
            (12000, 2),
            (16384, 1),
            // An eighth is 2000, which would do if it was not an eighth.
            (16000, 2),
            (2048, 8),
            (1, 8),
        ] {
            assert_eq!(eighths(long, 2048, 1946), expected, "{long}");
        }
        assert_eq!(eighths(4032, 320, 304), 1);
        assert_eq!(eighths(2500, 320, 304), 2);
        assert_eq!(eighths(4032, 2048, 2048), 8);
    }

    #[test]
    fn warnings() {
        for text in [
            "Corrupt JPEG data: 4 extraneous bytes before marker 0xd9",
            "Corrupt JPEG data: 18 extraneous bytes before marker 0xda",
            "Unknown Adobe color transform code 7",
        ] {
            assert!(is_harmless(text), "{text}");
        }
        for text in [
            "Premature end of JPEG file",
            "Corrupt JPEG data: premature end of data segment",
            "Corrupt JPEG data: bad Huffman code",
            "Corrupt JPEG data: 4 extraneous bytes before marker 0xd3",
            "Corrupt JPEG data: found marker 0xd9 instead of RST3",
        ] {
            assert!(!is_harmless(text), "{text}");
        }
    }
}
