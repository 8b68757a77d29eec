//! Initiations wait here for the next statement that takes them all.
//!
//! While one batch is being committed the next one gathers, so that the number of commits follows the
//! disk and not the load. The queue is bounded: when it is full the answer is "overloaded", at once.

use std::collections::HashSet;
use std::sync::Arc;

use safelight_catalog::initiate::{FreshCapture, Initiated, initiate};
use safelight_catalog::{Backend, CatalogError, Tx, assets};
use safelight_model::codes::Code;
use safelight_model::preset;
use tokio::sync::{mpsc, oneshot};

use crate::context::{Context, Owner};
use crate::want_square::want_square;

/// Initiations in one transaction at most.
const LARGEST_BATCH: usize = 64;
/// Initiations that may wait.
const LONGEST_QUEUE: usize = 2_048;
/// How often a batch that lost a race against another process is tried again.
const TRIES: u32 = 5;

type Reply = oneshot::Sender<Result<Initiated, Arc<CatalogError>>>;

struct Waiting {
    capture: FreshCapture,
    reply: Reply,
}

/// Why an initiation was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Too many wait.
    #[error("too many initiations are waiting")]
    Full,
    /// The catalog failed.
    #[error(transparent)]
    Catalog(Arc<CatalogError>),
}

/// The way to the batches.
#[derive(Clone)]
pub struct InitiationQueue {
    waiting: mpsc::Sender<Waiting>,
}

impl InitiationQueue {
    /// Starts taking initiations.
    #[must_use]
    pub fn start(context: Context) -> Self {
        let (waiting, receiver) = mpsc::channel(LONGEST_QUEUE);
        // SQLite has one writer. On PostgreSQL a second batch can be on its way while one is synced.
        let lines = match context.catalog.backend() {
            Backend::Sqlite => 1,
            Backend::Postgres => 2,
        };
        let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
        for _ in 0..lines {
            tokio::spawn(serve(context.clone(), receiver.clone()));
        }
        Self { waiting }
    }

    /// Has a capture made in the next batch.
    ///
    /// # Errors
    /// If too many wait, or the catalog fails.
    pub async fn initiate(&self, capture: FreshCapture) -> Result<Initiated, QueueError> {
        let (reply, answer) = oneshot::channel();
        self.waiting
            .try_send(Waiting { capture, reply })
            .map_err(|_| QueueError::Full)?;
        match answer.await {
            Ok(answer) => answer.map_err(QueueError::Catalog),
            Err(_) => Err(QueueError::Full),
        }
    }
}

async fn serve(context: Context, receiver: Arc<tokio::sync::Mutex<mpsc::Receiver<Waiting>>>) {
    let mut gathered = Vec::with_capacity(LARGEST_BATCH);
    let mut later = Vec::new();
    loop {
        gathered.append(&mut later);
        if gathered.is_empty() {
            let mut receiver = receiver.lock().await;
            if receiver.recv_many(&mut gathered, LARGEST_BATCH).await == 0 {
                return;
            }
        }
        let batch;
        (batch, later) = distinct(std::mem::take(&mut gathered));
        commit(&context, batch).await;
    }
}

/// Those that can go together, and those that must wait because one like them goes first.
fn distinct(gathered: Vec<Waiting>) -> (Vec<Waiting>, Vec<Waiting>) {
    let mut seen = HashSet::new();
    gathered.into_iter().partition(|w| {
        let c = &w.capture;
        let key = seen.insert((
            0,
            c.tenant_id.clone(),
            c.caller.clone(),
            c.idempotency_key.clone(),
        ));
        let reference = seen.insert((
            1,
            c.tenant_id.clone(),
            c.owner_id.clone(),
            c.client_ref.clone(),
        ));
        key && reference
    })
}

async fn commit(context: &Context, batch: Vec<Waiting>) {
    let (captures, replies): (Vec<FreshCapture>, Vec<Reply>) =
        batch.into_iter().map(|w| (w.capture, w.reply)).unzip();
    let captures = Arc::new(captures);
    match run(context, captures.clone()).await {
        Ok(answers) => {
            for (reply, answer) in replies.into_iter().zip(answers) {
                // The caller may have gone away; what was made stands, and his repetition finds it.
                let _ = reply.send(Ok(answer));
            }
        }
        // A row that the database refuses must not take the others with it. Where the database itself is
        // the trouble, asking it once for each would only add to it.
        Err(error)
            if captures.len() > 1
                && matches!(error.code(), Code::Internal | Code::ValidationFailed) =>
        {
            for (reply, capture) in replies.into_iter().zip(captures.iter()) {
                let alone = run(context, Arc::new(vec![capture.clone()])).await;
                let answer = alone.map_err(Arc::new).map(|mut answers| answers.remove(0));
                let _ = reply.send(answer);
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for reply in replies {
                let _ = reply.send(Err(error.clone()));
            }
        }
    }
}

async fn run(
    context: &Context,
    captures: Arc<Vec<FreshCapture>>,
) -> Result<Vec<Initiated>, CatalogError> {
    let mut tries = 0;
    loop {
        let (captures, context) = (captures.clone(), context.clone());
        let catalog = context.catalog.clone();
        let done = catalog
            .write(move |tx| {
                Box::pin(async move {
                    let answers = initiate(tx, &captures).await?;
                    for (capture, answer) in captures.iter().zip(&answers) {
                        want_squares(tx, &context, capture, answer).await?;
                    }
                    Ok::<_, CatalogError>(answers)
                })
            })
            .await;
        tries += 1;
        match done {
            Err(error) if error.is_contended() && tries < TRIES => {}
            other => return other,
        }
    }
}

/// Of a capture for a profile: what its owner has already gets a square, if it has none.
async fn want_squares(
    tx: &mut Tx<'_>,
    context: &Context,
    capture: &FreshCapture,
    answer: &Initiated,
) -> Result<(), CatalogError> {
    let Initiated::Made(held) = answer else {
        return Ok(());
    };
    if capture.purpose.as_deref() != Some(preset::PROFILE) {
        return Ok(());
    }
    let owner = Owner {
        tenant_id: capture.tenant_id.clone(),
        owner_id: capture.owner_id.clone(),
    };
    for asset_id in held.iter().flatten() {
        let asset = assets::find(tx, &capture.tenant_id, asset_id).await?;
        if let Some(blob) = asset.and_then(|asset| asset.blob) {
            want_square(tx, context, &owner, &blob).await?;
        }
    }
    Ok(())
}
