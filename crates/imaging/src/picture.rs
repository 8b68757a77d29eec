//! A picture on its way from the decoder to the encoders, in whichever form serves it best.

use fast_image_resize::Resizer;
use safelight_model::preset::{Format, Preset};

use crate::ImagingError;
use crate::avif::{encode_avif, encode_avif_planes};
use crate::color::to_srgb;
use crate::credit::Credit;
use crate::encode_jpeg::{encode_jpeg, encode_jpeg_planes};
use crate::orientation::Orientation;
use crate::pixels::{Extent, Kind, Pixels, Profile};
use crate::planes::Planes;
use crate::resize::resize;
use crate::webp::{encode_webp, encode_webp_planes};

/// As it was stored: not turned upright yet.
#[derive(Clone, Debug)]
pub(crate) enum Picture {
    /// All of a pixel's channels side by side.
    Packed(Pixels),
    /// Lightness and colour apart, in sRGB's colours.
    Planar(Planes),
}

impl Picture {
    /// Columns and rows.
    pub(crate) fn size(&self) -> (u32, u32) {
        let pixels = match self {
            Self::Packed(pixels) => pixels,
            Self::Planar(planes) => &planes.luma,
        };
        (pixels.width, pixels.height)
    }

    /// The part that `extent` covers, at exactly `width` by `height`.
    pub(crate) fn resize(
        self,
        resizer: &mut Resizer,
        extent: Extent,
        size: (u32, u32),
    ) -> Result<Self, ImagingError> {
        if !self.is_at(extent, size) {
            return self.resized(resizer, extent, size);
        }
        Ok(match self {
            Self::Packed(pixels) => Self::Packed(pixels),
            Self::Planar(planes) => Self::Planar(planes.halved()?),
        })
    }

    /// The same of a picture that stays as it is.
    pub(crate) fn resize_copy(
        &self,
        resizer: &mut Resizer,
        extent: Extent,
        size: (u32, u32),
    ) -> Result<Self, ImagingError> {
        match self.is_at(extent, size) {
            true => self.clone().resize(resizer, extent, size),
            false => self.resized(resizer, extent, size),
        }
    }

    /// Whether all of it is covered, and it has this size already.
    fn is_at(&self, extent: Extent, (width, height): (u32, u32)) -> bool {
        let whole = Extent::whole(width, height);
        extent == whole && self.size() == (width, height)
    }

    fn resized(
        &self,
        resizer: &mut Resizer,
        extent: Extent,
        (width, height): (u32, u32),
    ) -> Result<Self, ImagingError> {
        Ok(match self {
            Self::Packed(pixels) => Self::Packed(resize(resizer, pixels, extent, width, height)?),
            Self::Planar(planes) => Self::Planar(planes.resized(resizer, extent, width, height)?),
        })
    }

    /// All of it at exactly this size.
    pub(crate) fn shrink_to(
        self,
        resizer: &mut Resizer,
        size: (u32, u32),
    ) -> Result<Self, ImagingError> {
        let (width, height) = self.size();
        self.resize(resizer, Extent::whole(width, height), size)
    }

    /// A part as it is, beginning at most one column and row before `from`; what lies outside of the picture is left out.
    pub(crate) fn cut(&self, from: (u32, u32), size: (u32, u32)) -> Self {
        match self {
            Self::Packed(pixels) => Self::Packed(pixels.cut(from, size)),
            Self::Planar(planes) => Self::Planar(planes.cut(from, size)),
        }
    }

    /// In sRGB, and without alpha where all of it is opaque.
    pub(crate) fn srgb(self, profile: Option<&Profile>) -> Result<Self, ImagingError> {
        let Self::Packed(pixels) = self else {
            return Ok(self);
        };
        let pixels = to_srgb(pixels, profile)?;
        if pixels.kind == Kind::Rgba && pixels.bytes.as_chunks::<4>().0.iter().all(|p| p[3] == 255)
        {
            return Ok(Self::Packed(without_alpha(&pixels)?));
        }
        Ok(Self::Packed(pixels))
    }

    /// Red, green and blue, with alpha if there is any, upright, at a size that is given as it is stored.
    pub(crate) fn upright_pixels(
        self,
        resizer: &mut Resizer,
        (width, height): (u32, u32),
        orientation: Orientation,
    ) -> Result<Pixels, ImagingError> {
        let pixels = match self {
            Self::Packed(pixels) if (pixels.width, pixels.height) == (width, height) => pixels,
            Self::Packed(pixels) => {
                let whole = Extent::whole(pixels.width, pixels.height);
                resize(resizer, &pixels, whole, width, height)?
            }
            Self::Planar(planes) => planes.rgb(resizer, width, height)?,
        };
        Ok(orientation.apply(&pixels))
    }

    /// The file that a preset makes of it, turned upright, and its columns and rows; it says whose it is, if that is given.
    pub(crate) fn encode(
        &self,
        preset: Preset,
        orientation: Orientation,
        credit: Option<&Credit>,
    ) -> Result<(u32, u32, Vec<u8>), ImagingError> {
        let (width, height) = self.size();
        let (width, height) = orientation.upright_size(width, height);
        let turns = orientation != Orientation::Upright;
        let bytes = match self {
            Self::Packed(stored) => {
                let turned = turns.then(|| orientation.apply(stored));
                encode_packed(preset, turned.as_ref().unwrap_or(stored), credit)?
            }
            Self::Planar(stored) => {
                let turned = turns.then(|| stored.upright(orientation));
                let upright = turned.as_ref().unwrap_or(stored);
                match preset.format {
                    Format::Webp => encode_webp_planes(upright, preset.quality)?,
                    Format::Jpeg => encode_jpeg_planes(upright, preset.quality)?,
                    Format::Avif => {
                        encode_avif_planes(upright, preset.quality, credit.map(Credit::exif))?
                    }
                    Format::Mp4 | Format::M3u8 => return Err(no_picture()),
                }
            }
        };
        let bytes = match credit {
            Some(credit) => credit.on(preset.format, (width, height), bytes),
            None => bytes,
        };
        Ok((width, height, bytes))
    }
}

fn encode_packed(
    preset: Preset,
    upright: &Pixels,
    credit: Option<&Credit>,
) -> Result<Vec<u8>, ImagingError> {
    let (width, height) = (upright.width, upright.height);
    let alpha = upright.kind == Kind::Rgba;
    match preset.format {
        Format::Webp => encode_webp(width, height, &upright.bytes, alpha, preset.quality),
        Format::Jpeg if alpha => {
            let flat = on_white(upright)?;
            encode_jpeg(width, height, &flat.bytes, preset.quality)
        }
        Format::Jpeg => encode_jpeg(width, height, &upright.bytes, preset.quality),
        Format::Avif => encode_avif(upright, preset.quality, credit.map(Credit::exif)),
        Format::Mp4 | Format::M3u8 => Err(no_picture()),
    }
}

fn no_picture() -> ImagingError {
    ImagingError::encode("a clip is no picture")
}

fn without_alpha(from: &Pixels) -> Result<Pixels, ImagingError> {
    per_pixel(from, |[r, g, b, _]| [r, g, b])
}

fn on_white(from: &Pixels) -> Result<Pixels, ImagingError> {
    per_pixel(from, |[r, g, b, a]| {
        let over = |colour: u8| {
            let sum = u32::from(colour) * u32::from(a) + 255 * u32::from(255 - a);
            u8::try_from((sum + 127) / 255).unwrap_or(u8::MAX)
        };
        [over(r), over(g), over(b)]
    })
}

fn per_pixel(from: &Pixels, f: impl Fn([u8; 4]) -> [u8; 3]) -> Result<Pixels, ImagingError> {
    let mut to = Pixels::zeroed(from.width, from.height, Kind::Rgb)?;
    let (rgba, _) = from.bytes.as_chunks::<4>();
    let (rgb, _) = to.bytes.as_chunks_mut::<3>();
    for (to, from) in rgb.iter_mut().zip(rgba) {
        *to = f(*from);
    }
    Ok(to)
}
