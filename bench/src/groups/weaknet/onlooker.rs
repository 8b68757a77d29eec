//! Another client of the same owner, on a path of its own: what it sees, and when.

use std::cell::RefCell;
use std::collections::HashMap;

use safelight_api::assets::AssetPage;
use safelight_api::paths;
use tokio::time::{Instant, sleep};

use super::scene::{LOOK, Scene};
use crate::phone::is_viewable;
use crate::wire::{Connection, head};

/// What was seen first when, by asset.
#[derive(Default)]
pub struct Seen {
    pub thumbhash: RefCell<HashMap<String, Instant>>,
    pub cover: RefCell<HashMap<String, Instant>>,
}

/// Lists the owner's assets again and again.
pub async fn look_on(scene: &Scene, token: &str, seen: &Seen) -> anyhow::Result<()> {
    let mut api = Connection::open(scene.server.api).await?;
    let path = format!("{}?limit=200&fields=thumbhash", paths::ASSETS);
    let head = head("GET", &path, token, "", 0);
    loop {
        let answer = api.exchange(&[head.as_bytes()]).await?;
        let page: AssetPage = answer.json(200)?;
        let now = Instant::now();
        for asset in page.items {
            let note = |of: &RefCell<HashMap<String, Instant>>| {
                of.borrow_mut().entry(asset.asset_id.clone()).or_insert(now);
            };
            if asset.thumbhash.is_some() {
                note(&seen.thumbhash);
            }
            if is_viewable(&asset) && asset.cover_url.is_some() {
                note(&seen.cover);
            }
        }
        sleep(LOOK).await;
    }
}
