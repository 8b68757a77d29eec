//! One decode, all renditions.

use std::borrow::Cow;

use fast_image_resize::Resizer;
use safelight_model::best_frame::FrameScores;
use safelight_model::near::PictureHash;
use safelight_model::preset::{Preset, Shape};

use crate::credit::Credit;
use crate::crop::{self, SALIENCY_EDGE};
use crate::faces;
use crate::frame_scores::{SCORES_EDGE, frame_scores};
use crate::header::{Header, header};
use crate::orientation::Orientation;
use crate::picture::Picture;
use crate::picture_hash::picture_hash;
use crate::pixels::{Decoded, Extent, Profile};
use crate::resize::fit;
use crate::sniff::MediaType;
use crate::thumbhash::{THUMBHASH_EDGE, thumbhash};
use crate::{ImagingError, Limits, gain_map, gif, heif, jpeg, png, raw, webp};

/// What came of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The original's kind, by content.
    pub media: MediaType,
    /// Columns of the original, upright.
    pub width: u32,
    /// Rows of the original, upright.
    pub height: u32,
    /// In the order of the presets asked for.
    pub renditions: Vec<Rendition>,
    /// The placeholder's bytes, if hashes were asked for.
    pub thumbhash: Option<Vec<u8>>,
    /// The perceptual hash, if hashes were asked for and the picture is not too plain for one.
    pub picture_hash: Option<PictureHash>,
    /// How sharp and how well exposed it is, if that was asked for.
    pub scores: Option<FrameScores>,
}

/// One encoded output: upright, sRGB, without metadata but what belongs to a gain map, and whose it is where that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendition {
    /// What it was made by.
    pub preset: Preset,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// The file.
    pub bytes: Vec<u8>,
}

/// What is wanted of a picture besides renditions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Its placeholder and its perceptual hash.
    pub hashes: bool,
    /// How sharp and how well exposed it is.
    pub scores: bool,
    /// Whether every rendition is as long as its preset says, also where a little less would save work: as one is that was made of
    /// a longer one.
    pub exact: bool,
    /// Whether renditions say whose it is, where the original does.
    pub credit: bool,
    /// Whether a square is where faces are, if there are some.
    pub faces: bool,
    /// Whether faces are counted among the scores.
    pub count_faces: bool,
}

impl From<bool> for Wants {
    /// Hashes, or nothing.
    fn from(hashes: bool) -> Self {
        Self {
            hashes,
            ..Self::default()
        }
    }
}

/// Decodes `input` once and makes every preset's rendition of it.
///
/// The pixels come from the main image: never from an embedded thumbnail, never from a trailer. A raw photo alone is shown by the
/// largest JPEG that its camera put into it.
///
/// # Errors
/// See [`ImagingError`]. A file that is cut off or damaged inside is an error, not a picture that
/// is partly gray.
pub fn render(
    input: &[u8],
    presets: &[Preset],
    limits: &Limits,
    want: impl Into<Wants>,
) -> Result<Rendered, ImagingError> {
    let (header, want) = (header(input, limits)?, want.into());
    let edges = longest(&steps(presets, &header, want));
    decode(input, header, edges, limits)?.make(input, presets, limits, want)
}

/// A picture that is still decoded, for what is made of it later.
#[derive(Clone, Debug)]
pub struct DecodedPicture {
    header: Header,
    /// What the colours mean that were decoded.
    profile: Option<Profile>,
    stage: Stage<'static>,
}

/// As [`render`], for who makes `later` of the same file next: the picture is decoded as for that alone, and kept at the size of the largest of
/// it. Nothing is kept where one of `presets` is larger, or memory does not reach for more than these.
///
/// # Errors
/// See [`render`].
pub fn render_first(
    input: &[u8],
    presets: &[Preset],
    later: &[Preset],
    limits: &Limits,
    want: impl Into<Wants>,
) -> Result<(Rendered, Option<DecodedPicture>), ImagingError> {
    let (header, want) = (header(input, limits)?, want.into());
    let edges = longest(&steps(presets, &header, want));
    let of_later = longest(&steps(later, &header, Wants::default()));
    let alone = || decode(input, header, edges, limits)?.make(input, presets, limits, want);
    if later.is_empty() || edges.0 > of_later.1 {
        return Ok((alone()?, None));
    }
    let both = decode(input, header, of_later, limits)
        .and_then(|decoded| decoded.make_first(input, presets, of_later.0, limits, want));
    match both {
        Ok((rendered, kept)) => Ok((rendered, Some(kept))),
        Err(ImagingError::Memory { .. }) => Ok((alone()?, None)),
        Err(error) => Err(error),
    }
}

/// Decodes a picture so that its longer edge is as long as the first of `edges`, or at least as the second if no more work is needed then.
fn decode(
    input: &[u8],
    header: Header,
    (long_edge, least_edge): (u32, u32),
    limits: &Limits,
) -> Result<DecodedPicture, ImagingError> {
    let Decoded {
        picture,
        extent,
        profile,
    } = match header.media {
        MediaType::Png => png::decode(input, long_edge, limits)?,
        MediaType::Webp => webp::decode(input, &webp::read(input)?, long_edge, limits)?,
        MediaType::Gif => gif::decode(input, long_edge, limits)?,
        MediaType::Tiff | MediaType::Dng => {
            let place = raw::find(input, limits)?.place;
            let shown = input.get(place).unwrap_or_default();
            jpeg::decode(shown, long_edge, least_edge, limits)?
        }
        MediaType::Heic | MediaType::Avif => heif::decode(input, (long_edge, least_edge), limits)?,
        // `header` lets nothing else through but JPEG.
        _ => jpeg::decode(input, long_edge, least_edge, limits)?,
    };
    Ok(DecodedPicture {
        header,
        profile,
        stage: Stage::Decoded(picture, extent),
    })
}

impl DecodedPicture {
    /// Makes presets of it. `input` is the file that it was decoded from.
    ///
    /// # Errors
    /// As [`render`].
    pub fn make(
        self,
        input: &[u8],
        presets: &[Preset],
        limits: &Limits,
        want: impl Into<Wants>,
    ) -> Result<Rendered, ImagingError> {
        let of = Source {
            input,
            limits,
            header: &self.header,
            profile: self.profile.as_ref(),
        };
        of.make(self.stage, presets, want.into())
    }

    /// Makes presets of it, and keeps it with a longer edge of `long_edge`.
    fn make_first(
        self,
        input: &[u8],
        presets: &[Preset],
        long_edge: u32,
        limits: &Limits,
        want: Wants,
    ) -> Result<(Rendered, Self), ImagingError> {
        let of = Source {
            input,
            limits,
            header: &self.header,
            profile: self.profile.as_ref(),
        };
        let size = size_at(of.header, long_edge.min(self.stage.longest()));
        let kept = self.stage.resize(&mut Resizer::new(), of.profile, size)?;
        let rendered = of.make(Stage::Resized(Cow::Borrowed(&kept)), presets, want)?;
        let stage = Stage::Resized(Cow::Owned(kept));
        Ok((rendered, Self { stage, ..self }))
    }
}

/// What a picture was decoded from.
struct Source<'a> {
    input: &'a [u8],
    limits: &'a Limits,
    header: &'a Header,
    profile: Option<&'a Profile>,
}

/// The longest edge of these, and the shortest that serves there.
fn longest(steps: &[Step]) -> (u32, u32) {
    let first = steps.first();
    first.map_or((THUMBHASH_EDGE, THUMBHASH_EDGE), |step| step.edges)
}

/// The size at which the picture's longer edge is so long, or its own if it is not.
fn size_at(header: &Header, long_edge: u32) -> (u32, u32) {
    fit(header.width, header.height, long_edge)
}

impl Source<'_> {
    /// Makes every preset's rendition of it.
    fn make(
        &self,
        mut stage: Stage<'_>,
        presets: &[Preset],
        want: Wants,
    ) -> Result<Rendered, ImagingError> {
        let Self {
            input,
            limits,
            header,
            profile,
        } = *self;
        // Largest first, each made from the one before.
        let steps = steps(presets, header, want);
        let (long_edge, _) = longest(&steps);
        let mut gain_map = match presets.iter().any(Preset::keeps_gain_map) {
            true => gain_map::find(input, header, profile, limits),
            false => None,
        };
        let long_edge = long_edge.min(stage.longest());
        let size = |edge: u32| size_at(header, edge.min(long_edge));
        let credit = want.credit.then(|| Credit::of(input)).flatten();
        let credit = credit.as_ref();
        let mut resizer = Resizer::new();
        let mut made: Vec<Option<Rendition>> = vec![None; presets.len()];
        let mut scores = None;
        for step in steps {
            match step.of {
                // What is cut is not made from: others come out as they would without it.
                Some((slot, preset)) if preset.shape == Shape::Square => {
                    let whole = stage.resize_copy(&mut resizer, profile, size(step.edges.0))?;
                    let (width, height, bytes) = square(
                        &mut resizer,
                        &whole,
                        preset,
                        header.orientation,
                        want,
                        credit,
                    )?;
                    place(&mut made, slot, (preset, width, height, bytes));
                }
                Some((slot, preset)) => {
                    let whole = stage.resize(&mut resizer, profile, size(step.edges.0))?;
                    let (width, height, mut bytes) =
                        whole.encode(preset, header.orientation, credit)?;
                    if preset.keeps_gain_map()
                        && let Some(map) = gain_map.take()
                    {
                        // The picture is whole without it.
                        if let Ok(both) =
                            map.behind(&bytes, &mut resizer, header.orientation, preset)
                        {
                            bytes = both;
                        }
                    }
                    place(&mut made, slot, (preset, width, height, bytes));
                    stage = Stage::Resized(Cow::Owned(whole));
                }
                None => {
                    let whole = stage.resize(&mut resizer, profile, size(step.edges.0))?;
                    let mut measured = frame_scores(&whole);
                    if want.count_faces {
                        let (width, height) = whole.size();
                        let size = fit(width, height, faces::long_edge(width, height));
                        let upright = whole.clone();
                        let upright =
                            upright.upright_pixels(&mut resizer, size, header.orientation)?;
                        measured.faces = Some(faces::count(&upright));
                    }
                    scores = Some(measured);
                    stage = Stage::Resized(Cow::Owned(whole));
                }
            }
        }
        let (mut placeholder, mut perceptual) = (None, None);
        if want.hashes {
            let target = fit(header.width, header.height, THUMBHASH_EDGE);
            let last = match stage {
                Stage::Resized(whole) => whole.into_owned(),
                decoded => decoded.resize(&mut resizer, profile, target)?,
            };
            let upright = last.upright_pixels(&mut resizer, target, header.orientation)?;
            placeholder = Some(thumbhash(&upright));
            perceptual = picture_hash(&mut resizer, &upright)?;
        }
        let (width, height) = header.upright_size();
        Ok(Rendered {
            media: header.media,
            width,
            height,
            renditions: made.into_iter().flatten().collect(),
            thumbhash: placeholder,
            picture_hash: perceptual,
            scores,
        })
    }
}

/// Something that is made of the picture at a size.
struct Step {
    /// The longer edge of all of the picture at that size, and the shortest that serves, of an original that is not smaller itself.
    edges: (u32, u32),
    /// The preset and its place among those asked for; without one, the scores.
    of: Option<(usize, Preset)>,
}

/// What is to be made, from the largest size to the smallest.
fn steps(presets: &[Preset], header: &Header, want: Wants) -> Vec<Step> {
    let mut steps: Vec<Step> = presets
        .iter()
        .enumerate()
        .map(|(slot, preset)| Step {
            edges: match preset.shape {
                Shape::Whole if want.exact => (preset.long_edge, preset.long_edge),
                Shape::Whole => (preset.long_edge, preset.least_long_edge()),
                Shape::Square => {
                    let edge = edge_for_square(header, preset.long_edge);
                    (edge, edge)
                }
            },
            of: Some((slot, *preset)),
        })
        .collect();
    steps.extend(want.scores.then_some(Step {
        edges: (SCORES_EDGE, SCORES_EDGE),
        of: None,
    }));
    steps.sort_by_key(|step| std::cmp::Reverse(step.edges));
    steps
}

/// How long the longer edge of all of the picture is where the shorter one is this long.
fn edge_for_square(header: &Header, side: u32) -> u32 {
    let long = u64::from(header.width.max(header.height));
    let short = u64::from(header.width.min(header.height)).max(1);
    let edge = (u64::from(side) * long).div_ceil(short).min(long);
    u32::try_from(edge).unwrap_or(u32::MAX)
}

/// A picture on its way to smaller sizes.
#[derive(Clone, Debug)]
enum Stage<'a> {
    /// As it was decoded, perhaps in other colours, and the part of it that is shown.
    Decoded(Picture, Extent),
    /// All of it, in sRGB. More may be made of it later.
    Resized(Cow<'a, Picture>),
}

impl Stage<'_> {
    fn resize(
        self,
        resizer: &mut Resizer,
        profile: Option<&Profile>,
        size: (u32, u32),
    ) -> Result<Picture, ImagingError> {
        match self {
            Self::Resized(Cow::Owned(picture)) => picture.shrink_to(resizer, size),
            Self::Decoded(picture, extent) => picture.resize(resizer, extent, size)?.srgb(profile),
            kept @ Self::Resized(Cow::Borrowed(_)) => kept.resize_copy(resizer, profile, size),
        }
    }

    /// The same of one that more is made of.
    fn resize_copy(
        &self,
        resizer: &mut Resizer,
        profile: Option<&Profile>,
        size: (u32, u32),
    ) -> Result<Picture, ImagingError> {
        match self {
            Self::Resized(picture) => {
                let (width, height) = picture.size();
                picture.resize_copy(resizer, Extent::whole(width, height), size)
            }
            Self::Decoded(picture, extent) => {
                let resized = picture.resize_copy(resizer, *extent, size)?;
                resized.srgb(profile)
            }
        }
    }

    /// The longest edge of what is made of it: the decoder may have made what serves as it is.
    fn longest(&self) -> u32 {
        let extent = match self {
            Self::Decoded(_, extent) => *extent,
            Self::Resized(picture) => {
                let (width, height) = picture.size();
                Extent::whole(width, height)
            }
        };
        // Saturates, and no picture is that large.
        extent.width.max(extent.height) as u32
    }
}

/// The file that a square preset makes of a picture, and its columns and rows.
fn square(
    resizer: &mut Resizer,
    whole: &Picture,
    preset: Preset,
    orientation: Orientation,
    want: Wants,
    credit: Option<&Credit>,
) -> Result<(u32, u32, Vec<u8>), ImagingError> {
    let (width, height) = whole.size();
    let side = preset.long_edge.min(width).min(height);
    let mut upright = |edge: u32| {
        let small = fit(width, height, edge);
        whole.clone().upright_pixels(resizer, small, orientation)
    };
    // It is looked at upright, and cut out as it is stored.
    let by_faces = match want.faces && width != height {
        true => faces::place(&upright(faces::long_edge(width, height))?),
        false => None,
    };
    let seen = match by_faces {
        Some(place) => place,
        None => crop::place(&upright(SALIENCY_EDGE)?),
    };
    let (mirrors_x, mirrors_y) = orientation.mirrors();
    let offset = |room: u32, is_mirrored: bool| {
        let part = if is_mirrored { 1.0 - seen } else { seen };
        // Not more than the room.
        (f64::from(room) * part).round() as u32
    };
    let from = if width >= height {
        (offset(width - side, mirrors_x), (height - side) / 2)
    } else {
        ((width - side) / 2, offset(height - side, mirrors_y))
    };
    whole
        .cut(from, (side, side))
        .encode(preset, orientation, credit)
}

fn place(
    made: &mut [Option<Rendition>],
    slot: usize,
    (preset, width, height, bytes): (Preset, u32, u32, Vec<u8>),
) {
    if let Some(slot) = made.get_mut(slot) {
        *slot = Some(Rendition {
            preset,
            width,
            height,
            bytes,
        });
    }
}
