//! Assets: reading, and the one way their state changes.

use std::collections::BTreeMap;

use safelight_model::clock::Micros;
use safelight_model::codes::Code;
use safelight_model::lifecycle::{self, State};
use safelight_model::metadata::{Location, Metadata, Moment, Visibility};

use crate::blobs::{self, Blob};
use crate::error::CatalogError;
use crate::events::{self, FreshEvent};
use crate::metadata;
use crate::transaction::Tx;
use crate::value::{Row, Value};
use crate::values;

/// An asset with its primary resource and, once its bytes are whole, its blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// The tenant.
    pub tenant_id: String,
    /// Its id.
    pub asset_id: String,
    /// The owner.
    pub owner_id: String,
    /// The capture it came with first.
    pub capture_id: String,
    /// The random id for links.
    pub public_id: String,
    /// Its state.
    pub state: State,
    /// Why.
    pub reason_code: Option<String>,
    /// Why, in words.
    pub reason_detail: Option<String>,
    /// For compare-and-set.
    pub version: i64,
    /// The client's thumbhash.
    pub preview: Option<String>,
    /// When it was initiated.
    pub created_at: Micros,
    /// When its bytes were whole.
    pub uploaded_at: Option<Micros>,
    /// When it became viewable.
    pub viewable_at: Option<Micros>,
    /// Its last change.
    pub updated_at: Micros,
    /// The name on the device.
    pub filename: Option<String>,
    /// The declared type.
    pub mime: Option<String>,
    /// The declared size.
    pub size_bytes: i64,
    /// The declared hash.
    pub sha256: Option<String>,
    /// The asset that has the same bytes and stands for this one.
    pub merged_into: Option<String>,
    /// What its owner says of it, but for tags and albums.
    pub metadata: Metadata,
    /// Raised by each change of that or of the tags.
    pub revision: i64,
    /// The bytes.
    pub blob: Option<Blob>,
}

impl Asset {
    /// By what it stands in an order: when it was taken, where that is known, else when it was initiated. As the
    /// column `taken_at`.
    #[must_use]
    pub fn taken_at(&self) -> Micros {
        self.metadata.captured_at.map_or(self.created_at, |m| m.at)
    }
}

const OWN_COLUMNS: usize = 27;

fn select(condition: &str) -> String {
    select_from("assets a", condition)
}

/// Assets `a` with resource `r` and blob `b`, of those in `from`.
pub(crate) fn select_from(from: &str, condition: &str) -> String {
    format!(
        "SELECT a.tenant_id, a.asset_id, a.owner_id, a.capture_id, a.public_id, a.state, a.reason_code,
                a.reason_detail, a.version, a.preview, a.created_at, a.uploaded_at, a.viewable_at, a.updated_at,
                r.filename, r.mime, r.size_bytes, r.sha256, a.merged_into, a.title, a.captured_at,
                a.captured_offset_minutes, a.latitude_e7, a.longitude_e7, a.altitude_mm, a.visibility, a.revision, {}
           FROM {from}
           JOIN resources r ON r.tenant_id = a.tenant_id AND r.asset_id = a.asset_id AND r.kind = 'primary'
           LEFT JOIN blobs b ON b.tenant_id = r.tenant_id AND b.blob_id = r.blob_id
          WHERE {condition}",
        blobs::COLUMNS
    )
}

fn read_metadata(r: &Row) -> Result<Metadata, CatalogError> {
    let visibility = r.text(25)?;
    let offset_minutes = r.maybe_int(21)?;
    Ok(Metadata {
        title: r.maybe_text(19)?,
        captured_at: r.maybe_at(20)?.map(|at| Moment { at, offset_minutes }),
        location: match (r.maybe_int(22)?, r.maybe_int(23)?) {
            (Some(latitude_e7), Some(longitude_e7)) => Some(Location {
                latitude_e7,
                longitude_e7,
                altitude_mm: r.maybe_int(24)?,
            }),
            _ => None,
        },
        visibility: Visibility::parse(&visibility).ok_or(CatalogError::Unknown {
            column: "assets.visibility",
            value: visibility,
        })?,
    })
}

pub(crate) fn read(r: &Row) -> Result<Asset, CatalogError> {
    let state = r.text(5)?;
    Ok(Asset {
        tenant_id: r.text(0)?,
        asset_id: r.text(1)?,
        owner_id: r.text(2)?,
        capture_id: r.text(3)?,
        public_id: r.text(4)?,
        state: State::parse(&state).ok_or(CatalogError::Unknown {
            column: "assets.state",
            value: state,
        })?,
        reason_code: r.maybe_text(6)?,
        reason_detail: r.maybe_text(7)?,
        version: r.int(8)?,
        preview: r.maybe_text(9)?,
        created_at: r.at(10)?,
        uploaded_at: r.maybe_at(11)?,
        viewable_at: r.maybe_at(12)?,
        updated_at: r.at(13)?,
        filename: r.maybe_text(14)?,
        mime: r.maybe_text(15)?,
        size_bytes: r.int(16)?,
        sha256: r.maybe_text(17)?,
        merged_into: r.maybe_text(18)?,
        metadata: read_metadata(r)?,
        revision: r.int(26)?,
        blob: match r.maybe_text(OWN_COLUMNS)? {
            Some(_) => Some(blobs::read(r, OWN_COLUMNS)?),
            None => None,
        },
    })
}

/// One asset.
///
/// # Errors
/// What the database says.
pub async fn find(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    asset_id: &str,
) -> Result<Option<Asset>, CatalogError> {
    let sql = select("a.tenant_id = $1 AND a.asset_id = $2");
    tx.row(&sql, values![tenant_id, asset_id])
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// So many times an asset that others were merged into is merged itself: a device sends a picture, then a smaller copy in its
/// place, and that one's bytes are found to be there.
const MERGES: usize = 8;

/// The asset that stands for this one: itself, or the one that it was merged into.
///
/// # Errors
/// What the database says.
pub async fn standing_for(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    asset_id: &str,
) -> Result<Option<Asset>, CatalogError> {
    let mut found = find(tx, tenant_id, asset_id).await?;
    for _ in 0..MERGES {
        let into = found.as_ref().and_then(|asset| asset.merged_into.clone());
        let Some(into) = into else {
            break;
        };
        found = find(tx, tenant_id, &into).await?;
    }
    Ok(found)
}

/// The asset of a public link.
///
/// # Errors
/// What the database says.
pub async fn by_public_id(tx: &mut Tx<'_>, public_id: &str) -> Result<Option<Asset>, CatalogError> {
    tx.row(&select("a.public_id = $1"), values![public_id])
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// Those of these assets that there are, by id; no tombstones.
///
/// # Errors
/// What the database says.
pub async fn of_ids(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    asset_ids: &[&str],
) -> Result<BTreeMap<String, Asset>, CatalogError> {
    if asset_ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    // Filled up to a power of two with its last, so that few distinct statements are prepared.
    let places: Vec<String> = (1..=asset_ids.len().next_power_of_two())
        .map(|n| format!("${}", n.min(asset_ids.len()) + 1))
        .collect();
    let mut values = vec![Value::from(tenant_id)];
    values.extend(asset_ids.iter().map(|id| Value::from(*id)));
    let sql = select(&format!(
        "a.tenant_id = $1 AND a.asset_id IN ({}) AND a.state <> 'deleted'",
        places.join(", ")
    ));
    let mut found = BTreeMap::new();
    for row in tx.rows(&sql, &values).await? {
        let asset = read(&row)?;
        found.insert(asset.asset_id.clone(), asset);
    }
    Ok(found)
}

/// The assets that hold a blob.
///
/// # Errors
/// What the database says.
pub async fn of_blob(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
) -> Result<Vec<Asset>, CatalogError> {
    let sql = select("r.tenant_id = $1 AND r.blob_id = $2 ORDER BY a.asset_id");
    tx.rows(&sql, values![tenant_id, blob_id])
        .await?
        .iter()
        .map(read)
        .collect()
}

/// The assets of one owner that hold a blob, however many others share it.
///
/// # Errors
/// What the database says.
pub async fn of_blob_and_owner(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob: &Blob,
    owner_id: &str,
) -> Result<Vec<Asset>, CatalogError> {
    if blob.scope != blobs::SHARED {
        return of_blob(tx, tenant_id, &blob.blob_id).await;
    }
    let sql = select(
        "r.tenant_id = $1 AND r.blob_id = $2 AND r.owner_id = $3 AND a.owner_id = $3 ORDER BY a.asset_id",
    );
    tx.rows(&sql, values![tenant_id, &blob.blob_id, owner_id])
        .await?
        .iter()
        .map(read)
        .collect()
}

/// A change of an asset's state.
#[derive(Clone, Debug)]
pub struct Transition<'a> {
    /// What happened.
    pub event: lifecycle::Event,
    /// Why, where the state needs a reason.
    pub reason: Option<(Code, String)>,
    /// The id of the event row.
    pub event_id: &'a str,
    /// When.
    pub at: Micros,
}

/// Moves an asset by the table of [`lifecycle::next`], with its event row. The state it is in then;
/// `None` if the table forbids it, or another changed the asset meanwhile.
///
/// # Errors
/// What the database says.
pub async fn transition(
    tx: &mut Tx<'_>,
    asset: &Asset,
    change: &Transition<'_>,
) -> Result<Option<State>, CatalogError> {
    let Some(to) = lifecycle::next(asset.state, change.event) else {
        return Ok(None);
    };
    if to == asset.state {
        return Ok(Some(to));
    }
    let code = change.reason.as_ref().map(|(code, _)| code.as_str());
    let detail = change.reason.as_ref().map(|(_, detail)| detail.as_str());
    let changed = tx
        .exec(
            "UPDATE assets SET state = $4, version = version + 1, reason_code = $5, reason_detail = $6, updated_at = $7,
                    uploaded_at = CASE WHEN $4 = 'uploaded' THEN COALESCE(uploaded_at, $7) ELSE uploaded_at END,
                    viewable_at = CASE WHEN $4 = 'ready' THEN COALESCE(viewable_at, $7) ELSE viewable_at END
              WHERE tenant_id = $1 AND asset_id = $2 AND version = $3",
            values![&asset.tenant_id, &asset.asset_id, asset.version, to.as_str(), code, detail, change.at],
        )
        .await?;
    if changed != 1 {
        return Ok(None);
    }
    if to == State::Deleted {
        metadata::erase(tx, asset).await?;
    }
    let mut told = format!(
        "{{\"from\":\"{}\",\"to\":\"{}\"",
        asset.state.as_str(),
        to.as_str()
    );
    if let Some(code) = code {
        told.push_str(&format!(",\"code\":\"{code}\""));
    }
    told.push('}');
    events::record(
        tx,
        &FreshEvent {
            tenant_id: &asset.tenant_id,
            event_id: change.event_id,
            kind: "asset.state_changed",
            owner_id: &asset.owner_id,
            asset_id: Some(&asset.asset_id),
            detail: Some(told),
            at: change.at,
        },
    )
    .await?;
    Ok(Some(to))
}
