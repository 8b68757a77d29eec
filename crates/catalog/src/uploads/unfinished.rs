//! Unfinished uploads of an owner, by what they carry.

use super::{SELECT, Upload, read};
use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

/// An unfinished upload with the references that the client made for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The upload.
    pub upload: Upload,
    /// Its capture.
    pub capture_id: String,
    /// The client's reference of the capture.
    pub capture_ref: String,
    /// The client's reference of the asset in it.
    pub asset_ref: String,
}

/// Found by `uploads_unfinished_by_hash`. The tenant is compared so that no planner without statistics goes along the
/// primary key, and with it through all that the tenant ever sent.
pub(super) const BY_HASH: &str =
    "WHERE u.tenant_id || '' = $1 AND u.owner_id = $2 AND u.sha256 = $3 AND u.state = 'open'
      ORDER BY u.upload_id DESC LIMIT $4";

/// The owner's open uploads of this SHA-256, the newest first, at most `limit`.
///
/// # Errors
/// What the database says.
pub async fn unfinished_by_hash(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    owner_id: &str,
    sha256: &str,
    limit: i64,
) -> Result<Vec<Unfinished>, CatalogError> {
    let rows = tx
        .rows(
            &format!("{SELECT} {BY_HASH}"),
            values![tenant_id, owner_id, sha256, limit],
        )
        .await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let upload = read(row)?;
        let capture = tx
            .row(
                "SELECT c.capture_id, c.client_ref, m.client_ref
                   FROM assets a
                   JOIN captures c ON c.tenant_id = a.tenant_id AND c.capture_id = a.capture_id
                   JOIN capture_assets m ON m.tenant_id = c.tenant_id AND m.capture_id = c.capture_id
                                        AND m.asset_id = a.asset_id
                  WHERE a.tenant_id = $1 AND a.asset_id = $2
                  ORDER BY m.position LIMIT 1",
                values![tenant_id, &upload.asset_id],
            )
            .await?;
        if let Some(capture) = capture {
            found.push(Unfinished {
                upload,
                capture_id: capture.text(0)?,
                capture_ref: capture.text(1)?,
                asset_ref: capture.text(2)?,
            });
        }
    }
    Ok(found)
}
