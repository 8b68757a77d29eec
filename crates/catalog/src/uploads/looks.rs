//! When the janitor looks at which upload.
//!
//! Due times are an index that begins with the tenant, so that each tenant that has something due is found by
//! one step along it, and one with a million uploads is no longer a way than one with a single one. Who looks takes the
//! upload first, by moving its time on: of many janitors one looks, and if it dies, another does when that time comes.

use safelight_model::clock::Micros;

use super::{SELECT, Upload, read};
use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

/// Each tenant behind `after` that has uploads with a time, and the earliest of them; only those that are
/// due then, in the order of the tenants' ids.
pub(super) const DUE_TENANTS: &str = "\
    WITH RECURSIVE waiting (tenant_id) AS ( \
      SELECT (SELECT tenant_id FROM uploads WHERE look_at IS NOT NULL AND tenant_id > $2 \
               ORDER BY tenant_id, look_at LIMIT 1) \
      UNION ALL \
      SELECT (SELECT u.tenant_id FROM uploads u WHERE u.look_at IS NOT NULL AND u.tenant_id > w.tenant_id \
               ORDER BY u.tenant_id, u.look_at LIMIT 1) \
        FROM waiting w WHERE w.tenant_id IS NOT NULL \
    ) \
    SELECT tenant_id FROM ( \
      SELECT w.tenant_id, (SELECT u.look_at FROM uploads u WHERE u.tenant_id = w.tenant_id AND u.look_at IS NOT NULL \
                            ORDER BY u.look_at LIMIT 1) AS first_at \
        FROM waiting w WHERE w.tenant_id IS NOT NULL \
    ) AS firsts WHERE first_at <= $1 ORDER BY tenant_id LIMIT $3";

/// Tenants that have uploads to be looked at, at most `limit`, by id and from behind `after` on.
///
/// # Errors
/// What the database says.
pub async fn due_tenants(
    tx: &mut Tx<'_>,
    now: Micros,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, CatalogError> {
    tx.rows(DUE_TENANTS, values![now, after, limit])
        .await?
        .iter()
        .map(|r| r.text(0))
        .collect()
}

/// The condition and order of [`due_of`].
pub(super) const DUE_OF: &str = "WHERE u.tenant_id = $1 AND u.look_at IS NOT NULL AND u.look_at <= $2 \
     ORDER BY u.look_at LIMIT $3";

/// A tenant's uploads that are to be looked at, the longest due first.
///
/// # Errors
/// What the database says.
pub async fn due_of(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    now: Micros,
    limit: i64,
) -> Result<Vec<Upload>, CatalogError> {
    let sql = format!("{SELECT} {DUE_OF}");
    tx.rows(&sql, values![tenant_id, now, limit])
        .await?
        .iter()
        .map(read)
        .collect()
}

/// Takes uploads to be looked at, as [`due_of`] gave them: until `until` nobody else does. The answer has
/// those that were taken, as they are now; another was quicker with the others, or they have changed.
///
/// # Errors
/// What the database says.
pub async fn take_looks(
    tx: &mut Tx<'_>,
    due: &[Upload],
    until: Micros,
) -> Result<Vec<Upload>, CatalogError> {
    let mut taken = Vec::with_capacity(due.len());
    // Always in the same order, so that two never wait for each other in a ring.
    let mut due: Vec<&Upload> = due.iter().collect();
    due.sort_by_key(|u| (&u.tenant_id, &u.upload_id));
    for upload in due {
        let changed = tx
            .exec(
                "UPDATE uploads SET look_at = $5, looks = looks + 1
                  WHERE tenant_id = $1 AND upload_id = $2 AND version = $3 AND look_at = $4",
                values![
                    &upload.tenant_id,
                    &upload.upload_id,
                    upload.version,
                    upload.look_at,
                    until
                ],
            )
            .await?;
        if changed == 1 {
            taken.push(Upload {
                look_at: Some(until),
                looks: upload.looks.saturating_add(1),
                ..upload.clone()
            });
        }
    }
    Ok(taken)
}

/// Has an upload that [`take_looks`] gave looked at again at `at`, or never. `false` when somebody else gave it
/// another time meanwhile, which then holds.
///
/// # Errors
/// What the database says.
pub async fn look_again(
    tx: &mut Tx<'_>,
    taken: &Upload,
    at: Option<Micros>,
) -> Result<bool, CatalogError> {
    let changed = tx
        .exec(
            "UPDATE uploads SET look_at = $4 WHERE tenant_id = $1 AND upload_id = $2 AND look_at = $3",
            values![&taken.tenant_id, &taken.upload_id, taken.look_at, at],
        )
        .await?;
    Ok(changed == 1)
}

/// Gives a time to uploads that a version beside this one left without: it knows none. At most `limit` of each
/// kind; how many.
///
/// # Errors
/// What the database says.
pub async fn adopt(
    tx: &mut Tx<'_>,
    now: Micros,
    began_before: Micros,
    limit: i64,
) -> Result<u64, CatalogError> {
    let mut adopted = 0;
    for (lost, by, before) in [
        ("state = 'open' AND expires_at <= $2", "expires_at", now),
        (
            "state = 'completing' AND intent_at <= $2",
            "intent_at",
            began_before,
        ),
        (
            "state IN ('aborted', 'expired') AND cleared_at IS NULL AND signed_until <= $2",
            "signed_until",
            now,
        ),
    ] {
        // Looked for first, so that a round which finds nothing writes nothing.
        let sql = format!(
            "SELECT tenant_id, upload_id FROM uploads WHERE {lost} AND look_at IS NULL ORDER BY {by} LIMIT $1"
        );
        for row in tx.rows(&sql, values![limit, before]).await? {
            adopted += tx
                .exec(
                    "UPDATE uploads SET look_at = $3
                      WHERE tenant_id = $1 AND upload_id = $2 AND look_at IS NULL
                        AND (state IN ('open', 'completing') OR (state IN ('aborted', 'expired') AND cleared_at IS NULL))",
                    values![row.text(0)?, row.text(1)?, now],
                )
                .await?;
        }
    }
    Ok(adopted)
}
