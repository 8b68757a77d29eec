//! One turn of work for an endpoint: its next events become deliveries, and what is due is sent, one after another, in
//! the order of the events. A failure ends the turn, and the endpoint rests for a while.
//!
//! | the process dies | what is left |
//! |---|---|
//! | after taking the endpoint | its lease, which ends |
//! | between making deliveries and sending them | deliveries that are due: the next turn sends them |
//! | between sending and writing that down | the delivery is sent once more, with the same id |

use std::time::Duration;

use safelight_catalog::events::Sequenced;
use safelight_catalog::webhooks::{self, Delivery, Disabled, Endpoint, Outcome, Settled};
use safelight_catalog::{Catalog, CatalogError};
use safelight_model::codes::Code;
use safelight_model::{entropy, webhook};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::check_url::{Target, UrlError, check_url};
use super::post::{ANSWER_TIME, Answer, Line, Message, PostError, Poster};
use super::sign;
use crate::context::Context;
use crate::insights::cloud_event::cloud_event;

/// Nobody else works for an endpoint for so long: longer than a turn and its last message can take.
const LEASE: Duration = Duration::from_secs(90);
/// After so long a turn begins no further message.
const TURN: Duration = Duration::from_secs(30);
/// Deliveries read at once. Further events become deliveries only when fewer are due.
const BATCH: i64 = 20;
/// Events that become deliveries in one transaction.
const PAGE: i64 = 200;
/// How long a message that is under way may still take when the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// Takes an endpoint and works for it; whether there is more to do for it at once.
///
/// # Errors
/// If the catalog fails. The endpoint's lease ends by itself then.
pub(super) async fn turn(
    context: &Context,
    poster: &Poster,
    seen: Endpoint,
    stop: &CancellationToken,
) -> Result<bool, CatalogError> {
    // Before the lease begins: what it takes to get one shortens the turn.
    let ends_at = Instant::now() + TURN;
    let taken = context
        .catalog
        .write::<_, CatalogError, _>(move |tx| {
            Box::pin(async move { webhooks::take(tx, &seen, LEASE).await })
        })
        .await?;
    let Some(taken) = taken else {
        return Ok(false);
    };
    let turn = Turn {
        context,
        poster,
        stop,
        target: check_url(&taken.url, context.settings.webhooks),
        ends_at,
    };
    turn.work(taken).await
}

struct Turn<'a> {
    context: &'a Context,
    poster: &'a Poster,
    stop: &'a CancellationToken,
    target: Result<Target, UrlError>,
    ends_at: Instant,
}

/// What became of one try.
enum Tried {
    Answered(Answer),
    Failed(Code, String),
    /// Its event is no more.
    Forgotten,
}

impl Turn<'_> {
    async fn work(&self, mut taken: Endpoint) -> Result<bool, CatalogError> {
        let mut line = None;
        loop {
            if self.is_over() {
                self.release(&taken, Duration::ZERO).await?;
                return Ok(true);
            }
            let mut due = self.due(&taken).await?;
            if (due.len() as u64) < BATCH.unsigned_abs() {
                let Some(to) = fan_out(&self.context.catalog, &taken).await? else {
                    // It was changed, or told to begin again: that is for its next turn.
                    self.release(&taken, Duration::ZERO).await?;
                    return Ok(true);
                };
                let moved = to != taken.position;
                taken.position = to;
                if due.is_empty() && !moved {
                    self.release(&taken, Duration::ZERO).await?;
                    return Ok(false);
                }
                due = self.due(&taken).await?;
            }
            for (delivery, event) in due {
                if self.is_over() {
                    self.release(&taken, Duration::ZERO).await?;
                    return Ok(true);
                }
                let Some(tried) = self.attempt(&taken, &delivery, event, &mut line).await else {
                    self.release(&taken, Duration::ZERO).await?;
                    return Ok(true);
                };
                // How long the receiver wants to be left alone, if it did not take this.
                let rest = match &tried {
                    Tried::Answered(a) if (200..300).contains(&a.status) => None,
                    Tried::Answered(a) => Some(a.asked()),
                    Tried::Failed(..) => Some(None),
                    Tried::Forgotten => None,
                };
                let settled = self.judge(&taken, &delivery, tried);
                let settled = settle(&self.context.catalog, &taken, delivery, settled).await?;
                match (settled, rest) {
                    (None, _) => return Ok(true),
                    (Some(failures), Some(asked)) => {
                        let rest = webhook::rest(failures, asked);
                        self.release(&taken, rest).await?;
                        return Ok(false);
                    }
                    (Some(failures), None) => {
                        taken.failures = failures;
                        if failures == 0 {
                            taken.failing_since = None;
                        }
                    }
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        self.stop.is_cancelled() || Instant::now() >= self.ends_at
    }

    async fn due(
        &self,
        taken: &Endpoint,
    ) -> Result<Vec<(Delivery, Option<Sequenced>)>, CatalogError> {
        let mut reader = self.context.catalog.reader().await?;
        webhooks::pending(&mut reader.tx(), taken, BATCH).await
    }

    /// Sends it; `None` if the server stops before there is an answer.
    async fn attempt(
        &self,
        taken: &Endpoint,
        delivery: &Delivery,
        event: Option<Sequenced>,
        line: &mut Option<Line>,
    ) -> Option<Tried> {
        let Some(event) = event else {
            return Some(Tried::Forgotten);
        };
        let target = match &self.target {
            Ok(target) => target,
            Err(error) => return Some(Tried::Failed(error.code(), error.to_string())),
        };
        let body = match serde_json::to_vec(&cloud_event(&event)) {
            Ok(body) => body,
            Err(error) => return Some(Tried::Failed(Code::Internal, error.to_string())),
        };
        let now = self.context.now();
        let (id, timestamp_s) = (
            sign::message_id(&delivery.event_id, &taken.webhook_id),
            now.unix_seconds(),
        );
        let message = Message {
            signature: sign::signatures(self.context, taken, now, &id, timestamp_s, &body),
            id,
            timestamp_s,
            body: body.into(),
        };
        let stopped = async {
            self.stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        let answer = tokio::select! {
            answer = self.poster.post(target, line, &message, now) => answer,
            () = stopped => return None,
        };
        Some(match answer {
            Ok(answer) => Tried::Answered(answer),
            Err(error) => Tried::Failed(PostError::code(&error), error.to_string()),
        })
    }

    /// What follows from a try.
    fn judge(&self, taken: &Endpoint, delivery: &Delivery, tried: Tried) -> Settled {
        let (status, code, asked) = match &tried {
            Tried::Answered(answer) if (200..300).contains(&answer.status) => {
                metrics::counter!("safelight_webhook_tries_total", "outcome" => "delivered")
                    .increment(1);
                return Settled {
                    outcome: Outcome::Delivered,
                    status: Some(i64::from(answer.status)),
                    reason: None,
                    disable: None,
                };
            }
            Tried::Answered(answer) => (Some(answer.status), Code::WebhookRejected, answer.asked()),
            Tried::Failed(code, _) => (None, *code, None),
            Tried::Forgotten => {
                let code = Code::EventForgotten.as_str();
                metrics::counter!("safelight_webhook_tries_total", "outcome" => code).increment(1);
                return Settled {
                    outcome: Outcome::Forgotten,
                    status: None,
                    reason: Some(code),
                    disable: None,
                };
            }
        };
        metrics::counter!("safelight_webhook_tries_total", "outcome" => code.as_str()).increment(1);
        if let Tried::Failed(_, why) = &tried {
            tracing::debug!(webhook_id = taken.webhook_id, event_id = delivery.event_id, %code, why, "not delivered");
        }
        let is_gone = status == Some(410);
        let fraction = entropy::fraction(self.context.entropy.as_ref());
        let again = webhook::wait(delivery.attempts, asked, fraction).filter(|_| !is_gone);
        let has_failed_long = taken.failures + 1 >= webhook::FAILING_TIMES
            && taken
                .failing_since
                .is_some_and(|since| self.context.now().since(since) >= webhook::FAILING_FOR);
        let disable = if is_gone {
            Some(Disabled::Gone)
        } else {
            has_failed_long.then_some(Disabled::Failing)
        };
        if let Some(why) = disable {
            tracing::warn!(
                tenant_id = taken.tenant_id,
                webhook_id = taken.webhook_id,
                reason = why.as_str(),
                "a webhook is disabled"
            );
        }
        Settled {
            outcome: again.map_or(Outcome::GivenUp, Outcome::Again),
            status: status.map(i64::from),
            reason: Some(code.as_str()),
            disable,
        }
    }

    async fn release(&self, taken: &Endpoint, rest: Duration) -> Result<(), CatalogError> {
        let taken = taken.clone();
        self.context
            .catalog
            .write::<_, CatalogError, _>(move |tx| {
                Box::pin(async move { webhooks::release(tx, &taken, rest).await })
            })
            .await?;
        Ok(())
    }
}

async fn fan_out(catalog: &Catalog, taken: &Endpoint) -> Result<Option<i64>, CatalogError> {
    let taken = taken.clone();
    catalog
        .write::<_, CatalogError, _>(move |tx| {
            Box::pin(async move { webhooks::fan_out(tx, &taken, PAGE).await })
        })
        .await
}

async fn settle(
    catalog: &Catalog,
    taken: &Endpoint,
    delivery: Delivery,
    settled: Settled,
) -> Result<Option<i64>, CatalogError> {
    let taken = taken.clone();
    catalog
        .write::<_, CatalogError, _>(move |tx| {
            Box::pin(async move { webhooks::settle(tx, &taken, &delivery, &settled).await })
        })
        .await
}

// A turn that began its last message in time ends before its lease does.
const _: () = assert!(TURN.as_secs() + ANSWER_TIME.as_secs() + 10 < LEASE.as_secs());
