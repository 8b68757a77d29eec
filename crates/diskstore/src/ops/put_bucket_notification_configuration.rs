//! PutBucketNotificationConfiguration.

use s3s::dto::{PutBucketNotificationConfigurationInput, PutBucketNotificationConfigurationOutput};
use s3s::{S3Request, S3Response, S3Result};

use crate::events;
use crate::fault::blocking;
use crate::store::DiskStore;

pub(super) async fn put_bucket_notification_configuration(
    store: &DiskStore,
    request: S3Request<PutBucketNotificationConfigurationInput>,
) -> S3Result<S3Response<PutBucketNotificationConfigurationOutput>> {
    let input = request.input;
    store.inner.require_bucket(&input.bucket)?;
    let inner = &store.inner;
    let wanted = events::validate(input.notification_configuration, &inner.events, &inner.ids)?;
    let (store, bucket) = (store.clone(), input.bucket);
    blocking(move || store.change_bucket(&bucket, |record| record.notifications = wanted)).await?;
    Ok(S3Response::new(
        PutBucketNotificationConfigurationOutput::default(),
    ))
}
