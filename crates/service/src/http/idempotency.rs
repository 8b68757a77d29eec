//! Writes under their idempotency key, those of one step and those of more.

use std::future::Future;
use std::time::Duration;

use futures::future::BoxFuture;
use safelight_catalog::idempotency::{self, Claim, Found};
use safelight_catalog::{CatalogError, Tx};
use safelight_model::codes::Code;
use safelight_model::limits;
use tokio_util::task::AbortOnDropHandle;

use super::problem::{Coded, Refused};
use crate::context::Context;
use crate::governance::authenticate::Caller;

/// How long after the last sign of life of a request its repetition takes over.
const TAKEN_FOR: Duration = Duration::from_secs(15);
/// How often a request that is under way gives a sign of life.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// The hash of what a request asks for: operation, path and body.
#[must_use]
pub fn fingerprint(operation: &str, path: &str, body: &[u8]) -> String {
    let mut hash = blake3::Hasher::new();
    for part in [operation.as_bytes(), path.as_bytes(), body] {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().to_hex().to_string()
}

/// A write as it came.
pub struct Write<'a> {
    /// Who calls.
    pub caller: &'a Caller,
    /// The key.
    pub key: String,
    /// Which operation.
    pub operation: &'static str,
    /// Path and body.
    pub fingerprint: String,
}

impl<'a> Write<'a> {
    /// A request for this operation on what a path names, with this body.
    #[must_use]
    pub fn of(
        caller: &'a Caller,
        key: String,
        operation: &'static str,
        path: &str,
        body: &[u8],
    ) -> Self {
        Self {
            caller,
            key,
            operation,
            fingerprint: fingerprint(operation, path, body),
        }
    }
}

/// Whether this failure is an outcome: something was decided, and stays so. Everything else may be
/// asked again under the same key.
fn is_outcome(code: Code) -> bool {
    matches!(
        code,
        Code::SizeMismatch | Code::ChecksumMismatch | Code::UploadExpired
    )
}

/// What a key that came before asks of this request.
enum Earlier {
    /// Nothing: go on with this fence.
    Begin(i64),
    /// It was carried out, and was about this.
    Done(String),
}

impl Write<'_> {
    fn claim(&self, context: &Context) -> Claim {
        let now = context.now();
        Claim {
            tenant_id: self.caller.tenant_id.clone(),
            caller: self.caller.caller.clone(),
            key: self.key.clone(),
            operation: self.operation,
            fingerprint: self.fingerprint.clone(),
            now,
            lease_until: now.plus(TAKEN_FOR),
            expires_at: now.plus(limits::IDEMPOTENCY_RECORD),
        }
    }
}

fn earlier(found: Found) -> Result<Earlier, Refused> {
    match found {
        Found::Begin(fence) => Ok(Earlier::Begin(fence)),
        Found::Done(subject, None) => Ok(Earlier::Done(subject.unwrap_or_default())),
        Found::Done(_, Some(code)) => Err(Refused::because(
            code,
            "this request was carried out before, with this outcome",
        )),
        Found::InFlight => Err(Refused::because(
            Code::IdempotencyKeyInFlight,
            "the first request with this key is still running: wait, then repeat it",
        )),
        Found::Mismatch => Err(Refused::because(
            Code::IdempotencyKeyMismatch,
            "this Idempotency-Key came before with another request: use a fresh key for a fresh request",
        )),
    }
}

/// Carries `work`, which needs the catalog alone, out under the key: it and its record are committed
/// together, so that it happens once whatever dies. The id that it answers, or answered the first time;
/// the flag says which.
///
/// # Errors
/// What `work` says; or that the key is in flight, or came before with another request.
pub async fn in_one_commit<E, F>(
    context: &Context,
    write: Write<'_>,
    work: F,
) -> Result<(String, bool), Refused>
where
    E: Coded + From<CatalogError> + Send + 'static,
    F: for<'t> FnOnce(&'t mut Tx<'_>) -> BoxFuture<'t, Result<String, E>> + Send + 'static,
{
    let claim = write.claim(context);
    let found = context
        .catalog
        .write(move |tx| {
            Box::pin(async move {
                let found = idempotency::begin(tx, &claim).await?;
                let Found::Begin(fence) = found else {
                    return Ok((found, true));
                };
                let subject = work(tx).await?;
                idempotency::done(tx, &claim, fence, Some(&subject), None).await?;
                Ok::<_, E>((Found::Done(Some(subject), None), false))
            })
        })
        .await?;
    match (earlier(found.0)?, found.1) {
        (Earlier::Done(subject), replayed) => Ok((subject, replayed)),
        (Earlier::Begin(_), _) => Err(Refused::because(
            Code::Internal,
            "the operation began and did not end",
        )),
    }
}

/// As [`in_one_commit`], for a write that may come without a key: then each is carried out as it comes.
///
/// # Errors
/// As [`in_one_commit`].
pub async fn in_one_commit_perhaps<E, F>(
    context: &Context,
    write: Option<Write<'_>>,
    work: F,
) -> Result<(String, bool), Refused>
where
    E: Coded + From<CatalogError> + Send + 'static,
    F: for<'t> FnOnce(&'t mut Tx<'_>) -> BoxFuture<'t, Result<String, E>> + Send + 'static,
{
    match write {
        Some(write) => in_one_commit(context, write, work).await,
        None => Ok((context.catalog.write(work).await?, false)),
    }
}

/// Carries `run` out under the key. It answers the id that it was about and its value. A repetition is
/// given that id and answers with `replay`, rendered anew; the flag in the answer says so.
///
/// # Errors
/// What `run` or `replay` say; or that the key is in flight, or came before with another request.
pub async fn under_key<T, Run, Replay>(
    context: &Context,
    write: Write<'_>,
    run: Run,
    replay: impl FnOnce(String) -> Replay,
) -> Result<(T, bool), Refused>
where
    Run: Future<Output = Result<(String, T), Refused>>,
    Replay: Future<Output = Result<T, Refused>>,
{
    let claim = write.claim(context);
    let asked = claim.clone();
    let found = context
        .catalog
        .write(move |tx| Box::pin(async move { idempotency::begin(tx, &asked).await }))
        .await?;
    let fence = match earlier(found)? {
        Earlier::Begin(fence) => fence,
        Earlier::Done(subject) => return Ok((replay(subject).await?, true)),
    };
    let alive = AbortOnDropHandle::new(tokio::spawn(stay_alive(
        context.clone(),
        claim.clone(),
        fence,
    )));
    let outcome = run.await;
    drop(alive);
    let (subject, error) = match &outcome {
        Ok((subject, _)) => (Some(subject.clone()), None),
        Err(refused) if is_outcome(refused.code) => (None, Some(refused.code)),
        Err(_) => {
            let forgotten = context.catalog.write(move |tx| {
                Box::pin(async move { idempotency::forget(tx, &claim, fence).await })
            });
            forgotten.await?;
            return outcome.map(|(_, value)| (value, false));
        }
    };
    // One that was overtaken leaves the record to the other; what it did stands, as operations that come
    // this way end alike however often they run.
    context
        .catalog
        .write(move |tx| {
            Box::pin(async move {
                idempotency::done(tx, &claim, fence, subject.as_deref(), error).await
            })
        })
        .await?;
    outcome.map(|(_, value)| (value, false))
}

/// Keeps the key taken while its operation runs. It ends with the process, so that whoever repeats the
/// request after a crash need not wait for long.
async fn stay_alive(context: Context, claim: Claim, fence: i64) {
    loop {
        tokio::time::sleep(SIGN_OF_LIFE).await;
        let (claim, until) = (claim.clone(), context.now().plus(TAKEN_FOR));
        let kept = context
            .catalog
            .write(move |tx| {
                Box::pin(async move { idempotency::keep(tx, &claim, fence, until).await })
            })
            .await;
        match kept {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::warn!(%error, "an idempotency key was not kept"),
        }
    }
}
