//! Gives recorded events their places, soon after they are committed. Every process that records events
//! runs one; the database lets one at a time work. It is woken by this process's own commits, and looks
//! by itself for what others left behind.

use std::sync::Arc;
use std::time::Duration;

use safelight_catalog::{Catalog, CatalogError, events};
use safelight_model::entropy::{self, Entropy};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Events in one transaction.
const ROUND: i64 = 500;
/// From the beginning of a round to that of the next at least: under load a round takes many events, and
/// costs one commit.
const SPACING: Duration = Duration::from_millis(10);
/// How soon to look again when another is at it, who may have begun too early to see what woke this one.
const AGAIN: Duration = Duration::from_millis(20);
/// How often to look when no bell rings.
const POLL: Duration = Duration::from_secs(1);

/// Works until it is told to stop, and then once more.
pub async fn run(catalog: Catalog, entropy: Arc<dyn Entropy>, stop: CancellationToken) {
    let bell = catalog.recorded_bell();
    while !stop.is_cancelled() {
        let begun = Instant::now();
        // Listen before looking: what is rung in between is heard.
        let rung = bell.notified();
        tokio::pin!(rung);
        rung.as_mut().enable();
        let pause = match sequence_all(&catalog).await {
            Ok(true) => POLL,
            Ok(false) => AGAIN,
            Err(error) => {
                tracing::warn!(%error, "events got no places");
                POLL
            }
        };
        let pause = pause.mul_f64(0.75 + entropy::fraction(entropy.as_ref()) / 2.0);
        tokio::select! {
            () = stop.cancelled() => {}
            () = &mut rung => tokio::time::sleep_until(begun + SPACING).await,
            () = tokio::time::sleep(pause) => {}
        }
    }
    // What the last jobs recorded. Who is at it now may or may not see it; the next start will.
    if let Err(error) = sequence_all(&catalog).await {
        tracing::warn!(%error, "the last events got no places yet");
    }
}

/// Rounds until nothing waits. `false`: another is at it.
async fn sequence_all(catalog: &Catalog) -> Result<bool, CatalogError> {
    loop {
        // Looking is cheap; only with a prospect is a transaction begun.
        if !events::any_waiting(&mut catalog.reader().await?.tx()).await? {
            return Ok(true);
        }
        let round = catalog
            .write::<_, CatalogError, _>(|tx| {
                Box::pin(async move { events::sequence(tx, ROUND).await })
            })
            .await?;
        match round {
            Some(placed) => metrics::counter!("safelight_events_total").increment(placed),
            None => return Ok(false),
        }
    }
}
