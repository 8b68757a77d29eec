//! Decodes a coded picture of AV1 through dav1d, on this thread alone.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use libdav1d_sys as sys;
use sys::Dav1dPixelLayout::{
    DAV1D_PIXEL_LAYOUT_I400, DAV1D_PIXEL_LAYOUT_I420, DAV1D_PIXEL_LAYOUT_I422,
};

use super::frame::{Chroma, Frame, Plane};
use super::properties::Cicp;
use crate::ImagingError;

/// What the decoder answers for a picture that is larger than it was told.
const TOO_LARGE: c_int = sys::DAV1D_ERR(libc::ERANGE);

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

/// An instance of the native decoder.
struct Decoder(*mut sys::Dav1dContext);

impl Decoder {
    /// Without threads, and for pictures that are not larger than `size`.
    fn start((width, height): (u32, u32)) -> Result<Self, ImagingError> {
        let mut settings = MaybeUninit::<sys::Dav1dSettings>::zeroed();
        // SAFETY: the pointer is valid to write to; all that is not written there is a valid zero.
        let mut settings = unsafe {
            sys::dav1d_default_settings(settings.as_mut_ptr());
            settings.assume_init()
        };
        settings.n_threads = 1;
        settings.max_frame_delay = 1;
        settings.all_layers = 0;
        settings.frame_size_limit = width.saturating_mul(height);
        settings.logger.callback = None;
        let mut context = ptr::null_mut();
        // SAFETY: both pointers are valid; the settings are copied.
        check(unsafe { sys::dav1d_open(&mut context, &settings) })?;
        Ok(Self(context))
    }

    /// Feeds the decoder until it gives a picture.
    fn run(&self, payload: &[u8]) -> Result<Picture, ImagingError> {
        let mut input = Input::copy(payload)?;
        loop {
            // SAFETY: the context is open; the pointer is valid.
            let sent = unsafe { sys::dav1d_send_data(self.0, &mut input.0) };
            if sent != sys::DAV1D_ERR_AGAIN {
                check(sent)?;
            }
            let mut picture = Picture::empty();
            // SAFETY: the context is open; the pointer is valid.
            let got = unsafe { sys::dav1d_get_picture(self.0, &mut picture.0) };
            if got != sys::DAV1D_ERR_AGAIN {
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
        unsafe { sys::dav1d_close(&mut self.0) };
    }
}

/// Data on the way into the decoder.
struct Input(sys::Dav1dData);

impl Input {
    fn copy(payload: &[u8]) -> Result<Self, ImagingError> {
        if payload.is_empty() {
            return Err(ImagingError::corrupt("no AV1 data"));
        }
        // SAFETY: plain data, for which zeros mean nothing.
        let mut input = Self(unsafe { MaybeUninit::zeroed().assume_init() });
        // SAFETY: the pointer is valid.
        let start = unsafe { sys::dav1d_data_create(&mut input.0, payload.len()) };
        if start.is_null() {
            return Err(ImagingError::memory("the AV1 decoder was refused a buffer"));
        }
        // SAFETY: allocated just now with this length.
        unsafe { ptr::copy_nonoverlapping(payload.as_ptr(), start, payload.len()) };
        Ok(input)
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        // SAFETY: the pointer is valid; what the decoder took is gone from it.
        unsafe { sys::dav1d_data_unref(&mut self.0) };
    }
}

/// A decoded picture.
struct Picture(sys::Dav1dPicture);

impl Picture {
    fn empty() -> Self {
        // SAFETY: plain data, for which zeros mean nothing.
        Self(unsafe { MaybeUninit::zeroed().assume_init() })
    }

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
        let header = NonNull::new(self.0.seq_hdr).ok_or_else(samples)?.as_ptr();
        // SAFETY: the header lives as long as the picture. Its code points are read as the numbers
        // that they are, since those without a name would be no values of the bindings' enums.
        let [primaries, transfer, matrix] = unsafe {
            [
                (&raw const (*header).pri).cast::<u32>().read(),
                (&raw const (*header).trc).cast::<u32>().read(),
                (&raw const (*header).mtrx).cast::<u32>().read(),
            ]
        };
        // SAFETY: as above.
        let full_range = unsafe { (*header).color_range } != 0;
        let code = |value: u32| u8::try_from(value).unwrap_or(u8::MAX);
        Ok(Frame {
            width,
            height,
            chroma,
            planes,
            cicp: Cicp {
                primaries: code(primaries),
                transfer: code(transfer),
                matrix: code(matrix),
                full_range,
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
        let start = NonNull::new(*self.0.data.get(n)?)?;
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
        unsafe { sys::dav1d_picture_unref(&mut self.0) };
    }
}

fn check(status: c_int) -> Result<(), ImagingError> {
    match status {
        0 => Ok(()),
        sys::DAV1D_ERR_NOMEM => Err(ImagingError::memory("the AV1 decoder ran out")),
        TOO_LARGE => Err(ImagingError::corrupt("AV1: a picture of another size")),
        code => {
            let text = std::io::Error::from_raw_os_error(-code);
            Err(ImagingError::corrupt(format!("AV1: {text}")))
        }
    }
}
