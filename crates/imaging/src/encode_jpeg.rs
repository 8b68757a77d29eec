//! Baseline JPEG, 4:2:0, without any metadata but the JFIF header.

use std::borrow::Cow;
use std::ffi::{CStr, c_int};
use std::ptr;

use turbojpeg::{Compressor, Image, PixelFormat, Subsamp, raw};

use crate::ImagingError;
use crate::pixels::Pixels;
use crate::planes::Planes;

/// Encodes upright sRGB pixels (`rgb`: three bytes each, row by row, no padding) at `quality`
/// 1 to 100.
///
/// # Errors
/// [`ImagingError::Encode`] when the buffer does not fit the size, a side is 0 or above 65,535,
/// or the encoder refuses.
pub fn encode_jpeg(
    width: u32,
    height: u32,
    rgb: &[u8],
    quality: u8,
) -> Result<Vec<u8>, ImagingError> {
    if u64::from(width) * u64::from(height) * 3 != rgb.len() as u64 || rgb.is_empty() {
        return Err(ImagingError::encode(format!(
            "{} bytes are no {width}x{height} RGB picture",
            rgb.len()
        )));
    }
    let mut compressor = Compressor::new().map_err(ImagingError::encode)?;
    compressor
        .set_quality(i32::from(quality.clamp(1, 100)))
        .map_err(ImagingError::encode)?;
    compressor
        .set_subsamp(Subsamp::Sub2x2)
        .map_err(ImagingError::encode)?;
    let image = Image {
        pixels: rgb,
        width: width as usize,
        pitch: width as usize * 3,
        height: height as usize,
        format: PixelFormat::RGB,
    };
    compressor
        .compress_to_vec(image)
        .map_err(ImagingError::encode)
}

/// Encodes lightness alone, at `quality` 1 to 100.
pub(crate) fn encode_gray_jpeg(gray: &Pixels, quality: u8) -> Result<Vec<u8>, ImagingError> {
    let mut compressor = Compressor::new().map_err(ImagingError::encode)?;
    let quality = i32::from(quality.clamp(1, 100));
    let set = compressor.set_quality(quality);
    set.and_then(|()| compressor.set_subsamp(Subsamp::Gray))
        .map_err(ImagingError::encode)?;
    let image = Image {
        pixels: gray.bytes.as_slice(),
        width: gray.width as usize,
        pitch: gray.width as usize,
        height: gray.height as usize,
        format: PixelFormat::GRAY,
    };
    compressor
        .compress_to_vec(image)
        .map_err(ImagingError::encode)
}

/// Encodes upright planes, whose chroma is halved, at `quality` 1 to 100.
pub(crate) fn encode_jpeg_planes(planes: &Planes, quality: u8) -> Result<Vec<u8>, ImagingError> {
    let (width, height) = (planes.luma.width, planes.luma.height);
    let halved = (width.div_ceil(2), height.div_ceil(2));
    if planes.chroma.iter().any(|c| (c.width, c.height) != halved) {
        return Err(ImagingError::encode("chroma of another size"));
    }
    let signed = |value: u32| c_int::try_from(value).map_err(ImagingError::encode);
    let (columns, rows) = (signed(width)?, signed(height)?);
    let luma = even(&planes.luma);
    let [blue, red] = &planes.chroma;
    let starts = [luma.as_ptr(), blue.bytes.as_ptr(), red.bytes.as_ptr()];
    let encoder = Encoder::start()?;
    encoder.set(raw::TJPARAM_TJPARAM_QUALITY, quality.clamp(1, 100).into())?;
    encoder.set(raw::TJPARAM_TJPARAM_SUBSAMP, raw::TJSAMP_TJSAMP_420)?;
    let (mut start, mut len) = (ptr::null_mut(), 0);
    // SAFETY: the library reads planes without padding, of luma rounded up to even sides and of chroma at half of that, which
    // is what these slices hold. It allocates the buffer, which is freed below.
    let status = unsafe {
        raw::tj3CompressFromYUVPlanes8(
            encoder.0,
            starts.as_ptr(),
            columns,
            ptr::null(),
            rows,
            &mut start,
            &mut len,
        )
    };
    let file = encoder.check(status).and_then(|()| {
        if start.is_null() {
            return Err(ImagingError::encode("no JPEG"));
        }
        // SAFETY: the library says that so many bytes are there.
        Ok(unsafe { std::slice::from_raw_parts(start, len as usize) }.to_vec())
    });
    // SAFETY: null, or allocated by the library and not used again.
    unsafe { raw::tj3Free(start.cast()) };
    file
}

/// A plane's bytes with its last column and row repeated where their number is odd.
fn even(plane: &Pixels) -> Cow<'_, [u8]> {
    if plane.width.is_multiple_of(2) && plane.height.is_multiple_of(2) {
        return Cow::Borrowed(&plane.bytes);
    }
    let width = plane.width as usize;
    let mut bytes = Vec::with_capacity((width + 1) * (plane.height as usize + 1));
    let rows = plane.bytes.chunks_exact(width.max(1));
    let again = rows.clone().next_back().filter(|_| plane.height % 2 == 1);
    for row in rows.chain(again) {
        bytes.extend_from_slice(row);
        if width % 2 == 1 {
            bytes.extend(row.last());
        }
    }
    Cow::Owned(bytes)
}

/// An instance of the native encoder.
struct Encoder(raw::tjhandle);

impl Encoder {
    fn start() -> Result<Self, ImagingError> {
        // SAFETY: no preconditions; a null handle is checked.
        let handle = unsafe { raw::tj3Init(raw::TJINIT_TJINIT_COMPRESS as c_int) };
        if handle.is_null() {
            return Err(ImagingError::encode("no JPEG encoder"));
        }
        Ok(Self(handle))
    }

    fn set(&self, parameter: raw::TJPARAM, value: c_int) -> Result<(), ImagingError> {
        // SAFETY: the handle is alive.
        self.check(unsafe { raw::tj3Set(self.0, parameter as c_int, value) })
    }

    fn check(&self, status: c_int) -> Result<(), ImagingError> {
        if status == 0 {
            return Ok(());
        }
        // SAFETY: the handle is alive; the text is the library's own, zero-ended.
        let text = unsafe { CStr::from_ptr(raw::tj3GetErrorStr(self.0)) };
        Err(ImagingError::encode(text.to_string_lossy()))
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: the handle is alive and not used again.
        unsafe { raw::tj3Destroy(self.0) };
    }
}
