//! GetBucketNotificationConfiguration.

use s3s::dto::{GetBucketNotificationConfigurationInput, GetBucketNotificationConfigurationOutput};
use s3s::{S3Request, S3Response, S3Result};

use crate::events;
use crate::store::DiskStore;

pub(super) async fn get_bucket_notification_configuration(
    store: &DiskStore,
    request: S3Request<GetBucketNotificationConfigurationInput>,
) -> S3Result<S3Response<GetBucketNotificationConfigurationOutput>> {
    let record = store.inner.require_bucket(&request.input.bucket)?;
    let queues = events::to_dto(&record.notifications);
    Ok(S3Response::new(GetBucketNotificationConfigurationOutput {
        queue_configurations: (!queues.is_empty()).then_some(queues),
        ..GetBucketNotificationConfigurationOutput::default()
    }))
}
