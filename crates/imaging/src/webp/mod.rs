//! WebP: what the chunks say, the decoder, the encoder, and what stays when it is cleaned.

mod chunks;
mod clean;
mod decode;
mod encode;
mod with_exif;

pub(crate) use chunks::read;
pub(crate) use clean::clean;
pub(crate) use decode::decode;
pub use encode::encode_webp;
pub(crate) use encode::encode_webp_planes;
pub(crate) use with_exif::with_exif;
