//! What properties say about an item (ISO/IEC 23008-12, 6.5; ISO/IEC 14496-12, 12.1).

use super::meta::{Item, Meta};
use super::placement::Transform;
use crate::ImagingError;
use crate::boxes::Reader;

/// Names of the alpha plane: as HEVC's specification has it, and MPEG-B's.
const ALPHA: [&[u8]; 2] = [
    b"urn:mpeg:hevc:2015:auxid:1",
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha",
];
/// Longer than each of these, in bytes.
const LONGEST_AUXILIARY_TYPE: usize = 64;

/// Coding-independent code points (ISO/IEC 23091-2): what sample values mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cicp {
    pub primaries: u8,
    pub transfer: u8,
    pub matrix: u8,
    pub full_range: bool,
}

/// The properties of one item that matter here.
#[derive(Debug, Default)]
pub(super) struct Properties<'a> {
    /// Columns and rows, before any transform.
    pub size: Option<(u32, u32)>,
    /// The decoder's configuration: parameter sets and the like.
    pub config: Option<&'a [u8]>,
    pub cicp: Option<Cicp>,
    pub icc: Option<&'a [u8]>,
    /// In the order in which they are to be applied.
    pub transforms: Vec<Transform>,
    pub is_alpha: bool,
    /// What an auxiliary item adds.
    pub auxiliary: Option<&'a [u8]>,
}

impl<'a> Properties<'a> {
    /// Gathers them.
    ///
    /// # Errors
    /// [`ImagingError::Corrupt`] when one cannot be read, [`ImagingError::Unsupported`] when the
    /// item must not be shown without one that is not known here.
    pub(super) fn of(meta: &Meta<'a>, item: &Item) -> Result<Self, ImagingError> {
        let mut found = Self::default();
        for association in &item.properties {
            let Some((kind, body)) = meta.property(*association) else {
                continue;
            };
            let name = String::from_utf8_lossy(&kind);
            let cut = || ImagingError::corrupt(format!("property {name} cut short"));
            let mut reader = Reader::new(body);
            match &kind {
                b"ispe" => found.size = Some(size(reader).ok_or_else(cut)?),
                b"hvcC" | b"av1C" => found.config = Some(body),
                b"colr" => match &reader.four_cc().ok_or_else(cut)? {
                    b"nclx" => found.cicp = Some(nclx(reader).ok_or_else(cut)?),
                    b"prof" | b"rICC" => found.icc = Some(reader.rest()),
                    _ => {}
                },
                b"irot" => {
                    let quarters = reader.u8().ok_or_else(cut)? & 3;
                    found.transforms.push(Transform::Rotate(quarters));
                }
                b"imir" => {
                    let axis = reader.u8().ok_or_else(cut)? & 1;
                    found.transforms.push(Transform::Mirror(axis));
                }
                b"clap" => {
                    let aperture = Transform::aperture(reader).ok_or_else(cut)?;
                    found.transforms.push(aperture);
                }
                b"auxC" => {
                    let _ = reader.version_and_flags();
                    // Many items may name one property: what of it is compared is bounded.
                    let rest = reader.rest();
                    let head = rest.get(..LONGEST_AUXILIARY_TYPE).unwrap_or(rest);
                    let name = head.split(|byte| *byte == 0).next();
                    found.auxiliary = name;
                    found.is_alpha = name.is_some_and(|name| ALPHA.contains(&name));
                }
                b"pixi" | b"pasp" => {}
                _ if association.essential => {
                    return Err(ImagingError::unsupported(format!(
                        "a picture that depends on the property {name}"
                    )));
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

fn size(mut reader: Reader<'_>) -> Option<(u32, u32)> {
    reader.version_and_flags()?;
    reader.u32().zip(reader.u32())
}

fn nclx(mut reader: Reader<'_>) -> Option<Cicp> {
    // The registered values fit a byte; what is above is as unknown as 255.
    let mut code = || {
        let value = reader.u16()?;
        Some(u8::try_from(value).unwrap_or(u8::MAX))
    };
    let (primaries, transfer, matrix) = (code()?, code()?, code()?);
    let full_range = reader.u8()? & 0x80 != 0;
    Some(Cicp {
        primaries,
        transfer,
        matrix,
        full_range,
    })
}
