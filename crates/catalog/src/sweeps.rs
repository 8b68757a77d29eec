//! Sweeps: how far the comparison of store and catalog is, what it found, and the rows that it compares.

use safelight_model::clock::Micros;

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::value::Row;
use crate::values;

/// A sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// Which one it is.
    pub number: i64,
    /// What is compared next.
    pub phase: String,
    /// From where on.
    pub cursor: String,
    /// For compare-and-set.
    pub version: i64,
    /// So much was looked at so far: objects, uploads and rows.
    pub examined: i64,
    /// When it began.
    pub began_at: Micros,
    /// When it ended.
    pub ended_at: Option<Micros>,
}

/// What is found on one side only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// An object that no row stands for.
    OrphanObject,
    /// One that says it belongs to another catalog.
    ForeignObject,
    /// A multipart upload at the store that no row stands for.
    OrphanUpload,
    /// An original that the store has lost.
    MissingOriginal,
    /// A rendition that the store has lost.
    MissingRendition,
}

impl FindingKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::OrphanObject,
        Self::ForeignObject,
        Self::OrphanUpload,
        Self::MissingOriginal,
        Self::MissingRendition,
    ];

    /// As in rows, metrics and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OrphanObject => "orphan_object",
            Self::ForeignObject => "foreign_object",
            Self::OrphanUpload => "orphan_upload",
            Self::MissingOriginal => "missing_original",
            Self::MissingRendition => "missing_rendition",
        }
    }
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whose it is, by its key.
    pub tenant_id: String,
    /// What it is.
    pub kind: FindingKind,
    /// The object's key.
    pub object_key: String,
    /// The store's id of the upload; empty for all else.
    pub store_upload_id: String,
    /// Its size.
    pub size_bytes: Option<i64>,
    /// When it was stored or begun, by the store's clock.
    pub modified_at: Option<Micros>,
    /// When it was first found so, of all the sweeps in a row that did.
    pub first_seen_at: Micros,
    /// When it was last.
    pub last_seen_at: Micros,
    /// Why it is kept also when its grace is over.
    pub kept_because: Option<String>,
}

const SWEEP: &str = "SELECT number, phase, cursor, version, examined, began_at, ended_at FROM sweeps WHERE name = 'store'";

/// The sweep under way, or the last one.
///
/// # Errors
/// What the database says.
pub async fn find(tx: &mut Tx<'_>) -> Result<Option<Sweep>, CatalogError> {
    let row = tx.row(SWEEP, &[]).await?;
    row.map(|r| {
        Ok(Sweep {
            number: r.int(0)?,
            phase: r.text(1)?,
            cursor: r.text(2)?,
            version: r.int(3)?,
            examined: r.int(4)?,
            began_at: r.at(5)?,
            ended_at: r.maybe_at(6)?,
        })
    })
    .transpose()
}

/// The sweep under way; if none is, another begins with `phase`.
///
/// # Errors
/// What the database says.
pub async fn begin(tx: &mut Tx<'_>, phase: &str, now: Micros) -> Result<Sweep, CatalogError> {
    tx.exec(
        "INSERT INTO sweeps (name, number, phase, cursor, version, examined, began_at)
         VALUES ('store', 1, $1, '', 1, 0, $2)
         ON CONFLICT (name) DO UPDATE SET number = sweeps.number + 1, phase = excluded.phase, cursor = '',
           version = sweeps.version + 1, examined = 0, began_at = excluded.began_at, ended_at = NULL
         WHERE sweeps.ended_at IS NOT NULL",
        values![phase, now],
    )
    .await?;
    find(tx).await?.ok_or(CatalogError::Unknown {
        column: "sweeps.name",
        value: "no row".to_owned(),
    })
}

/// Moves a sweep on. `false` when another has: then what was found is found again.
///
/// # Errors
/// What the database says.
pub async fn advance(
    tx: &mut Tx<'_>,
    sweep: &Sweep,
    phase: &str,
    cursor: &str,
    examined: i64,
) -> Result<bool, CatalogError> {
    let changed = tx
        .exec(
            "UPDATE sweeps SET phase = $3, cursor = $4, examined = examined + $5, version = version + 1
              WHERE name = 'store' AND number = $1 AND version = $2 AND ended_at IS NULL",
            values![sweep.number, sweep.version, phase, cursor, examined],
        )
        .await?;
    Ok(changed == 1)
}

/// Ends a sweep, and forgets what it did not find any more. `false` when another has moved it.
///
/// # Errors
/// What the database says.
pub async fn finish(tx: &mut Tx<'_>, sweep: &Sweep, now: Micros) -> Result<bool, CatalogError> {
    let changed = tx
        .exec(
            "UPDATE sweeps SET ended_at = $3, version = version + 1
              WHERE name = 'store' AND number = $1 AND version = $2 AND ended_at IS NULL",
            values![sweep.number, sweep.version, now],
        )
        .await?;
    if changed == 1 {
        tx.exec(
            "DELETE FROM sweep_findings WHERE sweep < $1",
            values![sweep.number],
        )
        .await?;
    }
    Ok(changed == 1)
}

/// Records that this sweep found something, anew or again. What was found before keeps its first time, unless this one is earlier: then the first went
/// by a clock that ran ahead. `by_two_clocks` says that this one is the later of two, so that it is no clock that runs behind.
///
/// # Errors
/// What the database says.
pub async fn report(
    tx: &mut Tx<'_>,
    sweep: &Sweep,
    found: &Finding,
    by_two_clocks: bool,
) -> Result<(), CatalogError> {
    tx.exec(
        "INSERT INTO sweep_findings (tenant_id, kind, object_key, store_upload_id, size_bytes, modified_at,
                                     first_seen_at, last_seen_at, sweep, kept_because)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (tenant_id, kind, object_key, store_upload_id) DO UPDATE SET
           first_seen_at = CASE WHEN excluded.first_seen_at < sweep_findings.first_seen_at AND $11 = 1
                                THEN excluded.first_seen_at ELSE sweep_findings.first_seen_at END,
           size_bytes = excluded.size_bytes, modified_at = excluded.modified_at,
           last_seen_at = excluded.last_seen_at, sweep = excluded.sweep, kept_because = excluded.kept_because",
        values![
            &found.tenant_id,
            found.kind.as_str(),
            &found.object_key,
            &found.store_upload_id,
            found.size_bytes,
            found.modified_at,
            found.first_seen_at,
            found.last_seen_at,
            sweep.number,
            &found.kept_because,
            i64::from(by_two_clocks)
        ],
    )
    .await?;
    Ok(())
}

const FINDING: &str = "SELECT tenant_id, kind, object_key, store_upload_id, size_bytes, modified_at, first_seen_at, \
     last_seen_at, kept_because FROM sweep_findings";

fn read(r: &Row) -> Result<Finding, CatalogError> {
    let kind = r.text(1)?;
    Ok(Finding {
        tenant_id: r.text(0)?,
        kind: FindingKind::ALL
            .into_iter()
            .find(|k| k.as_str() == kind)
            .ok_or(CatalogError::Unknown {
                column: "sweep_findings.kind",
                value: kind,
            })?,
        object_key: r.text(2)?,
        store_upload_id: r.text(3)?,
        size_bytes: r.maybe_int(4)?,
        modified_at: r.maybe_at(5)?,
        first_seen_at: r.at(6)?,
        last_seen_at: r.at(7)?,
        kept_because: r.maybe_text(8)?,
    })
}

/// Findings in the order of their keys, from behind `after` on.
///
/// # Errors
/// What the database says.
pub async fn findings(
    tx: &mut Tx<'_>,
    after: Option<&Finding>,
    limit: i64,
) -> Result<Vec<Finding>, CatalogError> {
    page(tx, 0, after, limit).await
}

/// Of these those that this sweep has found: by its number, which no clock changes.
///
/// # Errors
/// What the database says.
pub async fn findings_of(
    tx: &mut Tx<'_>,
    sweep: &Sweep,
    after: Option<&Finding>,
    limit: i64,
) -> Result<Vec<Finding>, CatalogError> {
    page(tx, sweep.number, after, limit).await
}

async fn page(
    tx: &mut Tx<'_>,
    from_sweep: i64,
    after: Option<&Finding>,
    limit: i64,
) -> Result<Vec<Finding>, CatalogError> {
    let (tenant_id, kind, object_key, store_upload_id) = after.map_or(("", "", "", ""), |f| {
        (
            f.tenant_id.as_str(),
            f.kind.as_str(),
            f.object_key.as_str(),
            f.store_upload_id.as_str(),
        )
    });
    let sql = format!(
        "{FINDING} WHERE (tenant_id, kind, object_key, store_upload_id) > ($1, $2, $3, $4) AND sweep >= $6
          ORDER BY tenant_id, kind, object_key, store_upload_id LIMIT $5"
    );
    tx.rows(
        &sql,
        values![
            tenant_id,
            kind,
            object_key,
            store_upload_id,
            limit,
            from_sweep
        ],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// What is recorded of a finding, if it was found before.
///
/// # Errors
/// What the database says.
pub async fn recorded(tx: &mut Tx<'_>, found: &Finding) -> Result<Option<Finding>, CatalogError> {
    let sql = format!(
        "{FINDING} WHERE tenant_id = $1 AND kind = $2 AND object_key = $3 AND store_upload_id = $4"
    );
    tx.row(
        &sql,
        values![
            &found.tenant_id,
            found.kind.as_str(),
            &found.object_key,
            &found.store_upload_id
        ],
    )
    .await?
    .as_ref()
    .map(read)
    .transpose()
}

/// How many findings of each kind there are, and their bytes.
///
/// # Errors
/// What the database says.
pub async fn counts(tx: &mut Tx<'_>) -> Result<Vec<(FindingKind, i64, i64)>, CatalogError> {
    let mut counts = Vec::with_capacity(FindingKind::ALL.len());
    for kind in FindingKind::ALL {
        let row = tx
            .row(
                "SELECT COUNT(*), CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) FROM sweep_findings WHERE kind = $1",
                values![kind.as_str()],
            )
            .await?;
        if let Some(r) = row {
            counts.push((kind, r.int(0)?, r.int(1)?));
        }
    }
    Ok(counts)
}

/// What rows say is to go, and has not gone yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Uploads that have ended and were not cleared.
    pub uploads: i64,
    /// Blobs that are to be purged.
    pub blobs: i64,
    /// Doomed segments of uploads that were appended to.
    pub segments: i64,
}

/// How much waits to be removed by what rows say.
///
/// # Errors
/// What the database says.
pub async fn waiting(tx: &mut Tx<'_>) -> Result<Waiting, CatalogError> {
    let row = tx
        .row(
            "SELECT (SELECT COUNT(*) FROM uploads WHERE state IN ('aborted', 'expired') AND cleared_at IS NULL),
                    (SELECT COUNT(*) FROM jobs WHERE kind = 'purge' AND state <> 'dead'),
                    (SELECT COUNT(*) FROM append_segments WHERE state = 'doomed')",
            &[],
        )
        .await?;
    row.map_or(
        Ok(Waiting {
            uploads: 0,
            blobs: 0,
            segments: 0,
        }),
        |r| {
            Ok(Waiting {
                uploads: r.int(0)?,
                blobs: r.int(1)?,
                segments: r.int(2)?,
            })
        },
    )
}

/// Takes a finding back: it is found no more, or was removed.
///
/// # Errors
/// What the database says.
pub async fn forget(tx: &mut Tx<'_>, found: &Finding) -> Result<(), CatalogError> {
    tx.exec(
        "DELETE FROM sweep_findings
          WHERE tenant_id = $1 AND kind = $2 AND object_key = $3 AND store_upload_id = $4",
        values![
            &found.tenant_id,
            found.kind.as_str(),
            &found.object_key,
            &found.store_upload_id
        ],
    )
    .await?;
    Ok(())
}

/// Takes back what was found of an object, by its key: it is so no more.
///
/// # Errors
/// What the database says.
pub async fn close(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    kind: FindingKind,
    object_key: &str,
) -> Result<(), CatalogError> {
    tx.exec(
        "DELETE FROM sweep_findings
          WHERE tenant_id = $1 AND kind = $2 AND object_key = $3 AND store_upload_id = ''",
        values![tenant_id, kind.as_str(), object_key],
    )
    .await?;
    Ok(())
}

/// Records why a finding is kept, until it is found anew.
///
/// # Errors
/// What the database says.
pub async fn keep(tx: &mut Tx<'_>, found: &Finding, why: &str) -> Result<(), CatalogError> {
    tx.exec(
        "UPDATE sweep_findings SET kept_because = $5
          WHERE tenant_id = $1 AND kind = $2 AND object_key = $3 AND store_upload_id = $4",
        values![
            &found.tenant_id,
            found.kind.as_str(),
            &found.object_key,
            &found.store_upload_id,
            why
        ],
    )
    .await?;
    Ok(())
}

/// A row that an object stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// The object's key.
    pub object_key: String,
    /// The tenant.
    pub tenant_id: String,
    /// The blob, or the blob that the rendition is of.
    pub blob_id: String,
    /// The blob's state.
    pub blob_state: String,
    /// Its size.
    pub size_bytes: Option<i64>,
}

fn read_key(r: &Row) -> Result<KeyRow, CatalogError> {
    Ok(KeyRow {
        object_key: r.text(0)?,
        tenant_id: r.text(1)?,
        blob_id: r.text(2)?,
        blob_state: r.text(3)?,
        size_bytes: r.maybe_int(4)?,
    })
}

/// Blobs that are not gone, by key and from behind `after` on.
///
/// # Errors
/// What the database says.
pub async fn blob_keys(
    tx: &mut Tx<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<KeyRow>, CatalogError> {
    tx.rows(
        "SELECT object_key, tenant_id, blob_id, state, size_bytes FROM blobs
          WHERE state <> 'gone' AND object_key > $1 ORDER BY object_key LIMIT $2",
        values![after, limit],
    )
    .await?
    .iter()
    .map(read_key)
    .collect()
}

/// The blob of this key that is not gone.
///
/// # Errors
/// What the database says.
pub async fn blob_of_key(
    tx: &mut Tx<'_>,
    object_key: &str,
) -> Result<Option<KeyRow>, CatalogError> {
    tx.row(
        "SELECT object_key, tenant_id, blob_id, state, size_bytes FROM blobs
          WHERE state <> 'gone' AND object_key = $1",
        values![object_key],
    )
    .await?
    .as_ref()
    .map(read_key)
    .transpose()
}

/// Stored renditions, by key and from behind `after` on.
///
/// # Errors
/// What the database says.
pub async fn rendition_keys(
    tx: &mut Tx<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<KeyRow>, CatalogError> {
    // On PostgreSQL the column sorts as the database does, which need not be by bytes as stores do.
    let bytewise = if tx.is_postgres() {
        " COLLATE \"C\""
    } else {
        ""
    };
    let sql = format!(
        "SELECT r.object_key, r.tenant_id, r.blob_id, b.state, r.size_bytes
           FROM renditions r JOIN blobs b ON b.tenant_id = r.tenant_id AND b.blob_id = r.blob_id
          WHERE r.object_key IS NOT NULL AND r.object_key{bytewise} > $1
          ORDER BY r.object_key{bytewise} LIMIT $2"
    );
    tx.rows(&sql, values![after, limit])
        .await?
        .iter()
        .map(read_key)
        .collect()
}

/// A rendition that the store has lost is to be made again: `false` if it was not there, or is to be already.
///
/// # Errors
/// What the database says.
pub async fn rendition_lost(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    object_key: &str,
    now: Micros,
) -> Result<bool, CatalogError> {
    let changed = tx
        .exec(
            "UPDATE renditions SET state = 'pending', updated_at = $4
              WHERE tenant_id = $1 AND blob_id = $2 AND object_key = $3 AND state = 'ready'",
            values![tenant_id, blob_id, object_key, now],
        )
        .await?;
    Ok(changed > 0)
}
