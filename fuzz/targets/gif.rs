//! Decoding of GIF, by what is Rust and by the codec.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight_fuzz::{plant_media, render};
use safelight_imaging::MediaType;

const KINDS: [MediaType; 1] = [MediaType::Gif];

fuzz_target!(init: plant_media(&KINDS), |bytes: &[u8]| render(bytes, &KINDS));
