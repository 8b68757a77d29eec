//! What comes out of a picture, for pictures made here and for a folder of real ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod alike;
mod cleaned;
mod cleaned_real;
mod clip_writer;
mod colors;
mod credit;
mod damaged;
mod faces;
mod fixtures;
mod frame_scores;
mod gain_map;
mod gain_map_writer;
mod gif;
mod gif_writer;
mod heif;
mod heif_coded;
mod heif_writer;
mod kinds;
mod limits;
mod memory;
mod metadata;
mod never_panics;
mod planes;
mod raw;
mod raw_writer;
mod real_files;
mod seeds;
mod square;
mod two_visits;
mod upright;
mod vips;
