//! Codes a picture as one frame of AV1 through libaom, on this thread alone.

use std::ffi::{c_int, c_uint};
use std::mem::MaybeUninit;
use std::ptr;

use libaom_sys as sys;

use crate::ImagingError;
use crate::pixels::{Kind, Pixels};
use crate::planes::Planes;

/// Effort of the encoder, 0 (most) to 9. Taken from what is known of libaom, not compared with others here; the figures in
/// `docs/guide/benchmarks.md`, by which the quality was chosen, are at this speed.
const SPEED: c_int = 8;
/// The coarsest quantizer there is.
const COARSEST: c_uint = 63;
/// An empty temporal delimiter, which the encoder begins with and files do without (AV1 Image File Format, section 2.1).
const DELIMITER: [u8; 2] = [0x12, 0x00];
/// What chroma is where there is none.
const NO_COLOUR: u8 = 128;

/// sRGB's code points (ISO/IEC 23091-2), and the matrix of JFIF: ITU-R BT.601, all 256 levels in use.
pub(super) const PRIMARIES: u16 = 1;
pub(super) const TRANSFER: u16 = 13;
pub(super) const MATRIX: u16 = 6;
/// Of what has no colours: unspecified.
const UNSPECIFIED: u16 = 2;

/// A coded picture.
pub(super) struct Coded {
    /// Its frame, behind its sequence header.
    pub bytes: Vec<u8>,
    /// The level of the bit stream (AV1, annex A), as coded.
    pub level: u8,
    /// Whether it has lightness only.
    pub is_gray: bool,
}

/// Codes lightness and colour, which must be halved, at `quality` 1 to 100.
pub(super) fn colour(planes: &Planes, quality: u8) -> Result<Coded, ImagingError> {
    let (width, height) = (planes.luma.width, planes.luma.height);
    let halved = (width.div_ceil(2), height.div_ceil(2));
    if planes.chroma.iter().any(|c| (c.width, c.height) != halved) {
        return Err(ImagingError::encode("chroma of another size"));
    }
    let [blue, red] = &planes.chroma;
    code([&planes.luma, blue, red], quality, false)
}

/// Codes opacity as lightness.
pub(super) fn alpha(opacity: &Pixels, quality: u8) -> Result<Coded, ImagingError> {
    let (columns, rows) = (opacity.width.div_ceil(2), opacity.height.div_ceil(2));
    let mut none = Pixels::zeroed(columns, rows, Kind::Gray)?;
    none.bytes.fill(NO_COLOUR);
    code([opacity, &none, &none], quality, true)
}

fn code(planes: [&Pixels; 3], quality: u8, is_gray: bool) -> Result<Coded, ImagingError> {
    let [luma, ..] = planes;
    let mut encoder = Encoder::start((luma.width, luma.height), quality, is_gray)?;
    let bytes = encoder.run(planes, is_gray)?;
    let level = level(&bytes).ok_or_else(|| ImagingError::encode("AV1: no sequence header"))?;
    Ok(Coded {
        bytes,
        level,
        is_gray,
    })
}

/// The level in the sequence header that a still picture's bytes begin with (AV1, sections 5.3 and 5.5).
fn level(bytes: &[u8]) -> Option<u8> {
    let (header, rest) = bytes.split_first()?;
    let is_sequence_header = header >> 3 & 15 == 1;
    let has_extension = header & 4 != 0;
    let has_size = header & 2 != 0;
    // Shorter than 128 bytes, so its length is one.
    let (length, rest) = rest.split_first()?;
    let (first, second) = (*rest.first()?, *rest.get(1)?);
    let is_reduced = first & 8 != 0;
    (is_sequence_header && !has_extension && has_size && *length < 128 && is_reduced)
        .then_some((first & 7) << 2 | second >> 6)
}

/// An instance of the native encoder.
struct Encoder(sys::aom_codec_ctx_t);

impl Encoder {
    /// For one picture of this size, without threads.
    fn start(
        (width, height): (u32, u32),
        quality: u8,
        is_gray: bool,
    ) -> Result<Self, ImagingError> {
        // SAFETY: no preconditions; the pointer is to static memory.
        let av1 = unsafe { sys::aom_codec_av1_cx() };
        let mut settings = MaybeUninit::<sys::aom_codec_enc_cfg_t>::zeroed();
        // SAFETY: the pointer is valid to write to.
        let status = unsafe {
            sys::aom_codec_enc_config_default(av1, settings.as_mut_ptr(), sys::AOM_USAGE_ALL_INTRA)
        };
        check(status)?;
        // SAFETY: filled in by the call above; all that it leaves is a valid zero.
        let mut settings = unsafe { settings.assume_init() };
        settings.g_w = width;
        settings.g_h = height;
        settings.g_threads = 1;
        settings.g_limit = 1;
        settings.g_lag_in_frames = 0;
        settings.rc_end_usage = sys::AOM_Q;
        settings.monochrome = c_uint::from(is_gray);
        let mut context = MaybeUninit::<sys::aom_codec_ctx_t>::zeroed();
        let version = sys::AOM_ENCODER_ABI_VERSION as c_int;
        // SAFETY: both pointers are valid; the settings are copied.
        check(unsafe {
            sys::aom_codec_enc_init_ver(context.as_mut_ptr(), av1, &settings, 0, version)
        })?;
        // SAFETY: initialised by the call above.
        let mut encoder = Self(unsafe { context.assume_init() });
        let [primaries, transfer] = match is_gray {
            true => [UNSPECIFIED; 2],
            false => [PRIMARIES, TRANSFER],
        };
        for (control, value) in [
            (sys::AOME_SET_CPUUSED, SPEED),
            (sys::AOME_SET_CQ_LEVEL, quantizer(quality)),
            (sys::AOME_SET_TUNING, sys::AOM_TUNE_SSIM as c_int),
            (sys::AV1E_SET_COLOR_PRIMARIES, primaries.into()),
            (sys::AV1E_SET_TRANSFER_CHARACTERISTICS, transfer.into()),
            (sys::AV1E_SET_MATRIX_COEFFICIENTS, MATRIX.into()),
            (sys::AV1E_SET_COLOR_RANGE, 1),
        ] {
            // SAFETY: the encoder is alive, and each of these takes one number.
            check(unsafe { sys::aom_codec_control(&mut encoder.0, control as c_int, value) })?;
        }
        Ok(encoder)
    }

    /// The coded bytes of the one picture.
    fn run(&mut self, planes: [&Pixels; 3], is_gray: bool) -> Result<Vec<u8>, ImagingError> {
        let [luma, ..] = planes;
        let mut picture = MaybeUninit::<sys::aom_image_t>::zeroed();
        // SAFETY: the pointer is valid to write to; of the planes only the place is noted, and replaced below.
        let wrapped = unsafe {
            sys::aom_img_wrap(
                picture.as_mut_ptr(),
                sys::AOM_IMG_FMT_I420,
                luma.width,
                luma.height,
                1,
                luma.bytes.as_ptr().cast_mut(),
            )
        };
        if wrapped.is_null() {
            return Err(ImagingError::encode("AV1: no such picture"));
        }
        // SAFETY: filled in by the call above.
        let mut picture = unsafe { picture.assume_init() };
        picture.range = sys::AOM_CR_FULL_RANGE;
        picture.monochrome = c_int::from(is_gray);
        for ((place, stride), plane) in picture
            .planes
            .iter_mut()
            .zip(&mut picture.stride)
            .zip(planes)
        {
            *place = plane.bytes.as_ptr().cast_mut();
            *stride = c_int::try_from(plane.width).map_err(ImagingError::encode)?;
        }
        let mut bytes = Vec::new();
        // The picture, and then its end.
        for picture in [&raw const picture, ptr::null()] {
            // SAFETY: the encoder is alive. It reads rows of the planes' strides: as many as luma has, and half as many
            // of chroma, rounded up, which is what there is. It writes to none of them.
            check(unsafe { sys::aom_codec_encode(&mut self.0, picture, 0, 1, 0) })?;
            self.take(&mut bytes);
        }
        Ok(match bytes.strip_prefix(&DELIMITER) {
            Some(rest) => rest.to_vec(),
            None => bytes,
        })
    }

    /// Takes what is coded so far.
    fn take(&mut self, to: &mut Vec<u8>) {
        let mut place = ptr::null();
        loop {
            // SAFETY: the encoder is alive; `place` is its own.
            let packet = unsafe { sys::aom_codec_get_cx_data(&mut self.0, &mut place) };
            // SAFETY: null, or good until the next call to encode.
            let Some(packet) = (unsafe { packet.as_ref() }) else {
                return;
            };
            if packet.kind == sys::AOM_CODEC_CX_FRAME_PKT {
                // SAFETY: a packet of this kind holds a frame of so many bytes.
                let coded = unsafe {
                    let frame = packet.data.frame;
                    std::slice::from_raw_parts(frame.buf.cast::<u8>(), frame.sz)
                };
                to.extend_from_slice(coded);
            }
        }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: alive, and not used again.
        unsafe { sys::aom_codec_destroy(&mut self.0) };
    }
}

/// The encoder's quantizer for a quality, evenly.
fn quantizer(quality: u8) -> c_int {
    let coarse = 100 - c_int::from(quality.clamp(1, 100));
    (coarse * COARSEST as c_int + 50) / 100
}

fn check(status: sys::aom_codec_err_t) -> Result<(), ImagingError> {
    match status {
        sys::AOM_CODEC_OK => Ok(()),
        sys::AOM_CODEC_MEM_ERROR => Err(ImagingError::memory("the AV1 encoder was refused some")),
        other => Err(ImagingError::encode(format!("AV1: error {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_read_from_a_reduced_header() {
        // Main profile, still picture, reduced header, level 5.1 (13), as libaom begins.
        let bytes = [0x0a, 0x06, 0b0001_1011, 0b0100_0000, 0, 0];
        assert_eq!(level(&bytes), Some(13));
        assert_eq!(
            level(&[0x0a, 0x06, 0b0001_0011, 0, 0]),
            None,
            "a full header"
        );
        assert_eq!(level(&[0x32, 0x06, 0b0001_1011, 0]), None, "a frame");
        assert_eq!(level(&bytes[..3]), None);
    }

    #[test]
    fn quality_spans_all_quantizers() {
        assert_eq!((quantizer(0), quantizer(1), quantizer(100)), (62, 62, 0));
        assert_eq!(quantizer(50), 32);
    }
}
