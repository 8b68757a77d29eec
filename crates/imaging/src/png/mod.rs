//! PNG: what the chunks say, the decoder, and what stays when it is cleaned.

mod chunks;
mod clean;
mod decode;

pub(crate) use chunks::read;
pub(crate) use clean::clean;
pub(crate) use decode::decode;
