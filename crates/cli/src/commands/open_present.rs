//! What servers have made, opened by a command that works on it: where nothing is, nothing is made.

use std::path::{Path, PathBuf};

use safelight_catalog::{SCHEMA_VERSION, Schema};

use super::doctor::at_hand;
use crate::server::compose::{Shared, share};
use crate::server::settings::Resolved;
use crate::server::store::{self, Backend};

/// The file of a catalog in SQLite.
pub fn sqlite_file(settings: &Resolved) -> Option<PathBuf> {
    safelight_catalog::sqlite_file(settings.text("catalog_url"))
}

/// Opens catalog, keys and store of servers with these settings.
///
/// # Errors
/// Something of it is not there, or the catalog is of another version.
pub async fn open_present(settings: &Resolved) -> anyhow::Result<Shared> {
    let is_there = |what: &str, key: &str, path: &Path| {
        anyhow::ensure!(
            path.exists(),
            "there is {what} at {}: give the data_dir of the server, or its {key}, as it has them",
            path.display()
        );
        Ok(())
    };
    if let Some(path) = sqlite_file(settings) {
        is_there("no catalog", "catalog_url", &path)?;
    }
    if let Backend::Disk(root) = store::backend(settings) {
        // A store that others serve need not lie here.
        if settings.has_role("store") {
            is_there("no store", "store_url", &root)?;
        }
        // With those it is read; with others it would say no.
        is_there("no key", "keys_dir", &settings.path("keys_dir"))?;
    }
    let temporary = at_hand(settings).await?;
    let shared = share(settings, Schema::LeaveAsItIs, temporary).await?;
    let version = shared.context.catalog.schema_version().await?;
    anyhow::ensure!(
        version == SCHEMA_VERSION,
        "the catalog has schema version {version}, and this program works with {SCHEMA_VERSION}: run `safelight migrate` first"
    );
    Ok(shared)
}
