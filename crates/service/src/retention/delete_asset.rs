//! `DELETE /v1/assets/{id}`: an owner deletes one of his.
//!
//! One transaction makes a tombstone of it, ends its uploads, dooms what nobody else holds, asks for that to be purged, and
//! tells of it. From then on nobody is given anything of it. Its bytes are removed by `purge_blob`, `clear_upload` and
//! `clear_segments`, whoever dies in between; `complete_deletions` tells when none is left.

use safelight_api::assets as wire;
use safelight_catalog::deletions::{self, Meant, Outcome};
use safelight_catalog::{CatalogError, Tx, assets};
use safelight_model::codes::Code;
use safelight_model::ids;
use safelight_model::job::JobKind;
use safelight_model::lane::Lane;
use safelight_model::lifecycle::State;

use crate::context::{Context, Owner};
use crate::insights::record::{Told, record};
use crate::queue::enqueue::enqueue_in;

/// Why nothing was deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// There is no such asset or capture of this owner.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Others have hold of it in this instant.
    #[error("this changes at this moment: ask again")]
    Contended(#[source] CatalogError),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(CatalogError),
}

impl From<CatalogError> for DeleteError {
    fn from(error: CatalogError) -> Self {
        if error.is_contended() {
            Self::Contended(error)
        } else {
            Self::Catalog(error)
        }
    }
}

impl DeleteError {
    /// The stable code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotFound(_) => Code::NotFound,
            Self::Contended(_) => Code::Overloaded,
            Self::Catalog(e) => e.code(),
        }
    }
}

/// Deletes the asset of `owner` that stands for this one; its id. Doing so twice is harmless.
///
/// # Errors
/// If there is none, or the catalog fails.
pub async fn delete_asset(
    tx: &mut Tx<'_>,
    context: &Context,
    owner: &Owner,
    asset_id: &str,
) -> Result<String, DeleteError> {
    let deleted = delete(tx, context, owner, asset_id, Meant::Asset).await?;
    deleted.ok_or(DeleteError::NotFound("asset"))
}

/// Deletes the asset of `owner` that stands for this one, unless it stays by what is meant; the id of the one that stands for it.
/// `None` if there is none.
///
/// # Errors
/// If others have hold of it, or the catalog fails.
pub(super) async fn delete(
    tx: &mut Tx<'_>,
    context: &Context,
    owner: &Owner,
    asset_id: &str,
    meant: Meant<'_>,
) -> Result<Option<String>, DeleteError> {
    let (event_id, now) = (context.fresh_id(ids::EVENT), context.now());
    let (tenant_id, owner_id) = (&owner.tenant_id, &owner.owner_id);
    let outcome =
        deletions::delete(tx, tenant_id, owner_id, asset_id, meant, &event_id, now).await?;
    let (asset_id, doomed, parted) = match outcome {
        Outcome::Nothing => return Ok(None),
        Outcome::Before(asset_id) | Outcome::Kept(asset_id) => return Ok(Some(asset_id)),
        Outcome::Deleted {
            asset_id,
            doomed,
            parted,
        } => (asset_id, doomed, parted),
    };
    let told = Told {
        kind: "asset.deleted",
        owner,
        asset_id: &asset_id,
    };
    record(tx, context, told).await?;
    for asset_id in &parted {
        let told = Told {
            kind: "asset.updated",
            owner,
            asset_id,
        };
        record(tx, context, told).await?;
    }
    for blob_id in &doomed {
        enqueue_in(tx, context, Lane::Standard, JobKind::Purge, owner, blob_id).await?;
    }
    // Whoever looks after uploads, too.
    tx.ring().await?;
    // An asset whose bytes never came, or are another's too, leaves nothing to be removed.
    super::complete_deletions::complete(tx, context, tenant_id, &asset_id).await?;
    Ok(Some(asset_id))
}

/// How a deleted asset of `owner` is answered.
///
/// # Errors
/// If there is none, or the catalog fails.
pub async fn read_deletion(
    context: &Context,
    owner: &Owner,
    asset_id: &str,
) -> Result<wire::AssetDeleted, DeleteError> {
    let mut reader = context.catalog.reader().await?;
    let tx = &mut reader.tx();
    let asset = assets::standing_for(tx, &owner.tenant_id, asset_id)
        .await?
        .filter(|a| a.owner_id == owner.owner_id && a.state == State::Deleted)
        .ok_or(DeleteError::NotFound("asset"))?;
    let deletion = deletions::find(tx, &owner.tenant_id, &asset.asset_id).await?;
    let deleted_at = deletion.as_ref().map_or(asset.updated_at, |d| d.deleted_at);
    Ok(wire::AssetDeleted {
        asset_id: asset.asset_id,
        state: asset.state.as_str().to_owned(),
        deleted_at: deleted_at.rfc3339(),
        completed_at: deletion.and_then(|d| d.completed_at).map(|at| at.rfc3339()),
    })
}
