//! `POST /v1/assets/{id}/grants` with `"variant": "motion"`: the clip in a motion photo, as every player plays it.
//!
//! It is made when it is first asked for, by a job; whoever asks meanwhile is told to come again.

use std::time::Duration;

use safelight_catalog::{CatalogError, Tx, alternatives, blobs, file_metadata};
use safelight_imaging::MediaType;
use safelight_model::codes::Code;
use safelight_model::cost_class::CostClass;
use safelight_model::file_metadata::Harmless;
use safelight_model::job::JobKind;
use safelight_model::variant::MOTION;

use super::grant_original::{GrantError, Granted, asset_of, granted, life_of};
use super::links::File;
use crate::context::{Context, Owner};
use crate::governance::decide::Wanted;
use crate::queue::enqueue::enqueue_costing;

/// What may go better another time is not tried again for so long.
const REST: Duration = Duration::from_secs(60);

/// Grants access to the clip in a picture of `owner`, or asks that it be made.
///
/// # Errors
/// If there is none, or none can be made, it may not be given out, or the catalog fails.
pub async fn grant_motion(
    context: &Context,
    owner: &Owner,
    asset_id: &str,
    ttl_s: Option<u32>,
) -> Result<Granted, GrantError> {
    let life = life_of(ttl_s)?;
    let asset = asset_of(context, owner, asset_id, Wanted::Rendition).await?;
    let blob = asset.blob.as_ref().ok_or(GrantError::NotFound)?;
    let media = blob.mime.as_deref().and_then(MediaType::of_mime);
    if !media.is_some_and(MediaType::may_hold_clip) {
        return Err(GrantError::NoClip);
    }
    let blob_id = blob.blob_id.as_str();
    let mut reader = context.catalog.reader().await?;
    let tx = &mut reader.tx();
    let mut told = file_metadata::of_blobs(tx, &owner.tenant_id, &[blob_id]).await?;
    let row = alternatives::find(tx, &owner.tenant_id, blob_id, &MOTION).await?;
    drop(reader);
    if let Some(row) = row {
        let code = row.reason_code.as_deref().and_then(Code::parse);
        match (row.state.as_str(), code) {
            ("ready", _) => {
                let file = File::Rendition(MOTION.label());
                return Ok(Granted::Link(granted(context, &asset, file, life)));
            }
            ("failed", Some(code))
                if !is_tried_again(code, context.now().since(row.updated_at)) =>
            {
                let detail = row.reason_detail.unwrap_or_default();
                return Err(GrantError::Failed(code, detail));
            }
            _ => {}
        }
    }
    let told = told.remove(blob_id);
    let told: Option<Harmless> = told.and_then(|t| serde_json::from_str(&t.harmless).ok());
    // Where nobody has read what the file tells, the job finds out.
    if told.is_some_and(|t| !t.motion_photo) {
        return Err(GrantError::NoClip);
    }
    let (asked, of, blob_id) = (context.clone(), owner.clone(), blob_id.to_owned());
    let is_asked = context
        .catalog
        .write(move |tx| Box::pin(async move { ask(tx, &asked, &of, &blob_id).await }));
    match is_asked.await? {
        true => Ok(Granted::Pending(asset.asset_id)),
        // Deleted in this instant.
        false => Err(GrantError::NotFound),
    }
}

/// Whether what failed for this reason so long ago is tried again.
fn is_tried_again(code: Code, ago: Duration) -> bool {
    match code {
        // Every attempt at these bytes ends so.
        Code::NotFound | Code::MediaCorrupt => false,
        // It was not the file, and the job has waited between its attempts.
        Code::Internal | Code::DiskFull | Code::StoreUnavailable | Code::CatalogUnavailable => true,
        // Limits may be raised, ffmpeg be installed, a machine be less busy.
        _ => ago >= REST,
    }
}

/// Asks that it be made, unless that is asked for already. `false` if its picture is no longer there.
async fn ask(
    tx: &mut Tx<'_>,
    context: &Context,
    owner: &Owner,
    blob_id: &str,
) -> Result<bool, CatalogError> {
    let tenant_id = &owner.tenant_id;
    // The job first, as a worker's end has them: else the two could wait for one another.
    let (class, kind) = (CostClass::MOTION, JobKind::DeriveMotion);
    enqueue_costing(tx, context, class, kind, owner, blob_id).await?;
    if blobs::hold(tx, tenant_id, blob_id).await?.is_none() {
        return Ok(false);
    }
    alternatives::expect(tx, tenant_id, blob_id, &MOTION, context.now()).await?;
    Ok(true)
}
