//! Decodes a coded picture of HEVC through libde265, on this thread alone.

use std::ffi::{CStr, c_int, c_void};
use std::ptr::NonNull;

use libde265_sys2 as sys;

use super::frame::{Chroma, Frame, Plane};
use super::properties::Cicp;
use super::reader::Reader;
use crate::ImagingError;

/// Fixed fields of an `hvcC` box before its parameter sets (ISO/IEC 14496-15, 8.3.3.1).
const CONFIG_HEAD_BYTES: usize = 21;
/// Kinds of NAL units (ITU-T H.265, table 7-1): pictures that need no other, and parameter sets.
const INTRA_PICTURES: std::ops::RangeInclusive<u8> = 16..=21;
const PARAMETER_SETS: std::ops::RangeInclusive<u8> = 32..=34;
/// Columns or rows that may be stored beyond those that are seen: a coding block on each side.
const MAX_PADDING: u32 = 128;

/// Decodes the picture of `size` in `payload` and hands it to `seen`.
///
/// # Errors
/// [`ImagingError::Corrupt`] where libde265 does as much as warn, and for a picture of another
/// size; [`ImagingError::Memory`] where memory was refused; what `seen` says.
pub(super) fn decode<T>(
    config: &[u8],
    payload: &[u8],
    size: (u32, u32),
    seen: impl FnOnce(&Frame<'_>) -> Result<T, ImagingError>,
) -> Result<T, ImagingError> {
    let mut bounds = Bounds {
        size,
        left: 1,
        exceeded: false,
    };
    let decoder = Decoder::start(&mut bounds)?;
    let cut = || ImagingError::corrupt("HEVC data cut short");
    let length_bytes = decoder.push_config(config).ok_or_else(cut)?;
    decoder
        .push_payload(payload, length_bytes)
        .ok_or_else(cut)?;
    let outcome = decoder.run();
    if bounds.exceeded {
        return Err(ImagingError::corrupt("HEVC: a picture of another size"));
    }
    outcome?;
    let frame = decoder.picture(size)?;
    seen(&frame)
}

/// What the decoder may allocate: one picture of the size that the container says.
struct Bounds {
    size: (u32, u32),
    left: u32,
    exceeded: bool,
}

impl Bounds {
    fn allow(&mut self, spec: &sys::de265_image_spec) -> bool {
        let fits = |visible: c_int, stored: c_int, side: u32| {
            let [visible, stored] = [visible, stored].map(u32::try_from);
            // What is stored beyond the visible part only fills up the last coding blocks.
            visible == Ok(side)
                && stored.is_ok_and(|stored| stored.saturating_sub(side) <= MAX_PADDING)
        };
        let (width, height) = self.size;
        let fits = fits(spec.visible_width, spec.width, width)
            && fits(spec.visible_height, spec.height, height);
        let allowed = fits && self.left > 0;
        self.left = self.left.saturating_sub(1);
        self.exceeded |= !allowed;
        allowed
    }
}

unsafe extern "C" fn get_buffer(
    context: *mut sys::de265_decoder_context,
    spec: *mut sys::de265_image_spec,
    image: *mut sys::de265_image,
    bounds: *mut c_void,
) -> c_int {
    // SAFETY: the library passes its own specification, and the pointer that it was given with this
    // function, whose target outlives the decoder and is not used while it decodes.
    let allowed = unsafe {
        match (spec.as_ref(), bounds.cast::<Bounds>().as_mut()) {
            (Some(spec), Some(bounds)) => bounds.allow(spec),
            _ => false,
        }
    };
    if !allowed {
        return 0;
    }
    // SAFETY: the library's own functions, with the library's own arguments.
    unsafe {
        let own = sys::de265_get_default_image_allocation_functions();
        match own.as_ref().and_then(|own| own.get_buffer) {
            Some(allocate) => allocate(context, spec, image, bounds),
            None => 0,
        }
    }
}

unsafe extern "C" fn release_buffer(
    context: *mut sys::de265_decoder_context,
    image: *mut sys::de265_image,
    bounds: *mut c_void,
) {
    // SAFETY: the library's own functions, with the library's own arguments.
    unsafe {
        let own = sys::de265_get_default_image_allocation_functions();
        if let Some(release) = own.as_ref().and_then(|own| own.release_buffer) {
            release(context, image, bounds);
        }
    }
}

/// An instance of the native decoder.
struct Decoder(NonNull<sys::de265_decoder_context>);

impl Decoder {
    /// Without threads: the library starts some only when it is asked to.
    fn start(bounds: &mut Bounds) -> Result<Self, ImagingError> {
        // SAFETY: no preconditions; null is checked.
        let context = NonNull::new(unsafe { sys::de265_new_decoder() })
            .ok_or_else(|| ImagingError::memory("no HEVC decoder"))?;
        let mut allocation = sys::de265_image_allocation {
            get_buffer: Some(get_buffer),
            release_buffer: Some(release_buffer),
        };
        // SAFETY: the decoder is alive, copies the functions, and gives the pointer to no others.
        unsafe {
            sys::de265_set_image_allocation_functions(
                context.as_ptr(),
                &mut allocation,
                (&raw mut *bounds).cast(),
            );
        }
        Ok(Self(context))
    }

    /// Pushes the parameter sets of an `hvcC` box; returns how many bytes the length of a NAL unit
    /// takes in the payload.
    fn push_config(&self, config: &[u8]) -> Option<u8> {
        let mut reader = Reader::new(config);
        reader.take(CONFIG_HEAD_BYTES)?;
        let length_bytes = (reader.u8()? & 3) + 1;
        for _ in 0..reader.u8()? {
            let _kind = reader.u8()?;
            for _ in 0..reader.u16()? {
                let length = usize::from(reader.u16()?);
                self.push(reader.take(length)?)?;
            }
        }
        Some(length_bytes)
    }

    fn push_payload(&self, payload: &[u8], length_bytes: u8) -> Option<()> {
        let mut reader = Reader::new(payload);
        while !reader.rest().is_empty() {
            let length = reader.take(usize::from(length_bytes))?;
            let length = length.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
            self.push(reader.take(length)?)?;
        }
        Some(())
    }

    /// Pushes a NAL unit, if it is one that a still picture is made of.
    fn push(&self, unit: &[u8]) -> Option<()> {
        let [first, second, ..] = unit else {
            return Some(());
        };
        let kind = first >> 1 & 63;
        let layer = (first & 1) << 5 | second >> 3;
        if layer != 0 || !(INTRA_PICTURES.contains(&kind) || PARAMETER_SETS.contains(&kind)) {
            return Some(());
        }
        let length = c_int::try_from(unit.len()).ok()?;
        // SAFETY: the decoder is alive, and copies the bytes of a live slice.
        let status = unsafe {
            let user = std::ptr::null_mut();
            sys::de265_push_NAL(self.0.as_ptr(), unit.as_ptr().cast(), length, 0, user)
        };
        (status == sys::de265_error::DE265_OK).then_some(())
    }

    /// Decodes until there is a picture, or nothing is left to decode.
    fn run(&self) -> Result<(), ImagingError> {
        let context = self.0.as_ptr();
        // SAFETY: the decoder is alive; the out pointer is valid.
        unsafe {
            check(sys::de265_flush_data(context))?;
            let mut more = 1;
            while more != 0 && sys::de265_peek_next_picture(context).is_null() {
                check(sys::de265_decode(context, &mut more))?;
            }
            // A decoder that only warns leaves a picture that is partly gray.
            check(sys::de265_get_warning(context))
        }
    }

    /// The picture that was decoded.
    fn picture(&self, (width, height): (u32, u32)) -> Result<Frame<'_>, ImagingError> {
        // SAFETY: the decoder is alive; null is checked.
        let image = unsafe { sys::de265_peek_next_picture(self.0.as_ptr()) };
        if image.is_null() {
            return Err(ImagingError::corrupt("HEVC data without a picture"));
        }
        // SAFETY: here and below, the image lives until the next call that changes the decoder.
        let chroma = match unsafe { sys::de265_get_chroma_format(image) } {
            sys::de265_chroma::de265_chroma_mono => Chroma::Monochrome,
            sys::de265_chroma::de265_chroma_420 => Chroma::TwoByTwo,
            sys::de265_chroma::de265_chroma_422 => Chroma::TwoByOne,
            _ => Chroma::OneByOne,
        };
        let mut planes = [Plane::NONE; 3];
        let count = if chroma == Chroma::Monochrome { 1 } else { 3 };
        for (plane, channel) in planes.iter_mut().take(count).zip(0..) {
            *plane = unsafe { plane_of(image, channel) }
                .ok_or_else(|| ImagingError::corrupt("HEVC: no samples"))?;
        }
        let code = |value: c_int| u8::try_from(value).unwrap_or(u8::MAX);
        let cicp = unsafe {
            Cicp {
                primaries: code(sys::de265_get_image_colour_primaries(image)),
                transfer: code(sys::de265_get_image_transfer_characteristics(image)),
                matrix: code(sys::de265_get_image_matrix_coefficients(image)),
                full_range: sys::de265_get_image_full_range_flag(image) != 0,
            }
        };
        Ok(Frame {
            width,
            height,
            chroma,
            planes,
            cicp,
        })
    }
}

/// A plane of a picture.
///
/// # Safety
/// The image is alive for as long as the plane is used, and has this channel.
unsafe fn plane_of<'a>(image: *const sys::de265_image, channel: c_int) -> Option<Plane<'a>> {
    let mut stride = 0;
    // SAFETY: the image is alive; the out pointer is valid.
    let (start, width, height, bits) = unsafe {
        (
            sys::de265_get_image_plane(image, channel, &mut stride),
            sys::de265_get_image_width(image, channel),
            sys::de265_get_image_height(image, channel),
            sys::de265_get_bits_per_pixel(image, channel),
        )
    };
    let [stride_bytes, width, height] =
        [stride, width, height].map(|n| usize::try_from(n).unwrap_or(0));
    let bits = u8::try_from(bits).ok()?;
    let last_row = width * if bits > 8 { 2 } else { 1 };
    let len = stride_bytes.checked_mul(height.checked_sub(1)?)? + last_row;
    if start.is_null() || width == 0 || last_row > stride_bytes {
        return None;
    }
    Some(Plane {
        // SAFETY: the library allocated at least `height` rows of `stride` bytes.
        bytes: unsafe { std::slice::from_raw_parts(start, len) },
        stride_bytes,
        bits,
    })
}

fn check(status: sys::de265_error::Type) -> Result<(), ImagingError> {
    match status {
        sys::de265_error::DE265_OK => Ok(()),
        sys::de265_error::DE265_ERROR_OUT_OF_MEMORY => {
            Err(ImagingError::memory("the HEVC decoder ran out"))
        }
        // SAFETY: every code has a text that lives for ever.
        other => unsafe {
            let text = CStr::from_ptr(sys::de265_get_error_text(other)).to_string_lossy();
            Err(ImagingError::corrupt(format!("HEVC: {text}")))
        },
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: the decoder is alive and not used again.
        unsafe { sys::de265_free_decoder(self.0.as_ptr()) };
    }
}
