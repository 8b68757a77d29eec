//! Initiation of captures, many at a time.
//!
//! A capture is seven rows or more. Taking every initiation that waits into the same two calls makes the
//! number of calls, and that of commits, independent of the load.

mod lookup;
#[cfg(test)]
mod plans;
mod room;
mod rows;

use safelight_model::clock::Micros;
use safelight_model::duplicates::{DedupScope, Duplicates};
use safelight_model::metadata::Moment;

use std::collections::{BTreeMap, BTreeSet};

use crate::blobs::{self, Blob};
use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::value::Value;
use lookup::Known;
use room::Rooms;
pub use room::{Full, OpenLimit};
use rows::Rows;

/// A capture to be made, with ids already given.
#[derive(Clone, Debug)]
pub struct FreshCapture {
    /// The tenant.
    pub tenant_id: String,
    /// The owner.
    pub owner_id: String,
    /// Who calls, for the scope of the idempotency key.
    pub caller: String,
    /// The idempotency key.
    pub idempotency_key: String,
    /// The hash of the request.
    pub fingerprint: String,
    /// The id it gets if it is new.
    pub capture_id: String,
    /// The id of its first event.
    pub event_id: String,
    /// The client's reference.
    pub client_ref: String,
    /// `single`, `burst`, …
    pub mode: String,
    /// What the app means it for.
    pub purpose: Option<String>,
    /// When it was taken.
    pub captured_at: Option<Moment>,
    /// JSON.
    pub device: Option<String>,
    /// JSON.
    pub network: Option<String>,
    /// JSON.
    pub battery: Option<String>,
    /// How many of its files had better be under way at once.
    pub assets_at_once: Option<i64>,
    /// What becomes of bytes that the owner has.
    pub duplicates: Duplicates,
    /// Where it is looked whether he has them: among his own, or also among those that a tenant's owners share.
    pub dedup_scope: DedupScope,
    /// How much its owner may have open at once.
    pub open_limit: OpenLimit,
    /// Now.
    pub at: Micros,
    /// When the idempotency record may be forgotten.
    pub record_expires_at: Micros,
    /// Its assets in order.
    pub assets: Vec<FreshAsset>,
}

/// An asset with its one resource and its upload, to be made unless its owner has the bytes.
#[derive(Clone, Debug)]
pub struct FreshAsset {
    /// The client's reference.
    pub client_ref: String,
    /// `key`, `frame`, …
    pub role: String,
    /// The id it gets.
    pub asset_id: String,
    /// The random id for links.
    pub public_id: String,
    /// Its first state.
    pub state: &'static str,
    /// Thumbhash from the client.
    pub preview: Option<String>,
    /// The id its resource gets.
    pub resource_id: String,
    /// `primary`.
    pub kind: String,
    /// The name on the device.
    pub filename: Option<String>,
    /// The declared type.
    pub mime: Option<String>,
    /// The exact size.
    pub size_bytes: i64,
    /// The declared hash.
    pub sha256: Option<String>,
    /// Whether the URL of its whole file, which leaves with the answer, is bound to that.
    pub binds_hash: bool,
    /// The id its upload gets.
    pub upload_id: String,
    /// The id of the event that its upload has started, where its first URL leaves with the answer.
    pub started_event_id: Option<String>,
    /// The id of the event that it is what its bytes are, should the owner have them and keep another asset of them.
    pub attached_event_id: String,
    /// Where its bytes will be.
    pub object_key: String,
    /// Whether its bytes are taken even though the owner has them: who sends them cannot be told of an asset
    /// in place of an upload.
    pub sent_anyway: bool,
    /// `single`, `multipart` or `append`.
    pub transport: &'static str,
    /// Size of a part.
    pub part_size_bytes: i64,
    /// Parts at once.
    pub concurrency: i64,
    /// Place in the sending order.
    pub send_order: i64,
    /// What the plan says besides numbers, JSON.
    pub advice: Option<String>,
    /// Until when a URL given out with the answer works; 0 if none is.
    pub signed_until: Micros,
    /// End of the upload.
    pub expires_at: Micros,
    /// When the janitor first looks whether its bytes are there.
    pub look_at: Micros,
}

/// What became of an initiation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Initiated {
    /// It was made. For each asset, in order, the id of the asset that has the same bytes already,
    /// if one has; its own, if it was put on bytes that are there.
    Made(Vec<Option<String>>),
    /// The same request came before, or another for the same capture: this is the capture.
    Existing(String),
    /// The key came before with another request.
    Mismatch,
    /// Its owner has so many uploads open that this capture's have no room. Nothing was made, and nothing kept of the request.
    Full(Full),
}

/// Makes captures. The keys and the client references in one call must differ from one another.
///
/// # Errors
/// [`CatalogError::Contended`] if another process made one of them at this moment: call again, and it
/// will be found. Everything is taken back then.
pub async fn initiate(
    tx: &mut Tx<'_>,
    fresh: &[FreshCapture],
) -> Result<Vec<Initiated>, CatalogError> {
    room::lock(tx, fresh).await?;
    let known = lookup::known(tx, fresh).await?;
    let to_hold = to_hold(fresh, &known);
    let mut held_blobs = BTreeMap::new();
    for (tenant_id, blob_id) in to_hold {
        if let Some(blob) = blobs::hold(tx, tenant_id, blob_id).await? {
            held_blobs.insert((tenant_id, blob_id), blob);
        }
    }
    let standing = standing(tx, fresh, &known).await?;

    let mut answers = Vec::with_capacity(fresh.len());
    let mut rows = Rows::default();
    let mut rooms = Rooms::of(&known);
    for one in fresh {
        let (tenant_id, owner_id) = (one.tenant_id.as_str(), one.owner_id.as_str());
        if let Some(record) = known
            .records
            .get(tenant_id, &one.caller, &one.idempotency_key)
        {
            answers.push(match &record.capture_id {
                Some(capture_id) if record.fingerprint == one.fingerprint => {
                    Initiated::Existing(capture_id.clone())
                }
                _ => Initiated::Mismatch,
            });
            continue;
        }
        if let Some(capture_id) = known.captures.get(tenant_id, owner_id, &one.client_ref) {
            rows.record(one, capture_id);
            answers.push(Initiated::Existing(capture_id.clone()));
            continue;
        }
        let there: Vec<There<'_>> = one
            .assets
            .iter()
            .map(|asset| {
                let hash = asset.sha256.as_ref().filter(|_| !asset.sent_anyway);
                let held = hash.and_then(|hash| known.held.get(tenant_id, owner_id, hash));
                match (held, one.duplicates) {
                    (None, _) => There::Nothing,
                    (Some(held), Duplicates::Merge)
                        if standing.contains(&(tenant_id, held.asset_id.as_str())) =>
                    {
                        There::Asset(&held.asset_id)
                    }
                    // One that was deleted in this instant is told to nobody: its bytes are sent again.
                    (Some(_), Duplicates::Merge) => There::Nothing,
                    (Some(held), Duplicates::Keep) => held_blobs
                        .get(&(tenant_id, held.blob_id.as_str()))
                        // Whose hash went meanwhile was not inspected to its end: nobody would move what were put on it.
                        .filter(|blob| {
                            (blob.size_bytes, &blob.sha256) == (asset.size_bytes, &asset.sha256)
                        })
                        .map_or(There::Nothing, There::Blob),
                }
            })
            .collect();
        let to_send = one.assets.iter().zip(&there);
        let to_send = to_send.filter(|(_, there)| matches!(there, There::Nothing));
        if let Err(full) = rooms.take(one, to_send.map(|(asset, _)| asset.size_bytes)) {
            answers.push(Initiated::Full(full));
            continue;
        }
        rows.record(one, &one.capture_id);
        rows.capture(one);
        let mut has = Vec::with_capacity(one.assets.len());
        for (position, (asset, there)) in one.assets.iter().zip(there).enumerate() {
            let holder = match there {
                There::Nothing => {
                    rows.asset(one, asset);
                    None
                }
                There::Asset(asset_id) => Some(asset_id.to_owned()),
                There::Blob(blob) => {
                    rows.attached(one, asset, blob);
                    Some(asset.asset_id.clone())
                }
            };
            let of = holder.as_deref().unwrap_or(&asset.asset_id);
            rows.member(one, position, asset, of);
            has.push(holder);
        }
        answers.push(Initiated::Made(has));
    }
    rows.insert(tx).await?;
    Ok(answers)
}

/// What an owner has of an asset that is initiated.
enum There<'a> {
    /// Nothing: it is to be sent.
    Nothing,
    /// An asset that it becomes.
    Asset(&'a str),
    /// Bytes that it is put on.
    Blob(&'a Blob),
}

/// The blobs that assets are to be put on, each once and always in the same order, so that two processes never wait for each
/// other in a ring.
fn to_hold<'a>(fresh: &'a [FreshCapture], known: &'a Known) -> BTreeSet<(&'a str, &'a str)> {
    fresh
        .iter()
        .filter(|one| one.duplicates == Duplicates::Keep)
        .flat_map(|one| one.assets.iter().map(move |asset| (one, asset)))
        .filter(|(_, asset)| !asset.sent_anyway)
        .filter_map(|(one, asset)| {
            let hash = asset.sha256.as_ref()?;
            let held = known.held.get(&one.tenant_id, &one.owner_id, hash)?;
            Some((one.tenant_id.as_str(), held.blob_id.as_str()))
        })
        .collect()
}

/// Assets in one question at most.
const ASSETS_AT_ONCE: usize = 200;

/// Those of the assets that are to be told in place of an upload which are not deleted, nor will be before the end of the
/// transaction: whoever deletes one waits for it, as this has waited for him.
async fn standing<'a>(
    tx: &mut Tx<'_>,
    fresh: &'a [FreshCapture],
    known: &'a Known,
) -> Result<BTreeSet<(&'a str, &'a str)>, CatalogError> {
    let told: BTreeSet<(&str, &str)> = fresh
        .iter()
        .filter(|one| one.duplicates == Duplicates::Merge)
        .flat_map(|one| one.assets.iter().map(move |asset| (one, asset)))
        .filter(|(_, asset)| !asset.sent_anyway)
        .filter_map(|(one, asset)| {
            let hash = asset.sha256.as_ref()?;
            let held = known.held.get(&one.tenant_id, &one.owner_id, hash)?;
            Some((one.tenant_id.as_str(), held.asset_id.as_str()))
        })
        .collect();
    // SQLite's one writer has nobody delete between the question and the answer.
    if !tx.is_postgres() {
        return Ok(told);
    }
    let told: Vec<(&str, &str)> = told.into_iter().collect();
    let mut standing = BTreeSet::new();
    for some in told.chunks(ASSETS_AT_ONCE) {
        let mut args: Vec<Value> = Vec::with_capacity(some.len() * 2);
        let mut places = Vec::with_capacity(some.len());
        for (tenant_id, asset_id) in some {
            args.push((*tenant_id).into());
            args.push((*asset_id).into());
            places.push(format!("(${}, ${})", args.len() - 1, args.len()));
        }
        // Always in the same order, so that two never wait for each other in a ring.
        let sql = format!(
            "SELECT tenant_id, asset_id FROM assets WHERE (tenant_id, asset_id) IN ({}) AND state <> 'deleted'
              ORDER BY tenant_id, asset_id FOR SHARE",
            places.join(", ")
        );
        for row in tx.rows(&sql, &args).await? {
            let (tenant_id, asset_id) = (row.text(0)?, row.text(1)?);
            standing.extend(
                some.iter()
                    .find(|(t, a)| *t == tenant_id && *a == asset_id)
                    .copied(),
            );
        }
    }
    Ok(standing)
}
