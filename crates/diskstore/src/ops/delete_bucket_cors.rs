//! DeleteBucketCors.

use s3s::dto::{DeleteBucketCorsInput, DeleteBucketCorsOutput};
use s3s::{S3Request, S3Response, S3Result};

use crate::fault::blocking;
use crate::store::DiskStore;

pub(super) async fn delete_bucket_cors(
    store: &DiskStore,
    request: S3Request<DeleteBucketCorsInput>,
) -> S3Result<S3Response<DeleteBucketCorsOutput>> {
    let (store, bucket) = (store.clone(), request.input.bucket);
    blocking(move || store.change_bucket(&bucket, |record| record.cors = None)).await?;
    Ok(S3Response::new(DeleteBucketCorsOutput::default()))
}
