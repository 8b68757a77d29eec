//! PutBucketLifecycleConfiguration.

use s3s::dto::{PutBucketLifecycleConfigurationInput, PutBucketLifecycleConfigurationOutput};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::fault::blocking;
use crate::lifecycle;
use crate::store::DiskStore;

pub(super) async fn put_bucket_lifecycle_configuration(
    store: &DiskStore,
    request: S3Request<PutBucketLifecycleConfigurationInput>,
) -> S3Result<S3Response<PutBucketLifecycleConfigurationOutput>> {
    let input = request.input;
    store.inner.require_bucket(&input.bucket)?;
    let config = input
        .lifecycle_configuration
        .ok_or_else(|| s3_error!(MissingRequestBodyError, "Request body is empty."))?;
    let rules = lifecycle::validate(config, &store.inner.ids)?;
    let (store, bucket) = (store.clone(), input.bucket);
    blocking(move || store.change_bucket(&bucket, |record| record.lifecycle = Some(rules))).await?;
    Ok(S3Response::new(
        PutBucketLifecycleConfigurationOutput::default(),
    ))
}
