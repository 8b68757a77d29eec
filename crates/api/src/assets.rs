//! Assets: reading, listing, grants.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An asset. Small by default; `fields=` asks for more.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Asset {
    /// The asset.
    pub asset_id: String,
    /// Its lifecycle state.
    pub state: String,
    /// Why, when the state needs a reason: a code of `/docs/errors`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What has arrived and been made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The cover's URL once it is viewable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cover_url: Option<String>,
    /// `fields=renditions`: the picture in the size and format that serve who asks, once it is viewable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_url: Option<String>,
    /// `fields=thumbhash`: a blurred placeholder, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbhash: Option<String>,
    /// `fields=capture`: the capture it came with first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture_id: Option<String>,
    /// `fields=original`: what was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Original>,
    /// `fields=renditions`: what was derived, by preset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renditions: Option<BTreeMap<String, Rendition>>,
    /// `fields=scores`, once they were measured: how sharp and how well exposed it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<FrameScores>,
    /// `fields=times`: when things happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<Times>,
    /// `fields=title`, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// `fields=captured_at`, if it is known: when it was taken, RFC 3339, with the offset that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured_at: Option<String>,
    /// `fields=location`, if it is known: where it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// `fields=metadata`, once its file was read: what that tells of how it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<FileMetadata>,
    /// `fields=live`, of half a Live Photo whose other half is shown: both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<LivePhoto>,
    /// `fields=visibility`: `private` or `public`, as the owner says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<String>,
    /// `fields=tags`: all of them, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// `fields=albums`: those that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub albums: Option<Vec<String>>,
    /// `fields=revision`: raised by each change of title, capture time, location, tags or visibility; for `If-Match`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
}

/// The two assets of a Live Photo: files of one owner that name the same content identifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LivePhoto {
    /// The picture.
    pub still: String,
    /// The clip.
    pub motion: String,
}

/// How sharp and how well exposed a picture is, measured on its lightness at the size of `display`, or of the original where that is
/// smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FrameScores {
    /// From 0 on; more is sharper. To be compared with pictures of the same scene only: a wall has less than a tree. Contrast and
    /// exposure do not count.
    pub sharpness: u32,
    /// The mean of its lightness, from 0 to 255.
    pub mean_luma: u8,
    /// Thousandths of its pixels that are black, or nearly.
    pub dark_permille: u16,
    /// Thousandths of its pixels that are white, or nearly.
    pub bright_permille: u16,
    /// How many faces look out of it, of a frame of a burst, where faces are looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faces: Option<u8>,
}

impl From<safelight_model::best_frame::FrameScores> for FrameScores {
    fn from(measured: safelight_model::best_frame::FrameScores) -> Self {
        Self {
            sharpness: measured.sharpness,
            mean_luma: measured.mean_luma,
            dark_permille: measured.dark_permille,
            bright_permille: measured.bright_permille,
            faces: measured.faces,
        }
    }
}

/// What a file tells of how, when and where it was taken. Nothing of it has been proven: anybody can write it. What the owner has
/// said of time and place stands in place of what the file tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FileMetadata {
    /// When it was taken: RFC 3339, with the offset of the place where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured_at: Option<String>,
    /// In place of `captured_at` where the zone is not known: what a clock on the wall showed, as `2020-05-04T18:39:11`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured_local: Option<String>,
    /// The maker of the camera.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub make: Option<String>,
    /// The camera, as its maker calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The lens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lens: Option<String>,
    /// How long light fell in, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure_s: Option<f64>,
    /// Focal length over aperture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub f_number: Option<f64>,
    /// Sensitivity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iso: Option<u32>,
    /// The focal length as it is, not as it would be on film.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub focal_length_mm: Option<f64>,
    /// How the original is to be turned upright, from 1 to 8 as EXIF counts. Renditions are upright.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orientation: Option<u8>,
    /// `true` if the file of a picture holds a clip too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub motion_photo: Option<bool>,
    /// How long a clip runs, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Where it was taken; what the file tells of it only as the tenant's `metadata_policy` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// What the pictures of one burst share; as the policy has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst_id: Option<String>,
    /// What the still and the clip of a Live Photo share; as the policy has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_id: Option<String>,
}

/// Where an asset was taken (WGS 84).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Location {
    /// Degrees north, from -90 to 90; kept to seven decimals.
    pub latitude: f64,
    /// Degrees east, from -180 to 180; kept to seven decimals.
    pub longitude: f64,
    /// Metres above the sea, kept to millimetres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub altitude_m: Option<f64>,
}

/// A change of what is said of an asset: a merge patch (RFC 7396). What is not named stays; `null` clears.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct PatchAsset {
    /// Its title: 1 to 256 characters.
    #[serde(
        default,
        deserialize_with = "named",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>)]
    pub title: Option<Option<String>>,
    /// When it was taken: RFC 3339, with the offset of the place.
    #[serde(
        default,
        deserialize_with = "named",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>)]
    pub captured_at: Option<Option<String>>,
    /// Where it was taken, member by member.
    #[serde(
        default,
        deserialize_with = "named",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<PatchLocation>)]
    pub location: Option<Option<PatchLocation>>,
    /// All its tags, at most 50 of at most 64 characters. They are kept in lower case.
    #[serde(
        default,
        deserialize_with = "named",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<Vec<String>>)]
    pub tags: Option<Option<Vec<String>>>,
    /// `private` or `public`; `null` is `private`.
    #[serde(
        default,
        deserialize_with = "named",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>)]
    pub visibility: Option<Option<String>>,
}

/// A change of a location.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct PatchLocation {
    /// Degrees north.
    #[serde(
        default,
        deserialize_with = "named",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<f64>)]
    pub latitude: Option<Option<f64>>,
    /// Degrees east.
    #[serde(
        default,
        deserialize_with = "named",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<f64>)]
    pub longitude: Option<Option<f64>>,
    /// Metres above the sea.
    #[serde(
        default,
        deserialize_with = "named",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<f64>)]
    pub altitude_m: Option<Option<f64>>,
}

/// A member that is there, if only as `null`.
pub(crate) fn named<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// Why an asset is in its state.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Reason {
    /// A stable code.
    pub code: String,
    /// What happened, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// How far an asset is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// Renditions that are stored.
    pub renditions_ready: u32,
    /// Renditions that there will be.
    pub renditions_total: u32,
}

/// What was stored.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Original {
    /// The name it had on the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Its type: as declared until inspected, then by content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime: Option<String>,
    /// Its size.
    pub size_bytes: i64,
    /// Its SHA-256, once that is verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Upright width in pixels, once inspected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<i64>,
    /// Upright height in pixels, once inspected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<i64>,
}

/// One rendition.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Rendition {
    /// `pending`, `ready` or `failed`.
    pub state: String,
    /// Where it is, signed, when it may be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The same in the format that serves who asks: AVIF, WebP or JPEG.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_url: Option<String>,
    /// Width in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<i64>,
    /// Height in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<i64>,
    /// Its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<i64>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// When things happened.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Times {
    /// Initiated.
    pub created_at: String,
    /// The original was whole in the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uploaded_at: Option<String>,
    /// It became viewable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewable_at: Option<String>,
    /// Last change.
    pub updated_at: String,
}

/// A page of assets, the newest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AssetPage {
    /// The assets.
    pub items: Vec<Asset>,
    /// Give it as `cursor` to go on; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// What looks nearly like an asset.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NearAssets {
    /// The asset: the one asked for, or that which stands for it.
    pub asset_id: String,
    /// Whether its picture can be compared. Not before it is `ready`; not what is too plain, as a black picture; not
    /// what was inspected by a version that did not compare pictures.
    pub comparable: bool,
    /// The assets, the nearest first, of the equally near the nearest in time.
    pub items: Vec<NearAsset>,
}

/// An asset that looks nearly like another.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NearAsset {
    /// How unlike the two pictures are, from 0 to 64, the number of bits in which their hashes differ. At most 7, or 12 where
    /// they were taken within ten minutes of one another.
    pub distance: u32,
    /// The asset.
    #[serde(flatten)]
    pub asset: Asset,
}

/// An asset that was deleted.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AssetDeleted {
    /// The asset: the one asked for, or that which stood for it.
    pub asset_id: String,
    /// `deleted`.
    pub state: String,
    /// When it was deleted. From then on nobody is given anything of it.
    pub deleted_at: String,
    /// When nothing of its bytes was left at the store; absent until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<String>,
}

/// Asks for access to an original, or to what is made when it is asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct GrantOriginal {
    /// `original`, the bytes as they were received, by default; `cleaned`: the same pixels and sound, without what they tell of
    /// place, time, camera or people; or `motion`: the clip in a motion photo, as every player plays it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// How long, in seconds; an hour by default, a day at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u32>,
}

/// What is granted is being made: ask again.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct OriginalPending {
    /// `pending`.
    pub state: String,
}

/// Access to what was asked for.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct OriginalGranted {
    /// Where it can be read.
    pub url: String,
    /// Until when.
    pub expires_at: String,
}
