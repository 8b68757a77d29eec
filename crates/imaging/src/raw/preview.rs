//! The largest JPEG in a raw photo.

use std::ops::Range;

use super::directory::{Directory, read_all};
use crate::orientation::Orientation;
use crate::{ImagingError, Limits, jpeg};

/// Values of PhotometricInterpretation that stand for samples of a sensor: a mosaic of filters, and three colours of it.
const SENSOR: [u32; 2] = [32803, 34892];
/// Values of Compression that stand for a JPEG.
const JPEG: [u32; 2] = [6, 7];
/// What Canon's second version of raw photos has behind TIFF's header.
const CANON: &[u8] = b"CR\x02\0";

/// The picture that a raw photo is shown by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Preview {
    /// Where its JPEG lies.
    pub place: Range<usize>,
    /// Columns and rows as stored.
    pub size: (u32, u32),
    /// Bytes of its coefficients, if they have to be held.
    pub coefficient_bytes: u64,
    /// How the camera was held. What the JPEG says of it is not asked.
    pub orientation: Orientation,
}

/// Finds the JPEG of the most pixels. One that does not lie within `bytes` is an error, so that nobody takes a smaller one for the
/// largest because he has the beginning of a file only.
///
/// # Errors
/// [`ImagingError::Unsupported`] for a TIFF that is no raw photo, and for a raw photo without a JPEG that can be decoded;
/// [`ImagingError::Corrupt`] when it is not whole.
pub(crate) fn find(bytes: &[u8], limits: &Limits) -> Result<Preview, ImagingError> {
    let directories = read_all(bytes)?;
    let is_raw = directories.iter().any(Directory::is_raw) || bytes.get(8..12) == Some(CANON);
    if !is_raw {
        return Err(ImagingError::unsupported("image/tiff"));
    }
    let orientation = directories.first().and_then(|first| first.orientation);
    let orientation = orientation.map_or(Orientation::Upright, Orientation::from_exif);
    let mut largest: Option<Preview> = None;
    for place in directories.iter().flat_map(Directory::jpegs) {
        let jpeg = bytes
            .get(place.clone())
            .ok_or_else(|| ImagingError::corrupt("its preview lies beyond its end"))?;
        // Samples of the sensor may be a JPEG too, of a kind that is no picture.
        let Ok(structure) = jpeg::walk(jpeg, limits.max_scans) else {
            continue;
        };
        let Some(frame) = structure.frame.filter(jpeg::is_decodable) else {
            continue;
        };
        let pixels = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
        let size = (frame.width, frame.height);
        if largest
            .as_ref()
            .is_none_or(|known| pixels(size) > pixels(known.size))
        {
            largest = Some(Preview {
                place,
                size,
                coefficient_bytes: frame.coefficient_bytes(),
                orientation,
            });
        }
    }
    largest
        .ok_or_else(|| ImagingError::unsupported("a raw photo without a JPEG beside its samples"))
}

impl Directory {
    fn is_raw(&self) -> bool {
        self.is_dng || self.photometric.is_some_and(|kind| SENSOR.contains(&kind))
    }

    /// Where JPEGs lie that it tells of, if it is not of samples of the sensor.
    fn jpegs(&self) -> impl Iterator<Item = Range<usize>> {
        let is_sensor = self.photometric.is_some_and(|kind| SENSOR.contains(&kind));
        let is_jpeg = self.compression.is_some_and(|kind| JPEG.contains(&kind));
        let strip = Some(self.strip).filter(|_| is_jpeg && !is_sensor);
        [strip, Some(self.jpeg)]
            .into_iter()
            .flatten()
            .filter_map(|pair| {
                let (offset, count) = (pair.0?, pair.1.filter(|count| *count > 0)?);
                let start = usize::try_from(offset).ok()?;
                Some(start..start.checked_add(usize::try_from(count).ok()?)?)
            })
    }
}
