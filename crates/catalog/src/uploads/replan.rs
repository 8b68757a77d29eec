//! Another plan for an upload that is not finished.

use safelight_model::clock::Micros;
use safelight_model::plan::Transport;

use super::{PartChecksum, Upload};
use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

/// What changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replan {
    /// How the bytes travel.
    pub transport: Transport,
    /// Size of a part.
    pub part_size_bytes: i64,
    /// Parts at once.
    pub concurrency: i64,
    /// What the plan says besides numbers, JSON.
    pub advice: Option<String>,
}

/// Plans an open upload anew, as it was read. `false` when it is no longer open, or no longer as it was read, or when
/// transport or part size would change although a URL was given out or a byte was taken: read it again then. Where one of
/// them changes, whoever has taken the upload loses it: what he gathers is meant for other parts.
///
/// # Errors
/// What the database says.
pub async fn replan(tx: &mut Tx<'_>, upload: &Upload, to: &Replan) -> Result<bool, CatalogError> {
    let changed = tx
        .exec(
            "UPDATE uploads SET transport = $5, part_size_bytes = $6, concurrency = $7, advice = $8
              WHERE tenant_id = $1 AND upload_id = $2 AND state = 'open' AND transport = $3 AND part_size_bytes = $4
                AND ((transport = $5 AND part_size_bytes = $6) OR (store_upload_id IS NULL AND signed_until = 0))",
            values![
                &upload.tenant_id,
                &upload.upload_id,
                upload.transport.as_str(),
                upload.part_size_bytes,
                to.transport.as_str(),
                to.part_size_bytes,
                to.concurrency,
                &to.advice
            ],
        )
        .await?;
    let is_other = (upload.transport, upload.part_size_bytes) != (to.transport, to.part_size_bytes);
    if changed == 1 && is_other {
        shut_out(tx, upload).await?;
    }
    Ok(changed == 1)
}

/// Whoever took it writes nothing for it any more.
async fn shut_out(tx: &mut Tx<'_>, upload: &Upload) -> Result<(), CatalogError> {
    tx.exec(
        "UPDATE appends SET epoch = epoch + 1 WHERE tenant_id = $1 AND upload_id = $2",
        values![&upload.tenant_id, &upload.upload_id],
    )
    .await?;
    Ok(())
}

/// How many times at most one upload is begun anew: what it leaves behind is kept until nothing can arrive there any more.
pub const MOST_BEGUN_ANEW: i64 = 8;

/// Under what an upload goes on that begins anew, and what it leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anew {
    /// The key for its object.
    pub object_key: String,
    /// The name of what it leaves behind: an upload that was given up, which the janitor clears.
    pub left_id: String,
    /// The time.
    pub now: Micros,
}

/// Has an open upload begin anew in another way, as it was read. What was signed for it so far and what has arrived stays
/// behind under its old key, as an upload of the same asset that was given up, so that it is removed until nothing can
/// arrive there any more. `false` when it is no longer as it was read, or was begun anew [`MOST_BEGUN_ANEW`] times.
///
/// # Errors
/// What the database says.
pub async fn begin_anew(
    tx: &mut Tx<'_>,
    upload: &Upload,
    to: &Replan,
    anew: &Anew,
) -> Result<bool, CatalogError> {
    tx.outdate_mark();
    let changed = tx
        .exec(
            "UPDATE uploads SET transport = $6, part_size_bytes = $7, concurrency = $8, advice = $9, object_key = $10,
                    store_upload_id = NULL, part_checksum = NULL, signed_until = 0, intent = NULL, intent_at = NULL,
                    version = version + 1
              WHERE tenant_id = $1 AND upload_id = $2 AND version = $3 AND state = 'open' AND signed_until = $4
                AND COALESCE(store_upload_id, '') = $5
                AND (SELECT COUNT(*) FROM uploads AS u WHERE u.tenant_id = $1 AND u.asset_id = $11) <= $12",
            values![
                &upload.tenant_id,
                &upload.upload_id,
                upload.version,
                upload.signed_until,
                upload.store_upload_id.as_deref().unwrap_or_default(),
                to.transport.as_str(),
                to.part_size_bytes,
                to.concurrency,
                &to.advice,
                &anew.object_key,
                &upload.asset_id,
                MOST_BEGUN_ANEW
            ],
        )
        .await?;
    if changed == 0 {
        return Ok(false);
    }
    shut_out(tx, upload).await?;
    // With its intent, if there was one: a completion that was begun may still make the object.
    tx.exec(
        "INSERT INTO uploads (tenant_id, upload_id, owner_id, asset_id, resource_id, object_key, store_upload_id, transport,
                part_size_bytes, concurrency, send_order, size_bytes, state, version, signed_until, expires_at, created_at,
                part_checksum, look_at, intent)
         SELECT tenant_id, $3, owner_id, asset_id, resource_id, $4, $5, $6, $7, $8, send_order, size_bytes, 'aborted', 1, $9,
                expires_at, created_at, $10, $11, $12
           FROM uploads WHERE tenant_id = $1 AND upload_id = $2",
        values![
            &upload.tenant_id,
            &upload.upload_id,
            &anew.left_id,
            &upload.object_key,
            &upload.store_upload_id,
            upload.transport.as_str(),
            upload.part_size_bytes,
            upload.concurrency,
            upload.signed_until,
            upload.part_checksum.map(PartChecksum::as_str),
            anew.now,
            &upload.intent
        ],
    )
    .await?;
    Ok(true)
}
