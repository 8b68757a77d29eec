//! HEIF: pictures coded by HEVC (HEIC) or AV1 (AVIF), one or a grid of them.
//!
//! The container is read here, in plain Rust, item by item and with a bound on everything that is
//! counted; only coded pictures go to native decoders: libde265 for HEVC, and dav1d for
//! AV1. Both work on the calling thread alone and are told how large a picture
//! may be. A grid is decoded tile by tile, and each tile is shrunk as it comes, so that its planes
//! are never all in memory, nor its pixels where a smaller picture is wanted.
//!
//! What is shown is the primary item: `irot`, `imir` and `clap` place it, EXIF does not (the
//! standard has EXIF's orientation follow them), its alpha plane belongs to it. Thumbnails, gain
//! maps, depth and other auxiliary items, further pictures and image sequences are never shown; a gain map
//! may go with a rendition.

mod attached;
mod auxiliary;
mod av1;
mod clean_items;
mod decode;
mod frame;
mod hevc;
mod meta;
mod mosaic;
mod picture;
mod placement;
mod properties;
mod sampler;
mod sps;
mod ycbcr;

pub(crate) use attached::attached;
pub(crate) use auxiliary::{decode_auxiliary, decode_tone_map};
pub(crate) use clean_items::clean_items;
pub(crate) use decode::decode;
pub(crate) use picture::read;
