//! What the key of an object says of an upload.

use safelight_model::clock::Micros;

use super::{SELECT, Upload, read};
use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::value::Value;
use crate::values;

/// Keys in one question at most.
const AT_ONCE: usize = 200;

/// The upload whose bytes go to this key.
///
/// # Errors
/// What the database says.
pub async fn of_key(tx: &mut Tx<'_>, object_key: &str) -> Result<Option<Upload>, CatalogError> {
    let sql = format!("{SELECT} WHERE u.object_key = $1");
    tx.row(&sql, values![object_key])
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// Something came under a key: has its upload looked at, at once if it is open or has ended, and at `soon` if somebody
/// is about to complete it. `false` when it stands for no upload, or for one that is whole.
///
/// # Errors
/// What the database says.
pub async fn ring(
    tx: &mut Tx<'_>,
    object_key: &str,
    now: Micros,
    soon: Micros,
) -> Result<bool, CatalogError> {
    let changed = tx
        .exec(
            "UPDATE uploads SET looks = 0, look_at = CASE state
                      WHEN 'completing' THEN CASE WHEN look_at < $3 THEN look_at ELSE $3 END ELSE $2 END,
                    cleared_at = CASE state WHEN 'open' THEN cleared_at WHEN 'completing' THEN cleared_at ELSE NULL END
              WHERE object_key = $1 AND state <> 'completed'",
            values![object_key, now, soon],
        )
        .await?;
    Ok(changed > 0)
}

/// Those of these keys that stand for uploads that are not whole.
///
/// # Errors
/// What the database says.
pub async fn unfinished_keys(
    tx: &mut Tx<'_>,
    object_keys: &[&str],
) -> Result<Vec<String>, CatalogError> {
    let mut unfinished = Vec::new();
    for some in object_keys.chunks(AT_ONCE) {
        let places: Vec<String> = (1..=some.len()).map(|n| format!("${n}")).collect();
        let sql = format!(
            "SELECT object_key FROM uploads WHERE object_key IN ({}) AND state <> 'completed'",
            places.join(", ")
        );
        let values: Vec<Value> = some.iter().map(|key| Value::from(*key)).collect();
        for row in tx.rows(&sql, &values).await? {
            unfinished.push(row.text(0)?);
        }
    }
    Ok(unfinished)
}

/// What the catalog knows of a key of an original that no blob stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stray {
    /// Its upload is under way, or what it left is to be removed: the janitor is at it.
    Expected,
    /// Its upload came to its end, and nothing should stand there.
    Ended,
    /// Likewise; but it went in parts, and this catalog never began to complete it. Where an object stands there all the
    /// same, one that knew more has made it: this one as it was before it was restored.
    NeverCompleted,
}

/// What is known of each of these keys: those that are missing in the answer are no upload's.
///
/// # Errors
/// What the database says.
pub async fn known_keys(
    tx: &mut Tx<'_>,
    object_keys: &[&str],
) -> Result<Vec<(String, Stray)>, CatalogError> {
    let mut known = Vec::new();
    for some in object_keys.chunks(AT_ONCE) {
        let places: Vec<String> = (1..=some.len()).map(|n| format!("${n}")).collect();
        let sql = format!(
            "SELECT object_key, CAST(CASE WHEN state IN ('open', 'completing')
                       OR (state IN ('aborted', 'expired') AND cleared_at IS NULL) THEN 1
                       WHEN transport <> 'single' AND intent IS NULL THEN 2 ELSE 0 END AS BIGINT)
               FROM uploads WHERE object_key IN ({})",
            places.join(", ")
        );
        let args: Vec<Value> = some.iter().map(|key| Value::from(*key)).collect();
        for row in tx.rows(&sql, &args).await? {
            let stray = match row.int(1)? {
                1 => Stray::Expected,
                2 => Stray::NeverCompleted,
                _ => Stray::Ended,
            };
            known.push((row.text(0)?, stray));
        }
    }
    Ok(known)
}
