//! What the head of a request says.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use safelight_model::codes::Code;

use super::answer::bad;
use crate::http::gateway::fields;
use crate::http::problem::Refused;
use crate::intake::append::create::Creation;
use crate::intake::append::digest::{Algorithm, Expected};

/// The media type of what is appended.
pub(super) const OFFSET_STREAM: &str = "application/offset+octet-stream";

/// What a request brings.
pub(super) struct Incoming {
    pub(super) offset_bytes: i64,
    pub(super) content_bytes: Option<i64>,
    /// The whole file, where it is told late.
    pub(super) length_bytes: Option<i64>,
    pub(super) digest: Option<Expected>,
}

impl Incoming {
    /// `offset_bytes` where it follows from the method.
    pub(super) fn of(headers: &HeaderMap, offset_bytes: Option<i64>) -> Result<Self, Refused> {
        let offset_bytes = match offset_bytes {
            Some(offset) => offset,
            None => fields::count(headers, "upload-offset")
                .map_err(bad)?
                .ok_or_else(|| bad("Upload-Offset must say where the bytes belong"))?,
        };
        Ok(Self {
            offset_bytes,
            content_bytes: fields::count(headers, "content-length").map_err(bad)?,
            length_bytes: fields::count(headers, "upload-length").map_err(bad)?,
            digest: checksum(headers)?,
        })
    }
}

fn checksum(headers: &HeaderMap) -> Result<Option<Expected>, Refused> {
    if !headers.contains_key("upload-checksum") {
        return Ok(None);
    }
    let wrong = || {
        bad("Upload-Checksum must be an algorithm of Tus-Checksum-Algorithm and a digest in base64")
    };
    let (name, value) = fields::text(headers, "upload-checksum")
        .and_then(|t| t.split_once(' '))
        .ok_or_else(wrong)?;
    let algorithm = match name {
        "sha1" => Algorithm::Sha1,
        "sha256" => Algorithm::Sha256,
        "sha512" => Algorithm::Sha512,
        _ => return Err(wrong()),
    };
    let wanted = BASE64_STANDARD
        .decode(value.trim())
        .ok()
        .filter(|d| d.len() == algorithm.digest_bytes())
        .ok_or_else(wrong)?;
    Ok(Some(Expected::of(algorithm, wanted)))
}

/// What a creation says of the file, in `Upload-Length` and `Upload-Metadata`. Keys that are not known are left
/// alone: clients write their own.
pub(super) fn creation_of(headers: &HeaderMap) -> Result<Creation, Refused> {
    let deferred = fields::text(headers, "upload-defer-length");
    let size_bytes = match (
        fields::count(headers, "upload-length").map_err(bad)?,
        deferred,
    ) {
        (Some(length), None) => Some(length),
        (None, Some("1")) => None,
        _ => return Err(bad("send Upload-Length, or Upload-Defer-Length: 1")),
    };
    let mut creation = Creation {
        size_bytes,
        ..Creation::default()
    };
    let pairs = headers.get_all("upload-metadata").iter();
    for pair in pairs
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
    {
        let (key, value) = pair.trim().split_once(' ').unwrap_or((pair.trim(), ""));
        let value = BASE64_STANDARD
            .decode(value.trim())
            .map_err(|_| bad("Upload-Metadata must be pairs of a key and a value in base64"))?;
        let place = match key {
            "filename" | "name" => &mut creation.filename,
            "filetype" | "type" | "contentType" => &mut creation.mime,
            "sha256" => &mut creation.sha256,
            "client_ref" => &mut creation.client_ref,
            "purpose" => &mut creation.purpose,
            "captured_at" => &mut creation.captured_at,
            "duplicates" => &mut creation.duplicates,
            _ => continue,
        };
        let text = String::from_utf8(value).map_err(|_| {
            Refused::because(Code::ValidationFailed, format!("{key} must be UTF-8"))
        })?;
        // Clients send what they do not know as an empty text.
        if !text.is_empty() {
            place.get_or_insert(text);
        }
    }
    Ok(creation)
}
