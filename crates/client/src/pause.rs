//! Waiting as a thing that is handed in, so that a test need not wait.

use std::time::Duration;

/// Waits.
#[async_trait::async_trait]
pub trait Pause: Send + Sync + 'static {
    /// Returns when `duration` is over.
    async fn pause(&self, duration: Duration);
}

/// Waits by the runtime's timer.
#[derive(Clone, Copy, Debug, Default)]
pub struct TimerPause;

#[async_trait::async_trait]
impl Pause for TimerPause {
    async fn pause(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
