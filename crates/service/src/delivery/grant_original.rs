//! `POST /v1/assets/{id}/grants`: explicit access to an original, for a time.

use std::time::Duration;

use safelight_api::assets::OriginalGranted;
use safelight_catalog::CatalogError;
use safelight_catalog::assets::{self, Asset};
use safelight_model::clock::Micros;
use safelight_model::codes::Code;
use safelight_model::limits;

use super::links::{self, File};
use crate::context::{Context, Owner};
use crate::governance::decide::{Refusal, Wanted, decide};

/// Access to what is made when it is first asked for.
#[derive(Clone, Debug)]
pub enum Granted {
    /// It is there.
    Link(OriginalGranted),
    /// It is being made, of this asset.
    Pending(String),
}

/// Why no access is granted.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// There is no such asset of this owner.
    #[error("there is no such asset")]
    NotFound,
    /// The time asked for is wrong.
    #[error("ttl_s must be from 1 to 86400")]
    Life,
    /// It is no motion photo.
    #[error("there is no clip in this picture")]
    NoClip,
    /// No cleaned original can be made of it.
    #[error("{0}")]
    NotCleanable(String),
    /// Making what was asked for of it failed for good.
    #[error("{1}")]
    Failed(Code, String),
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
            Self::NotFound | Self::NoClip => Code::NotFound,
            Self::Life => Code::ValidationFailed,
            Self::NotCleanable(_) => Code::NotCleanable,
            Self::Failed(code, _) => *code,
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
    let life = life_of(ttl_s)?;
    let asset = asset_of(context, owner, asset_id, Wanted::Original).await?;
    Ok(granted(context, &asset, File::Original, life))
}

/// How long access is asked for.
pub(super) fn life_of(ttl_s: Option<u32>) -> Result<Duration, GrantError> {
    let (default, most) = limits::DEVICE_TOKEN;
    let life = ttl_s.map_or(default, |s| Duration::from_secs(u64::from(s)));
    match life.is_zero() || life > most {
        true => Err(GrantError::Life),
        false => Ok(life),
    }
}

/// The asset of `owner` that stands for this one, if what is wanted of it may be given out.
pub(super) async fn asset_of(
    context: &Context,
    owner: &Owner,
    asset_id: &str,
    wanted: Wanted,
) -> Result<Asset, GrantError> {
    let asset = assets::standing_for(
        &mut context.catalog.reader().await?.tx(),
        &owner.tenant_id,
        asset_id,
    )
    .await?
    .filter(|a| a.owner_id == owner.owner_id)
    .ok_or(GrantError::NotFound)?;
    decide(&asset, wanted)?;
    Ok(asset)
}

/// A link to a file of an asset for so long.
pub(super) fn granted(
    context: &Context,
    asset: &Asset,
    file: File,
    life: Duration,
) -> OriginalGranted {
    let expiry = context.now().plus(life).unix_seconds();
    OriginalGranted {
        url: links::signed(context, &links::path(&asset.public_id, file), expiry),
        expires_at: Micros(expiry.saturating_mul(1_000_000)).rfc3339(),
    }
}
