//! What was derived from a blob, by preset and version.

use safelight_model::clock::Micros;
use safelight_model::codes::Code;
use safelight_model::preset::{CLEANED, HLS, Label, Preset};
use safelight_model::variant::{self, HLS_MEDIA};

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::value::Row;
use crate::values;

/// A rendition as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendition {
    /// The blob it was derived from.
    pub blob_id: String,
    /// The preset's name, or that of an alternative ([`variant::slot`]).
    pub preset: String,
    /// The preset's version.
    pub version: i64,
    /// `pending`, `ready` or `failed`.
    pub state: String,
    /// Where its bytes are.
    pub object_key: Option<String>,
    /// The store's tag for them.
    pub etag: Option<String>,
    /// Width in pixels.
    pub width: Option<i64>,
    /// Height in pixels.
    pub height: Option<i64>,
    /// Its size.
    pub size_bytes: Option<i64>,
    /// Why it failed.
    pub reason_code: Option<String>,
    /// Why, in words.
    pub reason_detail: Option<String>,
    /// When it came to stand like this.
    pub updated_at: Micros,
}

const COLUMNS: &str = "blob_id, preset, version, state, object_key, etag, width, height, size_bytes, reason_code, reason_detail, updated_at";

/// Announces a rendition that will be made. `false` if there is a row of it, whatever state it is in.
///
/// # Errors
/// What the database says.
pub async fn expect(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    preset: &Preset,
    at: Micros,
) -> Result<bool, CatalogError> {
    let added = tx.exec(
        "INSERT INTO renditions (tenant_id, blob_id, preset, version, state, format, updated_at)
         VALUES ($1, $2, $3, $4, 'pending', $5, $6) ON CONFLICT DO NOTHING",
        values![
            tenant_id,
            blob_id,
            preset.name,
            i64::from(preset.version),
            preset.format.extension(),
            at
        ],
    )
    .await?;
    Ok(added == 1)
}

/// Announces a row, by its name, version and format, or announces it again after a failure; one that is ready stays. The caller holds the
/// blob.
pub(crate) async fn announce(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    (name, version, extension): (&str, u32, &str),
    at: Micros,
) -> Result<(), CatalogError> {
    tx.exec(
        "INSERT INTO renditions (tenant_id, blob_id, preset, version, state, format, updated_at)
         VALUES ($1, $2, $3, $4, 'pending', $5, $6)
         ON CONFLICT (tenant_id, blob_id, preset, version) DO UPDATE SET
           state = 'pending', reason_code = NULL, reason_detail = NULL, updated_at = excluded.updated_at
           WHERE renditions.state = 'failed'",
        values![
            tenant_id,
            blob_id,
            name,
            i64::from(version),
            extension,
            at
        ],
    )
    .await?;
    Ok(())
}

/// A rendition whose bytes are in the store.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The recipe.
    pub preset: Preset,
    /// Where its bytes are.
    pub object_key: String,
    /// The store's tag for them.
    pub etag: String,
    /// Width in pixels.
    pub width: i64,
    /// Height in pixels.
    pub height: i64,
    /// Its size.
    pub size_bytes: i64,
}

/// Records that a rendition is stored.
///
/// # Errors
/// What the database says.
pub async fn store(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    made: &Stored,
    at: Micros,
) -> Result<(), CatalogError> {
    tx.outdate_mark();
    tx.exec(
        "INSERT INTO renditions (tenant_id, blob_id, preset, version, state, object_key, etag, format, width, height,
                                 size_bytes, updated_at)
         VALUES ($1, $2, $3, $4, 'ready', $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (tenant_id, blob_id, preset, version) DO UPDATE SET
           state = 'ready', object_key = excluded.object_key, etag = excluded.etag, width = excluded.width,
           height = excluded.height, size_bytes = excluded.size_bytes, reason_code = NULL, reason_detail = NULL,
           updated_at = excluded.updated_at",
        values![
            tenant_id,
            blob_id,
            variant::slot(&made.preset.label()),
            i64::from(made.preset.version),
            &made.object_key,
            &made.etag,
            made.preset.format.extension(),
            made.width,
            made.height,
            made.size_bytes,
            at
        ],
    )
    .await?;
    Ok(())
}

/// Records that the renditions of a blob that are still pending will not come, and why. Its cleaned original is none of them, nor are
/// alternatives.
///
/// # Errors
/// What the database says.
pub async fn fail_pending(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    code: Code,
    detail: &str,
    at: Micros,
) -> Result<u64, CatalogError> {
    tx.exec(
        "UPDATE renditions SET state = 'failed', reason_code = $3, reason_detail = $4, updated_at = $5
          WHERE tenant_id = $1 AND blob_id = $2 AND state = 'pending' AND preset <> $6
            AND preset NOT LIKE '%.%'",
        values![tenant_id, blob_id, code.as_str(), detail, at, CLEANED],
    )
    .await
}

/// Records that what a clip is fetched in pieces by will not come, and why: playlist and file, where one of them is pending. What there is of
/// the other is of no use.
///
/// # Errors
/// What the database says.
pub async fn fail_pieces(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    (code, detail): (Code, &str),
    at: Micros,
) -> Result<(), CatalogError> {
    let (playlist, media) = (HLS.label(), HLS_MEDIA.label());
    tx.exec(
        "UPDATE renditions SET state = 'failed', reason_code = $3, reason_detail = $4, updated_at = $5
          WHERE tenant_id = $1 AND blob_id = $2 AND preset IN ($6, $7)
            AND EXISTS (SELECT 1 FROM renditions p WHERE p.tenant_id = $1 AND p.blob_id = $2 AND p.preset IN ($6, $7)
                           AND p.state = 'pending')",
        values![
            tenant_id,
            blob_id,
            code.as_str(),
            detail,
            at,
            variant::slot(&playlist),
            variant::slot(&media)
        ],
    )
    .await
    .map(|_| ())
}

/// Records that one rendition of a blob that is pending will not come, and why.
///
/// # Errors
/// What the database says.
pub async fn fail_one(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    preset: &Preset,
    (code, detail): (Code, &str),
    at: Micros,
) -> Result<bool, CatalogError> {
    let changed = tx
        .exec(
            "UPDATE renditions SET state = 'failed', reason_code = $3, reason_detail = $4, updated_at = $5
              WHERE tenant_id = $1 AND blob_id = $2 AND state = 'pending' AND preset = $6 AND version = $7",
            values![
                tenant_id,
                blob_id,
                code.as_str(),
                detail,
                at,
                preset.name,
                i64::from(preset.version)
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Announces a rendition of a blob anew that failed, unless its original is damaged. `false` if it has not.
///
/// # Errors
/// What the database says.
pub async fn expect_again(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    preset: &Preset,
    at: Micros,
) -> Result<bool, CatalogError> {
    let changed = tx
        .exec(
            "UPDATE renditions SET state = 'pending', reason_code = NULL, reason_detail = NULL, updated_at = $3
              WHERE tenant_id = $1 AND blob_id = $2 AND state = 'failed' AND reason_code <> $4
                AND preset = $5 AND version = $6",
            values![
                tenant_id,
                blob_id,
                at,
                Code::MediaCorrupt.as_str(),
                preset.name,
                i64::from(preset.version)
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Forgets the pieces of a clip that turns out to need none, as far as they are pending.
///
/// # Errors
/// What the database says.
pub async fn forget_pending_pieces(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
) -> Result<u64, CatalogError> {
    let (playlist, media) = (HLS.label(), HLS_MEDIA.label());
    tx.exec(
        "DELETE FROM renditions
          WHERE tenant_id = $1 AND blob_id = $2 AND preset IN ($3, $4) AND state = 'pending'",
        values![
            tenant_id,
            blob_id,
            variant::slot(&playlist),
            variant::slot(&media)
        ],
    )
    .await
}

/// Forgets a rendition that is pending, since it was not worth keeping when it was made again.
///
/// # Errors
/// What the database says.
pub async fn forget_pending(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    of: &Label,
) -> Result<u64, CatalogError> {
    tx.exec(
        "DELETE FROM renditions
          WHERE tenant_id = $1 AND blob_id = $2 AND preset = $3 AND version = $4 AND state = 'pending'",
        values![tenant_id, blob_id, variant::slot(of), i64::from(of.version)],
    )
    .await
}

/// Forgets renditions that are pending, of other versions than this one: those by numbers that are gone by no more, which nobody makes
/// again.
///
/// # Errors
/// What the database says.
pub async fn forget_pending_others(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    present: &Label,
) -> Result<u64, CatalogError> {
    tx.exec(
        "DELETE FROM renditions
          WHERE tenant_id = $1 AND blob_id = $2 AND preset = $3 AND version <> $4 AND state = 'pending'",
        values![
            tenant_id,
            blob_id,
            variant::slot(present),
            i64::from(present.version)
        ],
    )
    .await
}

/// All renditions of a blob.
///
/// # Errors
/// What the database says.
pub async fn of_blob(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
) -> Result<Vec<Rendition>, CatalogError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM renditions WHERE tenant_id = $1 AND blob_id = $2 ORDER BY preset, version"
    );
    tx.rows(&sql, values![tenant_id, blob_id])
        .await?
        .iter()
        .map(read)
        .collect()
}

fn read(r: &Row) -> Result<Rendition, CatalogError> {
    Ok(Rendition {
        blob_id: r.text(0)?,
        preset: r.text(1)?,
        version: r.int(2)?,
        state: r.text(3)?,
        object_key: r.maybe_text(4)?,
        etag: r.maybe_text(5)?,
        width: r.maybe_int(6)?,
        height: r.maybe_int(7)?,
        size_bytes: r.maybe_int(8)?,
        reason_code: r.maybe_text(9)?,
        reason_detail: r.maybe_text(10)?,
        updated_at: Micros(r.int(11)?),
    })
}
