//! Makes the client: connections, time-outs and retries.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::HttpConnectorSettings;

use crate::presign::Signer;
use crate::{Capabilities, Inner, Objects, SettingsError, StoreSettings};

/// A store that does not take a connection within this time is reported as unavailable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Attempts of a request, the first included. Longer patience is the queue's affair.
const ATTEMPTS: u32 = 3;
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);
/// A body that moves less than 1 byte/s for this long counts as dead.
const STALL_GRACE: Duration = Duration::from_secs(20);
/// Idle connections kept per host, so that a burst does not leave thousands behind.
const IDLE_CONNECTIONS: usize = 64;

impl Objects {
    /// Checks the settings and makes the client, which plans by `capabilities`; sends nothing yet.
    ///
    /// # Errors
    /// [`SettingsError`] names the setting that cannot work.
    pub fn connect(
        settings: StoreSettings,
        capabilities: Capabilities,
    ) -> Result<Self, SettingsError> {
        settings.check()?;
        let signer = Signer::of(
            settings.public()?,
            &settings.region,
            &settings.access_key,
            &settings.secret_key,
        );
        let client = aws_sdk_s3::Client::from_conf(sdk_config(&settings));
        Ok(Self {
            inner: Arc::new(Inner {
                client,
                bucket: settings.bucket,
                region: settings.region,
                complete_timeout: settings.complete_timeout,
                signer,
                capabilities,
            }),
            told_by: None,
        })
    }

    /// The name of the bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.inner.bucket
    }

    /// What the store is taken to be able to do.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.inner.capabilities
    }
}

/// Carries single requests that are signed already; `plain` is without TLS.
pub(crate) fn connector(plain: bool, patience: Duration) -> Connector {
    let settings = HttpConnectorSettings::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(patience)
        .build();
    let builder = Connector::builder().connector_settings(settings);
    if plain {
        builder.build_http()
    } else {
        builder
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build()
    }
}

/// Time-outs for a request that may take `attempt` per attempt.
pub(crate) fn timeouts(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(attempt)
        .operation_attempt_timeout(attempt)
        .build()
}

/// The SDK's settings for these of ours.
pub(crate) fn sdk_config(settings: &StoreSettings) -> aws_sdk_s3::Config {
    let builder = aws_smithy_http_client::Builder::new().pool_max_idle_per_host(IDLE_CONNECTIONS);
    let plain = settings
        .endpoint
        .as_deref()
        .is_some_and(|url| url.starts_with("http:"));
    let http = if plain {
        builder.build_http()
    } else {
        builder
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https()
    };
    let credentials = Credentials::new(
        settings.access_key.as_str(),
        settings.secret_key.as_str(),
        None,
        None,
        "safelight",
    );
    let retry = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(FIRST_BACKOFF)
        .with_max_backoff(LONGEST_BACKOFF);
    let stall = StalledStreamProtectionConfig::enabled()
        .grace_period(STALL_GRACE)
        .build();
    let mut config = aws_sdk_s3::Config::builder();
    config.set_endpoint_url(settings.endpoint.clone());
    config
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(settings.region.clone()))
        .force_path_style(settings.path_style)
        .credentials_provider(credentials)
        .http_client(http)
        .timeout_config(timeouts(settings.request_timeout))
        .retry_config(retry)
        .stalled_stream_protection(stall)
        // Stores other than AWS refuse the checksums and trailers that the SDK adds by itself.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .build()
}
