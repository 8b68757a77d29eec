//! DeleteObjectTagging.

use s3s::dto::{DeleteObjectTaggingInput, DeleteObjectTaggingOutput};
use s3s::{S3Request, S3Response, S3Result};

use super::put_object_tagging::retag;
use crate::store::DiskStore;
use crate::tags::Tags;
use crate::unsupported::refuse_version;

pub(super) async fn delete_object_tagging(
    store: &DiskStore,
    request: S3Request<DeleteObjectTaggingInput>,
) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
    let input = request.input;
    refuse_version(input.version_id.as_deref())?;
    store.inner.require_bucket(&input.bucket)?;
    retag(store, input.bucket, input.key, Tags::default()).await?;
    Ok(S3Response::new(DeleteObjectTaggingOutput::default()))
}
