//! Uploads: signing, the truth, completion, abort.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Asks for URLs. At most 16 parts a request.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct SignUrls {
    /// The parts to sign. Left empty for `single`.
    #[serde(default)]
    pub parts: Vec<PartToSign>,
}

/// A part whose URL is wanted.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PartToSign {
    /// From 1.
    pub number: i64,
    /// SHA-256 of the part, lower-case hexadecimal. With it the store refuses any other bytes. For every part of an
    /// upload, or for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Signed URLs.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SignedUrls {
    /// One for each part asked for.
    pub urls: Vec<SignedUrl>,
}

/// Where and how to send one part, or the one file of `single`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SignedUrl {
    /// The part, from 1; 1 for `single`.
    pub number: i64,
    /// `PUT` to this; for `append`, what its protocol says.
    pub url: String,
    /// For `append`, what is spoken there: `rufh` (IETF resumable uploads) or `tus` (1.0). Use either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Send exactly these headers with it, besides `content-length`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The exact number of bytes to send.
    pub size_bytes: i64,
    /// Until when it works. Ask again after that.
    pub expires_at: String,
}

/// Asks for another plan of an unfinished upload, since the network or the battery is another now.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Replan {
    /// The device's network at this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<crate::captures::Network>,
    /// Its battery at this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub battery: Option<crate::captures::Battery>,
    /// Whether the system sends the file in the background.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub background: bool,
    /// The transports the client speaks, as at initiation. Left empty, the one that the upload has.
    #[serde(default)]
    pub accept_transports: Vec<String>,
    /// Whether what has arrived may be given up for another transport: for a link on which no part arrives whole any more. Only
    /// `append` is begun anew so, which loses nothing from then on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restart: bool,
}

/// Another plan.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Replanned {
    /// The upload.
    pub upload_id: String,
    /// How to go on. What has arrived of it counts: transport and part size change only if nothing has begun, or with `restart`.
    pub plan: crate::captures::Plan,
    /// The transport that would be chosen for the file if it had not begun, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_be: Option<String>,
    /// How many files had better be under way at once.
    pub assets_at_once: u32,
    /// For `append`, where to send it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<SignedUrl>,
}

/// Unfinished uploads.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct UploadList {
    /// The newest first, 8 at most.
    pub items: Vec<FoundUpload>,
}

/// An unfinished upload, found by its hash.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FoundUpload {
    /// Its capture.
    pub capture_id: String,
    /// The client's reference of the capture. Initiating it again gives fresh URLs.
    pub capture_ref: String,
    /// The client's reference of the asset in it.
    pub asset_ref: String,
    /// The upload, and what has arrived of it.
    pub upload: Upload,
}

/// What an upload is, and what has arrived of it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Upload {
    /// The upload.
    pub upload_id: String,
    /// The asset it belongs to; if it is `merged`, the one that has the bytes.
    pub asset_id: String,
    /// `open`, `completing`, `completed`, `aborted`, `expired`, or `merged`: the owner was found to have these bytes before
    /// they were all here, and nothing more is to be sent.
    pub state: String,
    /// How it is sent.
    pub plan: crate::captures::Plan,
    /// The whole file.
    pub size_bytes: i64,
    /// What the store holds of it.
    pub received_bytes: i64,
    /// The parts that the store holds. For `single`, part 1 once it is whole.
    pub parts: Vec<ReceivedPart>,
    /// Until when it can be finished.
    pub expires_at: String,
}

/// A part that the store holds.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ReceivedPart {
    /// From 1.
    pub number: i64,
    /// Its size.
    pub size_bytes: i64,
    /// The store's opaque tag for it.
    pub etag: String,
    /// SHA-256, lower-case hexadecimal, if the store verified one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Says that all bytes were sent. The server goes by the store's own list of parts, so the body may be empty.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct CompleteUpload {
    /// How transfers of this client went: this one, and earlier ones that were not told of. 32 at most. Only for the
    /// operator's metrics.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transfers: Vec<TransferReport>,
}

/// How the transfer of one file went, as its client saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransferReport {
    /// The network it ended on, a word of `network.type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// `completed`, `failed` or `cancelled`.
    pub outcome: String,
    /// Requests that carried bytes of it.
    pub attempts: u32,
    /// Those of them that carried a part again, or went on after a break.
    #[serde(default)]
    pub retries: u32,
    /// Parts of which at least one try failed.
    #[serde(default)]
    pub failed_parts: u32,
}

/// An upload that was completed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct UploadCompleted {
    /// The upload.
    pub upload_id: String,
    /// The asset.
    pub asset_id: String,
    /// The asset's state now.
    pub state: String,
}

/// An upload that was given up.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct UploadAborted {
    /// The upload.
    pub upload_id: String,
    /// The asset.
    pub asset_id: String,
    /// The asset's state now.
    pub state: String,
}
