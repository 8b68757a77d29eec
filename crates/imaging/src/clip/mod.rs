//! Clips: MP4, QuickTime and 3GP, read box by box in plain Rust. Nothing is decoded.

mod clean_movie;
mod fragments;
mod read_metadata;
mod samples;
mod track;

pub(crate) use clean_movie::{blank_handler_name, clean_fragment, clean_movie};
pub use fragments::{Fragment, Fragments, fragments};
pub(crate) use read_metadata::read_metadata;
