//! What the head of a request says, by interop version.
//!
//! Version 3 (draft -01) says `Upload-Incomplete` where later ones say the opposite with `Upload-Complete`; from 6
//! on there is `Upload-Length`, and an append comes as `application/partial-upload`.

use http::HeaderMap;
use safelight_model::codes::Code;

use super::answer::{AnsweredBy, Problem};
use crate::http::gateway::fields;
use crate::http::problem::Refused;
use crate::intake::append::digest::Expected;

/// The media type of what is appended.
pub(super) const PARTIAL: &str = "application/partial-upload";
/// The version in which `Upload-Incomplete` was used.
const INVERTED: u8 = 3;
/// The first version with `Upload-Length` and [`PARTIAL`].
pub(super) const WITH_LENGTH: u8 = 6;
/// What an upload's client may speak.
const VERSIONS: std::ops::RangeInclusive<u8> = 3..=8;

/// The interop version of a request, if it names one that is spoken here.
pub(super) fn version(headers: &HeaderMap) -> Option<u8> {
    fields::text(headers, "upload-draft-interop-version")?
        .parse()
        .ok()
        .filter(|v| VERSIONS.contains(v))
}

/// The name and value by which this version says whether an upload is complete.
pub(super) fn completeness(version: Option<u8>, is_complete: bool) -> (&'static str, &'static str) {
    let text = |flag| if flag { "?1" } else { "?0" };
    match version {
        Some(INVERTED) => ("upload-incomplete", text(!is_complete)),
        _ => ("upload-complete", text(is_complete)),
    }
}

/// What a request brings.
pub(super) struct Head {
    pub(super) version: Option<u8>,
    /// Where it begins.
    pub(super) offset_bytes: i64,
    /// Whether the file ends with it.
    pub(super) is_last: bool,
    /// How many bytes it brings, where that was said.
    pub(super) content_bytes: Option<i64>,
    /// The whole file, where that was said.
    declared_bytes: Option<i64>,
    pub(super) digest: Option<Expected>,
}

impl Head {
    fn read(headers: &HeaderMap, is_last_by_default: Option<bool>) -> Result<Self, AnsweredBy> {
        let version = version(headers);
        let said = match version {
            Some(INVERTED) => fields::boolean(headers, "upload-incomplete")?.map(|i| !i),
            _ => fields::boolean(headers, "upload-complete")?,
        };
        let is_last = said.or(is_last_by_default).ok_or_else(|| {
            let (name, _) = completeness(version, true);
            format!("{name} must say whether the file ends with this request")
        })?;
        Ok(Self {
            version,
            offset_bytes: 0,
            is_last,
            content_bytes: fields::count(headers, "content-length")?,
            declared_bytes: fields::count(headers, "upload-length")?,
            digest: fields::content_digest(headers)?,
        })
    }

    /// A request that begins an upload. One that says nothing of uploads brings a whole file.
    pub(super) fn of_creation(headers: &HeaderMap) -> Result<Self, AnsweredBy> {
        let head = Self::read(headers, Some(true))?;
        match fields::count(headers, "upload-offset")? {
            None | Some(0) => Ok(head),
            Some(_) => Err("a creation begins at offset 0".to_owned().into()),
        }
    }

    /// A request that appends.
    pub(super) fn of_append(headers: &HeaderMap) -> Result<Self, AnsweredBy> {
        let mut head = Self::read(headers, None)?;
        let is_partial = fields::text(headers, "content-type")
            .is_some_and(|t| t.split(';').next().unwrap_or_default().trim() == PARTIAL);
        if head.version.is_none_or(|v| v >= WITH_LENGTH) && !is_partial {
            return Err(Refused::because(
                Code::UnsupportedMediaType,
                "what is appended comes as application/partial-upload",
            )
            .into());
        }
        head.offset_bytes = fields::count(headers, "upload-offset")?
            .ok_or_else(|| "upload-offset must say where the bytes belong".to_owned())?;
        Ok(head)
    }

    /// The length of the whole file, as far as it follows from this request.
    pub(super) fn length_bytes(&self) -> Result<Option<i64>, AnsweredBy> {
        let by_content = self
            .content_bytes
            .filter(|_| self.is_last)
            .map(|n| n.saturating_add(self.offset_bytes));
        match (self.declared_bytes, by_content) {
            (Some(declared), Some(counted)) if declared != counted => {
                Err(Problem::InconsistentLength.into())
            }
            (declared, counted) => Ok(declared.or(counted)),
        }
    }

    /// Refuses a file that is larger than allowed before it comes.
    pub(super) fn check_length(&self, max_bytes: i64) -> Result<(), AnsweredBy> {
        let least = self.length_bytes()?.max(self.content_bytes);
        if least.is_some_and(|n| n > max_bytes) {
            return Err(Refused::because(
                Code::ByteLimitExceeded,
                format!("at most {max_bytes} bytes are taken"),
            )
            .into());
        }
        Ok(())
    }
}
