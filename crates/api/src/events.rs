//! Events on their way out: CloudEvents 1.0, in the JSON format. Ids and codes, never content.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The version of the CloudEvents specification.
pub const SPEC_VERSION: &str = "1.0";
/// Where events come from. With the id it tells an event from all others.
pub const SOURCE: &str = "/v1/events";

/// All types of events of this version.
pub const TYPES: [&str; 14] = [
    "capture.created",
    "capture.updated",
    "capture.deleted",
    "upload.started",
    "upload.completed",
    "upload.merged",
    "asset.state_changed",
    "rendition.ready",
    "asset.updated",
    "asset.deleted",
    "deletion.completed",
    "album.created",
    "album.updated",
    "album.deleted",
];

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CloudEvent {
    /// `1.0`.
    pub specversion: String,
    /// Names the event: `evt_…`. An event that comes twice has the same id.
    pub id: String,
    /// `/v1/events`.
    pub source: String,
    /// `capture.created`, `capture.updated`, `capture.deleted`, `upload.started`, `upload.completed`, `upload.merged`, `asset.state_changed`,
    /// `rendition.ready`, `asset.updated`, `asset.deleted`, `deletion.completed`, `album.created`, `album.updated`, `album.deleted`, or one that you do not know.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is about: the asset, else the capture, else the album.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it happened.
    pub time: String,
    /// `application/json`.
    pub datacontenttype: String,
    /// Its place in the tenant's order of events, in decimal: larger is later.
    pub position: String,
    /// What it is about.
    pub data: EventBody,
}

/// What an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventBody {
    /// The owner.
    pub owner: String,
    /// The capture: its own, or the one that the asset came with first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture_id: Option<String>,
    /// The asset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset_id: Option<String>,
    /// What more is known.
    #[serde(flatten)]
    pub facts: EventFacts,
}

/// What more is known of an event, by its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventFacts {
    /// The state before (`asset.state_changed`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The state since (`asset.state_changed`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Why: one of the error codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The asset that stands for this one from now on, since it has the same bytes (`asset.state_changed`,
    /// `upload.merged`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<String>,
    /// The upload (`upload.started`, `upload.completed`, `upload.merged`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_id: Option<String>,
    /// The rendition's preset (`rendition.ready`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// The preset's version (`rendition.ready`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Which of what the owner says is different: `title`, `captured_at`, `location`, `tags`, `visibility` or `albums`
    /// (`asset.updated`, `album.updated`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Vec<String>>,
    /// The album (`album.created`, `album.updated`, `album.deleted`; `asset.updated`, if the asset joined or left it).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub album_id: Option<String>,
    /// The asset of the capture's best frame, as far as its frames were measured (`capture.updated`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_asset_id: Option<String>,
}
