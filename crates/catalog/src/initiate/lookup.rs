//! What of an initiation is there already: three questions for all of a batch.

use std::collections::HashMap;

use crate::batch;
use crate::error::CatalogError;
use crate::initiate::FreshCapture;
use crate::transaction::Tx;
use crate::value::Value;

/// Answers by tenant and two more texts.
pub(super) struct Found<T>(HashMap<(String, String, String), T>);

impl<T> Found<T> {
    pub(super) fn get(&self, tenant_id: &str, of: &str, name: &str) -> Option<&T> {
        // Most batches find nothing.
        if self.0.is_empty() {
            return None;
        }
        self.0
            .get(&(tenant_id.to_owned(), of.to_owned(), name.to_owned()))
    }
}

/// An idempotency record.
pub(super) struct Record {
    pub(super) fingerprint: String,
    /// `None` when the key belongs to another operation.
    pub(super) capture_id: Option<String>,
}

pub(super) const ASK: &str = "WITH v AS (";
pub(super) const RECORDS: &str = ") SELECT i.tenant_id, i.caller, i.idempotency_key, i.fingerprint,
         CASE WHEN i.operation = 'initiate' THEN i.subject_id END
    FROM v CROSS JOIN idempotency i
   WHERE i.tenant_id = v.column1 AND i.caller = v.column2 AND i.idempotency_key = v.column3";
pub(super) const CAPTURES: &str = ") SELECT c.tenant_id, c.owner_id, c.client_ref, c.capture_id
    FROM v CROSS JOIN captures c
   WHERE c.tenant_id = v.column1 AND c.owner_id = v.column2 AND c.client_ref = v.column3";
/// The oldest holder only: one owner may have sent the same bytes any number of times.
pub(super) const HELD: &str = ") SELECT b.tenant_id, b.scope, b.sha256,
         (SELECT r.asset_id FROM resources r CROSS JOIN assets a
           WHERE r.tenant_id = b.tenant_id AND r.blob_id = b.blob_id AND r.kind = 'primary'
             AND a.tenant_id = r.tenant_id AND a.asset_id = r.asset_id AND a.state <> 'deleted'
           ORDER BY r.asset_id LIMIT 1)
    FROM v CROSS JOIN blobs b
   WHERE b.tenant_id = v.column1 AND b.scope = v.column2 AND b.sha256 = v.column3 AND b.state = 'live'";

pub(super) async fn records(
    tx: &mut Tx<'_>,
    fresh: &[FreshCapture],
) -> Result<Found<Record>, CatalogError> {
    let keys: Vec<Vec<Value>> = fresh
        .iter()
        .map(|c| {
            vec![
                (&c.tenant_id).into(),
                (&c.caller).into(),
                (&c.idempotency_key).into(),
            ]
        })
        .collect();
    let mut found = HashMap::new();
    for r in batch::run(tx, ASK, keys, RECORDS).await? {
        let record = Record {
            fingerprint: r.text(3)?,
            capture_id: r.maybe_text(4)?,
        };
        found.insert((r.text(0)?, r.text(1)?, r.text(2)?), record);
    }
    Ok(Found(found))
}

pub(super) async fn captures(
    tx: &mut Tx<'_>,
    fresh: &[FreshCapture],
) -> Result<Found<String>, CatalogError> {
    let keys: Vec<Vec<Value>> = fresh
        .iter()
        .map(|c| {
            vec![
                (&c.tenant_id).into(),
                (&c.owner_id).into(),
                (&c.client_ref).into(),
            ]
        })
        .collect();
    let mut found = HashMap::new();
    for r in batch::run(tx, ASK, keys, CAPTURES).await? {
        found.insert((r.text(0)?, r.text(1)?, r.text(2)?), r.text(3)?);
    }
    Ok(Found(found))
}

/// Which of the declared hashes their owners have, verified, and in which asset.
pub(super) async fn held_bytes(
    tx: &mut Tx<'_>,
    fresh: &[FreshCapture],
) -> Result<Found<String>, CatalogError> {
    let keys: Vec<Vec<Value>> = fresh
        .iter()
        .flat_map(|c| {
            c.assets
                .iter()
                .filter_map(move |a| Some((c, a.sha256.as_ref()?)))
        })
        .map(|(c, hash)| vec![(&c.tenant_id).into(), (&c.owner_id).into(), hash.into()])
        .collect();
    let mut found = HashMap::new();
    for r in batch::run(tx, ASK, keys, HELD).await? {
        if let Some(asset_id) = r.maybe_text(3)? {
            found.insert((r.text(0)?, r.text(1)?, r.text(2)?), asset_id);
        }
    }
    Ok(Found(found))
}
