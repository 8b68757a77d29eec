//! Which of an owner's assets has these bytes already.

use crate::blobs::{self, Blob};
use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

/// The asset that holds blob `b` with its primary file, the oldest that is not deleted; only those that the condition
/// lets through. The kind is compared so that no planner without statistics takes `resources_primary` for it, and with that
/// all of a tenant's resources.
macro_rules! holder {
    ($and:literal) => {
        concat!(
            "(SELECT r.asset_id FROM resources r CROSS JOIN assets a
               WHERE r.tenant_id = b.tenant_id AND r.blob_id = b.blob_id AND r.kind || '' = 'primary' ",
            $and,
            "    AND a.tenant_id = r.tenant_id AND a.asset_id = r.asset_id AND a.state <> 'deleted'
               ORDER BY r.asset_id LIMIT 1)"
        )
    };
}
pub(crate) use holder;

/// The bytes that are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The tenant.
    pub tenant_id: &'a str,
    /// The owner.
    pub owner_id: &'a str,
    /// Their hash.
    pub sha256: &'a str,
    /// Their number.
    pub size_bytes: i64,
}

/// Verified bytes, and the asset of their owner that holds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// Where they are.
    pub blob: Blob,
    /// The asset.
    pub asset_id: String,
}

/// A blob of the owner's own.
pub(crate) const OWN: &str = concat!(
    holder!(""),
    " FROM blobs b WHERE b.tenant_id = $1 AND b.scope = $2 AND b.sha256 = $3 AND b.state = 'live'
        AND b.size_bytes = $4"
);
/// One that a tenant's owners share.
pub(crate) const SHARED: &str = concat!(
    holder!("AND r.owner_id = $2"),
    " FROM blobs b WHERE b.tenant_id = $1 AND b.scope = '' AND b.sha256 = $3 AND b.state = 'live'
        AND b.size_bytes = $4"
);

/// Finds verified bytes of this owner; what others have is not looked at. Where owners share bytes (`is_shared`), also
/// among those.
///
/// # Errors
/// What the database says.
pub async fn find(
    tx: &mut Tx<'_>,
    wanted: Wanted<'_>,
    is_shared: bool,
) -> Result<Option<Owned>, CatalogError> {
    for from in [Some(OWN), is_shared.then_some(SHARED)]
        .into_iter()
        .flatten()
    {
        let sql = format!("SELECT {}, {from}", blobs::COLUMNS);
        let found = tx
            .row(
                &sql,
                values![
                    wanted.tenant_id,
                    wanted.owner_id,
                    wanted.sha256,
                    wanted.size_bytes
                ],
            )
            .await?;
        if let Some(row) = found
            && let Some(asset_id) = row.maybe_text(blobs::COLUMN_COUNT)?
        {
            let blob = blobs::read(&row, 0)?;
            return Ok(Some(Owned { blob, asset_id }));
        }
    }
    Ok(None)
}
