//! GetObject.

use s3s::dto::{GetObjectInput, GetObjectOutput, StreamingBlob};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::head_object::{describe, resolve};
use crate::conditions::ReadConditions;
use crate::fault::{blocking, io_fault};
use crate::read::Reading;
use crate::store::DiskStore;
use crate::unsupported::{not_implemented, refuse, refuse_version};

pub(super) async fn get_object(
    store: &DiskStore,
    request: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
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
    let (store, bucket, key, asked) = (store.clone(), input.bucket, input.key, input.range);
    let (record, reading, range, content_range) = blocking(move || {
        let _guard = store.inner.locks.read(&bucket, &key);
        let Some(object) = store.inner.object(&bucket, &key)? else {
            return Err(s3_error!(NoSuchKey, "The specified key does not exist."));
        };
        conditions.check(&object.record)?;
        let (range, content_range) = resolve(asked, object.record.size_bytes)?;
        let (record, reading) =
            Reading::begin(&store, &bucket, object, range.clone()).map_err(io_fault)?;
        Ok((record, reading, range, content_range))
    })
    .await?;
    let mut output = GetObjectOutput {
        content_range,
        body: Some(StreamingBlob::wrap(reading.into_stream())),
        ..GetObjectOutput::default()
    };
    describe!(output, record, range, input.checksum_mode);
    Ok(S3Response::new(output))
}
