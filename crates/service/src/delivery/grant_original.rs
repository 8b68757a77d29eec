//! `POST /v1/assets/{id}/grants`: explicit access to an original, for a time.

use std::time::Duration;

use safelight_api::assets::OriginalGranted;
use safelight_catalog::{CatalogError, assets};
use safelight_model::clock::Micros;
use safelight_model::codes::Code;
use safelight_model::limits;

use super::links::{self, File};
use crate::context::{Context, Owner};
use crate::governance::decide::{Refusal, Wanted, decide};

/// Why no access is granted.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// There is no such asset of this owner.
    #[error("there is no such asset")]
    NotFound,
    /// The time asked for is wrong.
    #[error("ttl_s must be from 1 to 86400")]
    Life,
    /// It may not be given out.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl GrantError {
    /// The stable code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotFound => Code::NotFound,
            Self::Life => Code::ValidationFailed,
            Self::Refused(refusal) => refusal.code(),
            Self::Catalog(e) => e.code(),
        }
    }
}

/// Grants access to the original of an asset of `owner`.
///
/// # Errors
/// If there is none, it may not be given out, or the catalog fails.
pub async fn grant_original(
    context: &Context,
    owner: &Owner,
    asset_id: &str,
    ttl_s: Option<u32>,
) -> Result<OriginalGranted, GrantError> {
    let (default, most) = limits::DEVICE_TOKEN;
    let life = ttl_s.map_or(default, |s| Duration::from_secs(u64::from(s)));
    if life.is_zero() || life > most {
        return Err(GrantError::Life);
    }
    let asset = assets::standing_for(
        &mut context.catalog.reader().await?.tx(),
        &owner.tenant_id,
        asset_id,
    )
    .await?
    .filter(|a| a.owner_id == owner.owner_id)
    .ok_or(GrantError::NotFound)?;
    decide(&asset, Wanted::Original)?;
    let expiry = context.now().plus(life).unix_seconds();
    let url = links::signed(
        context,
        &links::path(&asset.public_id, File::Original),
        expiry,
    );
    Ok(OriginalGranted {
        url,
        expires_at: Micros(expiry.saturating_mul(1_000_000)).rfc3339(),
    })
}
