//! `GET /v1/uploads?sha256=…`: for a client that lost its journal.

use safelight_api::uploads::{FoundUpload, UploadList};
use safelight_catalog::uploads;
use safelight_model::text;

use super::read_upload::shown;
use super::sign_urls::SignError;
use crate::context::{Context, Owner};

/// Each of them costs a question to the store.
const MOST: i64 = 8;

/// The owner's unfinished uploads of this hash, with what has arrived of each.
///
/// # Errors
/// If it is no hash; if catalog or store fail.
pub async fn find_uploads(
    context: &Context,
    owner: &Owner,
    sha256: &str,
) -> Result<UploadList, SignError> {
    if !text::is_sha256_hex(sha256) {
        return Err(SignError::Invalid(
            "sha256".to_owned(),
            "sha256 must be 64 lower-case hexadecimal digits".to_owned(),
        ));
    }
    let found = uploads::unfinished_by_hash(
        &mut context.catalog.reader().await?.tx(),
        &owner.tenant_id,
        &owner.owner_id,
        sha256,
        MOST,
    )
    .await?;
    let now = context.now();
    let mut items = Vec::with_capacity(found.len());
    for one in found.into_iter().filter(|one| one.upload.expires_at > now) {
        items.push(FoundUpload {
            capture_id: one.capture_id,
            capture_ref: one.capture_ref,
            asset_ref: one.asset_ref,
            upload: shown(context, one.upload).await?,
        });
    }
    Ok(UploadList { items })
}
