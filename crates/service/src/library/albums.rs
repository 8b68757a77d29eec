//! Albums: make, read, list, rename, delete.

use safelight_api::albums as wire;
use safelight_api::events::EventFacts;
use safelight_catalog::albums::{self, Album};
use safelight_catalog::{CatalogError, Tx};
use safelight_model::codes::Code;
use safelight_model::{ids, limits, text};

use super::Expected;
use crate::context::{Context, Owner};
use crate::cursor::List;
use crate::insights::record::record_of_owner;

/// Why something was not done with an album.
#[derive(Debug, thiserror::Error)]
pub enum AlbumError {
    /// There is no such album of this owner.
    #[error("there is no such album")]
    NotFound,
    /// There is no such asset of this owner, or it was deleted.
    #[error("there is no such asset")]
    NoAsset,
    /// It is not as the caller believes.
    #[error("the album is at revision {0}: read it again, and decide anew")]
    Revision(i64),
    /// Something in the request is not valid: where, and why.
    #[error("{1}")]
    Invalid(&'static str, String),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl AlbumError {
    /// The stable code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotFound | Self::NoAsset => Code::NotFound,
            Self::Revision(_) => Code::RevisionMismatch,
            Self::Invalid(..) => Code::ValidationFailed,
            Self::Catalog(e) => e.code(),
        }
    }

    /// Which part of the request is wrong.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Invalid(field, _) => Some(field),
            _ => None,
        }
    }
}

fn check_title(title: &str) -> Result<(), AlbumError> {
    if text::is_reference(title, limits::MAX_TITLE) {
        return Ok(());
    }
    Err(AlbumError::Invalid(
        "title",
        "an album has a title of 1 to 256 characters, none of them a control character".into(),
    ))
}

fn facts(album_id: &str, changed: Option<&str>) -> EventFacts {
    EventFacts {
        album_id: Some(album_id.to_owned()),
        changed: changed.map(|name| vec![name.to_owned()]),
        ..EventFacts::default()
    }
}

/// Makes an album of `owner`; its id.
///
/// # Errors
/// If the title is none, or the catalog fails.
pub async fn create_album(
    tx: &mut Tx<'_>,
    context: &Context,
    owner: &Owner,
    title: &str,
) -> Result<String, AlbumError> {
    check_title(title)?;
    let album_id = context.fresh_id(ids::ALBUM);
    let (tenant_id, owner_id) = (&owner.tenant_id, &owner.owner_id);
    albums::insert(tx, tenant_id, owner_id, &album_id, title, context.now()).await?;
    record_of_owner(tx, context, "album.created", owner, &facts(&album_id, None)).await?;
    Ok(album_id)
}

/// One album of `owner`.
///
/// # Errors
/// If there is none, or the catalog fails.
pub async fn read_album(
    context: &Context,
    owner: &Owner,
    album_id: &str,
) -> Result<wire::Album, AlbumError> {
    let mut reader = context.catalog.reader().await?;
    let tx = &mut reader.tx();
    let album = albums::find(tx, &owner.tenant_id, &owner.owner_id, album_id).await?;
    album.map(render).ok_or(AlbumError::NotFound)
}

fn render(album: Album) -> wire::Album {
    wire::Album {
        album_id: album.album_id,
        title: album.title,
        asset_count: album.asset_count,
        revision: album.revision,
        created_at: album.created_at.rfc3339(),
        updated_at: album.updated_at.rfc3339(),
    }
}

/// A page of an owner's albums, the newest first.
///
/// # Errors
/// If the query is wrong, or the catalog fails.
pub async fn list_albums(
    context: &Context,
    owner: &Owner,
    limit: Option<i64>,
    cursor: Option<&str>,
) -> Result<wire::AlbumPage, AlbumError> {
    let (default, most) = limits::PAGE;
    let limit = limit.unwrap_or(default);
    if !(1..=most).contains(&limit) {
        let why = format!("limit must be from 1 to {most}");
        return Err(AlbumError::Invalid("limit", why));
    }
    let list = List::of(&["albums", &owner.tenant_id, &owner.owner_id]);
    let after = cursor.map(|cursor| {
        list.place(cursor).ok_or_else(|| {
            let why = "cursor must be a next_cursor of an earlier page";
            AlbumError::Invalid("cursor", why.into())
        })
    });
    let after = after.transpose()?;
    let mut reader = context.catalog.reader().await?;
    let tx = &mut reader.tx();
    let (tenant_id, owner_id) = (&owner.tenant_id, &owner.owner_id);
    let mut found = albums::list(tx, tenant_id, owner_id, after.as_deref(), limit + 1).await?;
    let more = found.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    if more {
        found.pop();
    }
    let last = found.last().filter(|_| more);
    Ok(wire::AlbumPage {
        next_cursor: last.map(|album| list.cursor(&album.album_id)),
        items: found.into_iter().map(render).collect(),
    })
}

/// Changes an album of `owner`. What changes nothing leaves the revision as it is, and tells nobody.
///
/// # Errors
/// If there is no such album, it is not as the caller believes, the title is none, or the catalog fails.
pub async fn patch_album(
    tx: &mut Tx<'_>,
    context: &Context,
    owner: &Owner,
    album_id: &str,
    title: Option<&Option<String>>,
    expected: &Expected,
) -> Result<String, AlbumError> {
    let album = held(tx, owner, album_id).await?;
    if !expected.is(album.revision) {
        return Err(AlbumError::Revision(album.revision));
    }
    let Some(title) = title else {
        return Ok(album.album_id);
    };
    let title = title.as_deref().unwrap_or_default();
    check_title(title)?;
    if title != album.title {
        albums::retitle(tx, &owner.tenant_id, album_id, title, context.now()).await?;
        let facts = facts(album_id, Some("title"));
        record_of_owner(tx, context, "album.updated", owner, &facts).await?;
    }
    Ok(album.album_id)
}

/// Holds an album of `owner` until the end of the transaction, and reads it.
async fn held(tx: &mut Tx<'_>, owner: &Owner, album_id: &str) -> Result<Album, AlbumError> {
    let (tenant_id, owner_id) = (&owner.tenant_id, &owner.owner_id);
    if !albums::hold(tx, tenant_id, owner_id, album_id).await? {
        return Err(AlbumError::NotFound);
    }
    let album = albums::find(tx, tenant_id, owner_id, album_id).await?;
    album.ok_or(AlbumError::NotFound)
}

/// Deletes an album of `owner`; its assets stay.
///
/// # Errors
/// If there is no such album, it is not as the caller believes, or the catalog fails.
pub async fn delete_album(
    tx: &mut Tx<'_>,
    context: &Context,
    owner: &Owner,
    album_id: &str,
    expected: &Expected,
) -> Result<String, AlbumError> {
    let album = held(tx, owner, album_id).await?;
    if !expected.is(album.revision) {
        return Err(AlbumError::Revision(album.revision));
    }
    albums::delete(tx, &owner.tenant_id, &owner.owner_id, album_id).await?;
    record_of_owner(tx, context, "album.deleted", owner, &facts(album_id, None)).await?;
    Ok(album.album_id)
}
