//! `If-Match` and its kin.

use http::{HeaderMap, HeaderValue, header};
use s3s::dto::{ETag, ETagCondition, Timestamp, TimestampFormat};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use crate::clock::timestamp;
use crate::record::ObjectRecord;
use crate::unsupported::not_implemented;

/// What must hold of the key for a write or a deletion to happen.
#[derive(Debug, Clone, Default)]
pub(crate) struct WriteConditions {
    pub if_match: Option<ETagCondition>,
    pub if_none_match: Option<ETagCondition>,
    /// The key must still hold this object, or there is a conflict.
    pub unchanged: Option<Box<ObjectRecord>>,
}

impl WriteConditions {
    /// What a request says. As on Amazon S3, a write can ask for there to be no
    /// object at all, not for there to be another one.
    pub(crate) fn of_write(
        if_match: Option<ETagCondition>,
        if_none_match: Option<ETagCondition>,
    ) -> S3Result<Self> {
        if if_none_match.as_ref().is_some_and(|none| !none.is_any()) {
            return Err(not_implemented("If-None-Match with an ETag on a write"));
        }
        Ok(Self {
            if_match,
            if_none_match,
            unchanged: None,
        })
    }

    /// The same from the headers, for requests whose input lacks them.
    pub(crate) fn of_headers(headers: &HeaderMap) -> S3Result<Self> {
        let condition = |name: http::HeaderName| match headers.get(&name) {
            Some(value) => ETagCondition::parse_http_header(value.as_bytes())
                .map(Some)
                .map_err(|_| s3_error!(InvalidArgument, "invalid header: {name}")),
            None => Ok(None),
        };
        Self::of_write(
            condition(header::IF_MATCH)?,
            condition(header::IF_NONE_MATCH)?,
        )
    }

    /// Whether nothing is asked for.
    pub(crate) fn are_none(&self) -> bool {
        self.if_match.is_none() && self.if_none_match.is_none() && self.unchanged.is_none()
    }

    /// Checks them against what the key holds, under the key's lock.
    pub(crate) fn check(&self, current: Option<&ObjectRecord>) -> S3Result<()> {
        if let Some(condition) = &self.if_match {
            let Some(current) = current else {
                return Err(s3_error!(NoSuchKey, "The specified key does not exist."));
            };
            if !matches(condition, current) {
                return Err(failed("If-Match"));
            }
        }
        if let (Some(condition), Some(current)) = (&self.if_none_match, current)
            && matches(condition, current)
        {
            return Err(failed("If-None-Match"));
        }
        if self.unchanged.is_some() && self.unchanged.as_deref() != current {
            return Err(s3_error!(
                OperationAborted,
                "A conflicting operation is in progress against this object. Try again."
            ));
        }
        Ok(())
    }
}

/// What must hold of an object for a read to happen.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadConditions {
    pub if_match: Option<ETagCondition>,
    pub if_none_match: Option<ETagCondition>,
    pub if_modified_since: Option<Timestamp>,
    pub if_unmodified_since: Option<Timestamp>,
}

impl ReadConditions {
    /// The same for the source of a copy, where none of them is about what the
    /// client has already.
    pub(crate) fn check_source(&self, record: &ObjectRecord) -> S3Result<()> {
        self.check(record).map_err(|error| match error.code() {
            S3ErrorCode::NotModified => failed("x-amz-copy-source-if-none-match"),
            _ => error,
        })
    }

    /// Checks them in the order of RFC 9110, section 13.2.2.
    pub(crate) fn check(&self, record: &ObjectRecord) -> S3Result<()> {
        let modified_s = record.modified_us.div_euclid(1_000_000);
        match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) if !matches(condition, record) => return Err(failed("If-Match")),
            (None, Some(since)) if modified_s > seconds(since) => {
                return Err(failed("If-Unmodified-Since"));
            }
            _ => {}
        }
        match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) if matches(condition, record) => Err(not_modified(record)),
            (None, Some(since)) if modified_s <= seconds(since) => Err(not_modified(record)),
            _ => Ok(()),
        }
    }
}

fn matches(condition: &ETagCondition, record: &ObjectRecord) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(ETag::Strong(etag)) => *etag == record.etag,
        ETagCondition::ETag(ETag::Weak(_)) => false,
    }
}

fn seconds(at: &Timestamp) -> i64 {
    time::OffsetDateTime::from(at.clone()).unix_timestamp()
}

fn failed(condition: &str) -> S3Error {
    s3_error!(
        PreconditionFailed,
        "At least one of the pre-conditions you specified did not hold: {condition}."
    )
}

fn not_modified(record: &ObjectRecord) -> S3Error {
    let mut headers = HeaderMap::new();
    if let Ok(etag) = record.e_tag().to_http_header() {
        headers.insert(header::ETAG, etag);
    }
    let mut modified = Vec::new();
    let written = timestamp(record.modified_us).format(TimestampFormat::HttpDate, &mut modified);
    if let (Ok(()), Ok(modified)) = (written, HeaderValue::from_bytes(&modified)) {
        headers.insert(header::LAST_MODIFIED, modified);
    }
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    error.set_headers(headers);
    error
}
