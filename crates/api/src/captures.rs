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
    /// Whether the system sends the files in the background, each as one request, whether the app runs or not
    /// (background sessions of iOS).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub background: bool,
    /// The transports the client speaks, of `single`, `multipart` and `append`; unknown ones are ignored. Left
    /// empty, `single` and `multipart`.
    #[serde(default)]
    pub accept_transports: Vec<String>,
    /// What becomes of bytes that the owner has already: `merge` (the asset that has them joins the capture), or `keep`
    /// (they become an asset of their own, on the same stored bytes). Left out, `merge`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicates: Option<String>,
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
    #[serde(
        default,
        deserialize_with = "crate::hint::count",
        skip_serializing_if = "Option::is_none"
    )]
    pub memory_mb: Option<u32>,
    /// Processor cores.
    #[serde(
        default,
        deserialize_with = "crate::hint::count",
        skip_serializing_if = "Option::is_none"
    )]
    pub cores: Option<u32>,
}

/// The phone's network, for the plan and for segmentation.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Network {
    /// `wifi`, `ethernet`, `2g`, `3g`, `4g`, `5g`, or `cellular` where the generation is not known.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What was measured towards the device, in kbit/s.
    #[serde(
        default,
        deserialize_with = "crate::hint::count",
        skip_serializing_if = "Option::is_none"
    )]
    pub downlink_kbps: Option<u32>,
    /// What was measured towards the server, in kbit/s; it goes before `downlink_kbps`.
    #[serde(
        default,
        deserialize_with = "crate::hint::count",
        skip_serializing_if = "Option::is_none"
    )]
    pub uplink_kbps: Option<u32>,
    /// Packets lost, from 0 to 1.
    #[serde(
        default,
        deserialize_with = "crate::hint::share",
        skip_serializing_if = "Option::is_none"
    )]
    pub loss: Option<f32>,
    /// Round trip in milliseconds.
    #[serde(
        default,
        deserialize_with = "crate::hint::count",
        skip_serializing_if = "Option::is_none"
    )]
    pub rtt_ms: Option<u32>,
    /// Whether bytes cost the user money.
    #[serde(
        default,
        deserialize_with = "crate::hint::flag",
        skip_serializing_if = "Option::is_none"
    )]
    pub metered: Option<bool>,
    /// Whether the user asked to save them.
    #[serde(
        default,
        deserialize_with = "crate::hint::flag",
        skip_serializing_if = "Option::is_none"
    )]
    pub save_data: Option<bool>,
}

/// The phone's battery.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Battery {
    /// From 0 to 1.
    #[serde(
        default,
        deserialize_with = "crate::hint::share",
        skip_serializing_if = "Option::is_none"
    )]
    pub level: Option<f32>,
    /// Whether it is being charged.
    #[serde(
        default,
        deserialize_with = "crate::hint::flag",
        skip_serializing_if = "Option::is_none"
    )]
    pub charging: Option<bool>,
    /// Whether the system saves it (low power mode, battery saver).
    #[serde(
        default,
        deserialize_with = "crate::hint::flag",
        skip_serializing_if = "Option::is_none"
    )]
    pub saver: Option<bool>,
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
    /// Width in pixels, as the device knows it: for advice only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Height in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// What is seen in it, if the client can say: `screenshot`, `flat` or `detailed`; unknown words are ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
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
    /// How many of its files had better be under way at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assets_at_once: Option<u32>,
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
    /// Advice to send a smaller copy instead, as a file of its own; the original stays on the device until that is safe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compress: Option<Compress>,
    /// What decided the transport, then the concurrency: `default`, `small_file`, `large_file`, `thin_link`,
    /// `lossy_link`, `background`, `only_spoken`, `bandwidth_bound`, `loss_bound`, `round_trip_bound`, `low_battery`,
    /// `already_begun`. The list grows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
}

/// How a smaller copy is best made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Compress {
    /// The media type to encode as.
    pub format: String,
    /// From 1 to 100; 100 is lossless where the format can be.
    pub quality: u32,
    /// The longest edge in pixels; without one, keep the size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_edge_px: Option<u32>,
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
    /// The asset of its best frame, by sharpness and exposure, as far as its frames were measured. Advice: the key frame is what the
    /// client said. Absent until a frame was measured, and where it has one asset only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_asset_id: Option<String>,
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
    /// How sharp and how well exposed it is, once that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<crate::assets::FrameScores>,
    /// Its open uploads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uploads: Vec<String>,
}

/// A capture that was deleted.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CaptureDeleted {
    /// The capture.
    pub capture_id: String,
    /// `deleted`.
    pub state: String,
    /// When it was deleted. From then on nobody is given anything of it.
    pub deleted_at: String,
    /// When nothing was left at the store of what went with it; absent until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<String>,
    /// What became of its assets, in order.
    pub assets: Vec<CaptureAssetDeleted>,
}

/// What became of an asset whose capture was deleted.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CaptureAssetDeleted {
    /// The asset.
    pub asset_id: String,
    /// `deleted`; or the state that it is in, as another capture holds it, too, and it stays for that one.
    pub state: String,
}
