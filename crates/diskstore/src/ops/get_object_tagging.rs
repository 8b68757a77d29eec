//! GetObjectTagging.

use s3s::dto::{GetObjectTaggingInput, GetObjectTaggingOutput};
use s3s::{S3Request, S3Response, S3Result};

use super::head_object::read_record;
use crate::store::DiskStore;
use crate::unsupported::refuse_version;

pub(super) async fn get_object_tagging(
    store: &DiskStore,
    request: S3Request<GetObjectTaggingInput>,
) -> S3Result<S3Response<GetObjectTaggingOutput>> {
    let input = request.input;
    refuse_version(input.version_id.as_deref())?;
    let record = read_record(store, input.bucket, input.key).await?;
    Ok(S3Response::new(GetObjectTaggingOutput {
        tag_set: record.tags.to_set(),
        version_id: None,
    }))
}
