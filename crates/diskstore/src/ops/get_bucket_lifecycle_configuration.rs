//! GetBucketLifecycleConfiguration.

use s3s::dto::{GetBucketLifecycleConfigurationInput, GetBucketLifecycleConfigurationOutput};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::lifecycle;
use crate::store::DiskStore;

pub(super) async fn get_bucket_lifecycle_configuration(
    store: &DiskStore,
    request: S3Request<GetBucketLifecycleConfigurationInput>,
) -> S3Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
    let record = store.inner.require_bucket(&request.input.bucket)?;
    let Some(rules) = &record.lifecycle else {
        return Err(s3_error!(
            NoSuchLifecycleConfiguration,
            "The lifecycle configuration does not exist"
        ));
    };
    Ok(S3Response::new(GetBucketLifecycleConfigurationOutput {
        rules: Some(lifecycle::to_dto(rules)),
        ..GetBucketLifecycleConfigurationOutput::default()
    }))
}
