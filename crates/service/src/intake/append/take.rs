//! Taking an upload, to append to it or to learn its offset: whoever had it lets go.

use safelight_catalog::appends::{self, Taken};
use safelight_catalog::uploads::{self, Upload, UploadState};
use safelight_model::plan::Transport;

use super::error::AppendError;
use super::holders::Place;
use super::{Gateway, STORE_REQUEST, store};
use crate::context::Context;
use crate::intake::merge_upload::merge_if_there;
use crate::intake::sign_urls::{SignError, is_deleted};

/// An upload that only this request may append to.
#[derive(Debug)]
pub struct Held {
    /// The upload as it was when it was taken.
    pub upload: Upload,
    /// What it has come to.
    pub taken: Taken,
    pub(super) place: Place,
}

/// What became of taking an upload.
#[derive(Debug)]
pub enum Took {
    /// It is open.
    Open(Box<Held>),
    /// Its bytes are all there, perhaps in another asset of its owner's; perhaps it is not completed yet.
    Whole(Box<Upload>),
}

impl Held {
    /// The declared length, if there is one yet.
    #[must_use]
    pub fn length_bytes(&self) -> Option<i64> {
        length_bytes(&self.upload)
    }
}

/// The declared length of an upload, if there is one yet.
#[must_use]
pub fn length_bytes(upload: &Upload) -> Option<i64> {
    (upload.size_bytes > 0).then_some(upload.size_bytes)
}

/// Looks at an upload without taking it.
///
/// # Errors
/// If there is none that is appended to, or not of this owner, or the catalog fails.
pub async fn look(
    context: &Context,
    tenant_id: &str,
    upload_id: &str,
    owner_id: Option<&str>,
) -> Result<Upload, AppendError> {
    uploads::find(
        &mut context.catalog.reader().await?.tx(),
        tenant_id,
        upload_id,
    )
    .await?
    .filter(|u| u.transport == Transport::Append && owner_id.is_none_or(|o| o == u.owner_id))
    .ok_or(AppendError::NotFound)
}

/// Takes an upload. A request that has it is asked to flush what it received, and waited for; one that does not
/// answer, or runs in another process, is shut out.
///
/// # Errors
/// If there is none, or it has ended, or the catalog fails.
pub async fn take(
    context: &Context,
    gateway: &Gateway,
    tenant_id: &str,
    upload_id: &str,
    owner_id: Option<&str>,
) -> Result<Took, AppendError> {
    let place = gateway.holders.enter(tenant_id, upload_id).await;
    let upload = look(context, tenant_id, upload_id, owner_id).await?;
    let upload = merge_if_there(context, upload).await?;
    match upload.state {
        UploadState::Completed | UploadState::Merged if is_deleted(context, &upload).await? => {
            return Err(AppendError::Upload(SignError::Deleted));
        }
        UploadState::Completing | UploadState::Completed | UploadState::Merged => {
            return Ok(Took::Whole(Box::new(upload)));
        }
        UploadState::Open if upload.expires_at > context.now() => {}
        UploadState::Open | UploadState::Aborted | UploadState::Expired => {
            return Err(AppendError::closed(context, &upload).await);
        }
    }
    let (tenant, id) = (tenant_id.to_owned(), upload_id.to_owned());
    let until = context.now().plus(STORE_REQUEST);
    let taken = context
        .catalog
        .write(move |tx| Box::pin(async move { appends::take(tx, &tenant, &id, until).await }))
        .await?;
    // Whoever had it may have fixed its length, begun it at the store, or ended it meanwhile.
    let upload = look(context, tenant_id, upload_id, owner_id).await?;
    match taken {
        Some(taken) => Ok(Took::Open(Box::new(Held {
            upload,
            taken,
            place,
        }))),
        None if matches!(
            upload.state,
            UploadState::Completing | UploadState::Completed | UploadState::Merged
        ) =>
        {
            Ok(Took::Whole(Box::new(upload)))
        }
        None => Err(AppendError::closed(context, &upload).await),
    }
}

/// Fixes the length of a file, or holds it against the one that was declared.
///
/// # Errors
/// If it is another one, empty or too large, or a newer request has the upload.
pub async fn fix_length(
    context: &Context,
    held: &mut Held,
    size_bytes: i64,
) -> Result<(), AppendError> {
    let max_bytes = context
        .settings
        .media
        .max_file_bytes
        .of(&held.upload.tenant_id);
    match held.length_bytes() {
        Some(declared) if declared == size_bytes => return Ok(()),
        Some(declared_bytes) => {
            return Err(AppendError::Length {
                declared_bytes,
                wanted_bytes: size_bytes,
            });
        }
        None if size_bytes < 1 => return Err(AppendError::Empty),
        None if size_bytes > max_bytes => return Err(AppendError::TooLarge { max_bytes }),
        None => {}
    }
    if size_bytes < held.taken.offset_bytes {
        return Err(AppendError::Length {
            declared_bytes: held.taken.offset_bytes,
            wanted_bytes: size_bytes,
        });
    }
    let hold = held.taken.hold.clone();
    let is_whole = size_bytes == held.taken.offset_bytes;
    let look_at = is_whole.then(|| store::look_at(context, &held.upload));
    let fixed = context
        .catalog
        .write(move |tx| {
            Box::pin(async move { appends::fix_length(tx, &hold, size_bytes, look_at).await })
        })
        .await?;
    if !fixed {
        return Err(AppendError::Lost);
    }
    held.upload.size_bytes = size_bytes;
    Ok(())
}
