//! Has a rendition made again whose bytes the store has lost, or has others in place of, in the caller's transaction.

use safelight_catalog::renditions::{self, Rendition};
use safelight_catalog::{CatalogError, Tx, blobs, jobs, sweeps};
use safelight_imaging::MediaType;
use safelight_model::cost_class::CostClass;
use safelight_model::job::JobKind;
use safelight_model::preset::Preset;
use safelight_model::variant;
use safelight_objects::ObjectKey;

use crate::context::{Context, Owner};
use crate::queue::enqueue::enqueue_costing;

/// Has the rendition of `owner`'s blob that is stored under this key made again, unless it is to be already. Not while a worker makes
/// others of the same kind: it has looked what is wanted, and no second job is asked for beside it. Whoever misses it next tries again.
///
/// # Errors
/// What the catalog says.
pub async fn make_again(
    tx: &mut Tx<'_>,
    context: &Context,
    owner: &Owner,
    blob_id: &str,
    object_key: &str,
) -> Result<(), CatalogError> {
    let (tenant_id, now) = (&owner.tenant_id, context.now());
    let Some(blob) = blobs::find(tx, tenant_id, blob_id).await? else {
        return Ok(());
    };
    let mime = blob.mime.as_deref();
    let is_clip = mime
        .and_then(MediaType::of_mime)
        .is_some_and(MediaType::is_clip);
    let made_by = |key| made_by(&key, is_clip);
    let kind = ObjectKey::parse(object_key).map_or(JobKind::Derive, made_by);
    if jobs::is_leased(tx, tenant_id, blob_id, &[kind]).await? {
        return Ok(());
    }
    let is_given_up = sweeps::rendition_lost(tx, tenant_id, blob_id, object_key, now).await?;
    // One that was given up before and has no job, whatever became of that, gets one now.
    let is_pending =
        |r: &Rendition| r.object_key.as_deref() == Some(object_key) && r.state == "pending";
    let known = renditions::of_blob(tx, tenant_id, blob_id).await?;
    if is_given_up || known.iter().any(is_pending) {
        let class = match kind {
            JobKind::Clean => CostClass::declared(mime, blob.size_bytes),
            JobKind::Transcode => CostClass::Video,
            JobKind::DeriveMotion => CostClass::MOTION,
            _ => CostClass::of_picture(mime, blob.width, blob.height),
        };
        enqueue_costing(tx, context, class, kind, owner, blob_id).await?;
    }
    Ok(())
}

/// The same, if what the row says is stored there is still what it said to who could not read it.
///
/// # Errors
/// What the catalog says.
pub async fn make_again_what_was(
    tx: &mut Tx<'_>,
    context: &Context,
    owner: &Owner,
    blob_id: &str,
    (object_key, etag): (&str, &str),
) -> Result<(), CatalogError> {
    // Held, as whoever stores a rendition does, so that none that has just been stored is given up.
    let tenant_id = &owner.tenant_id;
    if blobs::hold(tx, tenant_id, blob_id).await?.is_none() {
        return Ok(());
    }
    let made = renditions::of_blob(tx, tenant_id, blob_id).await?;
    let mut rows = made.iter().filter(|r| r.state == "ready");
    let is_it = rows
        .any(|r| r.object_key.as_deref() == Some(object_key) && r.etag.as_deref() == Some(etag));
    match is_it {
        true => make_again(tx, context, owner, blob_id, object_key).await,
        false => Ok(()),
    }
}

/// The kind of job that makes what this is the key of, of a clip or of a picture.
fn made_by(key: &ObjectKey, is_clip: bool) -> JobKind {
    if key.is_cleaned() {
        return JobKind::Clean;
    }
    if is_clip {
        return JobKind::Transcode;
    }
    let of = |alternatives: &[Preset]| alternatives.iter().any(|p| key.is_of(&p.label()));
    if of(&variant::IN_BULK) {
        JobKind::DeriveAvif
    } else if of(&variant::ON_REQUEST) {
        JobKind::DeriveJpeg
    } else if of(&[variant::LEAN]) {
        JobKind::DeriveLean
    } else if of(&[variant::MOTION]) {
        JobKind::DeriveMotion
    } else {
        JobKind::Derive
    }
}
