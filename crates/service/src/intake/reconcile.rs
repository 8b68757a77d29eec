//! What happens to uploads when nobody says anything: completions that somebody died in are ended,
//! uploads whose time is over are completed if all their bytes are there, and expire if not.

use std::time::Duration;

use safelight_catalog::CatalogError;
use safelight_catalog::uploads::{self, UploadState};
use safelight_model::codes::Code;

use super::abort_upload::end;
use super::complete_upload::{complete_upload, settle};
use crate::context::{Context, Owner};

/// A completion that is under way for longer than this is taken up by the reconciler. Longer than a
/// client's request may take, so that the two do not compete; if they do, no harm is done.
const SILENCE: Duration = Duration::from_secs(45);
/// Why an asset is expired.
const TOO_LATE: &str = "the upload's time ended before its bytes were whole";
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
        // Bytes that all arrived are not thrown away because nobody said so.
        let owner = Owner {
            tenant_id: upload.tenant_id.clone(),
            owner_id: upload.owner_id.clone(),
        };
        match complete_upload(context, &owner, &upload.upload_id).await {
            Ok(_) => done.settled += 1,
            Err(error) if matches!(error.code(), Code::UploadIncomplete | Code::SizeMismatch) => {
                if end(context, &upload, UploadState::Expired, TOO_LATE).await? {
                    done.expired += 1;
                }
            }
            Err(error) => {
                tracing::warn!(upload_id = upload.upload_id, %error, "an overdue upload stays open")
            }
        }
    }
    Ok(done)
}
