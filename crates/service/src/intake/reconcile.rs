//! What happens to uploads when nobody says anything: completions that somebody died in are ended,
//! uploads whose time is over are completed if all their bytes are there, and expire if not.

use std::time::Duration;

use safelight_catalog::CatalogError;
use safelight_catalog::uploads::{self, Upload, UploadState};
use safelight_model::codes::Code;

use super::abort_upload::end;
use super::complete_upload::{complete_upload, settle};
use crate::context::{Context, Owner};

/// A completion that is under way for longer than this is taken up by the reconciler. Longer than a
/// client's request may take, so that the two do not compete; if they do, no harm is done.
const SILENCE: Duration = Duration::from_secs(45);
/// Why an asset is expired.
const TOO_LATE: &str = "the upload's time ended before its bytes were whole";
/// Uploads that are read at once.
const PAGE: i64 = 100;
/// An upload at which the store or the catalog failed is passed over for so long.
const POSTPONED: Duration = Duration::from_secs(60);

/// What a round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Completions that were ended.
    pub settled: usize,
    /// Uploads that expired.
    pub expired: usize,
}

/// Does one round: all there is to do, but when a whole page of uploads fails, the rest is left for the
/// next round, which then passes that page over.
///
/// # Errors
/// If the catalog fails. A store that fails leaves its upload for later.
pub async fn reconcile(context: &Context) -> Result<Reconciled, CatalogError> {
    let mut done = Reconciled::default();
    loop {
        let now = context.now();
        let stuck = uploads::stuck(
            &mut context.catalog.reader().await?.tx(),
            now.minus(SILENCE),
            now,
            PAGE,
        )
        .await?;
        let (count, before) = (stuck.len(), done);
        for upload in stuck {
            end_completion(context, &upload, &mut done).await?;
        }
        if is_last(count, done != before) {
            break;
        }
    }
    loop {
        let now = context.now();
        let overdue =
            uploads::overdue(&mut context.catalog.reader().await?.tx(), now, PAGE).await?;
        let (count, before) = (overdue.len(), done);
        for upload in overdue {
            complete_or_expire(context, &upload, &mut done).await?;
        }
        if is_last(count, done != before) {
            break;
        }
    }
    Ok(done)
}

fn is_last(count: usize, any_succeeded: bool) -> bool {
    count < PAGE.unsigned_abs() as usize || !any_succeeded
}

async fn end_completion(
    context: &Context,
    upload: &Upload,
    done: &mut Reconciled,
) -> Result<(), CatalogError> {
    match settle(context, upload).await {
        Ok(()) => done.settled += 1,
        Err(error) => {
            tracing::warn!(upload_id = upload.upload_id, %error, "a completion stays open");
            postpone(context, upload).await?;
        }
    }
    Ok(())
}

/// Bytes that all arrived are not thrown away because nobody said so.
async fn complete_or_expire(
    context: &Context,
    upload: &Upload,
    done: &mut Reconciled,
) -> Result<(), CatalogError> {
    let owner = Owner {
        tenant_id: upload.tenant_id.clone(),
        owner_id: upload.owner_id.clone(),
    };
    match complete_upload(context, &owner, &upload.upload_id).await {
        Ok(_) => done.settled += 1,
        Err(error) if matches!(error.code(), Code::UploadIncomplete | Code::SizeMismatch) => {
            if end(context, upload, UploadState::Expired, TOO_LATE).await? {
                done.expired += 1;
            }
        }
        Err(error) => {
            tracing::warn!(upload_id = upload.upload_id, %error, "an overdue upload stays open");
            postpone(context, upload).await?;
        }
    }
    Ok(())
}

async fn postpone(context: &Context, upload: &Upload) -> Result<(), CatalogError> {
    let (upload, until) = (upload.clone(), context.now().plus(POSTPONED));
    context
        .catalog
        .write(move |tx| Box::pin(async move { uploads::postpone(tx, &upload, until).await }))
        .await
}
