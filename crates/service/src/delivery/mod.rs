//! Giving out: links, grants, ranges, cache headers. Never decodes.

mod accept;
pub mod find_near;
mod find_source;
pub mod grant_cleaned;
pub mod grant_motion;
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
use safelight_model::preset::Format;

#[cfg(any(fuzzing, test))]
/// Reads which picture is wanted and which bytes of it, of several sizes, and checks that there are such ones.
pub fn fuzz_fields(headers: &http::HeaderMap) {
    let accepted = accept::Accepted::of(headers);
    let shown = [Format::Avif, Format::Webp, Format::Jpeg];
    assert!(shown.iter().any(|format| accepted.wants(*format).is_some()));
    for columns in [&[][..], &[320], &[320, 1080, 2016]] {
        let chosen = hints::Wanted::of(headers, None).choose(columns, 1);
        assert_eq!(chosen.is_none(), columns.is_empty());
        assert!(chosen.is_none_or(|at| at < columns.len()));
    }
    let _ = range::is_fresh(headers, "\"tag\"");
    for size in [0, 1, 10, u64::MAX] {
        if let range::Range::Part { first, last } = range::read(headers, "\"tag\"", size) {
            assert!(first <= last && last < size);
        }
    }
}
