//! GetObject.

use s3s::dto::{GetObjectInput, GetObjectOutput};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::head_object::describe;
use crate::conditions::ReadConditions;
use crate::fault::look;
use crate::read::Reading;
use crate::sealed::Wanted;
use crate::selection::Selection;
use crate::store::DiskStore;
use crate::unsupported::refuse_version;

pub(super) async fn get_object(
    store: &DiskStore,
    request: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let input = request.input;
    refuse_version(input.version_id.as_deref())?;
    store.inner.require_bucket(&input.bucket)?;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    let (store, bucket, key) = (store.clone(), input.bucket, input.key);
    let (range, part) = (input.range, input.part_number);
    let (record, body, selection) = look(move |how| {
        let guard = store.inner.locks.read_for(&bucket, &key, how)?;
        let Some(object) = store.inner.object_for(&bucket, &key, Wanted::Body, how)? else {
            return Err(s3_error!(NoSuchKey, "The specified key does not exist.").into());
        };
        conditions.check(&object.record)?;
        let selection = Selection::of(&object.record, range, part)?;
        let path = store.inner.object_path(&bucket, &key);
        let bytes = selection.bytes.clone();
        let (record, reading) = Reading::begin(&store, &bucket, &path, object, bytes, how)?;
        drop(guard);
        Ok((record, reading.into_blob(how)?, selection))
    })
    .await?;
    let mut output = GetObjectOutput {
        body: Some(body),
        tag_count: record.tags.count(),
        ..GetObjectOutput::default()
    };
    describe!(output, record, selection, input.checksum_mode);
    Ok(S3Response::new(output))
}
