//! HeadBucket.

use s3s::dto::{HeadBucketInput, HeadBucketOutput};
use s3s::{S3Request, S3Response, S3Result};

use crate::store::DiskStore;

pub(super) async fn head_bucket(
    store: &DiskStore,
    request: S3Request<HeadBucketInput>,
) -> S3Result<S3Response<HeadBucketOutput>> {
    store.inner.require_bucket(&request.input.bucket)?;
    Ok(S3Response::new(HeadBucketOutput {
        bucket_region: Some(store.inner.settings.region.clone()),
        ..HeadBucketOutput::default()
    }))
}
