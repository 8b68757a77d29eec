//! A phone that uploads photos one after another, by the API alone.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use safelight_api::assets::{Asset, AssetPage};
use safelight_api::captures::{CaptureInitiated, InitiateAsset, InitiateCapture, InitiateResource};
use safelight_api::paths;
use safelight_api::uploads::SignedUrl;
use safelight_model::clock::{Clock as _, Micros, SystemClock};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use crate::photos::Photo;
use crate::wire::{Connection, head};

/// How often an asset is looked at while it is waited for.
const LOOK: Duration = Duration::from_millis(5);
/// How long anything may take before it is given up.
const DEADLINE: Duration = Duration::from_secs(60);
/// A connection that was quiet for so long is not used again: servers close such connections.
const QUIET: Duration = Duration::from_secs(10);

/// A phone with its open connections.
pub struct Phone {
    at: SocketAddr,
    api: Connection,
    /// When something last came over `api`.
    heard: Instant,
    store: Option<Connection>,
    token: String,
}

/// A photo whose bytes were taken.
pub struct Sent {
    /// The asset.
    pub asset_id: String,
    /// When the store had said that it has the last byte.
    pub last_byte: Instant,
    /// The same by the clock on the wall, which the server goes by too.
    pub last_byte_at: Micros,
}

impl Phone {
    /// A phone of the token's owner.
    pub async fn connect(api: SocketAddr, token: &str) -> anyhow::Result<Self> {
        Ok(Self {
            at: api,
            api: Connection::open(api).await?,
            heard: Instant::now(),
            store: None,
            token: token.to_owned(),
        })
    }

    async fn call<T: DeserializeOwned>(
        &mut self,
        (method, path, key): (&str, &str, Option<&str>),
        body: &[u8],
        wanted: u16,
    ) -> anyhow::Result<T> {
        let key = key.map_or_else(String::new, |k| format!("idempotency-key: \"{k}\"\r\n"));
        let head = head(method, path, &self.token, &key, body.len());
        if self.heard.elapsed() > QUIET {
            self.api = Connection::open(self.at).await?;
        }
        let answer = self.api.exchange(&[head.as_bytes(), body]).await?;
        self.heard = Instant::now();
        answer
            .json(wanted)
            .with_context(|| format!("{method} {path}"))
    }

    /// Initiates, sends and completes one photo.
    pub async fn upload(&mut self, photo: &Photo<'_>) -> anyhow::Result<Sent> {
        let body = serde_json::to_vec(&InitiateCapture {
            client_ref: photo.sha256.clone(),
            mode: "single".to_owned(),
            assets: vec![InitiateAsset {
                client_ref: "photo".to_owned(),
                role: "still".to_owned(),
                resources: vec![InitiateResource {
                    kind: "primary".to_owned(),
                    mime: Some(photo.mime.to_owned()),
                    size_bytes: i64::try_from(photo.size_bytes())?,
                    sha256: Some(photo.sha256.clone()),
                    ..InitiateResource::default()
                }],
            }],
            ..InitiateCapture::default()
        })?;
        let key = format!("initiate {}", photo.sha256);
        let initiate = ("POST", paths::CAPTURES, Some(key.as_str()));
        let made: CaptureInitiated = self.call(initiate, &body, 201).await?;
        let asset = made.assets.first().context("an asset")?;
        let upload = asset.uploads.first().context("an upload")?;
        let url = upload.urls.first().context("a URL: the photo is small")?;
        self.put(url, photo).await?;
        let (last_byte, last_byte_at) = (Instant::now(), SystemClock.now());
        let path = paths::fill(paths::UPLOAD_COMPLETE, &upload.upload_id);
        let key = format!("complete {}", upload.upload_id);
        let _: serde_json::Value = self.call(("POST", &path, Some(&key)), b"{}", 200).await?;
        Ok(Sent {
            asset_id: asset.asset_id.clone(),
            last_byte,
            last_byte_at,
        })
    }

    async fn put(&mut self, url: &SignedUrl, photo: &Photo<'_>) -> anyhow::Result<()> {
        let rest = url.url.strip_prefix("http://").context("an http URL")?;
        let (host, path) = rest.split_once('/').context("a path")?;
        let mut head = format!("PUT /{path} HTTP/1.1\r\nhost: {host}\r\n");
        for (name, value) in &url.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("content-length: {}\r\n\r\n", photo.size_bytes());
        let store = match &mut self.store {
            Some(store) => store,
            none => none.insert(Connection::open(host.parse()?).await?),
        };
        let pieces = [head.as_bytes(), photo.frame, &photo.tail];
        store.exchange(&pieces).await?.expect(200).context("PUT")
    }

    /// Looks at an asset until `done` says so; how long that was after `from`.
    pub async fn wait(
        &mut self,
        asset_id: &str,
        from: Instant,
        done: impl Fn(&Asset) -> bool,
    ) -> anyhow::Result<Duration> {
        let path = paths::fill(paths::ASSET, asset_id);
        while from.elapsed() < DEADLINE {
            let asset: Asset = self.call(("GET", &path, None), b"", 200).await?;
            if done(&asset) {
                return Ok(from.elapsed());
            }
            if let Some(reason) = asset.reason {
                bail!("{asset_id} is {}: {}", asset.state, reason.code);
            }
            sleep(LOOK).await;
        }
        bail!("{asset_id} was given up after {DEADLINE:?}")
    }

    /// Of all the owner's photos: how many are viewable, and how many of these wait for `derive`.
    pub async fn backlog(&mut self) -> anyhow::Result<Backlog> {
        let mut backlog = Backlog::default();
        let mut cursor = String::new();
        loop {
            let path = format!("{}?limit=200&fields=renditions{cursor}", paths::ASSETS);
            let page: AssetPage = self.call(("GET", &path, None), b"", 200).await?;
            for asset in &page.items {
                if is_viewable(asset) {
                    backlog.viewable += 1;
                    backlog.underived += usize::from(!is_derived(asset));
                }
            }
            match page.next_cursor {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(backlog),
            }
        }
    }
}

/// How far an owner's photos are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backlog {
    /// Inspected, with a cover.
    pub viewable: usize,
    /// Of these, those whose other renditions are not all made.
    pub underived: usize,
}

/// Whether it can be looked at.
pub fn is_viewable(asset: &Asset) -> bool {
    asset.state == "ready"
}

/// Whether all its renditions are made.
pub fn is_derived(asset: &Asset) -> bool {
    let progress = asset.progress.as_ref();
    progress.is_some_and(|p| p.renditions_ready >= p.renditions_total)
}
