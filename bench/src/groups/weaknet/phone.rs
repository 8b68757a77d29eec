//! The client SDK sends the burst.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use safelight_api::captures::Network;
use safelight_client::preview::Preview;
use safelight_client::progress::{Event, Progress};
use safelight_imaging::{Limits, render};
use tokio::time::{Instant, sleep, timeout};

use super::burst::Photos;
use super::onlooker::{Seen, look_on};
use super::scene::{LOOK, Scene};
use crate::sdk::{App, Parts};

/// How long covers may take after the last byte.
const COVERS_WITHIN: Duration = Duration::from_secs(30);

/// What came of it, in seconds.
pub struct Sent {
    /// From the shutter until the other client had seen every thumbhash.
    pub thumbhashes_s: f64,
    /// From the key frame's last byte until the other client had seen its cover.
    pub key_cover_s: f64,
    /// From the shutter until the client knew that everything is there.
    pub all_s: f64,
    /// What arrived over the link.
    pub up_bytes: u64,
}

/// Makes previews as an app would, of its own photos.
struct OwnPhotos;

#[async_trait::async_trait]
impl Preview for OwnPhotos {
    async fn thumbhash(&self, path: &Path) -> Option<Vec<u8>> {
        let path = path.to_owned();
        let made = tokio::task::spawn_blocking(move || {
            let bytes = std::fs::read(path).ok()?;
            render(&bytes, &[], &Limits::default(), true)
                .ok()?
                .thumbhash
        });
        made.await.ok().flatten()
    }
}

/// Notes that the key frame begins.
struct KeyBegins {
    key: PathBuf,
    has_begun: AtomicBool,
}

impl Progress for KeyBegins {
    fn event(&self, event: &Event<'_>) {
        if let Event::Started { file, .. } = event
            && file.file_name() == self.key.file_name()
        {
            self.has_begun.store(true, Ordering::SeqCst);
        }
    }
}

/// Sends the burst while another client looks on.
pub async fn send(scene: &Scene, photos: &Photos) -> anyhow::Result<Sent> {
    let token = scene.server.token("mine").await?;
    let key = Arc::new(KeyBegins {
        key: photos.key()?.to_owned(),
        has_begun: AtomicBool::new(false),
    });
    let network = Network {
        kind: Some(scene.emulated.kind.to_owned()),
        ..Network::default()
    };
    let parts = Parts {
        progress: key.clone(),
        preview: Some(Arc::new(OwnPhotos)),
    };
    let dir = scene.dir.join("phone");
    let app = App::open_with(&scene.to_api.url(), &token, network, &dir, parts)?;
    let seen = Seen::default();
    let begun = scene.arrived();
    let shutter = Instant::now();
    let work = async {
        let upload = async {
            let outcomes = app.upload(&photos.paths).await?;
            anyhow::Ok((outcomes, shutter.elapsed()))
        };
        let key_arrives = async {
            while !key.has_begun.load(Ordering::SeqCst) {
                sleep(LOOK).await;
            }
            // It begins before all others, so that no connection carries as much before its own. Its requests' heads
            // count too, so that this is a little early.
            scene.first_whole(photos.size_bytes()).await
        };
        let (uploaded, key_arrived) = tokio::join!(upload, key_arrives);
        let (outcomes, all) = uploaded?;
        let up_bytes = scene.arrived() - begun;
        let covers = async {
            while seen.cover.borrow().len() < photos.paths.len() {
                sleep(LOOK).await;
            }
        };
        timeout(COVERS_WITHIN, covers).await.context("covers")?;
        let is_key = |role: &Option<String>| role.as_deref() == Some("key");
        let key = outcomes.iter().find(|o| is_key(&o.role));
        let key = key
            .and_then(|o| o.asset_id.clone())
            .context("a key frame")?;
        let cover = seen.cover.borrow().get(&key).copied().context("a cover")?;
        let last = seen.thumbhash.borrow().values().max().copied();
        let first = seen.thumbhash.borrow().values().min().copied();
        let since = |at: Option<Instant>| at.map_or(0.0, |at| (at - shutter).as_secs_f64());
        println!(
            "weaknet: thumbhashes after {:.2} to {:.2} s",
            since(first),
            since(last)
        );
        anyhow::Ok(Sent {
            thumbhashes_s: since(last),
            key_cover_s: cover.saturating_duration_since(key_arrived).as_secs_f64(),
            all_s: all.as_secs_f64(),
            up_bytes,
        })
    };
    tokio::select! {
        done = scene.under(photos.bytes(), work) => done.with_context(|| scene.server.log_end()),
        failed = look_on(scene, &token, &seen) => match failed {
            Err(error) => Err(error.context("the other client")),
            Ok(()) => bail!("the other client looked away"),
        },
    }
}
