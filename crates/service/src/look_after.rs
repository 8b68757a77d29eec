//! Looks after uploads of which nobody says anything.
//!
//! So many at once, each by itself: one whose store does not answer holds up no other. Tenants that have something due
//! are served in turn, each as its share of the free places allows.

use std::time::Duration;

use safelight_catalog::CatalogError;
use safelight_catalog::uploads::{self, Upload, UploadState};
use safelight_model::look;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::intake::reconcile::reconcile;
use crate::look::Next;
use crate::retention::clear_upload::clear_upload;

/// Uploads that are looked at at once.
const AT_ONCE: usize = 16;
/// How often it is asked what is due, if no bell rings.
const POLL: Duration = Duration::from_secs(1);
/// After a bell so long, so that many of them cost one question.
const GATHER: Duration = Duration::from_millis(20);
/// How long looks that are under way may go on after the order to stop. What is cut off is looked at again.
const DRAIN: Duration = Duration::from_secs(5);

/// Works until it is told to stop.
pub async fn run(context: Context, stop: CancellationToken) {
    let bell = context.catalog.bell();
    let mut running = JoinSet::new();
    let mut turn = String::new();
    while !stop.is_cancelled() {
        // Listen before looking: what is rung in between is heard.
        let rung = bell.notified();
        tokio::pin!(rung);
        rung.as_mut().enable();
        while running.try_join_next().is_some() {}
        let taken = take(&context, &mut turn, AT_ONCE - running.len().min(AT_ONCE)).await;
        let taken = taken.unwrap_or_else(|error| {
            tracing::warn!(%error, "no uploads could be looked at");
            Vec::new()
        });
        let any = !taken.is_empty();
        for upload in taken {
            let context = context.clone();
            running.spawn(async move { look_at(&context, &upload).await });
        }
        if any && running.len() < AT_ONCE {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            Some(_) = running.join_next() => {}
            () = &mut rung => tokio::time::sleep(GATHER).await,
            () = tokio::time::sleep(POLL) => {}
        }
    }
    let drained = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        running.shutdown().await;
    }
}

/// Looks at everything that is due, until nothing is; how many uploads were looked at.
///
/// # Errors
/// If the catalog fails.
pub async fn round(context: &Context) -> Result<usize, CatalogError> {
    let mut turn = String::new();
    let mut looked = 0;
    loop {
        let taken = take(context, &mut turn, AT_ONCE).await?;
        if taken.is_empty() {
            return Ok(looked);
        }
        looked += taken.len();
        futures::future::join_all(taken.iter().map(|upload| look_at(context, upload))).await;
    }
}

/// Takes what is due, at most `free`, and from the tenant behind `turn` on.
async fn take(
    context: &Context,
    turn: &mut String,
    free: usize,
) -> Result<Vec<Upload>, CatalogError> {
    if free == 0 {
        return Ok(Vec::new());
    }
    let now = context.now();
    let limit = i64::try_from(free).unwrap_or(i64::MAX);
    let mut reader = context.catalog.reader().await?;
    let mut tenants = uploads::due_tenants(&mut reader.tx(), now, turn, limit).await?;
    if tenants.len() < free && !turn.is_empty() {
        for tenant in uploads::due_tenants(&mut reader.tx(), now, "", limit).await? {
            if tenants.len() < free && !tenants.contains(&tenant) {
                tenants.push(tenant);
            }
        }
    }
    let Some(last) = tenants.last() else {
        return Ok(Vec::new());
    };
    turn.clone_from(last);
    let share = i64::try_from(free.div_ceil(tenants.len())).unwrap_or(i64::MAX);
    let mut due = Vec::with_capacity(free);
    for tenant in &tenants {
        due.extend(uploads::due_of(&mut reader.tx(), tenant, now, share).await?);
    }
    due.truncate(free);
    drop(reader);
    let until = now.plus(look::LOOK_LEASE);
    context
        .catalog
        .write(move |tx| Box::pin(async move { uploads::take_looks(tx, &due, until).await }))
        .await
}

async fn look_at(context: &Context, upload: &Upload) {
    let next = match upload.state {
        UploadState::Open | UploadState::Completing => reconcile(context, upload).await,
        UploadState::Aborted | UploadState::Expired | UploadState::Merged => {
            clear_upload(context, upload).await
        }
        UploadState::Completed => Ok(Next::Never),
    };
    let next = next.unwrap_or_else(|error| {
        tracing::warn!(upload_id = upload.upload_id, %error, "an upload could not be looked at");
        Next::At(look::after_failure(context.now(), upload.looks))
    });
    let at = match next {
        Next::Settled => return,
        Next::At(at) => Some(at),
        Next::Never => None,
    };
    let taken = upload.clone();
    let said = context
        .catalog
        .write(move |tx| Box::pin(async move { uploads::look_again(tx, &taken, at).await }))
        .await;
    if let Err(error) = said {
        // It is looked at again when it is no longer taken.
        tracing::warn!(upload_id = upload.upload_id, %error, "when to look again was not written");
    }
}
