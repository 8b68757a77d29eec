//! Removal of private metadata: what is cleaned can be written, and cleaned again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight_fuzz::plant_media;
use safelight_imaging::clean;

fuzz_target!(init: plant_media(&[]), |bytes: &[u8]| {
    let Ok(cleaned) = clean(bytes) else { return };
    let mut out = Vec::new();
    cleaned.write_to(bytes, &mut out).expect("memory");
    assert_eq!(out.len() as u64, cleaned.len_bytes());
    // The orientation is the only thing that is ever added, and an end that is missing.
    assert!(out.len() <= bytes.len() + 64);
});
