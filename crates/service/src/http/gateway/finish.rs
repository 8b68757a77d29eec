//! The end of an upload whose bytes are all there.

use safelight_api::uploads::UploadCompleted;
use safelight_catalog::uploads::Upload;

use crate::context::{Context, Owner};
use crate::intake::append::error::AppendError;
use crate::intake::complete_upload::complete_upload;

/// Completes an upload, or tells what became of it before.
///
/// # Errors
/// If it has ended otherwise, or catalog or store fail.
pub(super) async fn complete(
    context: &Context,
    upload: &Upload,
) -> Result<UploadCompleted, AppendError> {
    let owner = Owner {
        tenant_id: upload.tenant_id.clone(),
        owner_id: upload.owner_id.clone(),
    };
    Ok(complete_upload(context, &owner, &upload.upload_id).await?)
}
