//! Whether what rows say is to go may go now.
//!
//! Rows are not always right: those of a copy of a catalog that is served beside it do not know what came since. To such a copy an
//! upload that the other one has long completed is an abandoned one, and a blob that the other one has given to a second asset is
//! doomed. So nothing is deleted and nothing aborted while there is doubt about the catalog, for which the store is asked
//! every time until there is any. It waits, and goes when an operator has settled the doubt; uploads and delivery go on.

use safelight_catalog::catalog_mark;

use super::catalog_mark::{EVERY, MarkError, doubt};
use crate::context::Context;

/// After how long what was held back is looked at again.
pub(super) const LOOKED_AT_AGAIN: std::time::Duration = EVERY;

/// What is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goes {
    /// What an ended upload left.
    Upload,
    /// A doomed blob and its renditions.
    Blob,
    /// Temporary objects of uploads that were appended to.
    Segments,
}

impl Goes {
    fn as_str(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Blob => "blob",
            Self::Segments => "segments",
        }
    }
}

/// Whether it has to wait, since there is doubt about the catalog.
///
/// # Errors
/// If catalog or store fail: then it has to wait as well.
pub(super) async fn is_held_back(context: &Context, goes: Goes) -> Result<bool, MarkError> {
    // Only an operator ends a doubt that is recorded: thousands of removals that wait need not ask the store for that.
    let recorded = catalog_mark::find(&mut context.catalog.reader().await?.tx())
        .await?
        .and_then(|mark| mark.doubt);
    let is_doubted = recorded.is_some() || doubt(context).await?.is_some();
    if is_doubted {
        metrics::counter!("safelight_removals_held_back_total", "what" => goes.as_str())
            .increment(1);
    }
    Ok(is_doubted)
}
