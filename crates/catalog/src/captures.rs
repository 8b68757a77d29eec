//! Captures and the assets they hold.

use safelight_model::clock::Micros;
use safelight_model::duplicates::Duplicates;

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

/// A capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Its id.
    pub capture_id: String,
    /// The owner.
    pub owner_id: String,
    /// The client's reference.
    pub client_ref: String,
    /// Its mode.
    pub mode: String,
    /// When it was initiated.
    pub created_at: Micros,
    /// What the app means it for.
    pub purpose: Option<String>,
    /// How many of its files had better be under way at once.
    pub assets_at_once: Option<i64>,
    /// What becomes of bytes that its owner has already.
    pub duplicates: Duplicates,
    /// When its owner deleted it.
    pub deleted_at: Option<Micros>,
}

/// An asset as a member of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The client's reference.
    pub client_ref: String,
    /// `key`, `frame`, …
    pub role: String,
    /// The asset.
    pub asset_id: String,
    /// The asset's state.
    pub state: String,
    /// The asset's reason.
    pub reason_code: Option<String>,
    /// How long its file is, as was declared or is known by now; 0 where nobody knows yet.
    pub size_bytes: i64,
    /// The file's hash, as was declared or is known by now.
    pub sha256: Option<String>,
}

/// One capture.
///
/// # Errors
/// What the database says.
pub async fn find(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    capture_id: &str,
) -> Result<Option<Capture>, CatalogError> {
    let row = tx
        .row(
            "SELECT capture_id, owner_id, client_ref, mode, created_at, purpose, assets_at_once, duplicates, deleted_at
               FROM captures
              WHERE tenant_id = $1 AND capture_id = $2",
            values![tenant_id, capture_id],
        )
        .await?;
    row.map(|r| {
        Ok(Capture {
            capture_id: r.text(0)?,
            owner_id: r.text(1)?,
            client_ref: r.text(2)?,
            mode: r.text(3)?,
            created_at: r.at(4)?,
            purpose: r.maybe_text(5)?,
            assets_at_once: r.maybe_int(6)?,
            duplicates: duplicates(r.maybe_text(7)?)?,
            deleted_at: r.maybe_at(8)?,
        })
    })
    .transpose()
}

/// A capture's assets in order.
///
/// # Errors
/// What the database says.
pub async fn members(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    capture_id: &str,
) -> Result<Vec<Member>, CatalogError> {
    let rows = tx
        .rows(
            "SELECT m.client_ref, m.role, a.asset_id, a.state, a.reason_code, COALESCE(b.size_bytes, r.size_bytes, 0),
                    COALESCE(b.sha256, r.sha256)
               FROM capture_assets m JOIN assets a ON a.tenant_id = m.tenant_id AND a.asset_id = m.asset_id
               LEFT JOIN resources r ON r.tenant_id = a.tenant_id AND r.asset_id = a.asset_id AND r.kind = 'primary'
               LEFT JOIN blobs b ON b.tenant_id = r.tenant_id AND b.blob_id = r.blob_id
              WHERE m.tenant_id = $1 AND m.capture_id = $2 ORDER BY m.position",
            values![tenant_id, capture_id],
        )
        .await?;
    rows.iter()
        .map(|r| {
            Ok(Member {
                client_ref: r.text(0)?,
                role: r.text(1)?,
                asset_id: r.text(2)?,
                state: r.text(3)?,
                reason_code: r.maybe_text(4)?,
                size_bytes: r.int(5)?,
                sha256: r.maybe_text(6)?,
            })
        })
        .collect()
}

/// What the capture that an asset came with first wants of bytes that its owner has already.
///
/// # Errors
/// What the database says.
pub async fn duplicates_of(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    asset_id: &str,
) -> Result<Duplicates, CatalogError> {
    let row = tx
        .row(
            "SELECT c.duplicates FROM assets a
               JOIN captures c ON c.tenant_id = a.tenant_id AND c.capture_id = a.capture_id
              WHERE a.tenant_id = $1 AND a.asset_id = $2",
            values![tenant_id, asset_id],
        )
        .await?;
    match row {
        None => Ok(Duplicates::Merge),
        Some(row) => duplicates(row.maybe_text(0)?),
    }
}

pub(crate) const MEANT_FOR: &str = "c.purpose = $3";
pub(crate) const OF_BURST: &str = "c.mode = 'burst'";

/// Whether any capture `c` that holds the blob of the first two arguments is such.
pub(crate) fn held_by(such: &str) -> String {
    format!(
        "SELECT 1
           FROM resources r
           CROSS JOIN capture_assets m
           CROSS JOIN captures c
          WHERE r.tenant_id = $1 AND r.blob_id = $2
            AND m.tenant_id = $1 AND m.asset_id = r.asset_id AND m.asset_id <> ''
            AND c.tenant_id = $1 AND c.capture_id = m.capture_id AND {such}
          LIMIT 1"
    )
}

/// Whether any capture that holds a blob is meant for this.
///
/// # Errors
/// What the database says.
pub async fn is_meant_for(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    purpose: &str,
) -> Result<bool, CatalogError> {
    let row = tx
        .row(&held_by(MEANT_FOR), values![tenant_id, blob_id, purpose])
        .await?;
    Ok(row.is_some())
}

/// Whether a blob is a frame of a burst.
///
/// # Errors
/// What the database says.
pub async fn is_of_burst(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
) -> Result<bool, CatalogError> {
    let sql = held_by(OF_BURST);
    let row = tx.row(&sql, values![tenant_id, blob_id]).await?;
    Ok(row.is_some())
}

fn duplicates(text: Option<String>) -> Result<Duplicates, CatalogError> {
    match text {
        None => Ok(Duplicates::Merge),
        Some(text) => Duplicates::parse(&text).ok_or(CatalogError::Unknown {
            column: "captures.duplicates",
            value: text,
        }),
    }
}
