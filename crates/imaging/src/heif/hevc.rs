//! Decodes a coded picture of HEVC through libde265, on this thread alone.

use std::ffi::{CStr, c_int};
use std::ptr::NonNull;
use std::sync::Once;

use libde265_sys2 as sys;

use super::frame::{Chroma, Frame, Plane};
use super::properties::Cicp;
use super::sps::announced;
use crate::ImagingError;
use crate::boxes::Reader;

/// Fixed fields of an `hvcC` box before its parameter sets (ISO/IEC 14496-15, 8.3.3.1).
const CONFIG_HEAD_BYTES: usize = 21;
/// Kinds of NAL units (ITU-T H.265, table 7-1): pictures that need no other, and parameter sets.
const INTRA_PICTURES: std::ops::RangeInclusive<u8> = 16..=21;
/// Those of them that name no other either. The lists of the rest are what libde265 1.0 has been wrong about
/// (GHSA-g2rg-wj66-w594), and phones write these.
const SELF_CONTAINED: std::ops::RangeInclusive<u8> = 19..=20;
const PARAMETER_SETS: std::ops::RangeInclusive<u8> = 32..=34;
const SEQUENCE_PARAMETER_SET: u8 = 33;
/// Parameter sets, each of which may take memory by the size of the picture; encoders write three.
const MAX_SETS: u32 = 16;
/// Slices of a picture: the most of any level (ITU-T H.265, table A.8).
const MAX_SLICES: u32 = 600;
/// libde265 moves what comes after an escape once for each: the most bytes moved so.
const MAX_MOVED_BYTES: u64 = 1 << 32;
/// Columns or rows that may be stored beyond those that are seen: a coding block on each side.
const MAX_PADDING: u32 = 128;

/// Decodes the picture of `size` in `payload` and hands it to `seen`.
///
/// # Errors
/// [`ImagingError::Corrupt`] where libde265 does as much as warn, for a picture of another size, and
/// for more units than a picture has; [`ImagingError::Unsupported`] for pictures that may name
/// others; [`ImagingError::Memory`] where memory was refused; what `seen` says.
pub(super) fn decode<T>(
    config: &[u8],
    payload: &[u8],
    size: (u32, u32),
    seen: impl FnOnce(&Frame<'_>) -> Result<T, ImagingError>,
) -> Result<T, ImagingError> {
    let mut input = Input {
        decoder: Decoder::start()?,
        size,
        pictures: 0,
        sets: 0,
        slices: 0,
    };
    let length_bytes = input.push_config(config)?;
    input.push_payload(payload, length_bytes)?;
    let mut decoder = input.decoder;
    decoder.run()?;
    let frame = decoder.picture(size)?;
    seen(&frame)
}

/// What is pushed into a decoder: parameter sets that announce the size that is expected, and one
/// picture.
struct Input {
    decoder: Decoder,
    size: (u32, u32),
    pictures: u32,
    sets: u32,
    slices: u32,
}

impl Input {
    /// Pushes the parameter sets of an `hvcC` box; returns how many bytes the length of a NAL unit
    /// takes in the payload.
    fn push_config(&mut self, config: &[u8]) -> Result<usize, ImagingError> {
        let mut reader = Reader::new(config);
        reader.take(CONFIG_HEAD_BYTES).ok_or_else(cut)?;
        let length_bytes = (reader.u8().ok_or_else(cut)? & 3) + 1;
        for _ in 0..reader.u8().ok_or_else(cut)? {
            let _kind = reader.u8();
            for _ in 0..reader.u16().ok_or_else(cut)? {
                let length = usize::from(reader.u16().ok_or_else(cut)?);
                self.push(reader.take(length).ok_or_else(cut)?)?;
            }
        }
        Ok(usize::from(length_bytes))
    }

    fn push_payload(&mut self, payload: &[u8], length_bytes: usize) -> Result<(), ImagingError> {
        let mut reader = Reader::new(payload);
        while !reader.rest().is_empty() {
            let length = reader.take(length_bytes).ok_or_else(cut)?;
            let length = length.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
            self.push(reader.take(length).ok_or_else(cut)?)?;
        }
        Ok(())
    }

    /// Pushes a NAL unit, if it is one that the first picture is made of.
    fn push(&mut self, unit: &[u8]) -> Result<(), ImagingError> {
        let [first, second, ..] = unit else {
            return Err(cut());
        };
        let kind = first >> 1 & 63;
        let layer = (first & 1) << 5 | second >> 3;
        if layer != 0 {
            return Ok(());
        }
        if second & 7 == 0 {
            return Err(ImagingError::corrupt("HEVC: no temporal layer"));
        }
        if INTRA_PICTURES.contains(&kind) {
            if !SELF_CONTAINED.contains(&kind) {
                return Err(ImagingError::unsupported("HEVC pictures that name others"));
            }
            // The first bit of a slice says whether a picture begins with it.
            let begins = unit.get(2).is_some_and(|flags| flags & 0x80 != 0);
            self.pictures += u32::from(begins);
            self.slices += 1;
        } else if PARAMETER_SETS.contains(&kind) && self.pictures == 0 {
            self.sets += 1;
        } else {
            // Within a picture, sets would be of the next.
            return Ok(());
        }
        if self.pictures > 1 {
            return Ok(());
        }
        let escapes = unit.windows(3).filter(|bytes| *bytes == [0, 0, 3]).count() as u64;
        if self.sets > MAX_SETS
            || self.slices > MAX_SLICES
            || escapes.saturating_mul(unit.len() as u64) > MAX_MOVED_BYTES
        {
            return Err(ImagingError::corrupt("HEVC: more units than a picture has"));
        }
        if kind == SEQUENCE_PARAMETER_SET {
            self.check_sequence(unit)?;
        }
        self.decoder.push(unit)
    }

    /// Whether a sequence parameter set announces what is expected.
    fn check_sequence(&self, unit: &[u8]) -> Result<(), ImagingError> {
        let announced = announced(unit).ok_or_else(|| ImagingError::corrupt("HEVC: no size"))?;
        let padding = |stored: u32, visible: u32| stored - visible <= MAX_PADDING;
        if announced.visible != self.size
            || !padding(announced.stored.0, announced.visible.0)
            || !padding(announced.stored.1, announced.visible.1)
        {
            return Err(ImagingError::corrupt("HEVC: a picture of another size"));
        }
        // libde265 1.0 counts samples as if they were bytes when it skips what is not to be seen.
        if announced.max_bits > 8 && announced.begins != (0, 0) {
            return Err(ImagingError::unsupported(
                "HEVC of more than 8 bits that is cut at the left or the top",
            ));
        }
        Ok(())
    }
}

fn cut() -> ImagingError {
    ImagingError::corrupt("HEVC data cut short")
}

/// An instance of the native decoder.
struct Decoder(NonNull<sys::de265_decoder_context>);

impl Decoder {
    /// Without threads: the library starts some only when it is asked to.
    fn start() -> Result<Self, ImagingError> {
        // The library makes its tables for the first decoder and drops them with the last: a photo of 48 tiles would have them made
        // 48 times, an eighth of its time. One count that nobody gives back keeps them.
        static TABLES: Once = Once::new();
        // SAFETY: no preconditions; what fails here fails again below.
        TABLES.call_once(|| unsafe {
            sys::de265_init();
        });
        // SAFETY: no preconditions; null is checked.
        let decoder = NonNull::new(unsafe { sys::de265_new_decoder() })
            .map(Self)
            .ok_or_else(|| ImagingError::memory("no HEVC decoder"))?;
        // SAFETY: the decoder is alive. A picture with a fault that is not even warned of is then no picture.
        unsafe {
            let faulty = sys::de265_param::DE265_DECODER_PARAM_SUPPRESS_FAULTY_PICTURES;
            sys::de265_set_parameter_bool(decoder.0.as_ptr(), faulty, 1);
        }
        Ok(decoder)
    }

    fn push(&mut self, unit: &[u8]) -> Result<(), ImagingError> {
        let length = c_int::try_from(unit.len())
            .map_err(|_| ImagingError::memory("a NAL unit that is too long"))?;
        // SAFETY: the decoder is alive, and copies the bytes of a live slice.
        check(unsafe {
            let user = std::ptr::null_mut();
            sys::de265_push_NAL(self.0.as_ptr(), unit.as_ptr().cast(), length, 0, user)
        })
    }

    /// Decodes until there is a picture, or nothing is left to decode.
    fn run(&mut self) -> Result<(), ImagingError> {
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
        let same = |side: c_int, expected: u32| u32::try_from(side) == Ok(expected);
        if !same(unsafe { sys::de265_get_image_width(image, 0) }, width)
            || !same(unsafe { sys::de265_get_image_height(image, 0) }, height)
        {
            return Err(ImagingError::corrupt("HEVC: a picture of another size"));
        }
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
        sys::de265_error::DE265_ERROR_OUT_OF_MEMORY
        | sys::de265_error::DE265_WARNING_CANNOT_APPLY_SAO_OUT_OF_MEMORY => {
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
