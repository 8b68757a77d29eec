//! How far an upload has come. Who appends at this moment lets go first, so that the offset stays what it is.

use safelight_catalog::uploads::Upload;

use super::access::Target;
use super::finish::complete;
use crate::http::router::AppState;
use crate::intake::append::error::AppendError;
use crate::intake::append::take::{Took, take};

/// An upload, and where it stands.
pub(super) struct Looked {
    pub(super) upload: Upload,
    pub(super) offset_bytes: i64,
    /// Whether all is there.
    pub(super) is_whole: bool,
}

/// Looks at an upload, and completes it where all is there and whoever received it died before that.
///
/// # Errors
/// If there is none, it has ended, or catalog or store fail.
pub(super) async fn look(state: &AppState, target: &Target) -> Result<Looked, AppendError> {
    let (context, gateway) = (&state.context, &state.gateway);
    let (tenant_id, upload_id) = (&target.tenant_id, &target.upload_id);
    let owner_id = target.owner_id.as_deref();
    let held = match take(context, gateway, tenant_id, upload_id, owner_id).await? {
        Took::Whole(upload) => {
            return Ok(Looked {
                offset_bytes: upload.size_bytes,
                upload: *upload,
                is_whole: true,
            });
        }
        Took::Open(held) => held,
    };
    let offset_bytes = held.taken.offset_bytes;
    let is_whole = held.length_bytes() == Some(offset_bytes);
    if is_whole {
        complete(context, &held.upload).await?;
    }
    Ok(Looked {
        upload: held.upload.clone(),
        offset_bytes,
        is_whole,
    })
}
