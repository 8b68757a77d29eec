//! Captures: initiation and reading.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Asks for a capture. One request for a whole burst.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct InitiateCapture {
    /// The client's own reference for this act of the shutter, made once, before any network; unique per owner.
    pub client_ref: String,
    /// `single`, `burst`, `hdr`, `live` or `clip`.
    #[serde(default = "single")]
    pub mode: String,
    /// What the app means it for: `profile`, `post`, `message`, `archive` or a word of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// When it was taken, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured_at: Option<String>,
    /// The phone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
    /// Its network at this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Its battery at this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub battery: Option<Battery>,
    /// The transports the client speaks, of `single`, `multipart` and `append`; unknown ones are ignored. Left
    /// empty, `single` and `multipart`.
    #[serde(default)]
    pub accept_transports: Vec<String>,
    /// 1 to 100 media items.
    pub assets: Vec<InitiateAsset>,
}

fn single() -> String {
    "single".to_owned()
}

/// The phone, for segmentation.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// Its model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Its operating system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// The operating system's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// The app's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_version: Option<String>,
    /// Memory in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<u32>,
    /// Processor cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
}

/// The phone's network, for the plan and for segmentation.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Network {
    /// `wifi`, `cellular`, `ethernet`, …
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Downlink in kbit/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downlink_kbps: Option<u32>,
    /// Round trip in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<u32>,
    /// Whether bytes cost the user money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metered: Option<bool>,
}

/// The phone's battery.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Battery {
    /// From 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<f32>,
    /// Whether it is being charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charging: Option<bool>,
}

/// One media item of a capture.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct InitiateAsset {
    /// The client's reference, unique in the capture.
    pub client_ref: String,
    /// `key`, `frame`, `still` or `clip`. The key frame is sent first.
    #[serde(default = "still")]
    pub role: String,
    /// The files of it. This version takes exactly one, of kind `primary`.
    pub resources: Vec<InitiateResource>,
}

fn still() -> String {
    "still".to_owned()
}

/// One file of an asset.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct InitiateResource {
    /// `primary`.
    #[serde(default = "primary")]
    pub kind: String,
    /// The file's name on the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// The media type as the device knows it. What it really is, inspection finds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime: Option<String>,
    /// Exact size in bytes, at least 1.
    pub size_bytes: i64,
    /// SHA-256 of the file, lower-case hexadecimal. With it, bytes that the owner already has are not sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// A thumbhash, base64, at most 64 bytes; shown to the owner until the cover is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<String>,
}

fn primary() -> String {
    "primary".to_owned()
}

/// The answer to an initiation.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CaptureInitiated {
    /// The capture.
    pub capture_id: String,
    /// Its assets, in the order asked for.
    pub assets: Vec<AssetInitiated>,
}

/// One asset of the answer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AssetInitiated {
    /// The client's reference.
    pub client_ref: String,
    /// The asset. If the owner had these bytes already, the asset that has them.
    pub asset_id: String,
    /// Its state.
    pub state: String,
    /// What is to be sent. Empty when nothing is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uploads: Vec<UploadPlanned>,
}

/// One file to be sent.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct UploadPlanned {
    /// The upload.
    pub upload_id: String,
    /// The resource's kind.
    pub kind: String,
    /// How to send it.
    pub plan: Plan,
    /// For `single` and `append`, where to send it, at once. Part URLs are asked for when they are needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<crate::uploads::SignedUrl>,
}

/// How to send a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// `single`, `multipart` or `append`.
    pub transport: String,
    /// Size of every part but the last.
    pub part_size_bytes: i64,
    /// How many parts may be under way at once.
    pub concurrency: u32,
    /// The place of this file in the capture's sending order, from 0: the key frame first.
    pub order: u32,
}

/// A capture with its assets.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Capture {
    /// The capture.
    pub capture_id: String,
    /// The client's reference.
    pub client_ref: String,
    /// Its mode.
    pub mode: String,
    /// When it was initiated.
    pub created_at: String,
    /// Its assets in order.
    pub assets: Vec<CaptureAsset>,
}

/// An asset as its capture shows it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CaptureAsset {
    /// The client's reference.
    pub client_ref: String,
    /// The asset.
    pub asset_id: String,
    /// `key`, `frame`, `still` or `clip`.
    pub role: String,
    /// Its state.
    pub state: String,
    /// Why, when the state needs a reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its open uploads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uploads: Vec<String>,
}
