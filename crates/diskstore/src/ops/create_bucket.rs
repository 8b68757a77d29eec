//! CreateBucket. A bucket that exists is fine.

use s3s::dto::{CreateBucketInput, CreateBucketOutput};
use s3s::{S3Request, S3Response, S3Result};

use crate::fault::{blocking, io_fault};
use crate::store::DiskStore;
use crate::unsupported::{not_implemented, refuse};

pub(super) async fn create_bucket(
    store: &DiskStore,
    request: S3Request<CreateBucketInput>,
) -> S3Result<S3Response<CreateBucketOutput>> {
    refuse(&request.headers)?;
    if request.input.object_lock_enabled_for_bucket == Some(true) {
        return Err(not_implemented("object locks"));
    }
    let (store, bucket) = (store.clone(), request.input.bucket);
    let location = format!("/{bucket}");
    blocking(move || store.make_bucket(&bucket).map_err(io_fault)).await?;
    Ok(S3Response::new(CreateBucketOutput {
        location: Some(location),
    }))
}
