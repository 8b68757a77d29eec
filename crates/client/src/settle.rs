//! Waits until assets are settled: viewable, or with a reason why not.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use futures::StreamExt;
use safelight_api::assets::Asset;
use safelight_model::codes::Code;
use safelight_model::lifecycle::State;

use crate::call_error::CallError;
use crate::fingerprint::Stamp;
use crate::pause::Pause;
use crate::session::Session;
use crate::uploader::FileOutcome;

/// Assets that are asked for in one turn, and at once.
const TURN: (usize, usize) = (16, 4);
/// Time between turns: doubles from the first to the last while nothing settles.
const BETWEEN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));
/// The fields that are asked for.
const FIELDS: &str = "original,renditions,times";

/// What the server holds of a file, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nothing that could be relied upon yet: it is not inspected, failed, or is something else.
    Nothing,
    /// The file, byte for byte: it may be deleted from the device.
    Original,
    /// A smaller copy of it only.
    Copy,
}

impl Held {
    /// Whether the device may delete the file without losing a byte.
    #[must_use]
    pub fn is_safe_to_delete(self) -> bool {
        self == Self::Original
    }
}

/// What the server holds of the file of `outcome`, by its asset as it was read with `fields=original`.
///
/// Only what is `ready` counts: its bytes were read from the store as a whole, and their checksum was found to be this one. A
/// file that changed on the device since is another one.
#[must_use]
pub fn held(outcome: &FileOutcome, asset: &Asset) -> Held {
    let is_inspected = State::parse(&asset.state) == Some(State::Ready);
    let (Some(print), Some(original)) = (&outcome.fingerprint, &asset.original) else {
        return Held::Nothing;
    };
    let Some(sha256) = original.sha256.as_ref().filter(|_| is_inspected) else {
        return Held::Nothing;
    };
    if *sha256 == print.sha256 {
        match Stamp::of(&outcome.path) {
            Ok(now) if now == print.stamp => Held::Original,
            _ => Held::Nothing,
        }
    } else if outcome.copy_sha256.as_ref() == Some(sha256) {
        Held::Copy
    } else {
        Held::Nothing
    }
}

/// All that there is of an asset that was deleted.
fn deleted(asset_id: &str) -> Asset {
    Asset {
        asset_id: asset_id.to_owned(),
        state: State::Deleted.as_str().to_owned(),
        ..Asset::default()
    }
}

/// How waiting ended.
#[derive(Debug, Default)]
pub struct Waited {
    /// What was last heard of each asset, by the id that was asked for.
    pub assets: HashMap<String, Asset>,
    /// The assets that are not settled, because time was up.
    pub unsettled: Vec<String>,
}

/// Asks for `asset_ids` until all are settled or `time` is up. `on_settled` hears of each that is.
///
/// # Errors
/// When the server refuses, or gave no answer until patience was at its end.
pub async fn wait(
    session: &Session,
    pause: &dyn Pause,
    asset_ids: &[String],
    time: Option<Duration>,
    mut on_settled: impl FnMut(&Asset),
) -> Result<Waited, CallError> {
    let mut seen = HashSet::new();
    let mut open: VecDeque<String> = asset_ids
        .iter()
        .filter(|id| seen.insert(id.as_str()))
        .cloned()
        .collect();
    let mut waited = Waited::default();
    let begun = tokio::time::Instant::now();
    let mut between = BETWEEN.0;
    while !open.is_empty() {
        let turn: Vec<String> = open.drain(..open.len().min(TURN.0)).collect();
        let answers: Vec<(String, Result<Asset, CallError>)> = futures::stream::iter(turn)
            .map(|id| async move {
                let asset = session.asset(&id, FIELDS).await;
                (id, asset)
            })
            .buffered(TURN.1)
            .collect()
            .await;
        let mut settled = false;
        for (asked, answer) in answers {
            let asset = match answer {
                // Another asset may stand for it by now.
                Ok(asset) => asset,
                Err(error) if Code::parse(error.code()) == Some(Code::AssetDeleted) => {
                    deleted(&asked)
                }
                Err(error) => return Err(error),
            };
            // A state that this version does not know may still change.
            if State::parse(&asset.state).is_some_and(State::is_settled) {
                settled = true;
                on_settled(&asset);
            } else {
                open.push_back(asked.clone());
            }
            waited.assets.insert(asked, asset);
        }
        if open.is_empty() {
            break;
        }
        if time.is_some_and(|time| begun.elapsed() >= time) {
            waited.unsettled = open.into();
            break;
        }
        between = if settled {
            BETWEEN.0
        } else {
            (between * 2).min(BETWEEN.1)
        };
        pause.pause(between).await;
    }
    Ok(waited)
}
