//! What one request that appends does at the store and in the catalog: parts, segments, the offset.
//!
//! The row that knows of an object is committed before the object can be there, and an offset after everything
//! below it is.

use futures::StreamExt as _;
use safelight_catalog::appends::{self, Advance, AppendedPart, Hold};
use safelight_catalog::uploads::{Upload, UploadState};
use safelight_model::clock::Micros;
use safelight_model::{limits, look};
use safelight_objects::{FileSlice, ObjectKey, Served, StoreErrorKind, ownership};

use super::STORE_REQUEST;
use super::error::AppendError;
use super::scratch::Scratch;
use super::take::{Held, look};
use crate::context::Context;
use crate::intake::abort_upload::end;
use crate::intake::complete_upload::LOST;
use crate::intake::sign_urls::{SignError, begin_at_store};

/// Why an upload ends that has no part numbers left.
const EXHAUSTED: &str = "so many attempts broke that the upload has no part numbers left";

/// Gives out a part number that nobody had before.
async fn reserve_part(context: &Context, hold: &Hold) -> Result<i64, AppendError> {
    let (hold, until) = (hold.clone(), context.now().plus(STORE_REQUEST));
    context
        .catalog
        .write(move |tx| Box::pin(async move { appends::reserve_part(tx, &hold, until).await }))
        .await?
        .ok_or(AppendError::Lost)
}

/// Stores a part. Its bytes count once [`advance`] has named it.
pub(super) async fn write_part(
    context: &Context,
    held: &mut Held,
    offset_bytes: i64,
    bytes: &FileSlice,
) -> Result<AppendedPart, AppendError> {
    let store_upload_id = begin_at_store(context, &held.upload, false)
        .await?
        .store_upload_id;
    held.upload.store_upload_id = Some(store_upload_id.clone());
    let number = reserve_part(context, &held.taken.hold).await?;
    if number > limits::MAX_PARTS {
        // Thousands of parts were stored for nothing.
        end(context, &held.upload, UploadState::Expired, EXHAUSTED).await?;
        return Err(AppendError::Ended);
    }
    let key = ObjectKey::parse(&held.upload.object_key).map_err(SignError::Key)?;
    let stored = context
        .objects
        .upload_part(&key, &store_upload_id, number, bytes)
        .await;
    let etag = match stored {
        Ok(etag) => etag,
        // A rule of the bucket removed the upload, or a backup was restored. An offset cannot go back, so it ends.
        Err(error) if *error.kind() == StoreErrorKind::NotFound => {
            // Where it has ended already, they were removed.
            if end(context, &held.upload, UploadState::Expired, LOST).await? {
                tracing::error!(upload_id = held.upload.upload_id, %error, "the store lost an upload's parts");
            }
            let (tenant_id, upload_id) = (&held.upload.tenant_id, &held.upload.upload_id);
            let now = look(context, tenant_id, upload_id, None).await?;
            return Err(AppendError::closed(context, &now).await);
        }
        Err(error) => return Err(AppendError::Store(error)),
    };
    Ok(AppendedPart {
        number,
        offset_bytes,
        size_bytes: bytes.size_bytes(),
        etag,
    })
}

/// Stores a segment, and returns its key and tag. Its bytes count once [`advance`] has named it.
pub(super) async fn write_segment(
    context: &Context,
    held: &Held,
    offset_bytes: i64,
    bytes: &FileSlice,
) -> Result<(String, String), AppendError> {
    let upload = &held.upload;
    let key = ObjectKey::temporary(&upload.tenant_id, context.entropy.as_ref())
        .map_err(SignError::Key)?;
    let (hold, text, size_bytes) = (
        held.taken.hold.clone(),
        key.as_str().to_owned(),
        bytes.size_bytes(),
    );
    let until = context.now().plus(STORE_REQUEST);
    let intended = context
        .catalog
        .write(move |tx| {
            Box::pin(async move {
                appends::intend_segment(tx, &hold, &text, offset_bytes, size_bytes, until).await
            })
        })
        .await?;
    if !intended {
        return Err(AppendError::Lost);
    }
    let metadata = ownership(&context.catalog_id, &upload.tenant_id, &upload.asset_id);
    // Nobody reads it there.
    let served = Served::default();
    let etag = context
        .objects
        .put_slice(&key, bytes, &metadata, served)
        .await?;
    Ok((key.as_str().to_owned(), etag))
}

/// When the janitor looks whether an upload that is whole now was completed.
pub(super) fn look_at(context: &Context, upload: &Upload) -> Micros {
    look::first(context.now(), context.settings.quiet, upload.expires_at)
}

/// Acknowledges bytes.
pub(super) async fn advance(
    context: &Context,
    held: &mut Held,
    mut step: Advance,
) -> Result<(), AppendError> {
    if held.length_bytes() == Some(step.to_bytes) {
        step.look_at = Some(look_at(context, &held.upload));
    }
    let (hold, until) = (held.taken.hold.clone(), context.now().plus(STORE_REQUEST));
    let to_bytes = step.to_bytes;
    let advanced = context
        .catalog
        .write(move |tx| Box::pin(async move { appends::advance(tx, &hold, &step, until).await }))
        .await?;
    if !advanced {
        return Err(AppendError::Lost);
    }
    held.taken.offset_bytes = to_bytes;
    Ok(())
}

/// Fetches what waits in segments into the file, each to its place in the part.
pub(super) async fn fetch_segments(
    context: &Context,
    held: &Held,
    scratch: &mut Scratch,
) -> Result<(), AppendError> {
    for segment in &held.taken.segments {
        let key = ObjectKey::parse(&segment.object_key).map_err(SignError::Key)?;
        let read = context
            .objects
            .get(&key, None, Some(&segment.etag))
            .await?
            .filter(|read| read.length_bytes == segment.size_bytes)
            .ok_or(AppendError::Missing)?;
        let mut stream = read.stream;
        let start = segment.offset_bytes - held.taken.in_parts_bytes;
        let mut at = u64::try_from(start).map_err(|_| AppendError::Missing)?;
        while let Some(chunk) = stream.next().await.transpose()? {
            scratch.put(at, &chunk).await?;
            at += chunk.len() as u64;
        }
    }
    Ok(())
}
