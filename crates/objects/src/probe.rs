//! Whether the bucket is there and ours; makes it where it is not.

use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};

use crate::connect::timeouts;
use crate::{Objects, StoreError, StoreErrorKind};

/// How long a store may take to say that it is there.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

impl Objects {
    /// Asks once whether the bucket is there and ours: for readiness and `doctor`.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreErrorKind::NoBucket`] when the store answers but has no such bucket.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let once = aws_sdk_s3::Config::builder()
            .timeout_config(timeouts(PROBE_TIMEOUT))
            .retry_config(RetryConfig::disabled());
        let asked = self
            .inner
            .client
            .head_bucket()
            .bucket(&self.inner.bucket)
            .customize()
            .config_override(once)
            .send()
            .await;
        asked
            .map(|_| ())
            .map_err(|e| StoreError::of("head bucket", e).of_bucket())
    }

    /// Makes the bucket unless it is there.
    ///
    /// # Errors
    /// [`StoreError`], also when the bucket belongs to someone else.
    pub async fn ensure_bucket(&self) -> Result<(), StoreError> {
        match self.probe().await {
            Ok(()) => return Ok(()),
            Err(e) if *e.kind() == StoreErrorKind::NoBucket => {}
            Err(e) => return Err(e),
        }
        // AWS wants the region named, except for the one that is the default.
        let place = (self.inner.region != "us-east-1").then(|| {
            CreateBucketConfiguration::builder()
                .location_constraint(BucketLocationConstraint::from(self.inner.region.as_str()))
                .build()
        });
        let asked = self
            .inner
            .client
            .create_bucket()
            .bucket(&self.inner.bucket)
            .set_create_bucket_configuration(place)
            .send()
            .await;
        match asked {
            Ok(_) => Ok(()),
            Err(e)
                if e.as_service_error()
                    .is_some_and(|e| e.is_bucket_already_owned_by_you()) =>
            {
                Ok(())
            }
            Err(e) => Err(StoreError::of("create bucket", e)),
        }
    }
}
