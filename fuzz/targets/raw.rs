//! Decoding of raw photos, by what is Rust and by the codec.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight_fuzz::{plant_media, render};
use safelight_imaging::MediaType;

const KINDS: [MediaType; 2] = [MediaType::Tiff, MediaType::Dng];

fuzz_target!(init: plant_media(&KINDS), |bytes: &[u8]| render(bytes, &KINDS));
