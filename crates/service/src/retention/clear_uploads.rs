//! Removes what ended uploads left at the store.
//!
//! Runs only once no URL of the upload works any more, so that nothing can arrive behind it; a
//! multipart upload is aborted until its part list is empty.

use safelight_catalog::uploads::{self, Upload};
use safelight_catalog::{CatalogError, appends};
use safelight_model::clock::Micros;
use safelight_objects::{ObjectKey, StoreError};

use crate::context::Context;

/// A store asks whether a URL works when a request begins: one that began in time may still be sending.
const GRACE: std::time::Duration = std::time::Duration::from_secs(3600);
/// Uploads that are read at once.
const PAGE: i64 = 100;
/// An upload that could not be cleared is passed over for so long.
const POSTPONED: std::time::Duration = std::time::Duration::from_secs(60);

/// Clears all there is to clear; how many. When a whole page fails, the rest is left for the next round,
/// which then passes that page over.
///
/// # Errors
/// If the catalog fails. A store that fails leaves its upload for later.
pub async fn clear_uploads(context: &Context) -> Result<usize, CatalogError> {
    let mut cleared = 0;
    loop {
        let now = context.now();
        let waiting = uploads::to_clear(
            &mut context.catalog.reader().await?.tx(),
            now.minus(GRACE),
            now,
            PAGE,
        )
        .await?;
        let (count, before) = (waiting.len(), cleared);
        for upload in waiting {
            match clear(context, &upload).await {
                Ok(true) => {
                    mark(context, upload, now).await?;
                    cleared += 1;
                }
                Ok(false) => postpone(context, upload, now).await?,
                Err(error) => {
                    tracing::warn!(upload_id = upload.upload_id, %error, "an ended upload is not cleared yet");
                    postpone(context, upload, now).await?;
                }
            }
        }
        if count < PAGE.unsigned_abs() as usize || cleared == before {
            return Ok(cleared);
        }
    }
}

/// Whether nothing of it is left.
async fn clear(context: &Context, upload: &Upload) -> Result<bool, StoreError> {
    let Ok(key) = ObjectKey::parse(&upload.object_key) else {
        return Ok(true);
    };
    if let Some(id) = &upload.store_upload_id {
        context.objects.abort(&key, id).await?;
        if context
            .objects
            .list_parts(&key, id)
            .await?
            .is_some_and(|parts| !parts.is_empty())
        {
            return Ok(false);
        }
    }
    // Also where it went in parts: a completion whose answer was lost may have made the object.
    context.objects.delete(&key).await?;
    Ok(true)
}

async fn mark(context: &Context, upload: Upload, now: Micros) -> Result<(), CatalogError> {
    context
        .catalog
        .write(move |tx| {
            Box::pin(async move {
                appends::doom_all(tx, &upload, now).await?;
                appends::forget(tx, &upload).await?;
                uploads::cleared(tx, &upload, now).await
            })
        })
        .await
}

async fn postpone(context: &Context, upload: Upload, now: Micros) -> Result<(), CatalogError> {
    let until = now.plus(POSTPONED);
    context
        .catalog
        .write(move |tx| Box::pin(async move { uploads::postpone(tx, &upload, until).await }))
        .await
}
