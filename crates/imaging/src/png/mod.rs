//! PNG: what the chunks say, and the decoder.

mod chunks;
mod decode;

pub(crate) use chunks::read;
pub(crate) use decode::decode;
