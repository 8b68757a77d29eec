//! What is looked at outside the sandbox: the kind of a file, and its header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight_fuzz::{LIMITS, plant_media};
use safelight_imaging::{header, sniff};

fuzz_target!(init: plant_media(&[]), |bytes: &[u8]| {
    let kind = sniff(bytes);
    if let Ok(header) = header(bytes, &LIMITS) {
        assert_eq!(kind, Some(header.media));
        assert!(u64::from(header.width) * u64::from(header.height) <= LIMITS.max_pixels);
    }
});
