//! WebP: what the chunks say, the decoder and the encoder.

mod chunks;
mod decode;
mod encode;

pub(crate) use chunks::read;
pub(crate) use decode::decode;
pub use encode::encode_webp;
