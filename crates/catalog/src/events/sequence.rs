//! The sequencer: gives committed events their positions.
//!
//! | what could go wrong | why it does not |
//! |---|---|
//! | two sequence at once | PostgreSQL: a lock that ends with the transaction, or with its connection; SQLite: one writer |
//! | a frozen process keeps the lock | its transaction is ended by the server when it has been idle for [`LONGEST_IDLE`] |
//! | a position is given twice | the head is compared and set, and an index over positions is unique |
//! | an event of an open transaction is passed over | it has no position yet; once it is committed it gets a higher one |
//! | a reader sees a later position first | all positions of a round become visible at one commit, and the next round begins after it |

use std::collections::BTreeMap;

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

/// How long the database lets a transaction that sequences do nothing, in PostgreSQL's notation.
const LONGEST_IDLE: &str = "5s";

/// Locks are by number (PostgreSQL 16, section 13.3.5): this one is of the sequencer, "safe" in ASCII.
const LOCK: i64 = 0x7361_6665;

/// What waits, in the order of arrival.
pub(super) const WAITING_SQL: &str = "SELECT tenant_id, event_id, arrival FROM events WHERE position IS NULL ORDER BY arrival LIMIT $1";

/// One of those who wait.
pub(super) const ANY_SQL: &str =
    "SELECT CAST(1 AS BIGINT) FROM events WHERE position IS NULL LIMIT 1";

/// Gives places to those who wait, behind the head of their tenants. That they still wait is not asked
/// again: nobody else sequences meanwhile, and a planner without statistics would go through all of the
/// backlog for it instead of by the primary key.
pub(super) fn assign_sql() -> String {
    format!(
        "UPDATE events SET position = placed.position
           FROM (SELECT w.tenant_id, w.event_id,
                        h.position + ROW_NUMBER() OVER (PARTITION BY w.tenant_id ORDER BY w.arrival) AS position
                   FROM ({WAITING_SQL}) AS w JOIN event_heads h ON h.tenant_id = w.tenant_id) AS placed
          WHERE events.tenant_id = placed.tenant_id AND events.event_id = placed.event_id
         RETURNING events.tenant_id, events.position"
    )
}

/// Whether an event waits for its position.
///
/// # Errors
/// What the database says.
pub async fn any_waiting(tx: &mut Tx<'_>) -> Result<bool, CatalogError> {
    let first = tx.row(ANY_SQL, &[]).await?;
    Ok(first.is_some())
}

/// Gives the next positions of their tenants to at most `limit` committed events, in a transaction that
/// does nothing else, and has readers woken after it. How many: fewer than `limit` if that was all.
/// `None`: another sequences at this moment, and nothing was done.
///
/// # Errors
/// What the database says; everything is to be taken back then.
pub async fn sequence(tx: &mut Tx<'_>, limit: i64) -> Result<Option<u64>, CatalogError> {
    if tx.is_postgres() && !lock(tx).await? {
        return Ok(None);
    }
    // Statements that begin now see all that earlier holders of the lock have committed.
    tx.exec(
        &format!(
            "INSERT INTO event_heads (tenant_id, position, pruned)
             SELECT DISTINCT w.tenant_id, 0, 0 FROM ({WAITING_SQL}) AS w WHERE NOT EXISTS
                    (SELECT 1 FROM event_heads h WHERE h.tenant_id = w.tenant_id)"
        ),
        values![limit],
    )
    .await?;
    let assigned = tx.rows(&assign_sql(), values![limit]).await?;
    // The lowest and the highest that each tenant was given.
    let mut given: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for row in &assigned {
        let (tenant_id, position) = (row.text(0)?, row.int(1)?);
        let (low, high) = given.entry(tenant_id).or_insert((position, position));
        *low = position.min(*low);
        *high = position.max(*high);
    }
    for (tenant_id, (low, high)) in &given {
        let moved = tx
            .exec(
                "UPDATE event_heads SET position = $2 WHERE tenant_id = $1 AND position = $3",
                values![tenant_id, *high, low - 1],
            )
            .await?;
        if moved != 1 {
            return Err(CatalogError::Contended(sqlx::Error::RowNotFound));
        }
    }
    if !given.is_empty() {
        tx.ring_sequenced().await?;
    }
    Ok(Some(assigned.len() as u64))
}

/// Takes the lock until the transaction ends, and has its statements planned for a backlog: however few
/// waited when the planner last counted, all of them would be sorted each time. `false`: another has it.
pub(super) async fn lock(tx: &mut Tx<'_>) -> Result<bool, CatalogError> {
    let row = tx
        .row(
            &format!(
                "SELECT CASE WHEN pg_try_advisory_xact_lock($1) THEN 1::BIGINT ELSE 0::BIGINT END,
                        set_config('idle_in_transaction_session_timeout', '{LONGEST_IDLE}', true),
                        set_config('enable_bitmapscan', 'off', true)"
            ),
            values![LOCK],
        )
        .await?;
    row.map_or(Ok(false), |r| r.int(0).map(|taken| taken == 1))
}
