//! The mark that the catalog also leaves in the store.
//!
//! It is raised here first and then in the store, each time with a nonce that nobody else can have. So what stands in the
//! store is either one that this catalog knows, or was left by somebody else: another catalog, a copy of this one, or this one
//! before it was restored from an older copy.
//!
//! | at a crash | in the store | known as |
//! |---|---|---|
//! | before [`raise`] is committed | the last nonce | `nonce` |
//! | before it is stored, or while it may be | the last one, or the fresh one | `nonce`, `pending_nonce` |
//! | before [`stored`] is committed | the fresh one | `pending_nonce` |

use std::time::Duration;

use safelight_model::clock::Micros;

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::value::Row;
use crate::values;

/// The highest mark. No catalog gets there by itself: what is above was written by somebody else, or is damaged.
pub const HIGHEST: i64 = 1 << 53;
/// Whoever raised the mark has so long to store it before another takes that over. Longer than a request to the store.
pub const TO_STORE: Duration = Duration::from_secs(300);
/// A mark that was raised so far in the future was raised by a clock that ran ahead.
const AHEAD: Duration = Duration::from_secs(600);

/// The mark as the catalog has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogMark {
    /// Which catalog this is.
    pub catalog_id: String,
    /// How often it was raised.
    pub mark: i64,
    /// When it was raised last, or looked at while there was doubt.
    pub marked_at: Micros,
    /// Why nothing is removed until an operator confirms.
    pub doubt: Option<String>,
    /// What was last known to stand in the store.
    pub nonce: Option<String>,
    /// What may be on its way there.
    pub pending_nonce: Option<String>,
    /// The mark that the last nonce was raised with.
    pub nonce_mark: i64,
}

impl CatalogMark {
    /// Whether it is time to raise it, for one who wants that if it was last done at `before` or earlier.
    #[must_use]
    pub fn is_due(&self, now: Micros, before: Micros) -> bool {
        self.marked_at <= before || self.marked_at > now.plus(AHEAD)
    }
}

const COLUMNS: &str = "catalog_id, mark, marked_at, doubt, nonce, pending_nonce, nonce_mark";

fn read(r: &Row) -> Result<CatalogMark, CatalogError> {
    Ok(CatalogMark {
        catalog_id: r.text(0)?,
        mark: r.int(1)?,
        marked_at: r.at(2)?,
        doubt: r.maybe_text(3)?,
        nonce: r.maybe_text(4)?,
        pending_nonce: r.maybe_text(5)?,
        nonce_mark: r.int(6)?,
    })
}

/// The mark; `None` before the catalog has a name.
///
/// # Errors
/// What the database says.
pub async fn find(tx: &mut Tx<'_>) -> Result<Option<CatalogMark>, CatalogError> {
    let sql = format!("SELECT {COLUMNS} FROM catalog_mark WHERE name = 'catalog'");
    tx.row(&sql, &[]).await?.as_ref().map(read).transpose()
}

/// Gives the catalog its name, unless it has one.
///
/// # Errors
/// What the database says.
pub async fn name(tx: &mut Tx<'_>, catalog_id: &str) -> Result<(), CatalogError> {
    tx.exec(
        "INSERT INTO catalog_mark (name, catalog_id, mark, marked_at) VALUES ('catalog', $1, 0, 0) ON CONFLICT DO NOTHING",
        values![catalog_id],
    )
    .await?;
    Ok(())
}

/// Raises the mark if it was last raised at `before` or earlier, and there is no doubt; as it is then. Its `pending_nonce` is
/// what is to be stored: `nonce`, or one that was to be before and is not known to be there. `None` also while another has
/// [`TO_STORE`].
///
/// # Errors
/// What the database says.
pub async fn raise(
    tx: &mut Tx<'_>,
    now: Micros,
    before: Micros,
    nonce: &str,
) -> Result<Option<CatalogMark>, CatalogError> {
    let raised = "CASE WHEN mark < $4 THEN mark + 1 ELSE mark END";
    let sql = format!(
        "UPDATE catalog_mark SET mark = {raised}, nonce_mark = {raised}, marked_at = $1,
                pending_nonce = COALESCE(pending_nonce, $3)
          WHERE name = 'catalog' AND doubt IS NULL AND (marked_at <= $2 OR marked_at > $5)
            AND (pending_nonce IS NULL OR marked_at <= $6 OR marked_at > $5)
          RETURNING {COLUMNS}"
    );
    let (ahead, left) = (now.plus(AHEAD), now.minus(TO_STORE));
    tx.row(&sql, values![now, before, nonce, HIGHEST, ahead, left])
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// Records that the pending nonce is in the store. `false` if it is not the pending one any more.
///
/// # Errors
/// What the database says.
pub async fn stored(tx: &mut Tx<'_>, nonce: &str) -> Result<bool, CatalogError> {
    let changed = tx
        .exec(
            "UPDATE catalog_mark SET nonce = $1, pending_nonce = NULL WHERE name = 'catalog' AND pending_nonce = $1",
            values![nonce],
        )
        .await?;
    Ok(changed == 1)
}

/// Records that the store's mark was looked at, so that a catalog in doubt does not do so all the time.
///
/// # Errors
/// What the database says.
pub async fn looked(tx: &mut Tx<'_>, now: Micros) -> Result<(), CatalogError> {
    tx.exec(
        "UPDATE catalog_mark SET marked_at = $1 WHERE name = 'catalog' AND doubt IS NOT NULL",
        values![now],
    )
    .await?;
    Ok(())
}

/// Records why this catalog is not to be trusted about what is nobody's, for one who read it `as_read` before he looked at the
/// store. `false`, and nothing is changed, if there is doubt already, or it was raised meanwhile: then what was seen
/// in the store may be what another process of this catalog left there.
///
/// # Errors
/// What the database says.
pub async fn doubt(
    tx: &mut Tx<'_>,
    as_read: &CatalogMark,
    why: &str,
) -> Result<bool, CatalogError> {
    let changed = tx
        .exec(
            "UPDATE catalog_mark SET doubt = $1
              WHERE name = 'catalog' AND doubt IS NULL AND catalog_id = $2 AND mark = $3
                AND COALESCE(nonce, '') = $4 AND COALESCE(pending_nonce, '') = $5",
            values![
                why,
                &as_read.catalog_id,
                as_read.mark,
                as_read.nonce.clone().unwrap_or_default(),
                as_read.pending_nonce.clone().unwrap_or_default()
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Begins a confirmation: a fresh mark of this catalog, which goes on from `mark`, is to be stored with `nonce`. Doubt stands
/// until [`trust`].
///
/// # Errors
/// What the database says.
pub async fn confirm(
    tx: &mut Tx<'_>,
    mark: i64,
    nonce: &str,
) -> Result<Option<CatalogMark>, CatalogError> {
    let raised = "CASE WHEN mark < $1 OR mark > $3 THEN $1 ELSE mark END";
    let sql = format!(
        "UPDATE catalog_mark SET mark = {raised}, nonce_mark = {raised}, pending_nonce = $2
          WHERE name = 'catalog' RETURNING {COLUMNS}"
    );
    tx.row(&sql, values![mark.min(HIGHEST), nonce, HIGHEST])
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// Ends a confirmation, once its mark is in the store: there is no doubt any more, and what was found orphaned before is
/// found anew, so that all of the grace passes from now on. `false`, and nothing is changed, if another confirms meanwhile.
///
/// # Errors
/// What the database says.
pub async fn trust(tx: &mut Tx<'_>, nonce: &str, now: Micros) -> Result<bool, CatalogError> {
    let changed = tx
        .exec(
            // Another process may have seen it there and recorded that, and even have raised the mark since.
            "UPDATE catalog_mark SET nonce = $1, marked_at = $2, doubt = NULL,
                    pending_nonce = CASE WHEN pending_nonce = $1 THEN NULL ELSE pending_nonce END
              WHERE name = 'catalog' AND (pending_nonce = $1 OR nonce = $1)",
            values![nonce, now],
        )
        .await?;
    if changed != 1 {
        return Ok(false);
    }
    tx.exec(
        // A clock that runs behind makes nothing older.
        "UPDATE sweep_findings SET first_seen_at = $1 WHERE first_seen_at < $1",
        values![now],
    )
    .await?;
    Ok(true)
}
