//! What happens to uploads when nobody says anything: completions that somebody died in are ended,
//! uploads whose time is over expire.

use std::time::Duration;

use safelight_catalog::CatalogError;
use safelight_catalog::uploads::{self, UploadState};

use super::abort_upload::end;
use super::complete_upload::settle;
use crate::context::Context;

/// A completion that is under way for longer than this is taken up by the reconciler. Longer than a
/// client's request may take, so that the two do not compete; if they do, no harm is done.
const SILENCE: Duration = Duration::from_secs(45);
/// Uploads in one round.
const ROUND: i64 = 100;

/// What a round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Completions that were ended.
    pub settled: usize,
    /// Uploads that expired.
    pub expired: usize,
}

/// Does one round.
///
/// # Errors
/// If the catalog fails. A store that fails leaves its upload for the next round.
pub async fn reconcile(context: &Context) -> Result<Reconciled, CatalogError> {
    let now = context.now();
    let mut done = Reconciled::default();
    let stuck = uploads::stuck(
        &mut context.catalog.reader().await?.tx(),
        now.minus(SILENCE),
        ROUND,
    )
    .await?;
    for upload in stuck {
        match settle(context, &upload).await {
            Ok(()) => done.settled += 1,
            Err(error) => {
                tracing::warn!(upload_id = upload.upload_id, %error, "a completion stays open")
            }
        }
    }
    let overdue = uploads::overdue(&mut context.catalog.reader().await?.tx(), now, ROUND).await?;
    for upload in overdue {
        if end(
            context,
            &upload,
            UploadState::Expired,
            "the upload's time ended before its bytes were whole",
        )
        .await?
        {
            done.expired += 1;
        }
    }
    Ok(done)
}
