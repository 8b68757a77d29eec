//! Giving out: links, grants, ranges, cache headers. Never decodes.

mod accept;
pub mod find_near;
mod find_source;
pub mod grant_cleaned;
pub mod grant_original;
mod hints;
pub mod links;
pub mod list_assets;
mod negotiate;
mod range;
pub mod read_asset;
pub mod serve_media;
mod show_metadata;

#[cfg(any(fuzzing, test))]
/// Reads which bytes of files of several sizes are wanted, and checks that there are such bytes.
pub fn fuzz_range(headers: &http::HeaderMap) {
    let _ = range::is_fresh(headers, "\"tag\"");
    for size in [0, 1, 10, u64::MAX] {
        if let range::Range::Part { first, last } = range::read(headers, "\"tag\"", size) {
            assert!(first <= last && last < size);
        }
    }
}
