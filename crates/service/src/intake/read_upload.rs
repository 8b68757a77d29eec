//! `GET /v1/uploads/{id}`: the truth about what has arrived is the store's.

use safelight_api::uploads::{ReceivedPart, Upload as UploadBody};
use safelight_catalog::appends;
use safelight_catalog::uploads::{self, Upload, UploadState};
use safelight_model::plan::Transport;
use safelight_objects::{ObjectKey, Part};

use super::merge_upload::merge_if_there;
use super::plan_hints::plan_of;
use super::sign_urls::{SignError, find, is_deleted};
use crate::context::{Context, Owner};

/// What the store holds of an upload that is not completed.
pub(super) async fn arrived(context: &Context, upload: &Upload) -> Result<Vec<Part>, SignError> {
    let key = ObjectKey::parse(&upload.object_key)?;
    match (upload.transport, &upload.store_upload_id) {
        (Transport::Single, _) => Ok(context
            .objects
            .head(&key)
            .await?
            .map(|o| Part {
                number: 1,
                size_bytes: o.size_bytes,
                etag: o.etag,
                sha256_hex: o.sha256_hex,
            })
            .into_iter()
            .collect()),
        (Transport::Multipart, Some(id)) => match context.objects.list_parts(&key, id).await? {
            Some(parts) => Ok(parts),
            None => {
                begin_anew(context, upload, id).await?;
                Ok(Vec::new())
            }
        },
        (Transport::Multipart, None) => Ok(Vec::new()),
        // The store may have parts besides, of requests that broke or were overtaken.
        (Transport::Append, _) => Ok(appends::parts(
            &mut context.catalog.reader().await?.tx(),
            &upload.tenant_id,
            &upload.upload_id,
        )
        .await?
        .into_iter()
        .map(|p| Part {
            number: p.number,
            size_bytes: p.size_bytes,
            etag: p.etag,
            sha256_hex: None,
        })
        .collect()),
    }
}

/// The store has forgotten the upload (a rule of the bucket, a restored backup): the next part that is
/// signed begins another there, instead of parts being sent into nothing.
async fn begin_anew(context: &Context, upload: &Upload, id: &str) -> Result<(), SignError> {
    let (upload, id) = (upload.clone(), id.to_owned());
    context
        .catalog
        .write(move |tx| {
            Box::pin(async move {
                uploads::unbind_store_upload(tx, &upload.tenant_id, &upload.upload_id, &id).await
            })
        })
        .await?;
    Ok(())
}

/// An upload and what has arrived of it.
///
/// # Errors
/// If there is none of this owner, or catalog or store fail.
pub async fn read_upload(
    context: &Context,
    owner: &Owner,
    upload_id: &str,
) -> Result<UploadBody, SignError> {
    let upload = find(context, owner, upload_id).await?;
    let upload = merge_if_there(context, upload).await?;
    let is_over = !matches!(upload.state, UploadState::Open | UploadState::Completing);
    if is_over && is_deleted(context, &upload).await? {
        return Err(SignError::Deleted);
    }
    shown(context, upload).await
}

/// How an upload stands on the wire.
pub(super) async fn shown(context: &Context, upload: Upload) -> Result<UploadBody, SignError> {
    let parts = match upload.state {
        UploadState::Open | UploadState::Completing => arrived(context, &upload).await?,
        UploadState::Completed
        | UploadState::Aborted
        | UploadState::Expired
        | UploadState::Merged => Vec::new(),
    };
    let received_bytes = match upload.state {
        UploadState::Completed => upload.size_bytes,
        UploadState::Open if upload.transport == Transport::Append => {
            appends::offset(
                &mut context.catalog.reader().await?.tx(),
                &upload.tenant_id,
                &upload.upload_id,
            )
            .await?
        }
        _ => parts.iter().map(|p| p.size_bytes).sum(),
    };
    Ok(UploadBody {
        plan: plan_of(&upload),
        state: upload.state.as_str().to_owned(),
        size_bytes: upload.size_bytes,
        received_bytes,
        parts: parts
            .into_iter()
            .map(|p| ReceivedPart {
                number: p.number,
                size_bytes: p.size_bytes,
                etag: p.etag,
                sha256: p.sha256_hex,
            })
            .collect(),
        expires_at: upload.expires_at.rfc3339(),
        asset_id: upload.merged_into.unwrap_or(upload.asset_id),
        upload_id: upload.upload_id,
    })
}
