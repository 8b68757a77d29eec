//! Hears the embedded store's events where that runs: what a webhook would bring, without HTTP.

use safelight_diskstore::Event;
use safelight_service::context::Context;
use safelight_service::intake::hear_events::{Way, hear_events};
use safelight_service::intake::read_event::Created;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

/// So many events wait at most; further ones are lost, and found by their uploads' due times.
pub const WAITING: usize = 4096;
/// So many are heard in one go.
const BATCH: usize = 64;

/// Hears events until it is told to stop.
pub async fn run(context: Context, mut events: Receiver<Event>, stop: CancellationToken) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        batch.clear();
        tokio::select! {
            () = stop.cancelled() => return,
            got = events.recv_many(&mut batch, BATCH) => if got == 0 {
                return;
            }
        }
        let created: Vec<Created> = batch
            .drain(..)
            .filter(|event| event.name.starts_with("ObjectCreated:"))
            .map(|event| Created {
                bucket: event.bucket,
                key: event.key,
            })
            .collect();
        if let Err(error) = hear_events(&context, Way::Embedded, &created).await {
            tracing::warn!(%error, "events of the store were lost; their uploads are found later");
        }
    }
}
