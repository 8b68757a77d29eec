//! Uploads: the transfer of one resource.
//!
//! | state | what a crash in it leads to |
//! |---|---|
//! | `open` | the client goes on, or the janitor finds its bytes whole; at its end it expires |
//! | `completing` | the intent is known: completion is repeated by the client or the janitor |
//! | `completed` | nothing: the asset moved in the same commit |
//! | `aborted`, `expired`, `merged` | what is at the store is removed by the janitor until nothing is left |
//!
//! When the janitor next looks at an upload stands in its row (`look_at`), and is written with every change
//! of state: see [`due_tenants`], [`due_of`] and [`take_looks`].

use safelight_model::clock::Micros;
use safelight_model::plan::Transport;

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::value::Row;
use crate::values;

mod keys;
mod looks;
mod merge;
#[cfg(test)]
mod plans;
mod replan;
mod unfinished;

pub use keys::{Stray, known_keys, of_key, ring, unfinished_keys};
pub use looks::{adopt, due_of, due_tenants, look_again, take_looks};
pub use merge::merge;
pub use replan::{Anew, MOST_BEGUN_ANEW, Replan, begin_anew, replan};
pub use unfinished::{Unfinished, unfinished_by_hash};

/// The state of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadState {
    /// Bytes may be sent.
    Open,
    /// Its completion has begun; the part list is fixed.
    Completing,
    /// The store holds the whole object and the asset has moved on.
    Completed,
    /// Given up by the client.
    Aborted,
    /// Its time ended.
    Expired,
    /// Its owner was found to have these bytes before they were all here. In rows it is `aborted`, with the asset that
    /// has them: a version that knows of no merging clears it all the same.
    Merged,
}

impl UploadState {
    const ALL: [Self; 6] = [
        Self::Open,
        Self::Completing,
        Self::Completed,
        Self::Aborted,
        Self::Expired,
        Self::Merged,
    ];

    /// As on the wire; and in rows, but for [`Merged`](Self::Merged).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Completing => "completing",
            Self::Completed => "completed",
            Self::Aborted => "aborted",
            Self::Expired => "expired",
            Self::Merged => "merged",
        }
    }
}

/// What the parts of an upload carry besides their bytes, as the store was told when it was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartChecksum {
    /// Nothing.
    None,
    /// Their SHA-256.
    Sha256,
}

impl PartChecksum {
    const ALL: [Self; 2] = [Self::None, Self::Sha256];

    /// As in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Sha256 => "sha256",
        }
    }
}

/// An upload with what its resource declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The tenant.
    pub tenant_id: String,
    /// Its id.
    pub upload_id: String,
    /// The owner.
    pub owner_id: String,
    /// The asset it belongs to.
    pub asset_id: String,
    /// The resource it carries.
    pub resource_id: String,
    /// Where the bytes go.
    pub object_key: String,
    /// The store's id of the multipart upload, once it was begun there.
    pub store_upload_id: Option<String>,
    /// What its parts carry, once it was begun there. A version that did not write this down had
    /// parts carry their SHA-256 where the file's was declared.
    pub part_checksum: Option<PartChecksum>,
    /// How the bytes travel.
    pub transport: Transport,
    /// Size of a part.
    pub part_size_bytes: i64,
    /// Parts at once.
    pub concurrency: i64,
    /// Place in the sending order.
    pub send_order: i64,
    /// The declared size.
    pub size_bytes: i64,
    /// Its state.
    pub state: UploadState,
    /// For compare-and-set.
    pub version: i64,
    /// The part list that its completion goes by, JSON.
    pub intent: Option<String>,
    /// When the completion began.
    pub intent_at: Option<Micros>,
    /// Until when a URL that was given out works.
    pub signed_until: Micros,
    /// Its end.
    pub expires_at: Micros,
    /// When the janitor next looks at it.
    pub look_at: Option<Micros>,
    /// How often it has looked since a URL was signed or the state changed.
    pub looks: i64,
    /// When nothing of it was left at the store, after it had ended.
    pub cleared_at: Option<Micros>,
    /// The resource's kind.
    pub kind: String,
    /// The declared type.
    pub mime: Option<String>,
    /// The declared hash.
    pub sha256: Option<String>,
    /// What its plan says besides numbers, JSON.
    pub advice: Option<String>,
    /// The asset that had the bytes before they were all here, if one had.
    pub merged_into: Option<String>,
}

pub(crate) const SELECT: &str =
    "SELECT u.tenant_id, u.upload_id, u.owner_id, u.asset_id, u.resource_id, u.object_key, u.store_upload_id,
            u.transport, u.part_size_bytes, u.concurrency, u.send_order, u.size_bytes, u.state, u.version, u.intent,
            u.intent_at, u.signed_until, u.expires_at, r.kind, r.mime, r.sha256, u.part_checksum,
            u.look_at, u.looks, u.cleared_at, u.advice, u.merged_into
       FROM uploads u JOIN resources r ON r.tenant_id = u.tenant_id AND r.resource_id = u.resource_id";

pub(crate) fn read(r: &Row) -> Result<Upload, CatalogError> {
    let (transport, state) = (r.text(7)?, r.text(12)?);
    let merged_into = r.maybe_text(26)?;
    let state = UploadState::ALL
        .into_iter()
        .find(|s| s.as_str() == state)
        .ok_or(CatalogError::Unknown {
            column: "uploads.state",
            value: state,
        })?;
    Ok(Upload {
        tenant_id: r.text(0)?,
        upload_id: r.text(1)?,
        owner_id: r.text(2)?,
        asset_id: r.text(3)?,
        resource_id: r.text(4)?,
        object_key: r.text(5)?,
        store_upload_id: r.maybe_text(6)?,
        transport: Transport::parse(&transport).ok_or(CatalogError::Unknown {
            column: "uploads.transport",
            value: transport,
        })?,
        part_size_bytes: r.int(8)?,
        concurrency: r.int(9)?,
        send_order: r.int(10)?,
        size_bytes: r.int(11)?,
        state: match state {
            UploadState::Aborted if merged_into.is_some() => UploadState::Merged,
            other => other,
        },
        version: r.int(13)?,
        intent: r.maybe_text(14)?,
        intent_at: r.maybe_at(15)?,
        signed_until: r.at(16)?,
        expires_at: r.at(17)?,
        kind: r.text(18)?,
        mime: r.maybe_text(19)?,
        sha256: r.maybe_text(20)?,
        part_checksum: r.maybe_text(21)?.map(read_part_checksum).transpose()?,
        look_at: r.maybe_at(22)?,
        looks: r.int(23)?,
        cleared_at: r.maybe_at(24)?,
        advice: r.maybe_text(25)?,
        merged_into,
    })
}

fn read_part_checksum(text: String) -> Result<PartChecksum, CatalogError> {
    PartChecksum::ALL
        .into_iter()
        .find(|c| c.as_str() == text)
        .ok_or(CatalogError::Unknown {
            column: "uploads.part_checksum",
            value: text,
        })
}

/// One upload.
///
/// # Errors
/// What the database says.
pub async fn find(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    upload_id: &str,
) -> Result<Option<Upload>, CatalogError> {
    let sql = format!("{SELECT} WHERE u.tenant_id = $1 AND u.upload_id = $2");
    tx.row(&sql, values![tenant_id, upload_id])
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// The uploads of an asset, newest last.
///
/// # Errors
/// What the database says.
pub async fn of_asset(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    asset_id: &str,
) -> Result<Vec<Upload>, CatalogError> {
    let sql = format!("{SELECT} WHERE u.tenant_id = $1 AND u.asset_id = $2 ORDER BY u.upload_id");
    tx.rows(&sql, values![tenant_id, asset_id])
        .await?
        .iter()
        .map(read)
        .collect()
}

/// The uploads of a capture's assets, in the order of their assets.
///
/// # Errors
/// What the database says.
pub async fn of_capture(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    capture_id: &str,
) -> Result<Vec<Upload>, CatalogError> {
    let sql = format!(
        "{SELECT} JOIN capture_assets m ON m.tenant_id = u.tenant_id AND m.asset_id = u.asset_id
          WHERE m.tenant_id = $1 AND m.capture_id = $2 ORDER BY m.position, u.upload_id"
    );
    tx.rows(&sql, values![tenant_id, capture_id])
        .await?
        .iter()
        .map(read)
        .collect()
}

/// Records that URLs which work until `until` are about to be given out for the upload as it was read, and that the janitor
/// looks at `look_at` whether their user fell silent. `false` when it is no longer open, or began anew under another key:
/// then none must be given out.
///
/// # Errors
/// What the database says.
pub async fn extend_signed(
    tx: &mut Tx<'_>,
    upload: &Upload,
    until: Micros,
    look_at: Micros,
) -> Result<bool, CatalogError> {
    tx.outdate_mark();
    let changed = tx
        .exec(
            "UPDATE uploads SET signed_until = CASE WHEN signed_until < $3 THEN $3 ELSE signed_until END,
                    look_at = $4, looks = 0
              WHERE tenant_id = $1 AND upload_id = $2 AND state = 'open' AND object_key = $5",
            values![
                &upload.tenant_id,
                &upload.upload_id,
                until,
                look_at,
                &upload.object_key
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Records that a URL is about to be given out for the whole of a file that is not bound to its hash: what the store has of it then is
/// known when it is inspected.
///
/// # Errors
/// What the database says.
pub async fn no_longer_bound(tx: &mut Tx<'_>, upload: &Upload) -> Result<(), CatalogError> {
    tx.exec(
        "UPDATE uploads SET part_checksum = NULL WHERE tenant_id = $1 AND upload_id = $2",
        values![&upload.tenant_id, &upload.upload_id],
    )
    .await
    .map(|_| ())
}

/// Locks an upload that is appended to, and records that requests to the store which begin now may last until
/// `until`. Its bytes are known without asking, so the janitor looks only at its end, and at `look_at` if now is when
/// they are whole. `false` when it is no longer open, or was planned to travel in another way meanwhile: then nothing must
/// be written for it. Once something may be written, [`replan`] changes its transport no more.
///
/// # Errors
/// What the database says.
pub(crate) async fn extend_written(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    upload_id: &str,
    until: Micros,
    look_at: Option<Micros>,
) -> Result<bool, CatalogError> {
    tx.outdate_mark();
    let changed = tx
        .exec(
            "UPDATE uploads SET signed_until = CASE WHEN signed_until < $3 THEN $3 ELSE signed_until END,
                    look_at = COALESCE($4, look_at)
              WHERE tenant_id = $1 AND upload_id = $2 AND state = 'open' AND transport = 'append'",
            values![tenant_id, upload_id, until, look_at],
        )
        .await?;
    Ok(changed == 1)
}

/// Records the store's id for the upload as it was read, and what its parts carry. `false` when it has one already,
/// is no longer open, or was planned anew meanwhile: the caller then aborts the one it made.
///
/// # Errors
/// What the database says.
pub async fn bind_store_upload(
    tx: &mut Tx<'_>,
    upload: &Upload,
    store_upload_id: &str,
    part_checksum: PartChecksum,
) -> Result<bool, CatalogError> {
    tx.outdate_mark();
    let changed = tx
        .exec(
            "UPDATE uploads SET store_upload_id = $3, part_checksum = $4
              WHERE tenant_id = $1 AND upload_id = $2 AND state = 'open' AND store_upload_id IS NULL
                AND transport = $5 AND part_size_bytes = $6 AND object_key = $7",
            values![
                &upload.tenant_id,
                &upload.upload_id,
                store_upload_id,
                part_checksum.as_str(),
                upload.transport.as_str(),
                upload.part_size_bytes,
                &upload.object_key
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Forgets the store's id of an open upload, once the store itself has forgotten it.
///
/// # Errors
/// What the database says.
pub async fn unbind_store_upload(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    upload_id: &str,
    store_upload_id: &str,
) -> Result<bool, CatalogError> {
    tx.outdate_mark();
    let changed = tx
        .exec(
            "UPDATE uploads SET store_upload_id = NULL, part_checksum = NULL
              WHERE tenant_id = $1 AND upload_id = $2 AND state = 'open' AND store_upload_id = $3",
            values![tenant_id, upload_id, store_upload_id],
        )
        .await?;
    Ok(changed == 1)
}

/// Begins a completion: fixes the part list before the store is asked. At `look_at` the janitor looks
/// whether somebody died in it. `false` when another was quicker.
///
/// # Errors
/// What the database says.
pub async fn begin_complete(
    tx: &mut Tx<'_>,
    upload: &Upload,
    intent: &str,
    now: Micros,
    look_at: Micros,
) -> Result<bool, CatalogError> {
    tx.outdate_mark();
    let changed = tx
        .exec(
            "UPDATE uploads SET state = 'completing', intent = $4, intent_at = $5, version = version + 1,
                    look_at = $6, looks = 0
              WHERE tenant_id = $1 AND upload_id = $2 AND version = $3 AND state = 'open'",
            values![&upload.tenant_id, &upload.upload_id, upload.version, intent, now, look_at],
        )
        .await?;
    Ok(changed == 1)
}

/// Moves an upload from one state to another, and has the janitor look at it at `look_at`, or never.
/// `false` when it was not in that state and version.
///
/// # Errors
/// What the database says.
pub async fn change(
    tx: &mut Tx<'_>,
    upload: &Upload,
    from: UploadState,
    to: UploadState,
    look_at: Option<Micros>,
) -> Result<bool, CatalogError> {
    tx.outdate_mark();
    let changed = tx
        .exec(
            "UPDATE uploads SET state = $5, version = version + 1, look_at = $6, looks = 0
              WHERE tenant_id = $1 AND upload_id = $2 AND version = $3 AND state = $4",
            values![
                &upload.tenant_id,
                &upload.upload_id,
                upload.version,
                from.as_str(),
                to.as_str(),
                look_at
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Records that nothing of an aborted, expired or merged upload is left at the store.
///
/// # Errors
/// What the database says.
pub async fn cleared(tx: &mut Tx<'_>, upload: &Upload, now: Micros) -> Result<(), CatalogError> {
    tx.outdate_mark();
    tx.exec(
        // By its hash it was known whose bytes stand in for what it left.
        "UPDATE uploads SET cleared_at = $3, look_at = NULL, sha256 = CASE WHEN merged_into IS NULL THEN sha256 END
          WHERE tenant_id = $1 AND upload_id = $2 AND state IN ('aborted', 'expired') AND cleared_at IS NULL",
        values![&upload.tenant_id, &upload.upload_id, now],
    )
    .await?;
    Ok(())
}
