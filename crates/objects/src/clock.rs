//! What time it is by the store's clock, as its answers say.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_s3::config::ConfigBag;
use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use safelight_model::clock::{Clock, Micros};

use crate::connect::timeouts;
use crate::list::micros;
use crate::{Objects, StoreError};

/// How long a store may take to say what time it is.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Takes note of the `Date` of an answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct AnswerDate(Arc<Mutex<Option<Micros>>>);

impl AnswerDate {
    fn get(&self) -> Option<Micros> {
        self.0.lock().ok().and_then(|at| *at)
    }
}

/// A clock in the place of the store's.
#[derive(Clone)]
pub(crate) struct ToldBy(Arc<dyn Clock>);

impl fmt::Debug for ToldBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ToldBy")
    }
}

impl Intercept for AnswerDate {
    fn name(&self) -> &'static str {
        "answer date"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let at = date.and_then(|text| DateTime::from_str(text, DateTimeFormat::HttpDate).ok());
        if let Ok(mut noted) = self.0.lock() {
            *noted = at.and_then(micros);
        }
        Ok(())
    }
}

impl Objects {
    /// The same store, whose time this clock tells: for simulations, in which days pass that the store knows nothing of.
    #[must_use]
    pub fn with_time_of(mut self, clock: Arc<dyn Clock>) -> Self {
        self.told_by = Some(ToldBy(clock));
        self
    }

    /// When the last answer was given, to the second; `None` if it did not say.
    pub(crate) fn answered_at(&self, date: &AnswerDate) -> Option<Micros> {
        match &self.told_by {
            Some(ToldBy(clock)) => Some(clock.now()),
            None => date.get(),
        }
    }

    /// What time it is by the store's clock, to the second; `None` if its answers do not say.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn time(&self) -> Result<Option<Micros>, StoreError> {
        let date = AnswerDate::default();
        let once = aws_sdk_s3::Config::builder()
            .timeout_config(timeouts(TIMEOUT))
            .retry_config(RetryConfig::disabled());
        self.inner
            .client
            .head_bucket()
            .bucket(&self.inner.bucket)
            .customize()
            .interceptor(date.clone())
            .config_override(once)
            .send()
            .await
            .map_err(|e| StoreError::of("head bucket", e).of_bucket())?;
        Ok(self.answered_at(&date))
    }
}
