//! What is told of an upload, to its owner.

use safelight_api::events::EventFacts;
use safelight_catalog::uploads::Upload;
use safelight_catalog::{CatalogError, Tx};

use crate::context::{Context, Owner};
use crate::insights::record::{Told, record_with};

/// Records `kind` of an upload, in the transaction of what it tells of; with the asset that it ended for, if it did.
///
/// # Errors
/// What the catalog says.
pub(super) async fn tell_of_upload(
    tx: &mut Tx<'_>,
    context: &Context,
    upload: &Upload,
    kind: &'static str,
    merged_into: Option<&str>,
) -> Result<(), CatalogError> {
    let owner = Owner {
        tenant_id: upload.tenant_id.clone(),
        owner_id: upload.owner_id.clone(),
    };
    let told = Told {
        kind,
        owner: &owner,
        asset_id: &upload.asset_id,
    };
    let facts = EventFacts {
        upload_id: Some(upload.upload_id.clone()),
        merged_into: merged_into.map(str::to_owned),
        ..EventFacts::default()
    };
    record_with(tx, context, told, &facts).await
}
