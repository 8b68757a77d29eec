//! What of an initiation is there already, and what else its owners have open: the questions for all of a batch, asked in one.

use std::collections::HashMap;

use safelight_model::duplicates::DedupScope;

use crate::batch::{Given, Statement, query};
use crate::error::CatalogError;
use crate::initiate::FreshCapture;
use crate::initiate::room::{self, Open};
use crate::owned_bytes::holder;
use crate::transaction::Tx;
use crate::value::Value;

/// Answers by tenant and two more texts.
pub(super) struct Found<T>(HashMap<(String, String, String), T>);

impl<T> Default for Found<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

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

/// Verified bytes of an owner.
pub(super) struct Held {
    pub(super) asset_id: String,
    pub(super) blob_id: String,
}

/// What is there.
#[derive(Default)]
pub(super) struct Known {
    /// By tenant, caller and key.
    pub(super) records: Found<Record>,
    /// The ids of captures by tenant, owner and reference.
    pub(super) captures: Found<String>,
    /// Assets whose bytes are verified, by tenant, owner and declared hash.
    pub(super) held: Found<Held>,
    /// What owners have open, by tenant and owner; where it is limited.
    pub(super) open: Found<Open>,
}

/// Bytes that a sweep has not found the store to have lost: whoever has those is to send them again. It is asked for a value,
/// since a planner would make a join of what is asked for existence.
macro_rules! not_lost {
    () => {
        "
     AND (SELECT COUNT(*) FROM sweep_findings f
               WHERE f.tenant_id = b.tenant_id AND f.kind = 'missing_original' AND f.object_key = b.object_key
                 AND f.store_upload_id = '') = 0"
    };
}

/// Of several holders the oldest only: one owner may have sent the same bytes any number of times.
const SELECT: &str = concat!(
    "SELECT 'record', i.tenant_id, i.caller, i.idempotency_key, i.fingerprint,
         CASE WHEN i.operation = 'initiate' THEN i.subject_id END
    FROM keys CROSS JOIN idempotency i
   WHERE i.tenant_id = keys.column1 AND i.caller = keys.column2 AND i.idempotency_key = keys.column3
   UNION ALL
  SELECT 'capture', c.tenant_id, c.owner_id, c.client_ref, c.capture_id, NULL
    FROM refs CROSS JOIN captures c
   WHERE c.tenant_id = refs.column1 AND c.owner_id = refs.column2 AND c.client_ref = refs.column3
   UNION ALL
  SELECT 'held', b.tenant_id, b.scope, b.sha256, ",
    holder!(""),
    ", b.blob_id
    FROM hashes CROSS JOIN blobs b
   WHERE b.tenant_id = hashes.column1 AND b.scope = hashes.column2 AND b.sha256 = hashes.column3
     AND b.state = 'live'",
    not_lost!()
);

/// The same among bytes that a tenant's owners share; asked only where they may.
const SHARED: &str = concat!(
    "
   UNION ALL
  SELECT 'held', b.tenant_id, hashes.column2, b.sha256, ",
    holder!("AND r.owner_id = hashes.column2"),
    ", b.blob_id
    FROM hashes CROSS JOIN blobs b
   WHERE b.tenant_id = hashes.column1 AND b.scope = '' AND b.sha256 = hashes.column3
     AND b.state = 'live'",
    not_lost!()
);

pub(super) fn question(
    tx: &Tx<'_>,
    before: &str,
    fresh: &[FreshCapture],
) -> Result<Statement, CatalogError> {
    let set = |name, rows: Vec<[&String; 3]>| Given {
        name,
        rows: rows
            .into_iter()
            .map(|row| row.into_iter().map(Value::from).collect())
            .collect(),
        width: 3,
    };
    let keys = fresh
        .iter()
        .map(|c| [&c.tenant_id, &c.caller, &c.idempotency_key]);
    let refs = fresh
        .iter()
        .map(|c| [&c.tenant_id, &c.owner_id, &c.client_ref]);
    let hashes = fresh.iter().flat_map(|c| {
        let declared = c.assets.iter().filter_map(|a| a.sha256.as_ref());
        declared.map(move |hash| [&c.tenant_id, &c.owner_id, hash])
    });
    let mut given = vec![
        set("keys", keys.collect()),
        set("refs", refs.collect()),
        set("hashes", hashes.collect()),
    ];
    let mut select = SELECT.to_owned();
    if fresh.iter().any(|c| c.dedup_scope == DedupScope::Tenant) {
        select.push_str(SHARED);
    }
    if let Some((owners, open)) = room::question(fresh) {
        given.push(owners);
        select.push_str(&open);
    }
    query(tx, before, given, &select)
}

/// Asks what is there.
pub(super) async fn known(tx: &mut Tx<'_>, fresh: &[FreshCapture]) -> Result<Known, CatalogError> {
    let mut known = Known::default();
    for r in question(tx, "", fresh)?.fetch(tx).await? {
        let of = (r.text(1)?, r.text(2)?, r.text(3)?);
        match r.text(0)?.as_str() {
            "record" => {
                let record = Record {
                    fingerprint: r.text(4)?,
                    capture_id: r.maybe_text(5)?,
                };
                known.records.0.insert(of, record);
            }
            "capture" => {
                known.captures.0.insert(of, r.text(4)?);
            }
            "open" => {
                known.open.0.insert(of, Open::read(&r.text(4)?)?);
            }
            _ => {
                if let (Some(asset_id), Some(blob_id)) = (r.maybe_text(4)?, r.maybe_text(5)?) {
                    known.held.0.insert(of, Held { asset_id, blob_id });
                }
            }
        }
    }
    Ok(known)
}
