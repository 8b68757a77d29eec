//! Initiation of captures, many at a time.
//!
//! A capture is seven rows or more. Taking every initiation that waits into the same few statements
//! makes their number, and the number of commits, independent of the load.

use std::collections::HashMap;

use safelight_model::clock::Micros;

use crate::batch;
use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::value::Value;

/// A capture to be made, with ids already given.
#[derive(Clone, Debug)]
pub struct FreshCapture {
    /// The tenant.
    pub tenant_id: String,
    /// The owner.
    pub owner_id: String,
    /// Who calls, for the scope of the idempotency key.
    pub caller: String,
    /// The idempotency key.
    pub idempotency_key: String,
    /// The hash of the request.
    pub fingerprint: String,
    /// The id it gets if it is new.
    pub capture_id: String,
    /// The id of its first event.
    pub event_id: String,
    /// The client's reference.
    pub client_ref: String,
    /// `single`, `burst`, …
    pub mode: String,
    /// What the app means it for.
    pub purpose: Option<String>,
    /// When it was taken.
    pub captured_at: Option<Micros>,
    /// JSON.
    pub device: Option<String>,
    /// JSON.
    pub network: Option<String>,
    /// JSON.
    pub battery: Option<String>,
    /// Now.
    pub at: Micros,
    /// When the idempotency record may be forgotten.
    pub record_expires_at: Micros,
    /// Its assets in order.
    pub assets: Vec<FreshAsset>,
}

/// An asset with its one resource and its upload, to be made unless its owner has the bytes.
#[derive(Clone, Debug)]
pub struct FreshAsset {
    /// The client's reference.
    pub client_ref: String,
    /// `key`, `frame`, …
    pub role: String,
    /// The id it gets.
    pub asset_id: String,
    /// The random id for links.
    pub public_id: String,
    /// Its first state.
    pub state: &'static str,
    /// Thumbhash from the client.
    pub preview: Option<String>,
    /// The id its resource gets.
    pub resource_id: String,
    /// `primary`.
    pub kind: String,
    /// The name on the device.
    pub filename: Option<String>,
    /// The declared type.
    pub mime: Option<String>,
    /// The exact size.
    pub size_bytes: i64,
    /// The declared hash.
    pub sha256: Option<String>,
    /// The id its upload gets.
    pub upload_id: String,
    /// Where its bytes will be.
    pub object_key: String,
    /// `single` or `multipart`.
    pub transport: &'static str,
    /// Size of a part.
    pub part_size_bytes: i64,
    /// Parts at once.
    pub concurrency: i64,
    /// Place in the sending order.
    pub send_order: i64,
    /// Until when a URL given out with the answer works; 0 if none is.
    pub signed_until: Micros,
    /// End of the upload.
    pub expires_at: Micros,
}

/// What became of an initiation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Initiated {
    /// It was made. For each asset, in order, the id of the asset that has the same bytes already,
    /// if one has.
    Made(Vec<Option<String>>),
    /// The same request came before, or another for the same capture: this is the capture.
    Existing(String),
    /// The key came before with another request.
    Mismatch,
}

/// Makes captures. The keys and the client references in one call must differ from one another.
///
/// # Errors
/// [`CatalogError::Contended`] if another process made one of them at this moment: call again, and it
/// will be found. Everything is taken back then.
pub async fn initiate(
    tx: &mut Tx<'_>,
    fresh: &[FreshCapture],
) -> Result<Vec<Initiated>, CatalogError> {
    let recorded = records(tx, fresh).await?;
    let known = captures(tx, fresh).await?;
    let held = held_bytes(tx, fresh).await?;

    let mut answers = Vec::with_capacity(fresh.len());
    let mut rows = Rows::default();
    for one in fresh {
        let key = (
            one.tenant_id.as_str(),
            one.caller.as_str(),
            one.idempotency_key.as_str(),
        );
        if let Some((fingerprint, capture_id)) = recorded.get(&key.own()) {
            answers.push(if *fingerprint == one.fingerprint {
                Initiated::Existing(capture_id.clone())
            } else {
                Initiated::Mismatch
            });
            continue;
        }
        let reference = (
            one.tenant_id.as_str(),
            one.owner_id.as_str(),
            one.client_ref.as_str(),
        )
            .own();
        if let Some(capture_id) = known.get(&reference) {
            rows.record(one, capture_id);
            answers.push(Initiated::Existing(capture_id.clone()));
            continue;
        }
        rows.record(one, &one.capture_id);
        rows.capture(one);
        let mut has = Vec::with_capacity(one.assets.len());
        for (position, asset) in one.assets.iter().enumerate() {
            let holder = asset.sha256.as_ref().and_then(|hash| {
                held.get(&(one.tenant_id.as_str(), one.owner_id.as_str(), hash.as_str()).own())
                    .cloned()
            });
            rows.member(
                one,
                position,
                asset,
                holder.as_deref().unwrap_or(&asset.asset_id),
            );
            if holder.is_none() {
                rows.asset(one, asset);
            }
            has.push(holder);
        }
        answers.push(Initiated::Made(has));
    }
    rows.insert(tx).await?;
    Ok(answers)
}

type Triple = (String, String, String);

trait Own {
    fn own(self) -> Triple;
}

impl Own for (&str, &str, &str) {
    fn own(self) -> Triple {
        (self.0.to_owned(), self.1.to_owned(), self.2.to_owned())
    }
}

async fn records(
    tx: &mut Tx<'_>,
    fresh: &[FreshCapture],
) -> Result<HashMap<Triple, (String, String)>, CatalogError> {
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
    let rows = batch::run(
        tx,
        "WITH v AS (",
        &keys,
        ") SELECT i.tenant_id, i.caller, i.idempotency_key, i.fingerprint, i.subject_id
           FROM v CROSS JOIN idempotency i
          WHERE i.tenant_id = v.column1 AND i.caller = v.column2 AND i.idempotency_key = v.column3",
    )
    .await?;
    rows.iter()
        .map(|r| {
            let subject = r.maybe_text(4)?.unwrap_or_default();
            Ok(((r.text(0)?, r.text(1)?, r.text(2)?), (r.text(3)?, subject)))
        })
        .collect()
}

async fn captures(
    tx: &mut Tx<'_>,
    fresh: &[FreshCapture],
) -> Result<HashMap<Triple, String>, CatalogError> {
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
    let rows = batch::run(
        tx,
        "WITH v AS (",
        &keys,
        ") SELECT c.tenant_id, c.owner_id, c.client_ref, c.capture_id
           FROM v CROSS JOIN captures c
          WHERE c.tenant_id = v.column1 AND c.owner_id = v.column2 AND c.client_ref = v.column3",
    )
    .await?;
    rows.iter()
        .map(|r| Ok(((r.text(0)?, r.text(1)?, r.text(2)?), r.text(3)?)))
        .collect()
}

/// Which of the declared hashes their owners have, verified, and in which asset.
async fn held_bytes(
    tx: &mut Tx<'_>,
    fresh: &[FreshCapture],
) -> Result<HashMap<Triple, String>, CatalogError> {
    let mut keys: Vec<Vec<Value>> = Vec::new();
    for one in fresh {
        for hash in one.assets.iter().filter_map(|a| a.sha256.as_ref()) {
            keys.push(vec![
                (&one.tenant_id).into(),
                (&one.owner_id).into(),
                hash.into(),
            ]);
        }
    }
    let rows = batch::run(
        tx,
        "WITH v AS (",
        &keys,
        ") SELECT b.tenant_id, b.scope, b.sha256, a.asset_id
           FROM v CROSS JOIN blobs b CROSS JOIN resources r CROSS JOIN assets a
          WHERE b.tenant_id = v.column1 AND b.scope = v.column2 AND b.sha256 = v.column3 AND b.state = 'live'
            AND r.tenant_id = b.tenant_id AND r.blob_id = b.blob_id AND r.kind = 'primary'
            AND a.tenant_id = r.tenant_id AND a.asset_id = r.asset_id AND a.state <> 'deleted'
          ORDER BY a.asset_id DESC",
    )
    .await?;
    // The order puts the oldest asset last, so that it is the one that stays in the map.
    rows.iter()
        .map(|r| Ok(((r.text(0)?, r.text(1)?, r.text(2)?), r.text(3)?)))
        .collect()
}

#[derive(Default)]
struct Rows {
    records: Vec<Vec<Value>>,
    captures: Vec<Vec<Value>>,
    members: Vec<Vec<Value>>,
    assets: Vec<Vec<Value>>,
    resources: Vec<Vec<Value>>,
    uploads: Vec<Vec<Value>>,
    events: Vec<Vec<Value>>,
}

impl Rows {
    fn record(&mut self, c: &FreshCapture, capture_id: &str) {
        self.records.push(vec![
            (&c.tenant_id).into(),
            (&c.caller).into(),
            (&c.idempotency_key).into(),
            "initiate".into(),
            (&c.fingerprint).into(),
            "done".into(),
            capture_id.into(),
            0_i64.into(),
            c.record_expires_at.into(),
        ]);
    }

    fn capture(&mut self, c: &FreshCapture) {
        self.captures.push(vec![
            (&c.tenant_id).into(),
            (&c.capture_id).into(),
            (&c.owner_id).into(),
            (&c.client_ref).into(),
            (&c.mode).into(),
            (&c.purpose).into(),
            c.captured_at.into(),
            (&c.device).into(),
            (&c.network).into(),
            (&c.battery).into(),
            c.at.into(),
        ]);
        self.events.push(vec![
            (&c.tenant_id).into(),
            (&c.event_id).into(),
            "capture.created".into(),
            (&c.owner_id).into(),
            (&c.capture_id).into(),
            c.at.into(),
        ]);
    }

    fn member(&mut self, c: &FreshCapture, position: usize, a: &FreshAsset, asset_id: &str) {
        self.members.push(vec![
            (&c.tenant_id).into(),
            (&c.capture_id).into(),
            i64::try_from(position).unwrap_or(i64::MAX).into(),
            (&a.client_ref).into(),
            (&a.role).into(),
            asset_id.into(),
        ]);
    }

    fn asset(&mut self, c: &FreshCapture, a: &FreshAsset) {
        self.assets.push(vec![
            (&c.tenant_id).into(),
            (&a.asset_id).into(),
            (&c.owner_id).into(),
            (&c.capture_id).into(),
            (&a.public_id).into(),
            a.state.into(),
            1_i64.into(),
            (&a.preview).into(),
            c.at.into(),
            c.at.into(),
        ]);
        self.resources.push(vec![
            (&c.tenant_id).into(),
            (&a.resource_id).into(),
            (&a.asset_id).into(),
            (&a.kind).into(),
            (&a.filename).into(),
            (&a.mime).into(),
            a.size_bytes.into(),
            (&a.sha256).into(),
        ]);
        self.uploads.push(vec![
            (&c.tenant_id).into(),
            (&a.upload_id).into(),
            (&c.owner_id).into(),
            (&a.asset_id).into(),
            (&a.resource_id).into(),
            (&a.object_key).into(),
            a.transport.into(),
            a.part_size_bytes.into(),
            a.concurrency.into(),
            a.send_order.into(),
            a.size_bytes.into(),
            "open".into(),
            1_i64.into(),
            a.signed_until.into(),
            a.expires_at.into(),
            c.at.into(),
        ]);
    }

    async fn insert(mut self, tx: &mut Tx<'_>) -> Result<(), CatalogError> {
        // Always in the order of the keys, so that two processes never wait for each other in a ring.
        self.records
            .sort_by_cached_key(|r| format!("{:?}", &r[..3]));
        self.captures
            .sort_by_cached_key(|r| format!("{:?}", (&r[0], &r[2], &r[3])));
        let records = batch::run(
            tx,
            "INSERT INTO idempotency (tenant_id, caller, idempotency_key, operation, fingerprint, state, subject_id,
                                      lease_until, expires_at)",
            &self.records,
            "ON CONFLICT DO NOTHING RETURNING idempotency_key",
        )
        .await?;
        let captures = batch::run(
            tx,
            "INSERT INTO captures (tenant_id, capture_id, owner_id, client_ref, mode, purpose, captured_at, device,
                                   network, battery, created_at)",
            &self.captures,
            "ON CONFLICT DO NOTHING RETURNING capture_id",
        )
        .await?;
        if records.len() != self.records.len() || captures.len() != self.captures.len() {
            return Err(CatalogError::Contended(sqlx::Error::RowNotFound));
        }
        batch::run(
            tx,
            "INSERT INTO capture_assets (tenant_id, capture_id, position, client_ref, role, asset_id)",
            &self.members,
            "",
        )
        .await?;
        batch::run(
            tx,
            "INSERT INTO assets (tenant_id, asset_id, owner_id, capture_id, public_id, state, version, preview,
                                 created_at, updated_at)",
            &self.assets,
            "",
        )
        .await?;
        batch::run(
            tx,
            "INSERT INTO resources (tenant_id, resource_id, asset_id, kind, filename, mime, size_bytes, sha256)",
            &self.resources,
            "",
        )
        .await?;
        batch::run(
            tx,
            "INSERT INTO uploads (tenant_id, upload_id, owner_id, asset_id, resource_id, object_key, transport,
                                  part_size_bytes, concurrency, send_order, size_bytes, state, version,
                                  signed_until, expires_at, created_at)",
            &self.uploads,
            "",
        )
        .await?;
        batch::run(
            tx,
            "INSERT INTO events (tenant_id, event_id, kind, owner_id, capture_id, at)",
            &self.events,
            "",
        )
        .await?;
        Ok(())
    }
}
