//! JPEG: what the markers say, and the decoder.

mod decode;
mod structure;

pub(crate) use decode::decode;
pub(crate) use structure::walk;
