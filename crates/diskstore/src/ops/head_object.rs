//! HeadObject.

use std::ops::Range;

use s3s::dto::{self, ChecksumMode, HeadObjectInput, HeadObjectOutput};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::conditions::ReadConditions;
use crate::fault::blocking;
use crate::record::ObjectRecord;
use crate::store::DiskStore;
use crate::unsupported::{not_implemented, refuse, refuse_version};

/// Writes what is known of an object into the output of Head or Get.
macro_rules! describe {
    ($output:expr, $record:expr, $range:expr, $mode:expr) => {{
        let record = &$record;
        let attributes = record.attributes.clone();
        if $crate::ops::head_object::tells_checksums($mode.as_ref(), &$range, record) {
            $crate::checksum::put_checksums!($output, record.checksums);
            $output.checksum_type = Some(record.coverage.dto());
        }
        $output.accept_ranges = Some("bytes".to_owned());
        $output.content_length = i64::try_from($range.end - $range.start).ok();
        $output.e_tag = Some(record.e_tag());
        $output.last_modified = Some($crate::clock::timestamp(record.modified_us));
        $output.content_type = Some(
            attributes
                .content_type
                .unwrap_or_else(|| "application/octet-stream".to_owned()),
        );
        $output.content_disposition = attributes.content_disposition;
        $output.content_encoding = attributes.content_encoding;
        $output.content_language = attributes.content_language;
        $output.cache_control = attributes.cache_control;
        $output.expires = attributes
            .expires_s
            .map(|at_s| $crate::clock::timestamp(at_s.saturating_mul(1_000_000)));
        $output.metadata = Some(attributes.metadata.into_iter().collect());
    }};
}
pub(super) use describe;

pub(super) async fn head_object(
    store: &DiskStore,
    request: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    refuse(&request.headers)?;
    let input = request.input;
    refuse_version(input.version_id.as_deref())?;
    if input.part_number.is_some() {
        return Err(not_implemented("partNumber"));
    }
    store.inner.require_bucket(&input.bucket)?;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    let (store, bucket, key) = (store.clone(), input.bucket, input.key);
    let record = blocking(move || {
        let _guard = store.inner.locks.read(&bucket, &key);
        match store.inner.object(&bucket, &key)? {
            Some(object) => Ok(object.record),
            None => Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
        }
    })
    .await?;
    conditions.check(&record)?;
    let (range, content_range) = resolve(input.range, record.size_bytes)?;
    let mut output = HeadObjectOutput {
        content_range,
        ..HeadObjectOutput::default()
    };
    describe!(output, record, range, input.checksum_mode);
    Ok(S3Response::new(output))
}

/// The bytes that a range names, and the header that says so.
pub(super) fn resolve(
    range: Option<dto::Range>,
    size_bytes: u64,
) -> S3Result<(Range<u64>, Option<String>)> {
    let Some(range) = range else {
        return Ok((0..size_bytes, None));
    };
    let bytes = range.check(size_bytes).unwrap_or(0..0);
    if bytes.is_empty() {
        return Err(s3_error!(
            InvalidRange,
            "The requested range is not satisfiable."
        ));
    }
    let header = format!("bytes {}-{}/{size_bytes}", bytes.start, bytes.end - 1);
    Ok((bytes, Some(header)))
}

/// Whether to tell the checksums: on demand, and only with all of the bytes.
pub(super) fn tells_checksums(
    mode: Option<&ChecksumMode>,
    range: &Range<u64>,
    record: &ObjectRecord,
) -> bool {
    mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED)
        && *range == (0..record.size_bytes)
}
