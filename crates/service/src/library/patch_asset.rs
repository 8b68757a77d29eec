//! `PATCH /v1/assets/{id}`: title, capture time, location, tags, visibility.

use safelight_api::assets::PatchAsset;
use safelight_api::events::EventFacts;
use safelight_catalog::{CatalogError, Tx, assets, metadata};
use safelight_model::codes::Code;
use safelight_model::metadata::{BadPatch, LocationPatch, Moment, Patch, Visibility, changed};
use safelight_model::tags::{self, BadTags};

use super::Expected;
use crate::context::{Context, Owner};
use crate::insights::record::{Told, record_with};

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// There is no such asset of this owner.
    #[error("there is no such asset")]
    NotFound,
    /// It was deleted.
    #[error("this asset was deleted")]
    Deleted,
    /// It is not as the caller believes.
    #[error("the asset is at revision {0}: read it again, and decide anew")]
    Revision(i64),
    /// What would be said is not valid: where, and why.
    #[error("{1}")]
    Invalid(String, String),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl PatchError {
    /// The stable code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotFound => Code::NotFound,
            Self::Deleted => Code::AssetDeleted,
            Self::Revision(_) => Code::RevisionMismatch,
            Self::Invalid(..) => Code::ValidationFailed,
            Self::Catalog(e) => e.code(),
        }
    }

    /// Which member is wrong.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Invalid(field, _) => Some(field),
            _ => None,
        }
    }
}

impl From<BadPatch> for PatchError {
    fn from(bad: BadPatch) -> Self {
        Self::Invalid(bad.field.to_owned(), bad.why.to_owned())
    }
}

fn invalid(field: impl Into<String>, why: &str) -> PatchError {
    PatchError::Invalid(field.into(), why.to_owned())
}

/// What a request asks for.
///
/// # Errors
/// If it could be valid for no asset.
pub fn read_patch(request: &PatchAsset) -> Result<Patch, PatchError> {
    let captured_at = match &request.captured_at {
        None => None,
        Some(None) => Some(None),
        Some(Some(text)) => Some(Some(Moment::parse(text).ok_or_else(|| {
            invalid(
                "captured_at",
                "captured_at must be RFC 3339, as 2026-11-23T09:00:00+01:00",
            )
        })?)),
    };
    let tags = request.tags.as_ref().map(|given| {
        let given = given.iter().flatten().map(String::as_str);
        tags::set(given).map_err(|bad| match bad {
            BadTags::Tag(i) => invalid(
                format!("tags[{i}]"),
                "a tag has 1 to 64 characters, none of them a control character",
            ),
            BadTags::TooMany => invalid("tags", "an asset has at most 50 tags"),
        })
    });
    let visibility = request.visibility.as_ref().map(|given| match given {
        None => Ok(Visibility::default()),
        Some(text) => Visibility::parse(text)
            .ok_or_else(|| invalid("visibility", "visibility must be private or public")),
    });
    Ok(Patch {
        title: request.title.clone(),
        captured_at,
        location: request.location.map(|location| {
            location.map(|l| LocationPatch {
                latitude: l.latitude,
                longitude: l.longitude,
                altitude_m: l.altitude_m,
            })
        }),
        tags: tags.transpose()?,
        visibility: visibility.transpose()?,
    })
}

/// Changes what is said of an asset of `owner`; the id of the asset that stands for it. What changes nothing leaves
/// the revision as it is, and tells nobody.
///
/// # Errors
/// If there is no such asset, it is not as the caller believes, the outcome would not be valid, or the catalog fails.
pub async fn patch_asset(
    tx: &mut Tx<'_>,
    context: &Context,
    owner: &Owner,
    asset_id: &str,
    patch: &Patch,
    expected: &Expected,
) -> Result<String, PatchError> {
    let held = metadata::hold(tx, &owner.tenant_id, &owner.owner_id, asset_id).await?;
    let Some(asset) = held else {
        let there = assets::standing_for(tx, &owner.tenant_id, asset_id).await?;
        return Err(match there.filter(|a| a.owner_id == owner.owner_id) {
            Some(_) => PatchError::Deleted,
            None => PatchError::NotFound,
        });
    };
    if !expected.is(asset.revision) {
        return Err(PatchError::Revision(asset.revision));
    }
    let tags = metadata::tags(tx, &asset).await?;
    let (after, tags_after) = patch.apply(&asset.metadata, &tags)?;
    let mut names = changed(&asset.metadata, &after);
    if tags_after != tags {
        names.push("tags");
    }
    if names.is_empty() {
        return Ok(asset.asset_id);
    }
    metadata::write(tx, &asset, &after, context.now()).await?;
    let taken_at = after.captured_at.map_or(asset.created_at, |m| m.at);
    metadata::write_tags(tx, &asset, &tags, &tags_after, taken_at).await?;
    let told = Told {
        kind: "asset.updated",
        owner,
        asset_id: &asset.asset_id,
    };
    let facts = EventFacts {
        changed: Some(names.into_iter().map(str::to_owned).collect()),
        ..EventFacts::default()
    };
    record_with(tx, context, told, &facts).await?;
    Ok(asset.asset_id)
}
