//! Decoding of HEIC and AVIF: boxes, items, grids, and the codecs behind them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight_fuzz::{plant_media, render};
use safelight_imaging::MediaType;

const KINDS: [MediaType; 2] = [MediaType::Heic, MediaType::Avif];

fuzz_target!(init: plant_media(&KINDS), |bytes: &[u8]| render(bytes, &KINDS));
