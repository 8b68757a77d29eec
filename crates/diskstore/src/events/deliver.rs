//! Sending what waits for a webhook.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::message::Event;
use super::webhook::{Outcome, Webhook};

/// So many events go in one message at most.
const BATCH: usize = 64;
/// The wait between two attempts grows to this.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// The events that wait for one webhook.
pub(crate) struct Outbox {
    pub(super) arn: String,
    pub(super) queue: mpsc::Receiver<Event>,
    pub(super) webhook: Webhook,
}

impl Outbox {
    /// Sends events until `stopping` turns true and those that wait then are
    /// sent. `first_wait` passes before a message that was not taken is sent
    /// again, and twice as long each time after.
    pub(crate) async fn send_all(
        mut self,
        first_wait: Duration,
        mut stopping: watch::Receiver<bool>,
    ) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            batch.clear();
            tokio::select! {
                biased;
                got = self.queue.recv_many(&mut batch, BATCH) => if got == 0 {
                    return;
                },
                _ = stopping.wait_for(|stopping| *stopping), if !self.queue.is_closed() => {
                    self.queue.close();
                    continue;
                }
            }
            self.deliver(&batch, first_wait).await;
        }
    }

    async fn deliver(&self, batch: &[Event], first_wait: Duration) {
        let message = bytes::Bytes::from(Event::message(batch));
        let mut wait = first_wait;
        loop {
            match self.webhook.post(message.clone()).await {
                Ok(Outcome::Taken) => return,
                Ok(Outcome::Refused(status)) => {
                    let lost = batch.len();
                    tracing::error!(arn = self.arn, %status, lost, "a webhook refuses events for good");
                    return;
                }
                Ok(Outcome::Failed(status)) => {
                    tracing::warn!(arn = self.arn, %status, "a webhook did not take events");
                }
                Err(error) => {
                    tracing::warn!(arn = self.arn, %error, "a webhook cannot be reached");
                }
            }
            tokio::time::sleep(wait).await;
            wait = wait.saturating_mul(2).min(LONGEST_WAIT);
        }
    }
}
