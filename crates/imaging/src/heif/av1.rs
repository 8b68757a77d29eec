//! Decodes a coded picture of AV1 through rav1d, on this thread alone.

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use rav1d::Dav1dResult;
use rav1d::include::dav1d::data::Dav1dData;
use rav1d::include::dav1d::dav1d::{Dav1dContext, Dav1dLogger, Dav1dSettings};
use rav1d::include::dav1d::headers::{
    DAV1D_PIXEL_LAYOUT_I400, DAV1D_PIXEL_LAYOUT_I420, DAV1D_PIXEL_LAYOUT_I422,
};
use rav1d::include::dav1d::picture::Dav1dPicture;
use rav1d::src::lib as sys;

use super::frame::{Chroma, Frame, Plane};
use super::properties::Cicp;
use crate::ImagingError;

/// What the decoder answers: success, a wish for more data, memory refused, a picture too large.
const OK: Dav1dResult = Dav1dResult(0);
const AGAIN: Dav1dResult = Dav1dResult(-libc::EAGAIN);
const NO_MEMORY: Dav1dResult = Dav1dResult(-libc::ENOMEM);
const TOO_LARGE: Dav1dResult = Dav1dResult(-libc::ERANGE);

/// Decodes the first picture in `payload`, which has to be of `size`, and hands it to `seen`.
///
/// # Errors
/// [`ImagingError::Corrupt`] where the decoder refuses the data, and for a picture of another
/// size; [`ImagingError::Memory`] where memory was refused; what `seen` says.
pub(super) fn decode<T>(
    payload: &[u8],
    size: (u32, u32),
    seen: impl FnOnce(&Frame<'_>) -> Result<T, ImagingError>,
) -> Result<T, ImagingError> {
    let decoder = Decoder::start(size)?;
    let picture = decoder.run(payload)?;
    seen(&picture.frame(size)?)
}

/// An instance of the decoder.
struct Decoder(Option<Dav1dContext>);

impl Decoder {
    /// Without threads, and for pictures that are not larger than `size`.
    fn start((width, height): (u32, u32)) -> Result<Self, ImagingError> {
        let mut settings = MaybeUninit::<Dav1dSettings>::uninit();
        // SAFETY: the pointer is valid to write to, and written to.
        let mut settings = unsafe {
            sys::dav1d_default_settings(NonNull::from(&mut settings).cast());
            settings.assume_init()
        };
        settings.n_threads = 1;
        settings.max_frame_delay = 1;
        settings.all_layers = 0;
        settings.frame_size_limit = width.saturating_mul(height);
        // SAFETY: without a function there is nothing to keep to.
        settings.logger = unsafe { Dav1dLogger::new(None, None) };
        let mut context = None;
        // SAFETY: both pointers are valid; the settings are copied.
        let status = unsafe {
            sys::dav1d_open(
                Some(NonNull::from(&mut context)),
                Some(NonNull::from(&mut settings)),
            )
        };
        check(status)?;
        Ok(Self(context))
    }

    /// Feeds the decoder until it gives a picture.
    fn run(&self, payload: &[u8]) -> Result<Picture, ImagingError> {
        let mut input = Input::copy(payload)?;
        loop {
            // SAFETY: the context is open; the pointer is valid.
            let sent = unsafe { sys::dav1d_send_data(self.0, Some(NonNull::from(&mut input.0))) };
            if sent != AGAIN {
                check(sent)?;
            }
            let mut picture = Picture(Dav1dPicture::default());
            // SAFETY: the context is open; the pointer is valid.
            let got =
                unsafe { sys::dav1d_get_picture(self.0, Some(NonNull::from(&mut picture.0))) };
            if got != AGAIN {
                check(got)?;
                return Ok(picture);
            }
            if input.0.sz == 0 {
                return Err(ImagingError::corrupt("AV1 data without a picture"));
            }
        }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: the context is open, and not used again.
        unsafe { sys::dav1d_close(Some(NonNull::from(&mut self.0))) };
    }
}

/// Data on the way into the decoder.
struct Input(Dav1dData);

impl Input {
    fn copy(payload: &[u8]) -> Result<Self, ImagingError> {
        if payload.is_empty() {
            return Err(ImagingError::corrupt("no AV1 data"));
        }
        let mut input = Self(Dav1dData::default());
        // SAFETY: the pointer is valid.
        let start =
            unsafe { sys::dav1d_data_create(Some(NonNull::from(&mut input.0)), payload.len()) };
        let start = NonNull::new(start)
            .ok_or_else(|| ImagingError::memory("the AV1 decoder was refused a buffer"))?;
        // SAFETY: allocated just now with this length.
        unsafe {
            std::ptr::copy_nonoverlapping(payload.as_ptr(), start.as_ptr(), payload.len());
        }
        Ok(input)
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        // SAFETY: the pointer is valid; what the decoder took is gone from it.
        unsafe { sys::dav1d_data_unref(Some(NonNull::from(&mut self.0))) };
    }
}

/// A decoded picture.
struct Picture(Dav1dPicture);

impl Picture {
    fn frame(&self, size: (u32, u32)) -> Result<Frame<'_>, ImagingError> {
        let refused = || ImagingError::corrupt("AV1: a picture of another size");
        let side = |n: i32| u32::try_from(n).map_err(|_| refused());
        let (width, height) = (side(self.0.p.w)?, side(self.0.p.h)?);
        if (width, height) != size {
            return Err(refused());
        }
        let chroma = match self.0.p.layout {
            DAV1D_PIXEL_LAYOUT_I400 => Chroma::Monochrome,
            DAV1D_PIXEL_LAYOUT_I420 => Chroma::TwoByTwo,
            DAV1D_PIXEL_LAYOUT_I422 => Chroma::TwoByOne,
            _ => Chroma::OneByOne,
        };
        let (across, along) = chroma.subsampling();
        let small = (width.div_ceil(across), height.div_ceil(along));
        let samples = || ImagingError::corrupt("AV1: no samples");
        let mut planes = [Plane::NONE; 3];
        let count = if chroma == Chroma::Monochrome { 1 } else { 3 };
        for (n, plane) in planes.iter_mut().take(count).enumerate() {
            let size = if n == 0 { size } else { small };
            *plane = self.plane(n, size).ok_or_else(samples)?;
        }
        // SAFETY: the header lives as long as the picture.
        let header = unsafe { self.0.seq_hdr.map(|header| header.as_ref()) }.ok_or_else(samples)?;
        let code = |value: u32| u8::try_from(value).unwrap_or(u8::MAX);
        Ok(Frame {
            width,
            height,
            chroma,
            planes,
            cicp: Cicp {
                primaries: code(header.pri),
                transfer: code(header.trc),
                matrix: code(header.mtrx),
                full_range: header.color_range != 0,
            },
        })
    }

    /// Plane `n`, of which these columns and rows belong to the picture.
    fn plane(&self, n: usize, (width, height): (u32, u32)) -> Option<Plane<'_>> {
        let bits = u8::try_from(self.0.p.bpc).ok()?;
        let stride = *self.0.stride.get(n.min(1))?;
        let stride_bytes = usize::try_from(stride).ok()?;
        let last_row = width as usize * if bits > 8 { 2 } else { 1 };
        let rows = (height as usize).checked_sub(1)?;
        let len = stride_bytes.checked_mul(rows)?.checked_add(last_row)?;
        let start = (*self.0.data.get(n)?)?;
        (last_row <= stride_bytes).then_some(Plane {
            // SAFETY: the decoder allocated at least `height` rows of `stride` bytes, and they live
            // as long as the picture.
            bytes: unsafe { std::slice::from_raw_parts(start.as_ptr().cast(), len) },
            stride_bytes,
            bits,
        })
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        // SAFETY: the pointer is valid; a picture that was never filled in is empty.
        unsafe { sys::dav1d_picture_unref(Some(NonNull::from(&mut self.0))) };
    }
}

fn check(status: Dav1dResult) -> Result<(), ImagingError> {
    match status {
        OK => Ok(()),
        NO_MEMORY => Err(ImagingError::memory("the AV1 decoder ran out")),
        TOO_LARGE => Err(ImagingError::corrupt("AV1: a picture of another size")),
        Dav1dResult(code) => {
            let text = std::io::Error::from_raw_os_error(-code);
            Err(ImagingError::corrupt(format!("AV1: {text}")))
        }
    }
}
