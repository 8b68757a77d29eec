//! The few properties of XMP that nothing else tells.

use super::{Metadata, plain};

/// Longer than the values that are asked for.
const MAX_VALUE_BYTES: usize = 200;

/// Reads whether there is a clip in the file, and the burst that the picture is of, as Google's
/// camera says it (`MicroVideo` is the older name), and the lens, which Samsung's says here alone.
pub(super) fn read(xmp: &[u8], found: &mut Metadata) {
    let is_one = |name| property(xmp, name).is_some_and(|value| value == b"1");
    found.is_motion_photo |= is_one(":MotionPhoto") || is_one(":MicroVideo");
    if found.burst_id.is_none() {
        found.burst_id = property(xmp, ":BurstID").and_then(plain);
    }
    if found.lens.is_none() {
        found.lens = property(xmp, ":LensModel").and_then(plain);
    }
}

/// The value of the first property of this name, which begins with a colon, since its prefix may be
/// any: as an attribute, or as an element.
pub(crate) fn property<'a>(xmp: &'a [u8], name: &str) -> Option<&'a [u8]> {
    memchr::memmem::find_iter(xmp, name).find_map(|at| {
        let behind = xmp.get(at + name.len()..)?;
        let behind = behind.get(..MAX_VALUE_BYTES).unwrap_or(behind);
        let (value, end) = match behind {
            [b'=', quote @ (b'"' | b'\''), value @ ..] => (value, *quote),
            [b'>', value @ ..] => (value, b'<'),
            _ => return None,
        };
        value.get(..memchr::memchr(end, value)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_and_elements() {
        let xmp = b"<a Camera:MotionPhotoVersion=\"2\" Camera:MotionPhoto='1' G:BurstID=\"b-1\"/>";
        assert_eq!(property(xmp, ":MotionPhoto"), Some(&b"1"[..]));
        assert_eq!(property(xmp, ":BurstID"), Some(&b"b-1"[..]));
        let xmp = b"<G:MicroVideo>1</G:MicroVideo>";
        let mut found = Metadata::default();
        read(xmp, &mut found);
        assert!(found.is_motion_photo && found.burst_id.is_none());
        assert_eq!(property(b"x:MotionPhoto=\"1", ":MotionPhoto"), None);
        assert_eq!(property(b"x:MotionPhoto", ":MotionPhoto"), None);
    }
}
