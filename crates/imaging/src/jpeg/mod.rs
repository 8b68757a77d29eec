//! JPEG: what the markers say, the decoder, and what stays when it is cleaned.

mod clean;
mod decode;
mod structure;

pub(crate) use clean::clean;
pub(crate) use decode::{decode, is_decodable};
pub(crate) use structure::{walk, walk_parts};
