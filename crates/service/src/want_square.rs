//! Asks for the square of a picture that turns out to be for a profile after it was inspected, in the caller's transaction: its bytes
//! are another asset's too, which was for something else.

use safelight_catalog::blobs::{self, Blob};
use safelight_catalog::{CatalogError, Tx, renditions};
use safelight_imaging::MediaType;
use safelight_model::cost_class::CostClass;
use safelight_model::job::JobKind;
use safelight_model::preset;

use crate::context::{Context, Owner};
use crate::queue::enqueue::enqueue_first;

/// Has the square of `blob` made for `owner`, unless there is one, or one is being made. Of what was not inspected yet inspection makes it,
/// and what cannot be shown has none, nor has a clip.
///
/// # Errors
/// What the catalog says.
pub async fn want_square(
    tx: &mut Tx<'_>,
    context: &Context,
    owner: &Owner,
    blob: &Blob,
) -> Result<(), CatalogError> {
    let is_shown = blob.state == "live" && blob.verdict == "clean" && blob.reason_code.is_none();
    let media = blob.mime.as_deref().and_then(MediaType::of_mime);
    if !is_shown || blob.width.is_none() || media.is_some_and(MediaType::is_clip) {
        return Ok(());
    }
    let (tenant_id, blob_id, now) = (&owner.tenant_id, &blob.blob_id, context.now());
    // Held, so that nothing is expected of what is being deleted.
    if blobs::hold(tx, tenant_id, blob_id).await?.is_none() {
        return Ok(());
    }
    if renditions::expect(tx, tenant_id, blob_id, &preset::SQUARE, now).await? {
        let class = CostClass::of_picture(blob.mime.as_deref(), blob.width, blob.height);
        enqueue_first(tx, context, class, JobKind::Crop, owner, blob_id).await?;
    }
    Ok(())
}
