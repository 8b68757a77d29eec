//! Giving out: links, grants, ranges, cache headers. Never decodes.

pub mod find_near;
pub mod grant_original;
pub mod links;
pub mod list_assets;
mod range;
pub mod read_asset;
pub mod serve_media;
