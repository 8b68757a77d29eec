//! GetBucketVersioning: an empty document, which says that the bucket never had
//! versions. Tools ask before they begin.

use s3s::dto::{GetBucketVersioningInput, GetBucketVersioningOutput};
use s3s::{S3Request, S3Response, S3Result};

use crate::store::DiskStore;

pub(super) async fn get_bucket_versioning(
    store: &DiskStore,
    request: S3Request<GetBucketVersioningInput>,
) -> S3Result<S3Response<GetBucketVersioningOutput>> {
    store.inner.require_bucket(&request.input.bucket)?;
    Ok(S3Response::new(GetBucketVersioningOutput::default()))
}
