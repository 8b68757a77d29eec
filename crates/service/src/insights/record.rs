//! The door through which every stage records an event, in the caller's transaction.

use safelight_api::events::EventFacts;
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
    record_with(tx, context, told, &EventFacts::default()).await
}

/// As [`record`], with what more is known: ids and codes, never content.
///
/// # Errors
/// What the catalog says.
pub async fn record_with(
    tx: &mut Tx<'_>,
    context: &Context,
    told: Told<'_>,
    facts: &EventFacts,
) -> Result<(), CatalogError> {
    write(
        tx,
        context,
        told.kind,
        told.owner,
        Some(told.asset_id),
        facts,
    )
    .await
}

/// As [`record_with`], of something of an owner's that is neither an asset nor a capture.
///
/// # Errors
/// What the catalog says.
pub async fn record_of_owner(
    tx: &mut Tx<'_>,
    context: &Context,
    kind: &str,
    owner: &Owner,
    facts: &EventFacts,
) -> Result<(), CatalogError> {
    write(tx, context, kind, owner, None, facts).await
}

/// As [`record`], of a capture.
///
/// # Errors
/// What the catalog says.
pub async fn record_of_capture(
    tx: &mut Tx<'_>,
    context: &Context,
    kind: &str,
    owner: &Owner,
    capture_id: &str,
) -> Result<(), CatalogError> {
    record_of_capture_with(tx, context, kind, owner, capture_id, &EventFacts::default()).await
}

/// As [`record_with`], of a capture.
///
/// # Errors
/// What the catalog says.
pub async fn record_of_capture_with(
    tx: &mut Tx<'_>,
    context: &Context,
    kind: &str,
    owner: &Owner,
    capture_id: &str,
    facts: &EventFacts,
) -> Result<(), CatalogError> {
    let event_id = context.fresh_id(ids::EVENT);
    let event = FreshEvent {
        tenant_id: &owner.tenant_id,
        event_id: &event_id,
        kind,
        owner_id: &owner.owner_id,
        asset_id: None,
        detail: detail(facts),
        at: context.now(),
    };
    events::record_of_capture(tx, &event, capture_id).await
}

async fn write(
    tx: &mut Tx<'_>,
    context: &Context,
    kind: &str,
    owner: &Owner,
    asset_id: Option<&str>,
    facts: &EventFacts,
) -> Result<(), CatalogError> {
    let event_id = context.fresh_id(ids::EVENT);
    let event = FreshEvent {
        tenant_id: &owner.tenant_id,
        event_id: &event_id,
        kind,
        owner_id: &owner.owner_id,
        asset_id,
        detail: detail(facts),
        at: context.now(),
    };
    events::record(tx, &event).await
}

/// As it stands in the row; nothing where nothing is known.
fn detail(facts: &EventFacts) -> Option<String> {
    (*facts != EventFacts::default())
        .then(|| serde_json::to_string(facts).ok())
        .flatten()
}
