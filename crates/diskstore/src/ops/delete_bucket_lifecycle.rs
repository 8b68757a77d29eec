//! DeleteBucketLifecycle.

use s3s::dto::{DeleteBucketLifecycleInput, DeleteBucketLifecycleOutput};
use s3s::{S3Request, S3Response, S3Result};

use crate::fault::blocking;
use crate::store::DiskStore;

pub(super) async fn delete_bucket_lifecycle(
    store: &DiskStore,
    request: S3Request<DeleteBucketLifecycleInput>,
) -> S3Result<S3Response<DeleteBucketLifecycleOutput>> {
    let (store, bucket) = (store.clone(), request.input.bucket);
    blocking(move || store.change_bucket(&bucket, |record| record.lifecycle = None)).await?;
    Ok(S3Response::new(DeleteBucketLifecycleOutput::default()))
}
