//! Blobs: stored bytes under an immutable key, and who holds them.
//!
//! References are counted by looking (rows of resources). Attaching to a blob and dooming it change
//! the same row, so one of the two waits for the other and then sees what it did.

use safelight_model::best_frame::FrameScores;
use safelight_model::clock::Micros;
use safelight_model::codes::Code;
use safelight_model::near::PictureHash;

use crate::best_frames;
use crate::error::CatalogError;
use crate::file_metadata::{self, Kept};
use crate::live_halves::{self, LiveHalf};
use crate::near;
use crate::transaction::Tx;
use crate::uploads::Upload;
use crate::value::Row;
use crate::values;

/// The scope of blobs that all owners of a tenant share. No owner has so empty a name.
pub const SHARED: &str = "";

/// A blob.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blob {
    /// Its id.
    pub blob_id: String,
    /// Within what identical bytes are one blob: the owner, or [`SHARED`].
    pub scope: String,
    /// Where its bytes are.
    pub object_key: String,
    /// The store's tag for them, pinned at completion.
    pub etag: String,
    /// Its size.
    pub size_bytes: i64,
    /// Its verified hash: by inspection, or by the store, which took no other bytes.
    pub sha256: Option<String>,
    /// `live`, `doomed` or `gone`.
    pub state: String,
    /// `clean`, `quarantine` or `unknown`.
    pub verdict: String,
    /// Its type by content, once inspected.
    pub mime: Option<String>,
    /// Upright width in pixels.
    pub width: Option<i64>,
    /// Upright height in pixels.
    pub height: Option<i64>,
    /// Thumbhash of its pixels, base64.
    pub thumbhash: Option<String>,
    /// Why it cannot be shown.
    pub reason_code: Option<String>,
    /// Why, in words.
    pub reason_detail: Option<String>,
    /// When inspection ended.
    pub inspected_at: Option<Micros>,
    /// The perceptual hash of its pixels, where there is one.
    pub picture_hash: Option<PictureHash>,
    /// Processor time that decoding took for it, in microseconds, as far as it was counted: of all attempts at jobs that were done.
    pub cpu_us: i64,
    /// How sharp and how well exposed it is, where that was measured.
    pub scores: Option<FrameScores>,
    /// Which half of a Live Photo it is, where it says so.
    pub live: Option<LiveHalf>,
}

pub(crate) const COLUMNS: &str =
    "b.blob_id, b.scope, b.object_key, b.etag, b.size_bytes, b.sha256, b.state, b.verdict, b.mime, b.width, b.height,
     b.thumbhash, b.reason_code, b.reason_detail, b.inspected_at, b.picture_hash, b.cpu_us, b.sharpness, b.mean_luma, b.dark_permille,
     b.bright_permille, b.faces, b.live_key, b.live_half";

/// How many those are.
pub(crate) const COLUMN_COUNT: usize = 24;

pub(crate) fn read(r: &Row, first: usize) -> Result<Blob, CatalogError> {
    Ok(Blob {
        blob_id: r.text(first)?,
        scope: r.text(first + 1)?,
        object_key: r.text(first + 2)?,
        etag: r.text(first + 3)?,
        size_bytes: r.int(first + 4)?,
        sha256: r.maybe_text(first + 5)?,
        state: r.text(first + 6)?,
        verdict: r.text(first + 7)?,
        mime: r.maybe_text(first + 8)?,
        width: r.maybe_int(first + 9)?,
        height: r.maybe_int(first + 10)?,
        thumbhash: r.maybe_text(first + 11)?,
        reason_code: r.maybe_text(first + 12)?,
        reason_detail: r.maybe_text(first + 13)?,
        inspected_at: r.maybe_at(first + 14)?,
        picture_hash: r.maybe_int(first + 15)?.map(PictureHash::from_stored),
        cpu_us: r.int(first + 16)?,
        scores: best_frames::read(r, first + 17)?,
        live: live_halves::read(r, first + 22)?,
    })
}

/// Whole bytes that arrived.
#[derive(Clone, Debug)]
pub struct FreshBlob<'a> {
    /// The tenant.
    pub tenant_id: &'a str,
    /// Its id.
    pub blob_id: &'a str,
    /// The owner, or [`SHARED`].
    pub scope: &'a str,
    /// Where its bytes are.
    pub object_key: &'a str,
    /// The store's tag for them.
    pub etag: &'a str,
    /// Its size.
    pub size_bytes: i64,
    /// Their hash, where the store took no others. Whoever declares it has them, before they are inspected.
    pub sha256: Option<&'a str>,
    /// The resource that it is.
    pub resource_id: &'a str,
    /// Its owner, where the scope is [`SHARED`].
    pub sharer: Option<&'a str>,
    /// Now.
    pub at: Micros,
}

/// Records a blob and points its resource to it. Where another live blob has its hash it is recorded without: inspection joins
/// the two.
///
/// # Errors
/// [`CatalogError::Contended`] if a twin was recorded in this instant. Else what the database says.
pub async fn insert(tx: &mut Tx<'_>, blob: &FreshBlob<'_>) -> Result<(), CatalogError> {
    tx.outdate_mark();
    tx.exec(
        "INSERT INTO blobs (tenant_id, blob_id, scope, object_key, etag, size_bytes, sha256, state, verdict, created_at)
         SELECT $1, $2, $3, $4, $5, $6,
                CASE WHEN NOT EXISTS (SELECT 1 FROM blobs t WHERE t.tenant_id = $1 AND t.scope = $3 AND t.sha256 = $7
                                         AND t.state = 'live') THEN $7 END,
                'live', 'unknown', $8",
        values![
            blob.tenant_id,
            blob.blob_id,
            blob.scope,
            blob.object_key,
            blob.etag,
            blob.size_bytes,
            blob.sha256.map(str::to_owned),
            blob.at
        ],
    )
    .await
    .map_err(of_twin)?;
    tx.exec(
        "UPDATE resources SET blob_id = $3, owner_id = $4 WHERE tenant_id = $1 AND resource_id = $2",
        values![blob.tenant_id, blob.resource_id, blob.blob_id, blob.sharer.map(str::to_owned)],
    )
    .await?;
    Ok(())
}

/// One blob.
///
/// # Errors
/// What the database says.
pub async fn find(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
) -> Result<Option<Blob>, CatalogError> {
    let sql = format!("SELECT {COLUMNS} FROM blobs b WHERE b.tenant_id = $1 AND b.blob_id = $2");
    tx.row(&sql, values![tenant_id, blob_id])
        .await?
        .map(|r| read(&r, 0))
        .transpose()
}

/// Holds on to a live blob until the end of the transaction, so that it is not doomed meanwhile. `None` if it is no longer
/// live: then nothing must be pointed to it.
///
/// # Errors
/// What the database says.
pub async fn hold(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
) -> Result<Option<Blob>, CatalogError> {
    let held = tx
        .exec(
            "UPDATE blobs SET state = 'live' WHERE tenant_id = $1 AND blob_id = $2 AND state = 'live'",
            values![tenant_id, blob_id],
        )
        .await?;
    if held != 1 {
        return Ok(None);
    }
    find(tx, tenant_id, blob_id).await
}

/// Finds the other live blob of these bytes in a scope and holds on to it until the end of the transaction, so
/// that it is not doomed meanwhile.
///
/// # Errors
/// What the database says.
pub async fn hold_twin(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    scope: &str,
    blob: &Blob,
    sha256: &str,
) -> Result<Option<Blob>, CatalogError> {
    let held = tx
        .row(
            "UPDATE blobs SET state = 'live'
              WHERE tenant_id = $1 AND scope = $2 AND sha256 = $3 AND state = 'live' AND blob_id <> $4
              RETURNING blob_id",
            values![tenant_id, scope, sha256, &blob.blob_id],
        )
        .await?;
    match held {
        Some(row) => find(tx, tenant_id, &row.text(0)?).await,
        None => Ok(None),
    }
}

/// The live blobs that have the bytes of a doomed one of this owner, as far as its hash is known: in its scope, among the
/// owner's, and among those that are shared.
///
/// # Errors
/// What the database says.
pub async fn in_place_of(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    owner_id: &str,
    doomed: &Blob,
) -> Result<Vec<Blob>, CatalogError> {
    let mut found = Vec::new();
    let mut scopes = vec![doomed.scope.as_str(), owner_id, SHARED];
    scopes.sort_unstable();
    scopes.dedup();
    for scope in scopes {
        let sql = format!(
            "SELECT {COLUMNS} FROM blobs b
              WHERE b.tenant_id = $1 AND b.scope = $2 AND b.sha256 = $3 AND b.state = 'live' AND b.blob_id <> $4"
        );
        let args = values![tenant_id, scope, &doomed.sha256, &doomed.blob_id];
        for row in tx.rows(&sql, args).await? {
            found.push(read(&row, 0)?);
        }
    }
    Ok(found)
}

/// The live blobs that have the bytes for whose sake an upload ended, as far as its hash is known: among its owner's, and among those
/// that are shared.
///
/// # Errors
/// What the database says.
pub async fn in_place_of_upload(
    tx: &mut Tx<'_>,
    upload: &Upload,
) -> Result<Vec<Blob>, CatalogError> {
    let mut found = Vec::new();
    for scope in [upload.owner_id.as_str(), SHARED] {
        let sql = format!(
            "SELECT {COLUMNS} FROM uploads u CROSS JOIN blobs b
              WHERE u.tenant_id = $1 AND u.upload_id = $2
                AND b.tenant_id = $1 AND b.scope = $3 AND b.sha256 = u.sha256 AND b.state = 'live'"
        );
        let args = values![&upload.tenant_id, &upload.upload_id, scope];
        for row in tx.rows(&sql, args).await? {
            found.push(read(&row, 0)?);
        }
    }
    Ok(found)
}

/// Dooms `from` and points every resource that holds it to `to`, which the caller holds on to by
/// [`hold_twin`] or [`hold`]. `false`, and nothing is changed, when `from` is no longer live.
///
/// # Errors
/// What the database says.
pub async fn merge(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    from: &str,
    to: &str,
) -> Result<bool, CatalogError> {
    tx.outdate_mark();
    // First the row of the blob: this waits for whoever holds it, and only the next statement sees the
    // resources that he pointed to it.
    let doomed = tx
        .exec(
            // Whose bytes took its place is known by the hash: one that was never inspected has none of its own.
            "UPDATE blobs SET state = 'doomed', sha256 = COALESCE(sha256,
                    (SELECT t.sha256 FROM blobs t WHERE t.tenant_id = $1 AND t.blob_id = $3))
              WHERE tenant_id = $1 AND blob_id = $2 AND state = 'live'",
            values![tenant_id, from, to],
        )
        .await?;
    if doomed != 1 {
        return Ok(false);
    }
    near::joining(tx, tenant_id, from, to).await?;
    live_halves::joining(tx, tenant_id, from, to).await?;
    // The bytes that came tell the same, and have a row of their own.
    tx.exec(
        "DELETE FROM blob_metadata WHERE tenant_id = $1 AND blob_id = $2",
        values![tenant_id, from],
    )
    .await?;
    tx.exec(
        // What comes from an owner's own blob to a shared one is that owner's.
        "UPDATE resources SET blob_id = $3, owner_id = COALESCE(owner_id,
                (SELECT f.scope FROM blobs f CROSS JOIN blobs t
                  WHERE f.tenant_id = $1 AND f.blob_id = $2 AND f.scope <> ''
                    AND t.tenant_id = $1 AND t.blob_id = $3 AND t.scope = ''))
          WHERE tenant_id = $1 AND blob_id = $2",
        values![tenant_id, from, to],
    )
    .await?;
    Ok(true)
}

/// What inspection found.
#[derive(Clone, Debug, Default)]
pub struct Inspected {
    /// The hash that was counted, for bytes that settle what becomes of them: others with the same hash join.
    /// `None` where another attempt may fare better.
    pub sha256: Option<String>,
    /// The verdict.
    pub verdict: &'static str,
    /// The type by content.
    pub mime: Option<String>,
    /// Upright width.
    pub width: Option<i64>,
    /// Upright height.
    pub height: Option<i64>,
    /// Thumbhash, base64.
    pub thumbhash: Option<String>,
    /// The perceptual hash of its pixels.
    pub picture_hash: Option<PictureHash>,
    /// What the file tells of how it was taken, as its tenant's policy has it kept.
    pub metadata: Option<Kept>,
    /// Which half of a Live Photo it is, where it says so.
    pub live: Option<LiveHalf>,
    /// Why it cannot be shown.
    pub reason: Option<(Code, String)>,
}

/// Records what inspection found. `false` when the blob is no longer live.
///
/// # Errors
/// [`CatalogError::Contended`] if a twin was recorded in this instant: the next [`hold_twin`] finds it.
pub async fn inspected(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    found: &Inspected,
    at: Micros,
) -> Result<bool, CatalogError> {
    let changed = tx
        .exec(
            "UPDATE blobs SET sha256 = $3, verdict = $4, mime = $5, width = $6, height = $7, thumbhash = $8,
                    reason_code = $9, reason_detail = $10, inspected_at = $11, picture_hash = $12, hash_sought_at = $11,
                    metadata_sought_at = $11, scores_sought_at = $11, live_key = $13, live_half = $14
              WHERE tenant_id = $1 AND blob_id = $2 AND state = 'live'",
            values![
                tenant_id,
                blob_id,
                &found.sha256,
                found.verdict,
                &found.mime,
                found.width,
                found.height,
                &found.thumbhash,
                found.reason.as_ref().map(|(code, _)| code.as_str()),
                found.reason.as_ref().map(|(_, detail)| detail.clone()),
                at,
                found.picture_hash.map(PictureHash::to_stored),
                found.live.as_ref().map(|half| half.key.as_str()),
                found.live.as_ref().map(LiveHalf::name)
            ],
        )
        .await
        .map_err(of_twin)?;
    if changed == 1 && found.picture_hash.is_some() {
        near::hashed(tx, tenant_id, blob_id).await?;
    }
    if changed == 1 && found.live.is_some() {
        live_halves::noted(tx, tenant_id, blob_id).await?;
    }
    if changed == 1
        && let Some(kept) = &found.metadata
    {
        file_metadata::write(tx, tenant_id, blob_id, kept, at).await?;
    }
    Ok(changed == 1)
}

/// That another has the hash already is found out at the end only if it was recorded in this instant.
fn of_twin(error: CatalogError) -> CatalogError {
    match error {
        CatalogError::Refused(source)
            if source
                .as_database_error()
                .is_some_and(|e| e.is_unique_violation()) =>
        {
            CatalogError::Contended(source)
        }
        other => other,
    }
}

/// Nobody finds a blob by its hash any more that was never inspected: its bytes are looked at anew when they come again.
///
/// # Errors
/// What the database says.
pub async fn forget_hash(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
) -> Result<(), CatalogError> {
    tx.exec(
        "UPDATE blobs SET sha256 = NULL WHERE tenant_id = $1 AND blob_id = $2 AND state = 'live' AND inspected_at IS NULL",
        values![tenant_id, blob_id],
    )
    .await
    .map(|_| ())
}

/// Adds up processor time that decoding took for a blob, in microseconds. Changes nothing where there is no such blob.
///
/// # Errors
/// What the database says.
pub async fn spent(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    cpu_us: i64,
) -> Result<(), CatalogError> {
    tx.exec(
        "UPDATE blobs SET cpu_us = cpu_us + $3 WHERE tenant_id = $1 AND blob_id = $2",
        values![tenant_id, blob_id, cpu_us],
    )
    .await
    .map(|_| ())
}

/// Records that a doomed blob's bytes and those of its renditions are gone from the store, and erases what was known of
/// them. `false` when it is not doomed, or something still holds it.
///
/// # Errors
/// What the database says.
pub async fn gone(tx: &mut Tx<'_>, tenant_id: &str, blob_id: &str) -> Result<bool, CatalogError> {
    tx.outdate_mark();
    let changed = tx
        .exec(
            "UPDATE blobs SET state = 'gone', etag = '', sha256 = NULL, mime = NULL, width = NULL, height = NULL, thumbhash = NULL,
                    picture_hash = NULL, reason_detail = NULL, sharpness = NULL, mean_luma = NULL, dark_permille = NULL,
                    bright_permille = NULL, faces = NULL, live_key = NULL, live_half = NULL
              WHERE tenant_id = $1 AND blob_id = $2 AND state = 'doomed'
                AND NOT EXISTS (SELECT 1 FROM resources WHERE tenant_id = $1 AND blob_id = $2)",
            values![tenant_id, blob_id],
        )
        .await?;
    if changed == 1 {
        for table in ["renditions", "blob_metadata"] {
            tx.exec(
                &format!("DELETE FROM {table} WHERE tenant_id = $1 AND blob_id = $2"),
                values![tenant_id, blob_id],
            )
            .await?;
        }
    }
    Ok(changed == 1)
}
