//! What is looked at outside the sandbox: the kind of a file, its header, and the index of a clip in fragments.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight_fuzz::{LIMITS, plant_media};
use safelight_imaging::{fragments, header, sniff};

fuzz_target!(init: plant_media(&[]), |bytes: &[u8]| {
    let kind = sniff(bytes);
    if let Ok(header) = header(bytes, &LIMITS) {
        assert_eq!(kind, Some(header.media));
        assert!(u64::from(header.width) * u64::from(header.height) <= LIMITS.max_pixels);
    }
    let size_bytes = bytes.len() as u64;
    if let Some(found) = fragments(bytes, size_bytes) {
        assert!(found.init_bytes <= size_bytes);
        let mut next = found.all[0].offset_bytes;
        for fragment in &found.all {
            assert_eq!(fragment.offset_bytes, next);
            assert!(fragment.duration_s.is_finite());
            next += fragment.size_bytes;
        }
        assert!(next <= size_bytes);
    }
});
