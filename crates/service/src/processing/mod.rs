//! What is done with originals: inspected once, then derived from. Bytes are decoded in the sandbox only.

mod at_hand;
pub(crate) mod backfill;
pub mod clean_original;
mod clip_pictures;
mod conclude;
pub mod crop_picture;
pub mod derive;
pub mod derive_alternatives;
pub mod derive_motion;
mod fetch_original;
mod file_metadata;
pub mod hash_picture;
pub mod inspect;
mod not_made;
pub mod read_metadata;
pub mod rederive;
mod rederive_clips;
mod replace_lost;
pub mod sandbox;
mod store_rendition;
mod stream_pieces;
mod tell_best_frame;
mod tell_other_half;
pub mod transcode;

pub use at_hand::AtHand;
