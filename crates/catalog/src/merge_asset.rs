//! An asset becomes another of the same owner that has the same bytes.

use safelight_model::clock::Micros;
use safelight_model::lifecycle::{self, Event, State};

use crate::assets::Asset;
use crate::error::CatalogError;
use crate::events::{self, FreshEvent};
use crate::metadata;
use crate::transaction::Tx;
use crate::values;

/// The ids of the events that a merge may lead to.
#[derive(Clone, Copy, Debug)]
pub struct MergeEvents<'a> {
    /// That the one became the other.
    pub merged: &'a str,
    /// That the other has what was said of the one.
    pub carried_over: &'a str,
}

/// Has `into` stand for `asset` from now on, whether its bytes have come or not: the captures that hold the one hold the other, and the one becomes a
/// tombstone that leads there and points to no blob any more. What the owner said of it, its tags and its albums
/// become the other's, which keeps its own where it has them. `false`, and nothing is changed, if the states forbid
/// it, somebody changed one of the two meanwhile, or one of them is more than one file.
///
/// # Errors
/// What the database says.
pub async fn merge_asset(
    tx: &mut Tx<'_>,
    asset: &Asset,
    into: &Asset,
    event_ids: MergeEvents<'_>,
    at: Micros,
) -> Result<bool, CatalogError> {
    if !supersede_asset(tx, asset, into, event_ids, at).await? {
        return Ok(false);
    }
    // Later captures may hold it as well, by bytes that were known before they were inspected.
    tx.exec(
        "UPDATE capture_assets SET asset_id = $3 WHERE tenant_id = $1 AND asset_id = $2 AND asset_id <> ''",
        values![&asset.tenant_id, &asset.asset_id, &into.asset_id],
    )
    .await?;
    Ok(true)
}

/// As [`merge_asset`], where other bytes are sent in place of `asset`'s. Its capture goes on holding the tombstone: who initiates
/// that again means its own bytes, and must not be led to an upload of others.
///
/// # Errors
/// What the database says.
pub async fn supersede_asset(
    tx: &mut Tx<'_>,
    asset: &Asset,
    into: &Asset,
    event_ids: MergeEvents<'_>,
    at: Micros,
) -> Result<bool, CatalogError> {
    if !may_merge(tx, asset, into).await? {
        return Ok(false);
    }
    // Whoever deletes it changes the same row: one of the two waits, and then sees what the other did.
    let held = tx
        .exec(
            "UPDATE assets SET updated_at = $3
              WHERE tenant_id = $1 AND asset_id = $2 AND state <> 'deleted' AND merged_into IS NULL",
            values![&into.tenant_id, &into.asset_id, at],
        )
        .await?;
    if held != 1 {
        return Ok(false);
    }
    let merged = tx
        .exec(
            "UPDATE assets SET state = 'deleted', merged_into = $4, version = version + 1, reason_code = NULL,
                    reason_detail = NULL, updated_at = $5
              WHERE tenant_id = $1 AND asset_id = $2 AND version = $3",
            values![&asset.tenant_id, &asset.asset_id, asset.version, &into.asset_id, at],
        )
        .await?;
    if merged != 1 {
        return Ok(false);
    }
    // What led to it leads on, so that no way to an asset is longer than one step.
    tx.exec(
        "UPDATE assets SET merged_into = $3 WHERE tenant_id = $1 AND merged_into = $2",
        values![&asset.tenant_id, &asset.asset_id, &into.asset_id],
    )
    .await?;
    tx.exec(
        "UPDATE resources SET blob_id = NULL WHERE tenant_id = $1 AND asset_id = $2",
        values![&asset.tenant_id, &asset.asset_id],
    )
    .await?;
    let carried_over = metadata::carry_over(tx, &asset.asset_id, into, at).await?;
    metadata::erase(tx, asset).await?;
    if !carried_over.is_empty() {
        let event = FreshEvent {
            tenant_id: &into.tenant_id,
            event_id: event_ids.carried_over,
            kind: "asset.updated",
            owner_id: &into.owner_id,
            asset_id: Some(&into.asset_id),
            detail: Some(format!(
                "{{\"changed\":[\"{}\"]}}",
                carried_over.join("\",\"")
            )),
            at,
        };
        events::record(tx, &event).await?;
    }
    let (from, to) = (asset.state.as_str(), State::Deleted.as_str());
    let detail = format!(
        "{{\"from\":\"{from}\",\"to\":\"{to}\",\"merged_into\":\"{}\"}}",
        into.asset_id
    );
    let event = FreshEvent {
        tenant_id: &asset.tenant_id,
        event_id: event_ids.merged,
        kind: "asset.state_changed",
        owner_id: &asset.owner_id,
        asset_id: Some(&asset.asset_id),
        detail: Some(detail),
        at,
    };
    events::record(tx, &event).await?;
    Ok(true)
}

/// Whether [`merge_asset`] would do it, by the rows as they are now: for those who ask somebody else before.
///
/// # Errors
/// What the database says.
pub async fn may_merge(tx: &mut Tx<'_>, asset: &Asset, into: &Asset) -> Result<bool, CatalogError> {
    let allowed = lifecycle::next(asset.state, Event::Merged) == Some(State::Deleted)
        && into.state != State::Deleted
        && asset.owner_id == into.owner_id
        && asset.asset_id != into.asset_id;
    Ok(allowed && is_one_file(tx, asset).await? && is_one_file(tx, into).await?)
}

/// Whether an asset is its primary resource and nothing else.
async fn is_one_file(tx: &mut Tx<'_>, asset: &Asset) -> Result<bool, CatalogError> {
    let row = tx
        .row(
            "SELECT COUNT(*) FROM resources WHERE tenant_id = $1 AND asset_id = $2",
            values![&asset.tenant_id, &asset.asset_id],
        )
        .await?;
    Ok(row.map(|r| r.int(0)).transpose()? == Some(1))
}
