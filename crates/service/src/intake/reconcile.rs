//! A look at an upload whose client says nothing: it is completed if all its bytes are there, and expires at its end
//! if they are not. A completion that somebody died in is ended.

use safelight_catalog::CatalogError;
use safelight_catalog::uploads::{Upload, UploadState};
use safelight_model::codes::Code;
use safelight_model::look;
use safelight_model::plan::Transport;

use super::abort_upload::end;
use super::complete_upload::complete_upload;
use crate::context::{Context, Owner};
use crate::look::Next;

/// Why an asset is expired.
const TOO_LATE: &str = "the upload's time ended before its bytes were whole";

/// Looks at an open upload, or at one that is being completed.
///
/// # Errors
/// If the catalog fails. A store that fails has the upload looked at again later.
pub async fn reconcile(context: &Context, upload: &Upload) -> Result<Next, CatalogError> {
    let now = context.now();
    let is_over = upload.expires_at <= now;
    let unknown_at_store =
        upload.transport == Transport::Multipart && upload.store_upload_id.is_none();
    if upload.state == UploadState::Open && unknown_at_store && !is_over {
        return Ok(Next::At(upload.expires_at));
    }
    let owner = Owner {
        tenant_id: upload.tenant_id.clone(),
        owner_id: upload.owner_id.clone(),
    };
    let error = match complete_upload(context, &owner, &upload.upload_id).await {
        Ok(_) => {
            metrics::counter!("safelight_uploads_found_whole_total").increment(1);
            tracing::debug!(upload_id = upload.upload_id, "an upload was found whole");
            return Ok(Next::Settled);
        }
        Err(error) => error,
    };
    match error.code() {
        Code::UploadIncomplete | Code::SizeMismatch if is_over => {
            if end(context, upload, UploadState::Expired, TOO_LATE).await? {
                metrics::counter!("safelight_uploads_expired_total").increment(1);
                tracing::debug!(upload_id = upload.upload_id, "an upload expired");
                return Ok(Next::Settled);
            }
            Ok(Next::At(look::after_failure(now, upload.looks)))
        }
        // When its last byte comes it says so itself.
        Code::UploadIncomplete if upload.transport == Transport::Append => {
            Ok(Next::At(upload.expires_at))
        }
        Code::UploadIncomplete | Code::SizeMismatch => Ok(Next::At(look::next(
            now,
            upload.looks,
            context.settings.quiet,
            upload.signed_until,
            upload.expires_at,
        ))),
        // Another was quicker and ended it: what is left is looked at by itself.
        Code::UploadExpired | Code::AssetDeleted => Ok(Next::Settled),
        Code::NotFound => Ok(Next::Never),
        _ => {
            tracing::warn!(upload_id = upload.upload_id, %error, "an upload could not be looked at");
            Ok(Next::At(look::after_failure(now, upload.looks)))
        }
    }
}
