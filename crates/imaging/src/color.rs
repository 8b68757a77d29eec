//! From a picture's own colours to sRGB.

use moxcms::{
    CicpColorPrimaries, CicpProfile, ColorProfile, DataColorSpace, Layout, MatrixCoefficients,
    TransferCharacteristics, Transform8BitExecutor, TransformOptions,
};
use std::sync::Arc;

use crate::ImagingError;
use crate::pixels::{Kind, Pixels, Profile};

/// Difference up to which a profile is taken for sRGB: rounding, not colour.
const SAME: u8 = 1;

/// Converts to sRGB: gray and ink become RGB, alpha stays. A profile that is broken, or made for
/// another kind of pixels, is ignored.
pub(crate) fn to_srgb(pixels: Pixels, profile: Option<&Profile>) -> Result<Pixels, ImagingError> {
    match (transform(pixels.kind, profile), pixels.kind) {
        (None, Kind::Rgb | Kind::Rgba) => Ok(pixels),
        (Some(transform), kind) => {
            let to_kind = if kind == Kind::Rgba {
                Kind::Rgba
            } else {
                Kind::Rgb
            };
            let mut to = Pixels::zeroed(pixels.width, pixels.height, to_kind)?;
            match transform.transform(&pixels.bytes, &mut to.bytes) {
                Ok(()) => Ok(to),
                Err(_) => plain(pixels),
            }
        }
        (None, _) => plain(pixels),
    }
}

/// Whether pixels of red, green and blue with this profile are sRGB as they are.
pub(crate) fn is_srgb(profile: Option<&Profile>) -> bool {
    transform(Kind::Rgb, profile).is_none()
}

/// Without a profile: gray is gray, and ink takes light away.
fn plain(pixels: Pixels) -> Result<Pixels, ImagingError> {
    if matches!(pixels.kind, Kind::Rgb | Kind::Rgba) {
        return Ok(pixels);
    }
    let mut to = Pixels::zeroed(pixels.width, pixels.height, Kind::Rgb)?;
    let (rgb, _) = to.bytes.as_chunks_mut::<3>();
    if pixels.kind == Kind::Gray {
        for (to, gray) in rgb.iter_mut().zip(&pixels.bytes) {
            *to = [*gray; 3];
        }
    } else {
        for (to, [cyan, magenta, yellow, black]) in rgb.iter_mut().zip(pixels.bytes.as_chunks().0) {
            let light = |ink: &u8| {
                let product = u32::from(255 - ink) * u32::from(255 - black);
                u8::try_from((product + 127) / 255).unwrap_or(u8::MAX)
            };
            *to = [light(cyan), light(magenta), light(yellow)];
        }
    }
    Ok(to)
}

/// The way to sRGB, or nothing where there is none to go.
fn transform(kind: Kind, profile: Option<&Profile>) -> Option<Arc<Transform8BitExecutor>> {
    let profile = match profile? {
        Profile::Icc(bytes) => ColorProfile::new_from_slice(bytes).ok()?,
        Profile::CodePoints {
            primaries,
            transfer,
        } => of_code_points(*primaries, *transfer)?,
    };
    let (space, from, to) = match kind {
        Kind::Gray => (DataColorSpace::Gray, Layout::Gray, Layout::Rgb),
        Kind::Rgb => (DataColorSpace::Rgb, Layout::Rgb, Layout::Rgb),
        Kind::Rgba => (DataColorSpace::Rgb, Layout::Rgba, Layout::Rgba),
        Kind::Cmyk => (DataColorSpace::Cmyk, Layout::Rgba, Layout::Rgb),
    };
    if profile.color_space != space {
        return None;
    }
    let transform = profile
        .create_transform_8bit(
            from,
            &ColorProfile::new_srgb(),
            to,
            TransformOptions::default(),
        )
        .ok()?;
    (space != DataColorSpace::Rgb || !is_identity(kind, &transform)).then_some(transform)
}

/// The profile that code points stand for; nothing where they are those of sRGB, or unknown.
///
/// The transfer functions of BT.601, BT.709 and BT.2020 are those of cameras; what they make is
/// meant for displays like sRGB's, and shown so everywhere. PQ and HLG are taken for the same, as
/// by viewers that know of neither: flat, but recognisable.
fn of_code_points(primaries: u8, transfer: u8) -> Option<ColorProfile> {
    const GAMMA_22: u8 = 4;
    const GAMMA_28: u8 = 5;
    const LINEAR: u8 = 8;
    let transfer_characteristics = match transfer {
        GAMMA_22 | GAMMA_28 | LINEAR => TransferCharacteristics::try_from(transfer).ok()?,
        _ => TransferCharacteristics::Srgb,
    };
    let color_primaries = match CicpColorPrimaries::try_from(primaries) {
        Ok(CicpColorPrimaries::Unspecified | CicpColorPrimaries::Reserved) | Err(_) => {
            CicpColorPrimaries::Bt709
        }
        Ok(known) => known,
    };
    if color_primaries == CicpColorPrimaries::Bt709
        && transfer_characteristics == TransferCharacteristics::Srgb
    {
        return None;
    }
    Some(ColorProfile::new_from_cicp(CicpProfile {
        color_primaries,
        transfer_characteristics,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    }))
}

/// Whether a transform leaves a sample of colours as they are.
fn is_identity(kind: Kind, transform: &Arc<Transform8BitExecutor>) -> bool {
    const STEPS: [u8; 5] = [0, 40, 110, 190, 255];
    let mut probe = Vec::new();
    for r in STEPS {
        for g in STEPS {
            for b in STEPS {
                probe.extend_from_slice(&[r, g, b]);
                if kind == Kind::Rgba {
                    probe.push(255);
                }
            }
        }
    }
    let mut out = vec![0; probe.len()];
    transform.transform(&probe, &mut out).is_ok()
        && probe.iter().zip(&out).all(|(a, b)| a.abs_diff(*b) <= SAME)
}
