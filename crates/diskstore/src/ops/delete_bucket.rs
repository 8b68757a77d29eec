//! DeleteBucket. Uploads that are open in it go with it, as on Amazon S3.

use s3s::dto::{DeleteBucketInput, DeleteBucketOutput};
use s3s::{S3Request, S3Response, S3Result};

use crate::fault::blocking;
use crate::store::DiskStore;

pub(super) async fn delete_bucket(
    store: &DiskStore,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<S3Response<DeleteBucketOutput>> {
    let (store, bucket) = (store.clone(), request.input.bucket);
    blocking(move || store.remove_bucket(&bucket)).await?;
    Ok(S3Response::new(DeleteBucketOutput::default()))
}
