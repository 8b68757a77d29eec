//! GIF: where its first frame lies, and what it shows.

mod blocks;
mod decode;

pub(crate) use blocks::{frames, read};
pub(crate) use decode::decode;
