//! Tells of captures whose best frame is another one, as frames are measured.

use safelight_api::events::EventFacts;
use safelight_catalog::{CatalogError, Tx, best_frames};

use crate::context::{Context, Owner};
use crate::insights::record::record_of_capture_with;

/// Looks which frame is the best one of the captures that hold a blob, and records for each that has another one than was told an event
/// that names it.
pub(super) async fn tell_best_frame(
    tx: &mut Tx<'_>,
    context: &Context,
    tenant_id: &str,
    blob_id: &str,
) -> Result<(), CatalogError> {
    for retold in best_frames::retell(tx, tenant_id, blob_id).await? {
        let owner = Owner {
            tenant_id: tenant_id.to_owned(),
            owner_id: retold.owner_id,
        };
        let facts = EventFacts {
            best_asset_id: Some(retold.best_asset_id),
            ..EventFacts::default()
        };
        let kind = "capture.updated";
        record_of_capture_with(tx, context, kind, &owner, &retold.capture_id, &facts).await?;
    }
    Ok(())
}
