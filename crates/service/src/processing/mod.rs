//! What is done with originals: inspected once, then derived from. Bytes are decoded in the sandbox only.

pub mod derive;
mod fetch_original;
pub mod hash_picture;
pub mod inspect;
mod replace_lost;
pub mod sandbox;
mod store_rendition;
