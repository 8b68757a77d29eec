//! The rows that an initiation consists of.

use safelight_model::duplicates::Duplicates;
use safelight_model::lifecycle::State;

use crate::batch::{Insert, insert};
use crate::blobs::Blob;
use crate::error::CatalogError;
use crate::initiate::{FreshAsset, FreshCapture};
use crate::transaction::Tx;
use crate::uploads::PartChecksum;
use crate::value::Value;

#[derive(Default)]
pub(super) struct Rows {
    records: Vec<Vec<Value>>,
    captures: Vec<Vec<Value>>,
    members: Vec<Vec<Value>>,
    assets: Vec<Vec<Value>>,
    resources: Vec<Vec<Value>>,
    attached_assets: Vec<Vec<Value>>,
    attached_resources: Vec<Vec<Value>>,
    attached_hashes: Vec<Vec<Value>>,
    attached_halves: Vec<Vec<Value>>,
    uploads: Vec<Vec<Value>>,
    events: Vec<Vec<Value>>,
}

impl Rows {
    pub(super) fn record(&mut self, c: &FreshCapture, capture_id: &str) {
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

    pub(super) fn capture(&mut self, c: &FreshCapture) {
        self.captures.push(vec![
            (&c.tenant_id).into(),
            (&c.capture_id).into(),
            (&c.owner_id).into(),
            (&c.client_ref).into(),
            (&c.mode).into(),
            (&c.purpose).into(),
            c.captured_at.map(|m| m.at).into(),
            (&c.device).into(),
            (&c.network).into(),
            (&c.battery).into(),
            c.at.into(),
            c.assets_at_once.into(),
            (c.duplicates != Duplicates::default())
                .then(|| c.duplicates.as_str().to_owned())
                .into(),
        ]);
        self.events.push(vec![
            (&c.tenant_id).into(),
            (&c.event_id).into(),
            "capture.created".into(),
            (&c.owner_id).into(),
            (&c.capture_id).into(),
            Value::Text(None),
            Value::Text(None),
            c.at.into(),
        ]);
    }

    pub(super) fn member(
        &mut self,
        c: &FreshCapture,
        position: usize,
        a: &FreshAsset,
        asset_id: &str,
    ) {
        self.members.push(vec![
            (&c.tenant_id).into(),
            (&c.capture_id).into(),
            i64::try_from(position).unwrap_or(i64::MAX).into(),
            (&a.client_ref).into(),
            (&a.role).into(),
            asset_id.into(),
        ]);
    }

    pub(super) fn asset(&mut self, c: &FreshCapture, a: &FreshAsset) {
        self.assets.push(asset_row(c, a, a.state));
        self.resources.push(resource_row(c, a));
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
            a.look_at.into(),
            c.at.into(),
            (&a.advice).into(),
            (&a.sha256).into(),
            a.binds_hash
                .then(|| PartChecksum::Sha256.as_str().to_owned())
                .into(),
        ]);
        if let Some(event_id) = &a.started_event_id {
            self.events.push(vec![
                (&c.tenant_id).into(),
                event_id.into(),
                "upload.started".into(),
                (&c.owner_id).into(),
                (&c.capture_id).into(),
                (&a.asset_id).into(),
                format!("{{\"upload_id\":\"{}\"}}", a.upload_id).into(),
                c.at.into(),
            ]);
        }
    }

    /// An asset on bytes that are there: what those are, it is from the beginning.
    pub(super) fn attached(&mut self, c: &FreshCapture, a: &FreshAsset, blob: &Blob) {
        let (state, viewable_at) = match blob.reason_code {
            // Whoever inspects it moves all that hold it.
            None if blob.inspected_at.is_none() => (State::Processing.as_str(), None),
            None => (State::Ready.as_str(), Some(c.at)),
            Some(_) => (State::Failed.as_str(), None),
        };
        let mut asset = asset_row(c, a, state);
        asset.extend([
            (&blob.reason_code).into(),
            (&blob.reason_detail).into(),
            c.at.into(),
            viewable_at.into(),
        ]);
        self.attached_assets.push(asset);
        let mut resource = resource_row(c, a);
        resource.extend([
            (&blob.blob_id).into(),
            blob.scope.is_empty().then(|| c.owner_id.clone()).into(),
        ]);
        self.attached_resources.push(resource);
        if let Some(half) = &blob.live {
            self.attached_halves.push(vec![
                (&c.tenant_id).into(),
                (&a.asset_id).into(),
                (&c.owner_id).into(),
                (&half.key).into(),
                half.name().into(),
            ]);
        }
        if let Some(hash) = blob.picture_hash {
            self.attached_hashes.push(vec![
                (&c.tenant_id).into(),
                (&a.asset_id).into(),
                (&c.owner_id).into(),
                hash.to_stored().into(),
            ]);
        }
        let code = blob.reason_code.as_ref();
        let code = code.map_or(String::new(), |code| format!(",\"code\":\"{code}\""));
        self.events.push(vec![
            (&c.tenant_id).into(),
            (&a.attached_event_id).into(),
            "asset.state_changed".into(),
            (&c.owner_id).into(),
            (&c.capture_id).into(),
            (&a.asset_id).into(),
            format!("{{\"from\":\"initiated\",\"to\":\"{state}\"{code}}}").into(),
            c.at.into(),
        ]);
    }

    pub(super) async fn insert(mut self, tx: &mut Tx<'_>) -> Result<(), CatalogError> {
        // Always in the order of the keys, so that two processes never wait for each other in a ring.
        self.records
            .sort_by_cached_key(|r| format!("{:?}", &r[..3]));
        self.captures
            .sort_by_cached_key(|r| format!("{:?}", (&r[0], &r[2], &r[3])));
        let inserts = vec![
            Insert {
                into: "idempotency (tenant_id, caller, idempotency_key, operation, fingerprint, state, subject_id,
                                    lease_until, expires_at)",
                rows: self.records,
            },
            Insert {
                into: "captures (tenant_id, capture_id, owner_id, client_ref, mode, purpose, captured_at, device,
                                 network, battery, created_at, assets_at_once, duplicates)",
                rows: self.captures,
            },
            Insert {
                into: "capture_assets (tenant_id, capture_id, position, client_ref, role, asset_id)",
                rows: self.members,
            },
            Insert {
                into: "assets (tenant_id, asset_id, owner_id, capture_id, public_id, state, version, preview,
                               captured_at, captured_offset_minutes, created_at, updated_at)",
                rows: self.assets,
            },
            Insert {
                into: "resources (tenant_id, resource_id, asset_id, kind, filename, mime, size_bytes, sha256)",
                rows: self.resources,
            },
            Insert {
                into: "assets (tenant_id, asset_id, owner_id, capture_id, public_id, state, version, preview,
                               captured_at, captured_offset_minutes, created_at, updated_at, reason_code,
                               reason_detail, uploaded_at, viewable_at)",
                rows: self.attached_assets,
            },
            Insert {
                into: "resources (tenant_id, resource_id, asset_id, kind, filename, mime, size_bytes, sha256,
                                  blob_id, owner_id)",
                rows: self.attached_resources,
            },
            Insert {
                into: "asset_hashes (tenant_id, asset_id, owner_id, picture_hash)",
                rows: self.attached_hashes,
            },
            Insert {
                into: "live_halves (tenant_id, asset_id, owner_id, live_key, half)",
                rows: self.attached_halves,
            },
            Insert {
                into: "uploads (tenant_id, upload_id, owner_id, asset_id, resource_id, object_key, transport,
                                part_size_bytes, concurrency, send_order, size_bytes, state, version,
                                signed_until, expires_at, look_at, created_at, advice, sha256,
                                part_checksum)",
                rows: self.uploads,
            },
            Insert {
                into: "events (tenant_id, event_id, kind, owner_id, capture_id, asset_id, detail, at)",
                rows: self.events,
            },
        ];
        tx.ring_recorded();
        let expected: usize = inserts.iter().map(|i| i.rows.len()).sum();
        // Fewer, where another process made one of them since it was asked for.
        if insert(tx, inserts).await? != expected as u64 {
            return Err(CatalogError::Contended(sqlx::Error::RowNotFound));
        }
        Ok(())
    }
}

/// What every asset's row begins with.
fn asset_row(c: &FreshCapture, a: &FreshAsset, state: &str) -> Vec<Value> {
    vec![
        (&c.tenant_id).into(),
        (&a.asset_id).into(),
        (&c.owner_id).into(),
        (&c.capture_id).into(),
        (&a.public_id).into(),
        state.into(),
        1_i64.into(),
        (&a.preview).into(),
        c.captured_at.map(|m| m.at).into(),
        c.captured_at.and_then(|m| m.offset_minutes).into(),
        c.at.into(),
        c.at.into(),
    ]
}

/// What every resource's row begins with.
fn resource_row(c: &FreshCapture, a: &FreshAsset) -> Vec<Value> {
    vec![
        (&c.tenant_id).into(),
        (&a.resource_id).into(),
        (&a.asset_id).into(),
        (&a.kind).into(),
        (&a.filename).into(),
        (&a.mime).into(),
        a.size_bytes.into(),
        (&a.sha256).into(),
    ]
}
