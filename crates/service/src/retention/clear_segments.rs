//! Removes temporary objects of uploads that were appended to, once their bytes are in parts or nobody wants them.

use std::time::Duration;

use safelight_catalog::CatalogError;
use safelight_catalog::appends::{self, Removable};
use safelight_objects::{ObjectKey, StoreError};

use super::held_back::{Goes, held_back_for};
use crate::context::Context;

/// Segments that are read at once; before as many it is asked whether they may go.
const PAGE: i64 = 20;
/// A segment that could not be removed is passed over for so long.
const POSTPONED: Duration = Duration::from_secs(60);

/// Removes all there is to remove; how many. When a whole page fails, the rest is left for the next round.
///
/// # Errors
/// If the catalog fails. A store that fails leaves its segment for later.
pub async fn clear_segments(context: &Context) -> Result<usize, CatalogError> {
    let mut cleared = 0;
    loop {
        let now = context.now();
        let waiting =
            appends::removable(&mut context.catalog.reader().await?.tx(), now, PAGE).await?;
        if waiting.is_empty() {
            return Ok(cleared);
        }
        match held_back_for(context, Goes::Segments).await {
            Ok(None) => {}
            Ok(Some(_)) => return Ok(cleared),
            Err(error) => {
                tracing::warn!(%error, "segments are not removed yet");
                return Ok(cleared);
            }
        }
        let (count, before) = (waiting.len(), cleared);
        for segment in waiting {
            let gone = remove(context, &segment).await;
            if let Err(error) = &gone {
                tracing::warn!(upload_id = segment.upload_id, %error, "a segment is not removed yet");
            }
            cleared += usize::from(gone.is_ok());
            context
                .catalog
                .write(move |tx| {
                    Box::pin(async move {
                        match gone {
                            Ok(()) => appends::removed(tx, &segment).await,
                            Err(_) => {
                                let until = now.plus(POSTPONED);
                                appends::postpone_removal(tx, &segment, until).await
                            }
                        }
                    })
                })
                .await?;
        }
        if count < PAGE.unsigned_abs() as usize || cleared == before {
            return Ok(cleared);
        }
    }
}

async fn remove(context: &Context, segment: &Removable) -> Result<(), StoreError> {
    match ObjectKey::parse(&segment.object_key) {
        Ok(key) => context.objects.delete(&key).await,
        // Nothing that this version wrote.
        Err(_) => Ok(()),
    }
}
