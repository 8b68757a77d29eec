//! Idempotency records of operations that have more than one step.
//!
//! The first request leaves a record *in flight* with a lease, does its work, and then marks the
//! record done in a transaction of its own. If its process dies before that, the lease ends and a
//! repetition takes the record over; so the operations themselves must bear being run again. Taking over
//! raises the record's fence, and whoever comes back with an old one changes nothing.
//!
//! An operation that needs the database alone begins, works and is done in one transaction.

use safelight_model::clock::Micros;
use safelight_model::codes::Code;

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

/// A key as it came.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The tenant.
    pub tenant_id: String,
    /// Who calls.
    pub caller: String,
    /// The key.
    pub key: String,
    /// Which operation.
    pub operation: &'static str,
    /// The hash of the request.
    pub fingerprint: String,
    /// Now.
    pub now: Micros,
    /// Until when the operation may be under way before another takes it over.
    pub lease_until: Micros,
    /// When the record may be forgotten.
    pub expires_at: Micros,
}

/// What a key means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nobody used it, or whoever did is gone: go on, and report with this fence.
    Begin(i64),
    /// The operation was carried out; this is what it was about, and its error if it had one.
    Done(Option<String>, Option<Code>),
    /// The first request is still running.
    InFlight,
    /// The key came before with another request.
    Mismatch,
}

/// Begins an operation under a key, or finds what became of it.
///
/// # Errors
/// What the database says.
pub async fn begin(tx: &mut Tx<'_>, claim: &Claim) -> Result<Found, CatalogError> {
    let made = tx
        .exec(
            "INSERT INTO idempotency (tenant_id, caller, idempotency_key, operation, fingerprint, state, lease_until,
                                      expires_at)
             VALUES ($1, $2, $3, $4, $5, 'in_flight', $6, $7) ON CONFLICT DO NOTHING",
            values![
                &claim.tenant_id,
                &claim.caller,
                &claim.key,
                claim.operation,
                &claim.fingerprint,
                claim.lease_until,
                claim.expires_at
            ],
        )
        .await?;
    if made == 1 {
        return Ok(Found::Begin(1));
    }
    let row = tx
        .row(
            "SELECT operation, fingerprint, state, subject_id, error_code, fence FROM idempotency
              WHERE tenant_id = $1 AND caller = $2 AND idempotency_key = $3",
            values![&claim.tenant_id, &claim.caller, &claim.key],
        )
        .await?;
    let Some(row) = row else {
        return Ok(Found::InFlight);
    };
    if row.text(0)? != claim.operation || row.text(1)? != claim.fingerprint {
        return Ok(Found::Mismatch);
    }
    if row.text(2)? == "done" {
        return Ok(Found::Done(
            row.maybe_text(3)?,
            row.maybe_text(4)?.as_deref().and_then(Code::parse),
        ));
    }
    let fence = row.int(5)?;
    let taken = tx
        .exec(
            "UPDATE idempotency SET lease_until = $4, fence = fence + 1
              WHERE tenant_id = $1 AND caller = $2 AND idempotency_key = $3 AND state = 'in_flight'
                AND fence = $5 AND lease_until < $6",
            values![
                &claim.tenant_id,
                &claim.caller,
                &claim.key,
                claim.lease_until,
                fence,
                claim.now
            ],
        )
        .await?;
    Ok(if taken == 1 {
        Found::Begin(fence + 1)
    } else {
        Found::InFlight
    })
}

/// Moves the end of the lease of an operation that is still under way. `false` if it was taken over.
///
/// # Errors
/// What the database says.
pub async fn keep(
    tx: &mut Tx<'_>,
    claim: &Claim,
    fence: i64,
    lease_until: Micros,
) -> Result<bool, CatalogError> {
    let kept = tx
        .exec(
            "UPDATE idempotency SET lease_until = $5
              WHERE tenant_id = $1 AND caller = $2 AND idempotency_key = $3 AND state = 'in_flight' AND fence = $4",
            values![&claim.tenant_id, &claim.caller, &claim.key, fence, lease_until],
        )
        .await?;
    Ok(kept == 1)
}

/// Marks an operation as carried out, with what it was about or the code it failed with. `false` if it was
/// taken over: then the record is another's to mark.
///
/// # Errors
/// What the database says.
pub async fn done(
    tx: &mut Tx<'_>,
    claim: &Claim,
    fence: i64,
    subject_id: Option<&str>,
    error: Option<Code>,
) -> Result<bool, CatalogError> {
    let marked = tx
        .exec(
            "UPDATE idempotency SET state = 'done', subject_id = $5, error_code = $6
              WHERE tenant_id = $1 AND caller = $2 AND idempotency_key = $3 AND state = 'in_flight' AND fence = $4",
            values![
                &claim.tenant_id,
                &claim.caller,
                &claim.key,
                fence,
                subject_id,
                error.map(Code::as_str)
            ],
        )
        .await?;
    Ok(marked == 1)
}

/// Takes a record back whose operation was not carried out, so that the key can be used again: a
/// passing fault is never frozen. `false` if it was taken over.
///
/// # Errors
/// What the database says.
pub async fn forget(tx: &mut Tx<'_>, claim: &Claim, fence: i64) -> Result<bool, CatalogError> {
    let removed = tx
        .exec(
            "DELETE FROM idempotency
              WHERE tenant_id = $1 AND caller = $2 AND idempotency_key = $3 AND state = 'in_flight' AND fence = $4",
            values![&claim.tenant_id, &claim.caller, &claim.key, fence],
        )
        .await?;
    Ok(removed == 1)
}

/// Removes up to `limit` records whose time is over; how many.
///
/// # Errors
/// What the database says.
pub async fn prune(tx: &mut Tx<'_>, now: Micros, limit: i64) -> Result<u64, CatalogError> {
    tx.exec(
        "DELETE FROM idempotency WHERE (tenant_id, caller, idempotency_key) IN
           (SELECT tenant_id, caller, idempotency_key FROM idempotency WHERE expires_at < $1 LIMIT $2)",
        values![now, limit],
    )
    .await
}
