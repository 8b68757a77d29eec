//! The least EXIF there is.

use crate::orientation::Orientation;

/// A TIFF structure that tells an orientation and nothing else; nothing where upright is told by
/// telling nothing.
pub(crate) fn orientation_tiff(orientation: Orientation) -> Option<Vec<u8>> {
    let value = orientation.exif_value();
    if value == 1 {
        return None;
    }
    // Big-endian; one entry at 8: tag 0x0112, one SHORT, its value; no further directory.
    let mut tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    tiff.extend_from_slice(&[value, 0, 0]);
    tiff.extend_from_slice(&[0; 4]);
    Some(tiff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_was_written() {
        for orientation in (1..=8).map(Orientation::from_exif) {
            let read = orientation_tiff(orientation).map(|tiff| Orientation::from_tiff(&tiff));
            let expected = (orientation != Orientation::Upright).then_some(orientation);
            assert_eq!(read, expected);
        }
    }
}
