//! Writes of more than one step, under their idempotency key.

use std::future::Future;
use std::time::Duration;

use safelight_catalog::idempotency::{self, Claim, Found};
use safelight_model::codes::Code;
use safelight_model::limits;
use tokio_util::task::AbortOnDropHandle;

use super::problem::Refused;
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

/// Whether this failure is an outcome: something was decided, and stays so. Everything else may be
/// asked again under the same key.
fn is_outcome(code: Code) -> bool {
    matches!(
        code,
        Code::SizeMismatch | Code::ChecksumMismatch | Code::UploadExpired
    )
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
    let now = context.now();
    let claim = Claim {
        tenant_id: write.caller.tenant_id.clone(),
        caller: write.caller.caller.clone(),
        key: write.key,
        operation: write.operation,
        fingerprint: write.fingerprint,
        now,
        lease_until: now.plus(TAKEN_FOR),
        expires_at: now.plus(limits::IDEMPOTENCY_RECORD),
    };
    let asked = claim.clone();
    let found = context
        .catalog
        .write(move |tx| Box::pin(async move { idempotency::begin(tx, &asked).await }))
        .await?;
    match found {
        Found::Begin => {}
        Found::Done(_, Some(code)) => {
            return Err(Refused::because(
                code,
                "this request was carried out before, with this outcome",
            ));
        }
        Found::Done(subject, None) => {
            return Ok((replay(subject.unwrap_or_default()).await?, true));
        }
        Found::InFlight => {
            return Err(Refused::because(
                Code::IdempotencyKeyInFlight,
                "the first request with this key is still running: wait, then repeat it",
            ));
        }
        Found::Mismatch => {
            return Err(Refused::because(
                Code::IdempotencyKeyMismatch,
                "this Idempotency-Key came before with another request: use a fresh key for a fresh request",
            ));
        }
    }
    let alive = AbortOnDropHandle::new(tokio::spawn(stay_alive(context.clone(), claim.clone())));
    let outcome = run.await;
    drop(alive);
    let (subject, error) = match &outcome {
        Ok((subject, _)) => (Some(subject.clone()), None),
        Err(refused) if is_outcome(refused.code) => (None, Some(refused.code)),
        Err(_) => {
            let forgotten = context
                .catalog
                .write(move |tx| Box::pin(async move { idempotency::forget(tx, &claim).await }));
            forgotten.await?;
            return outcome.map(|(_, value)| (value, false));
        }
    };
    context
        .catalog
        .write(move |tx| {
            Box::pin(async move { idempotency::done(tx, &claim, subject.as_deref(), error).await })
        })
        .await?;
    outcome.map(|(_, value)| (value, false))
}

/// Keeps the key taken while its operation runs. It ends with the process, so that whoever repeats the
/// request after a crash need not wait for long.
async fn stay_alive(context: Context, claim: Claim) {
    loop {
        tokio::time::sleep(SIGN_OF_LIFE).await;
        let (claim, until) = (claim.clone(), context.now().plus(TAKEN_FOR));
        let kept = context
            .catalog
            .write(move |tx| Box::pin(async move { idempotency::keep(tx, &claim, until).await }))
            .await;
        if let Err(error) = kept {
            tracing::warn!(%error, "an idempotency key was not kept");
        }
    }
}
