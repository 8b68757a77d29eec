//! The file around a coded picture (AV1 Image File Format; ISO/IEC 23008-12): one item, or two with opacity. Nothing else is in it
//! but size, depth and what its colours mean.

use super::code::{Coded, MATRIX, PRIMARIES, TRANSFER};
use crate::ImagingError;

const OPACITY: &[u8] = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0";
/// All 256 levels in use.
const FULL_RANGE: u8 = 0x80;
/// A property that readers have to know.
const ESSENTIAL: u8 = 0x80;

/// A whole file of a picture of so many columns and rows.
pub(super) fn file(
    size: (u32, u32),
    colour: &Coded,
    alpha: Option<&Coded>,
    exif: Option<&[u8]>,
) -> Result<Vec<u8>, ImagingError> {
    let items: Vec<&Coded> = [Some(colour), alpha].into_iter().flatten().collect();
    // Before the TIFF structure stands how far behind this number it begins (ISO/IEC 23008-12, A.2.1).
    let exif = exif.map(|tiff| [&[0; 4], tiff].concat());
    let exif = exif.as_deref();
    let ftyp = boxed(b"ftyp", &[b"avif", &[0; 4], b"avif", b"mif1", b"miaf"])?;
    // Offsets are of fixed length: a first `meta` tells where the second one ends.
    let draft = meta(size, &items, exif, 0)?;
    let start = u32::try_from(ftyp.len() + draft.len() + 8).map_err(ImagingError::encode)?;
    let pictures = items.iter().map(|item| item.bytes.as_slice());
    let payloads: Vec<&[u8]> = pictures.chain(exif).collect();
    let meta = meta(size, &items, exif, start)?;
    Ok([ftyp, meta, boxed(b"mdat", &payloads)?].concat())
}

/// The `meta` box of a file whose items' bytes begin at `start`.
fn meta(
    (width, height): (u32, u32),
    items: &[&Coded],
    exif: Option<&[u8]>,
    start: u32,
) -> Result<Vec<u8>, ImagingError> {
    let pictures = u16::try_from(items.len()).map_err(ImagingError::encode)?;
    let count = pictures + u16::from(exif.is_some());
    let mut entries = Vec::new();
    // Offsets and lengths of four bytes, no base.
    let mut locations = [&[0, 0, 0, 0, 0x44, 0][..], &count.to_be_bytes()].concat();
    let mut at = start;
    let coded = items.iter().map(|item| (b"av01", item.bytes.len()));
    let attached = exif.map(|exif| (b"Exif", exif.len()));
    for (id, (kind, length)) in (1_u16..).zip(coded.chain(attached)) {
        let id = id.to_be_bytes();
        let length = u32::try_from(length).map_err(ImagingError::encode)?;
        entries.extend(boxed(b"infe", &[&[2, 0, 0, 0], &id, &[0; 2], kind, b"\0"])?);
        // Of this file, in one piece.
        locations.extend(
            [
                &id[..],
                &[0, 0, 0, 1],
                &at.to_be_bytes(),
                &length.to_be_bytes(),
            ]
            .concat(),
        );
        at = at
            .checked_add(length)
            .ok_or_else(|| ImagingError::encode("too many bytes"))?;
    }
    let mut properties = boxed(
        b"ispe",
        &[&[0; 4], &width.to_be_bytes(), &height.to_be_bytes()],
    )?;
    let code_points = [PRIMARIES, TRANSFER, MATRIX].map(u16::to_be_bytes).concat();
    properties.extend(boxed(b"colr", &[b"nclx", &code_points, &[FULL_RANGE]])?);
    properties.extend(boxed(b"pixi", &[&[0; 4], &[3, 8, 8, 8]])?);
    let mut associations = vec![0; 4];
    associations.extend(u32::from(pictures).to_be_bytes());
    associations.extend([0, 1, 4, 1, 2, 3, ESSENTIAL | 4]);
    if let [colour, ..] = items {
        properties.extend(configuration(colour)?);
    }
    let mut references = Vec::new();
    if let [_, alpha] = items {
        properties.extend(boxed(b"pixi", &[&[0; 4], &[1, 8]])?);
        properties.extend(configuration(alpha)?);
        properties.extend(boxed(b"auxC", &[&[0; 4], OPACITY])?);
        associations.extend([0, 2, 4, 1, 5, ESSENTIAL | 6, 7]);
        let of_the_first = boxed(b"auxl", &[&[0, 2, 0, 1, 0, 1]])?;
        references.extend(of_the_first);
    }
    if exif.is_some() {
        let describes = boxed(b"cdsc", &[&count.to_be_bytes(), &[0, 1, 0, 1]])?;
        references.extend(describes);
    }
    if !references.is_empty() {
        references = boxed(b"iref", &[&[0; 4], &references])?;
    }
    let properties = [
        boxed(b"ipco", &[&properties])?,
        boxed(b"ipma", &[&associations])?,
    ]
    .concat();
    boxed(
        b"meta",
        &[
            &[0; 4],
            &boxed(b"hdlr", &[&[0; 8], b"pict", &[0; 13]])?,
            &boxed(b"pitm", &[&[0, 0, 0, 0, 0, 1]])?,
            &boxed(b"iloc", &[&locations])?,
            &boxed(b"iinf", &[&[0; 4], &count.to_be_bytes(), &entries])?,
            &references,
            &boxed(b"iprp", &[&properties])?,
        ],
    )
}

/// What a decoder has to be able to do: 8 bits, colour halved, and the level.
fn configuration(item: &Coded) -> Result<Vec<u8>, ImagingError> {
    let gray = u8::from(item.is_gray) << 4;
    boxed(b"av1C", &[&[0x81, item.level & 31, gray | 0x0c, 0]])
}

fn boxed(kind: &[u8; 4], bodies: &[&[u8]]) -> Result<Vec<u8>, ImagingError> {
    let length: usize = bodies.iter().map(|body| body.len()).sum();
    let length = u32::try_from(length + 8).map_err(ImagingError::encode)?;
    let mut out = length.to_be_bytes().to_vec();
    out.extend_from_slice(kind);
    for body in bodies {
        out.extend_from_slice(body);
    }
    Ok(out)
}
