//! Uploads that are appended to: who may, how far they have come, and in what their bytes are.
//!
//! Every request that appends takes the upload ([`take`]), which raises its epoch; from then on nothing
//! that an earlier one reports changes anything. Bytes are in parts of the store's multipart upload, and what
//! is shorter than a part in segments, which are temporary objects. What comes first in time comes first
//! here:
//!
//! | step | rows | a crash after it leaves |
//! |---|---|---|
//! | [`reserve_part`] | a number that nobody gets again | perhaps a part that no row names; it goes with the upload |
//! | [`intend_segment`] | the segment, `writing` | perhaps an object; whoever takes the upload dooms it |
//! | [`advance`] | offset, parts, the segment `live`, earlier segments `doomed`: one commit | objects of doomed segments, which the janitor removes |
//!
//! Each of them locks the upload's row before that of the append, so that none of them waits for another in
//! a ring, and an upload that has ended is not written to any more.

use safelight_model::clock::Micros;

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::uploads::{self, Upload};
use crate::value::Value;
use crate::values;

/// Keys in one question at most.
const KEYS_AT_ONCE: usize = 200;

/// The right to append to an upload, until another takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The tenant.
    pub tenant_id: String,
    /// The upload.
    pub upload_id: String,
    /// Which taking of it this is.
    pub epoch: i64,
}

/// A temporary object that holds acknowledged bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it is.
    pub object_key: String,
    /// The place of its first byte in the file.
    pub offset_bytes: i64,
    /// Its length.
    pub size_bytes: i64,
    /// The store's tag for it.
    pub etag: String,
}

/// A part of the file that the store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendedPart {
    /// Its number at the store. Numbers rise along the file; there may be gaps between them.
    pub number: i64,
    /// The place of its first byte in the file.
    pub offset_bytes: i64,
    /// Its length.
    pub size_bytes: i64,
    /// The store's tag for it.
    pub etag: String,
}

/// An upload as it was when it was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The right to append.
    pub hold: Hold,
    /// How many bytes are acknowledged.
    pub offset_bytes: i64,
    /// How many of them are in parts.
    pub in_parts_bytes: i64,
    /// The rest of them, in order.
    pub segments: Vec<Segment>,
}

/// What has become durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advance {
    /// The offset up to now.
    pub from_bytes: i64,
    /// The offset from now on.
    pub to_bytes: i64,
    /// Fresh parts.
    pub parts: Vec<AppendedPart>,
    /// The segment that was intended under this key, with its tag.
    pub segment: Option<(String, String)>,
    /// Whether all earlier segments are in the fresh parts or the fresh segment.
    pub replaces_segments: bool,
    /// When the janitor looks whether the upload was completed, if these bytes are its last.
    pub look_at: Option<Micros>,
}

/// Takes an upload: whoever had it loses it. `None` when the upload is not open. Segments that an earlier
/// holder was writing are doomed; its requests to the store may last until `written_until`.
///
/// # Errors
/// What the database says.
pub async fn take(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    upload_id: &str,
    written_until: Micros,
) -> Result<Option<Taken>, CatalogError> {
    if !uploads::extend_written(tx, tenant_id, upload_id, Micros(0), None).await? {
        return Ok(None);
    }
    let row = tx
        .row(
            "INSERT INTO appends (tenant_id, upload_id, epoch, offset_bytes, next_part) VALUES ($1, $2, 1, 0, 1)
             ON CONFLICT (tenant_id, upload_id) DO UPDATE SET epoch = appends.epoch + 1
             RETURNING epoch, offset_bytes",
            values![tenant_id, upload_id],
        )
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let (epoch, offset_bytes) = (row.int(0)?, row.int(1)?);
    tx.exec(
        "UPDATE append_segments SET state = 'doomed', removable_at = $3
          WHERE tenant_id = $1 AND upload_id = $2 AND state = 'writing'",
        values![tenant_id, upload_id, written_until],
    )
    .await?;
    let segments = tx
        .rows(
            "SELECT object_key, offset_bytes, size_bytes, etag FROM append_segments
              WHERE tenant_id = $1 AND upload_id = $2 AND state = 'live' ORDER BY offset_bytes",
            values![tenant_id, upload_id],
        )
        .await?
        .iter()
        .map(|r| {
            Ok(Segment {
                object_key: r.text(0)?,
                offset_bytes: r.int(1)?,
                size_bytes: r.int(2)?,
                etag: r.text(3)?,
            })
        })
        .collect::<Result<Vec<_>, CatalogError>>()?;
    let in_segments: i64 = segments.iter().map(|s| s.size_bytes).sum();
    Ok(Some(Taken {
        hold: Hold {
            tenant_id: tenant_id.to_owned(),
            upload_id: upload_id.to_owned(),
            epoch,
        },
        offset_bytes,
        in_parts_bytes: offset_bytes - in_segments,
        segments,
    }))
}

/// Whether the upload is still open and this holder's; requests to the store that begin now may last until
/// `written_until`. Locks both rows for the rest of the transaction.
async fn is_held(
    tx: &mut Tx<'_>,
    hold: &Hold,
    written_until: Micros,
    look_at: Option<Micros>,
) -> Result<bool, CatalogError> {
    let (tenant_id, upload_id) = (&hold.tenant_id, &hold.upload_id);
    if !uploads::extend_written(tx, tenant_id, upload_id, written_until, look_at).await? {
        return Ok(false);
    }
    let held = tx
        .exec(
            "UPDATE appends SET epoch = epoch WHERE tenant_id = $1 AND upload_id = $2 AND epoch = $3",
            values![tenant_id, upload_id, hold.epoch],
        )
        .await?;
    Ok(held == 1)
}

/// Gives out a part number that nobody had before, for a request to the store that may last until
/// `written_until`. `None` when the upload is no longer this holder's.
///
/// # Errors
/// What the database says.
pub async fn reserve_part(
    tx: &mut Tx<'_>,
    hold: &Hold,
    written_until: Micros,
) -> Result<Option<i64>, CatalogError> {
    if !is_held(tx, hold, written_until, None).await? {
        return Ok(None);
    }
    tx.row(
        "UPDATE appends SET next_part = next_part + 1 WHERE tenant_id = $1 AND upload_id = $2
         RETURNING next_part - 1",
        values![&hold.tenant_id, &hold.upload_id],
    )
    .await?
    .map(|r| r.int(0))
    .transpose()
}

/// Records a segment that is about to be written under `object_key`. `false` when the upload is no longer
/// this holder's: then it must not be written.
///
/// # Errors
/// What the database says.
pub async fn intend_segment(
    tx: &mut Tx<'_>,
    hold: &Hold,
    object_key: &str,
    offset_bytes: i64,
    size_bytes: i64,
    written_until: Micros,
) -> Result<bool, CatalogError> {
    if !is_held(tx, hold, written_until, None).await? {
        return Ok(false);
    }
    tx.exec(
        "INSERT INTO append_segments (tenant_id, upload_id, object_key, offset_bytes, size_bytes, state, removable_at)
         VALUES ($1, $2, $3, $4, $5, 'writing', 0)",
        values![&hold.tenant_id, &hold.upload_id, object_key, offset_bytes, size_bytes],
    )
    .await?;
    Ok(true)
}

/// Acknowledges bytes. Segments that are replaced are doomed, and removed from `removable_at` on: a repeated
/// request of their writing may still be under way. `false` when the upload is no longer this holder's, or the offset is not where it was
/// left: then nothing is changed.
///
/// # Errors
/// What the database says.
pub async fn advance(
    tx: &mut Tx<'_>,
    hold: &Hold,
    step: &Advance,
    removable_at: Micros,
) -> Result<bool, CatalogError> {
    let (tenant_id, upload_id) = (&hold.tenant_id, &hold.upload_id);
    if !uploads::extend_written(tx, tenant_id, upload_id, Micros(0), None).await? {
        return Ok(false);
    }
    let moved = tx
        .exec(
            "UPDATE appends SET offset_bytes = $5
              WHERE tenant_id = $1 AND upload_id = $2 AND epoch = $3 AND offset_bytes = $4",
            values![
                tenant_id,
                upload_id,
                hold.epoch,
                step.from_bytes,
                step.to_bytes
            ],
        )
        .await?;
    if moved != 1 {
        return Ok(false);
    }
    if step.look_at.is_some() {
        uploads::extend_written(tx, tenant_id, upload_id, Micros(0), step.look_at).await?;
    }
    if step.replaces_segments {
        tx.exec(
            "UPDATE append_segments SET state = 'doomed', removable_at = $3
              WHERE tenant_id = $1 AND upload_id = $2 AND state = 'live'",
            values![tenant_id, upload_id, removable_at],
        )
        .await?;
    }
    for part in &step.parts {
        tx.exec(
            "INSERT INTO append_parts (tenant_id, upload_id, number, offset_bytes, size_bytes, etag)
             VALUES ($1, $2, $3, $4, $5, $6)",
            values![
                tenant_id,
                upload_id,
                part.number,
                part.offset_bytes,
                part.size_bytes,
                &part.etag
            ],
        )
        .await?;
    }
    if let Some((object_key, etag)) = &step.segment {
        tx.exec(
            "UPDATE append_segments SET state = 'live', etag = $4
              WHERE tenant_id = $1 AND upload_id = $2 AND object_key = $3 AND state = 'writing'",
            values![tenant_id, upload_id, object_key, etag],
        )
        .await?;
    }
    Ok(true)
}

/// Gives up a segment that was intended and is not needed after all.
///
/// # Errors
/// What the database says.
pub async fn doom_segment(
    tx: &mut Tx<'_>,
    hold: &Hold,
    object_key: &str,
    written_until: Micros,
) -> Result<(), CatalogError> {
    tx.exec(
        "UPDATE append_segments SET state = 'doomed', removable_at = $4
          WHERE tenant_id = $1 AND upload_id = $2 AND object_key = $3 AND state = 'writing'",
        values![&hold.tenant_id, &hold.upload_id, object_key, written_until],
    )
    .await?;
    Ok(())
}

/// Fixes the length of a file that was declared without one; if it is whole with that, the janitor looks at
/// `look_at` whether it was completed. `false` when it has another length, or the
/// upload is no longer this holder's.
///
/// # Errors
/// What the database says.
pub async fn fix_length(
    tx: &mut Tx<'_>,
    hold: &Hold,
    size_bytes: i64,
    look_at: Option<Micros>,
) -> Result<bool, CatalogError> {
    if !is_held(tx, hold, Micros(0), look_at).await? {
        return Ok(false);
    }
    let fixed = tx
        .exec(
            "UPDATE uploads SET size_bytes = $3
              WHERE tenant_id = $1 AND upload_id = $2 AND state = 'open' AND size_bytes IN (0, $3)",
            values![&hold.tenant_id, &hold.upload_id, size_bytes],
        )
        .await?;
    if fixed != 1 {
        return Ok(false);
    }
    tx.exec(
        "UPDATE resources SET size_bytes = $3 WHERE tenant_id = $1 AND size_bytes = 0
            AND resource_id = (SELECT resource_id FROM uploads WHERE tenant_id = $1 AND upload_id = $2)",
        values![&hold.tenant_id, &hold.upload_id, size_bytes],
    )
    .await?;
    Ok(true)
}

/// How many bytes of an upload are acknowledged; 0 where nobody has appended yet.
///
/// # Errors
/// What the database says.
pub async fn offset(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    upload_id: &str,
) -> Result<i64, CatalogError> {
    let row = tx
        .row(
            "SELECT offset_bytes FROM appends WHERE tenant_id = $1 AND upload_id = $2",
            values![tenant_id, upload_id],
        )
        .await?;
    row.map_or(Ok(0), |r| r.int(0))
}

/// The parts of an upload, in order.
///
/// # Errors
/// What the database says.
pub async fn parts(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    upload_id: &str,
) -> Result<Vec<AppendedPart>, CatalogError> {
    tx.rows(
        "SELECT number, offset_bytes, size_bytes, etag FROM append_parts
          WHERE tenant_id = $1 AND upload_id = $2 ORDER BY number",
        values![tenant_id, upload_id],
    )
    .await?
    .iter()
    .map(|r| {
        Ok(AppendedPart {
            number: r.int(0)?,
            offset_bytes: r.int(1)?,
            size_bytes: r.int(2)?,
            etag: r.text(3)?,
        })
    })
    .collect()
}

/// The name of a resource's file.
///
/// # Errors
/// What the database says.
pub async fn filename(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    resource_id: &str,
) -> Result<Option<String>, CatalogError> {
    let row = tx
        .row(
            "SELECT filename FROM resources WHERE tenant_id = $1 AND resource_id = $2",
            values![tenant_id, resource_id],
        )
        .await?;
    row.map_or(Ok(None), |r| r.maybe_text(0))
}

/// Forgets how an upload was appended to: it is whole, or nothing of it is left. Its segments are not
/// forgotten before they are removed.
///
/// # Errors
/// What the database says.
pub async fn forget(tx: &mut Tx<'_>, upload: &Upload) -> Result<(), CatalogError> {
    for sql in [
        "DELETE FROM append_parts WHERE tenant_id = $1 AND upload_id = $2",
        "DELETE FROM appends WHERE tenant_id = $1 AND upload_id = $2",
    ] {
        tx.exec(sql, values![&upload.tenant_id, &upload.upload_id])
            .await?;
    }
    Ok(())
}

/// A segment that is to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removable {
    /// The tenant.
    pub tenant_id: String,
    /// The upload.
    pub upload_id: String,
    /// Where it is, or might be.
    pub object_key: String,
}

/// Dooms every segment of an upload that has ended and to which nothing is written any more.
///
/// # Errors
/// What the database says.
pub async fn doom_all(tx: &mut Tx<'_>, upload: &Upload, now: Micros) -> Result<(), CatalogError> {
    tx.exec(
        "UPDATE append_segments SET state = 'doomed', removable_at = $3
          WHERE tenant_id = $1 AND upload_id = $2 AND state <> 'doomed'",
        values![&upload.tenant_id, &upload.upload_id, now],
    )
    .await?;
    Ok(())
}

/// Doomed segments that nobody writes any more, the longest doomed first.
///
/// # Errors
/// What the database says.
pub async fn removable(
    tx: &mut Tx<'_>,
    now: Micros,
    limit: i64,
) -> Result<Vec<Removable>, CatalogError> {
    tx.rows(
        "SELECT tenant_id, upload_id, object_key FROM append_segments
          WHERE state = 'doomed' AND removable_at <= $1 ORDER BY removable_at LIMIT $2",
        values![now, limit],
    )
    .await?
    .iter()
    .map(|r| {
        Ok(Removable {
            tenant_id: r.text(0)?,
            upload_id: r.text(1)?,
            object_key: r.text(2)?,
        })
    })
    .collect()
}

/// Which of these keys are segments, in whatever state: the others are nobody's.
///
/// # Errors
/// What the database says.
pub async fn known_segments(
    tx: &mut Tx<'_>,
    object_keys: &[&str],
) -> Result<Vec<String>, CatalogError> {
    let mut known = Vec::new();
    for some in object_keys.chunks(KEYS_AT_ONCE) {
        let places: Vec<String> = (1..=some.len()).map(|n| format!("${n}")).collect();
        let sql = format!(
            "SELECT object_key FROM append_segments WHERE object_key IN ({})",
            places.join(", ")
        );
        let args: Vec<Value> = some.iter().map(|key| Value::from(*key)).collect();
        for row in tx.rows(&sql, &args).await? {
            known.push(row.text(0)?);
        }
    }
    Ok(known)
}

/// Forgets a doomed segment once its object is gone.
///
/// # Errors
/// What the database says.
pub async fn removed(tx: &mut Tx<'_>, segment: &Removable) -> Result<(), CatalogError> {
    tx.exec(
        "DELETE FROM append_segments
          WHERE tenant_id = $1 AND upload_id = $2 AND object_key = $3 AND state = 'doomed'",
        values![&segment.tenant_id, &segment.upload_id, &segment.object_key],
    )
    .await?;
    Ok(())
}

/// Passes a segment over until then: the store failed at it.
///
/// # Errors
/// What the database says.
pub async fn postpone_removal(
    tx: &mut Tx<'_>,
    segment: &Removable,
    until: Micros,
) -> Result<(), CatalogError> {
    tx.exec(
        "UPDATE append_segments SET removable_at = $4
          WHERE tenant_id = $1 AND upload_id = $2 AND object_key = $3 AND state = 'doomed'",
        values![
            &segment.tenant_id,
            &segment.upload_id,
            &segment.object_key,
            until
        ],
    )
    .await?;
    Ok(())
}
