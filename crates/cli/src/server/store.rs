//! The object store that the settings name.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use safelight_diskstore::{DiskStore, Event, Settings as DiskSettings, Watch};
use safelight_objects::StoreSettings;
use tokio::sync::mpsc::Sender;

use super::keys::Keys;
use super::s3_url::S3Url;
use super::settings::Resolved;
use super::store_access;

/// Where the bytes are.
pub enum Backend {
    /// The embedded store over this directory.
    Disk(PathBuf),
    /// An S3 store.
    S3,
}

/// The backend of the settings.
pub fn backend(settings: &Resolved) -> Backend {
    match settings.text("store_url").strip_prefix("disk://") {
        Some(path) => Backend::Disk(PathBuf::from(path)),
        None => Backend::S3,
    }
}

/// Opens the embedded store; `listener` is told what happens in the server's bucket.
pub fn open_disk(
    settings: &Resolved,
    keys: &Keys,
    root: PathBuf,
    listener: Option<Sender<Event>>,
) -> anyhow::Result<DiskStore> {
    let shown = root.display().to_string();
    let mut disk = DiskSettings::new(root, &keys.store.0, &keys.store.1);
    disk.buckets = vec![settings.text("store_bucket").to_owned()];
    disk.region = settings.text("store_region").to_owned();
    disk.hosts = settings.list("store_hosts");
    disk.cors_origins = settings.list("store_cors_origins");
    let access = store_access::read(
        &settings.path("store_access_file"),
        !settings.is_default("store_access_file"),
    )?;
    disk.keys = access.keys;
    disk.event_targets = access.targets;
    disk.watches = listener
        .map(|sender| Watch {
            bucket: settings.text("store_bucket").to_owned(),
            sender,
        })
        .into_iter()
        .collect();
    DiskStore::open(disk).with_context(|| format!("cannot open the store in {shown}"))
}

/// How the client reaches the store. `endpoint` stands in for the one of the embedded store where
/// that listens elsewhere.
pub fn connection(
    settings: &Resolved,
    keys: &Keys,
    endpoint: Option<String>,
) -> anyhow::Result<StoreSettings> {
    let text = |key: &str| settings.text(key).to_owned();
    match backend(settings) {
        Backend::Disk(_) => {
            // Where the store runs on another machine, its public URL is the way to it.
            let inside = if settings.has_role("store") {
                format!("http://{}", reachable(settings.text("store_listen")))
            } else {
                text("store_public_url")
            };
            Ok(StoreSettings {
                endpoint: Some(endpoint.unwrap_or(inside)),
                public_endpoint: Some(text("store_public_url")),
                region: text("store_region"),
                bucket: text("store_bucket"),
                access_key: keys.store.0.clone(),
                secret_key: keys.store.1.clone(),
                path_style: true,
                request_timeout: StoreSettings::REQUEST_TIMEOUT,
                complete_timeout: StoreSettings::COMPLETE_TIMEOUT,
            })
        }
        Backend::S3 => s3(settings),
    }
}

/// A wildcard address is reached through the loopback.
fn reachable(listen: &str) -> String {
    listen
        .replace("0.0.0.0:", "127.0.0.1:")
        .replace("[::]:", "[::1]:")
}

fn s3(settings: &Resolved) -> anyhow::Result<StoreSettings> {
    let S3Url { bucket, endpoint } = S3Url::parse(settings.text("store_url"))?;
    for key in ["store_access_key", "store_secret_key"] {
        if settings.text(key).is_empty() {
            bail!(
                "{key} must be set for an S3 store (SAFELIGHT_{})",
                key.to_uppercase()
            );
        }
    }
    Ok(StoreSettings {
        public_endpoint: endpoint.clone(),
        path_style: endpoint.is_some(),
        endpoint,
        region: settings.text("store_region").to_owned(),
        bucket,
        access_key: settings.text("store_access_key").to_owned(),
        secret_key: settings.text("store_secret_key").to_owned(),
        request_timeout: StoreSettings::REQUEST_TIMEOUT,
        complete_timeout: StoreSettings::COMPLETE_TIMEOUT,
    })
}
