//! Bytes in, bytes out: sniff, limits, decode, orient, resize, encode, strip, hash.
//!
//! This crate knows no network, no database and no tenant. Native codecs live here and nowhere
//! else. What it is given is not trusted: call [`render`] only in a process that may die.
//! [`sniff`] and [`header`] are plain Rust with small, bounded allocations, and may be called
//! anywhere.

mod avif;
mod boxes;
mod clean;
mod clip;
mod color;
mod credit;
mod crop;
mod encode_jpeg;
mod error;
mod faces;
mod frame_scores;
mod gain_map;
mod gif;
mod header;
mod heif;
mod jpeg;
mod kept_exif;
mod limits;
mod luma;
mod metadata;
mod motion;
mod orientation;
mod picture;
mod picture_hash;
mod pixels;
mod planes;
mod png;
mod raw;
mod render;
mod resize;
mod shrink;
mod sniff;
mod thumbhash;
mod webp;

pub use clean::{Cleaned, Segment, clean};
pub use clip::{Fragment, Fragments, fragments};
pub use encode_jpeg::encode_jpeg;
pub use error::ImagingError;
pub use header::{Header, header};
pub use kept_exif::with_kept_exif;
pub use limits::Limits;
pub use metadata::{Captured, Metadata, Place, read_metadata};
pub use orientation::Orientation;
pub use render::{DecodedPicture, Rendered, Rendition, Wants, render, render_first};
pub use sniff::{MediaType, SNIFF_BYTES, sniff};
pub use webp::encode_webp;
