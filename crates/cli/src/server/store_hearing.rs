//! Hears the embedded store's events where that runs: what a webhook would bring, without HTTP.

use std::time::Duration;

use safelight_diskstore::Event;
use safelight_service::context::Context;
use safelight_service::intake::hear_events::{Way, hear_events};
use safelight_service::intake::read_event::Created;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

/// So many events wait at most; further ones are lost, and found by their uploads' due times.
pub const WAITING: usize = 4096;
/// Events of so long are heard in one go: what hearing costs is not paid for every object. Clients have longer than this
/// to say themselves that all is sent.
const GATHERED: Duration = Duration::from_millis(100);

/// Hears events until it is told to stop.
pub async fn run(context: Context, mut events: Receiver<Event>, stop: CancellationToken) {
    loop {
        let mut batch = Vec::new();
        tokio::select! {
            () = stop.cancelled() => return,
            got = events.recv_many(&mut batch, WAITING) => if got == 0 {
                return;
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(GATHERED) => {}
        }
        while let Ok(event) = events.try_recv() {
            batch.push(event);
        }
        let created: Vec<Created> = batch
            .into_iter()
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
