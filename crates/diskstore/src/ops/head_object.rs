//! HeadObject.

use http::{HeaderMap, HeaderName, HeaderValue};
use s3s::dto::{HeadObjectInput, HeadObjectOutput};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::conditions::ReadConditions;
use crate::fault::look;
use crate::record::ObjectRecord;
use crate::sealed::Wanted;
use crate::selection::Selection;
use crate::store::DiskStore;
use crate::unsupported::refuse_version;

/// Writes what is known of an object, and of what was selected of it, into the
/// output of Head or Get.
macro_rules! describe {
    ($output:expr, $record:expr, $selection:expr, $mode:expr) => {{
        let (record, selection) = (&$record, &$selection);
        let attributes = record.attributes.clone();
        if let Some(checksums) = selection.checksums(record, $mode.as_ref()) {
            $crate::checksum::put_checksums!($output, checksums);
            $output.checksum_type = Some(record.coverage.dto());
        }
        $output.accept_ranges = Some("bytes".to_owned());
        $output.content_range = selection.content_range(record.size_bytes);
        $output.content_length = i64::try_from(selection.bytes.end - selection.bytes.start).ok();
        $output.parts_count = selection.parts_count(record);
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
    let input = request.input;
    refuse_version(input.version_id.as_deref())?;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    let record = read_record(store, input.bucket, input.key).await?;
    conditions.check(&record)?;
    let selection = Selection::of(&record, input.range, input.part_number)?;
    let mut output = HeadObjectOutput::default();
    describe!(output, record, selection, input.checksum_mode);
    for (asked, told) in [
        (input.response_cache_control, &mut output.cache_control),
        (
            input.response_content_disposition,
            &mut output.content_disposition,
        ),
        (
            input.response_content_encoding,
            &mut output.content_encoding,
        ),
        (
            input.response_content_language,
            &mut output.content_language,
        ),
        (input.response_content_type, &mut output.content_type),
    ] {
        if asked.is_some() {
            *told = asked;
        }
    }
    if input.response_expires.is_some() {
        output.expires = input.response_expires;
    }
    let tag_count = tag_count_header(record.tags.count());
    Ok(S3Response::with_headers(output, tag_count))
}

/// What is known of an object, or `NoSuchBucket` or `NoSuchKey`.
pub(super) async fn read_record(
    store: &DiskStore,
    bucket: String,
    key: String,
) -> S3Result<ObjectRecord> {
    store.inner.require_bucket(&bucket)?;
    let store = store.clone();
    look(move |how| {
        let _guard = store.inner.locks.read_for(&bucket, &key, how)?;
        let object = store.inner.object_for(&bucket, &key, Wanted::Record, how)?;
        match object {
            Some(object) => Ok(object.record),
            None => Err(s3_error!(NoSuchKey, "The specified key does not exist.").into()),
        }
    })
    .await
}

/// The header that s3s does not have for HeadObject.
fn tag_count_header(count: Option<i32>) -> HeaderMap {
    let name = HeaderName::from_static("x-amz-tagging-count");
    HeaderMap::from_iter(count.map(|count| (name, HeaderValue::from(count))))
}
