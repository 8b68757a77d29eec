//! Which bytes of an object a read is about.

use std::ops::Range;

use s3s::dto::{self, ChecksumMode};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use crate::checksum::Checksums;
use crate::record::{ObjectRecord, PartRecord};
use crate::upload::part_number;

/// The bytes that a read asks for.
pub(crate) struct Selection {
    pub bytes: Range<u64>,
    by: By,
}

/// How they were named.
enum By {
    /// Not at all: it is the whole object.
    Nothing,
    Range,
    /// By `partNumber`, which is 1, of an object that came in one piece.
    Whole,
    /// By `partNumber`.
    Part(PartRecord),
}

impl Selection {
    /// What a request asks for.
    pub(crate) fn of(
        record: &ObjectRecord,
        range: Option<dto::Range>,
        part: Option<i32>,
    ) -> S3Result<Self> {
        match (range, part) {
            (Some(_), Some(_)) => Err(s3_error!(
                InvalidRequest,
                "Cannot specify both Range header and partNumber query parameter"
            )),
            (Some(range), None) => Ok(Self {
                bytes: resolve(&range, record.size_bytes)?,
                by: By::Range,
            }),
            (None, Some(number)) => of_part(record, part_number(number)?),
            (None, None) => Ok(Self {
                bytes: 0..record.size_bytes,
                by: By::Nothing,
            }),
        }
    }

    /// The header of a partial answer. For no bytes at all there is none.
    pub(crate) fn content_range(&self, size_bytes: u64) -> Option<String> {
        let Range { start, end } = self.bytes;
        let partial = !matches!(self.by, By::Nothing) && start < end;
        partial.then(|| format!("bytes {start}-{}/{size_bytes}", end - 1))
    }

    /// The number of parts, told with a part only.
    pub(crate) fn parts_count(&self, record: &ObjectRecord) -> Option<i32> {
        let parts = record
            .uploaded_parts()
            .filter(|_| matches!(self.by, By::Part(_)))?;
        i32::try_from(parts.len()).ok()
    }

    /// The checksums to tell: on demand, and those of all the bytes that come.
    pub(crate) fn checksums(
        &self,
        record: &ObjectRecord,
        mode: Option<&ChecksumMode>,
    ) -> Option<Checksums> {
        if mode.is_none_or(|mode| mode.as_str() != ChecksumMode::ENABLED) {
            return None;
        }
        match &self.by {
            By::Part(part) => Some(part.checksums.clone()),
            _ if self.bytes == (0..record.size_bytes) => Some(record.checksums.clone()),
            _ => None,
        }
    }
}

fn of_part(record: &ObjectRecord, number: u16) -> S3Result<Selection> {
    let Some(parts) = record.uploaded_parts() else {
        return match number {
            1 => Ok(Selection {
                bytes: 0..record.size_bytes,
                by: By::Whole,
            }),
            _ => Err(no_such_part()),
        };
    };
    let mut start = 0;
    for part in parts {
        let end = start + part.size_bytes;
        if part.number == number {
            return Ok(Selection {
                bytes: start..end,
                by: By::Part(part.clone()),
            });
        }
        start = end;
    }
    Err(no_such_part())
}

fn resolve(range: &dto::Range, size_bytes: u64) -> S3Result<Range<u64>> {
    let bytes = range.check(size_bytes).unwrap_or(0..0);
    if bytes.is_empty() {
        return Err(s3_error!(
            InvalidRange,
            "The requested range is not satisfiable."
        ));
    }
    Ok(bytes)
}

fn no_such_part() -> S3Error {
    let mut error = S3Error::with_message(
        S3ErrorCode::Custom("InvalidPartNumber".into()),
        "The requested partnumber is not satisfiable.",
    );
    error.set_status_code(http::StatusCode::RANGE_NOT_SATISFIABLE);
    error
}
