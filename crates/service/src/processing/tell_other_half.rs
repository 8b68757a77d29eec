//! Tells of Live Photos as their halves come.

use safelight_catalog::assets::Asset;
use safelight_catalog::{CatalogError, Tx, live_halves};

use crate::context::{Context, Owner};
use crate::insights::record::{Told, record};

/// These assets are shown from now on: what is the other half of one is told of, since it has one now.
pub(super) async fn tell_other_half(
    tx: &mut Tx<'_>,
    context: &Context,
    shown: &[Asset],
) -> Result<(), CatalogError> {
    for asset in shown {
        let owner = Owner {
            tenant_id: asset.tenant_id.clone(),
            owner_id: asset.owner_id.clone(),
        };
        for other in live_halves::others_of(tx, &asset.tenant_id, &asset.asset_id).await? {
            let told = Told {
                kind: "asset.updated",
                owner: &owner,
                asset_id: &other,
            };
            record(tx, context, told).await?;
        }
    }
    Ok(())
}
