//! The door through which every stage records an event, in the caller's transaction.

use safelight_catalog::events::{self, FreshEvent};
use safelight_catalog::{CatalogError, Tx};
use safelight_model::ids;

use crate::context::{Context, Owner};

/// What is to be told.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// `upload.completed`, `rendition.ready`, …
    pub kind: &'a str,
    /// Whose it is.
    pub owner: &'a Owner,
    /// The asset it is about.
    pub asset_id: &'a str,
}

/// Records an event with the change that it tells of.
///
/// # Errors
/// What the catalog says.
pub async fn record(
    tx: &mut Tx<'_>,
    context: &Context,
    told: Told<'_>,
) -> Result<(), CatalogError> {
    let event_id = context.fresh_id(ids::EVENT);
    events::record(
        tx,
        &FreshEvent {
            tenant_id: &told.owner.tenant_id,
            event_id: &event_id,
            kind: told.kind,
            owner_id: &told.owner.owner_id,
            asset_id: Some(told.asset_id),
            detail: None,
            at: context.now(),
        },
    )
    .await
}
