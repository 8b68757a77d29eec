//! Problem responses (RFC 9457).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The media type of a problem response.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was not answered as asked. Sent as `application/problem+json`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Where this kind of problem is explained: `/docs/errors/{code}`.
    #[serde(rename = "type")]
    pub kind: String,
    /// One short sentence, the same for every problem of this code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request, and what to do next.
    pub detail: String,
    /// The stable code.
    pub code: String,
    /// Names this request in the server's logs.
    pub request_id: String,
    /// Where in the request the fault is, as a path such as `assets[0].resources[0].size_bytes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The asset that has the bytes (`upload_merged`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset_id: Option<String>,
}
