//! Albums: an owner's own groups of assets.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::assets::named;

/// An album.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Album {
    /// The album.
    pub album_id: String,
    /// Its title.
    pub title: String,
    /// How many assets it has.
    pub asset_count: i64,
    /// Raised by each change of its title; for `If-Match`.
    pub revision: i64,
    /// When it was made.
    pub created_at: String,
    /// When it, or what is in it, was last changed by its owner.
    pub updated_at: String,
}

/// Makes an album.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct CreateAlbum {
    /// Its title: 1 to 256 characters.
    #[serde(default)]
    pub title: String,
}

/// A change of an album: a merge patch (RFC 7396).
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct PatchAlbum {
    /// Its title, which cannot be cleared.
    #[serde(
        default,
        deserialize_with = "named",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>)]
    pub title: Option<Option<String>>,
}

/// A page of albums, the newest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AlbumPage {
    /// The albums.
    pub items: Vec<Album>,
    /// Give it as `cursor` to go on; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Adds assets to an album.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct AddAssets {
    /// The assets, 1 to 100.
    #[serde(default)]
    pub asset_ids: Vec<String>,
}

/// What became of the assets that were to be added, in the order of the request.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AssetsAdded {
    /// One for each.
    pub items: Vec<AssetAdded>,
}

/// What became of one.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AssetAdded {
    /// The asset, as it was named.
    pub asset_id: String,
    /// `in_album`, or `not_found`: there is no such asset of this owner, or it was deleted.
    pub outcome: String,
}
