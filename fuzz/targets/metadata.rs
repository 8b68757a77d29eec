//! Reading of metadata: EXIF, XMP, and what clips have.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight_fuzz::plant_media;
use safelight_imaging::read_metadata;

fuzz_target!(init: plant_media(&[]), |bytes: &[u8]| {
    let _ = read_metadata(bytes);
});
