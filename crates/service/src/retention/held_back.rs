//! Whether what rows say is to go may go now.
//!
//! Rows are not always right: those of a copy of a catalog that is served beside it do not know what came since. To such a copy an
//! upload that the other one has long completed is an abandoned one, and a blob that the other one has given to a second asset is
//! doomed. So nothing is deleted and nothing aborted while there is doubt about the catalog, for which the store is asked
//! every time until there is any; nor before others had time to contest it ([`super::hear_others`]). It waits, and goes when an
//! operator has settled the doubt; uploads and delivery go on.

use std::time::Duration;

use safelight_catalog::catalog_mark;

use super::catalog_mark::{EVERY, MarkError, doubt};
use crate::context::Context;

/// After how long what was held back is looked at again.
pub(super) const LOOKED_AT_AGAIN: Duration = EVERY;

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

/// How long it has to wait at least, since there is doubt about the catalog, or since others that would contest it have not had
/// time to say so yet; `None` if it may go.
///
/// # Errors
/// If catalog or store fail: then it has to wait as well.
pub(super) async fn held_back_for(
    context: &Context,
    goes: Goes,
) -> Result<Option<Duration>, MarkError> {
    let waits = ask(context).await?;
    if waits.is_some() {
        metrics::counter!("safelight_removals_held_back_total", "what" => goes.as_str())
            .increment(1);
    }
    Ok(waits)
}

async fn ask(context: &Context) -> Result<Option<Duration>, MarkError> {
    // Only an operator ends a doubt that is recorded: thousands of removals that wait need not ask the store for that.
    if is_doubted(context).await? {
        return Ok(Some(LOOKED_AT_AGAIN));
    }
    let waits = context.hearing.wait(context).await?;
    if is_doubted(context).await? {
        return Ok(Some(LOOKED_AT_AGAIN));
    }
    // Looked at behind that time, and not before its end.
    if waits.is_none() && doubt(context).await?.is_some() {
        is_doubted(context).await?;
        return Ok(Some(LOOKED_AT_AGAIN));
    }
    Ok(waits)
}

/// Whether doubt is recorded. Whoever sees that gives others their time again once it is settled.
pub(super) async fn is_doubted(context: &Context) -> Result<bool, MarkError> {
    let mark = catalog_mark::find(&mut context.catalog.reader().await?.tx()).await?;
    let doubted = mark.filter(|mark| mark.doubt.is_some());
    if let Some(mark) = &doubted {
        context.hearing.begin_anew(mark);
    }
    Ok(doubted.is_some())
}
