//! Whoever has a URL for an upload may send from then on, and this is told.

use safelight_catalog::assets::{self, Transition};
use safelight_catalog::uploads::Upload;
use safelight_catalog::{CatalogError, Tx};
use safelight_model::ids;
use safelight_model::lifecycle::{Event, State};

use super::tell_of_upload::tell_of_upload;
use crate::context::Context;

/// Notes, in the transaction that a URL for an upload is committed in, that its bytes may come from now on; told the first time.
///
/// # Errors
/// What the catalog says.
pub(super) async fn may_be_sent(
    tx: &mut Tx<'_>,
    context: &Context,
    upload: &Upload,
) -> Result<(), CatalogError> {
    let Some(asset) = assets::find(tx, &upload.tenant_id, &upload.asset_id).await? else {
        return Ok(());
    };
    let event_id = context.fresh_id(ids::EVENT);
    let change = Transition {
        event: Event::UrlSigned,
        reason: None,
        event_id: &event_id,
        at: context.now(),
    };
    let moved = assets::transition(tx, &asset, &change).await?;
    if asset.state != State::Initiated || moved != Some(State::Uploading) {
        return Ok(());
    }
    tell_of_upload(tx, context, upload, "upload.started", None).await
}
