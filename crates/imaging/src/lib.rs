//! Bytes in, bytes out: sniff, limits, decode, orient, resize, encode, strip, hash.
//!
//! This crate knows no network, no database and no tenant. Native codecs live here and nowhere
//! else. What it is given is not trusted: call [`render`] only in a process that may die.

mod encode_jpeg;
mod error;

pub use encode_jpeg::encode_jpeg;
pub use error::ImagingError;
