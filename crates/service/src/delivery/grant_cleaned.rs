//! `POST /v1/assets/{id}/grants` with `"variant": "cleaned"`: access to an original without what it tells of its owner.
//!
//! It is made when it is first asked for, by a job; whoever asks meanwhile is told to come again.

use safelight_catalog::{CatalogError, Tx, blobs, cleaned};
use safelight_imaging::MediaType;
use safelight_model::codes::Code;
use safelight_model::cost_class::CostClass;
use safelight_model::job::JobKind;
use safelight_model::limits;

use super::grant_original::{GrantError, Granted, asset_of, granted, life_of};
use super::links::File;
use crate::context::{Context, Owner};
use crate::governance::decide::Wanted;
use crate::queue::enqueue::enqueue_costing;

/// Grants access to the cleaned original of an asset of `owner`, or asks that it be made.
///
/// # Errors
/// If there is none, or none can be made, it may not be given out, or the catalog fails.
pub async fn grant_cleaned(
    context: &Context,
    owner: &Owner,
    asset_id: &str,
    ttl_s: Option<u32>,
) -> Result<Granted, GrantError> {
    let life = life_of(ttl_s)?;
    let asset = asset_of(context, owner, asset_id, Wanted::Original).await?;
    let blob = asset.blob.as_ref().ok_or(GrantError::NotFound)?;
    let media = blob.mime.as_deref().and_then(MediaType::of_mime);
    let Some(media) = media.filter(|media| media.is_cleanable()) else {
        let what = blob.mime.as_deref().unwrap_or("a file of unknown type");
        return Err(GrantError::NotCleanable(format!(
            "{what} cannot be cleaned"
        )));
    };
    if blob.size_bytes > limits::MAX_READ_BYTES {
        let most = limits::MAX_READ_BYTES;
        return Err(GrantError::NotCleanable(format!(
            "files of more than {most} bytes cannot be cleaned"
        )));
    }
    let mut reader = context.catalog.reader().await?;
    let made = cleaned::find(&mut reader.tx(), &owner.tenant_id, &blob.blob_id).await?;
    drop(reader);
    if let Some(made) = made {
        let code = made.reason_code.as_deref().and_then(Code::parse);
        match (made.state.as_str(), code) {
            ("ready", _) => {
                let file = File::Cleaned(media);
                return Ok(Granted::Link(granted(context, &asset, file, life)));
            }
            ("failed", Some(code)) if is_of_the_file(code) => {
                let detail = made.reason_detail.unwrap_or_default();
                return Err(match code {
                    Code::NotCleanable => GrantError::NotCleanable(detail),
                    code => GrantError::Failed(code, detail),
                });
            }
            _ => {}
        }
    }
    let (asked, of, blob_id) = (context.clone(), owner.clone(), blob.blob_id.clone());
    let class = CostClass::declared(Some(media.mime()), blob.size_bytes);
    let is_asked = context.catalog.write(move |tx| {
        Box::pin(async move { ask(tx, &asked, &of, &blob_id, media, class).await })
    });
    match is_asked.await? {
        true => Ok(Granted::Pending(asset.asset_id)),
        // Deleted in this instant.
        false => Err(GrantError::NotFound),
    }
}

/// Whether every attempt at these bytes ends so.
fn is_of_the_file(code: Code) -> bool {
    matches!(
        code,
        Code::NotCleanable | Code::DecodeMemory | Code::DecodeCrashed
    )
}

/// Asks that it be made, unless that is asked for already. `false` if its original is no longer there.
async fn ask(
    tx: &mut Tx<'_>,
    context: &Context,
    owner: &Owner,
    blob_id: &str,
    media: MediaType,
    class: CostClass,
) -> Result<bool, CatalogError> {
    let tenant_id = &owner.tenant_id;
    // The job first, as a worker's end has them: else the two could wait for one another. It does nothing where the original is gone.
    enqueue_costing(tx, context, class, JobKind::Clean, owner, blob_id).await?;
    if blobs::hold(tx, tenant_id, blob_id).await?.is_none() {
        return Ok(false);
    }
    cleaned::expect(tx, tenant_id, blob_id, media.extension(), context.now()).await?;
    Ok(true)
}
