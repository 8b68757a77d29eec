//! `safelight doctor store`: tries what an object store can do, says what it means, and records it.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use safelight_catalog::{Catalog, SCHEMA_VERSION};
use safelight_model::clock::{Clock as _, SystemClock};
use safelight_objects::{Assessment, Capabilities, Objects, Probed};
use safelight_service::system_entropy::SystemEntropy;
use serde::Serialize;
use tokio::net::TcpListener;

use super::finding::{status, word};
use crate::commands::serve::ServerArgs;
use crate::global::GlobalArgs;
use crate::output;
use crate::server::s3_url::S3Url;
use crate::server::settings::Resolved;
use crate::server::store::{self, Backend};
use crate::server::{compose, keys, known_store};

/// What `doctor store` takes.
#[derive(Debug, clap::Args)]
pub struct StoreArgs {
    /// The store: s3://bucket with an optional ?endpoint=URL [default: the one of the settings]
    #[arg(value_name = "STORE_URL")]
    url: Option<String>,
}

/// What was found, as JSON.
#[derive(Serialize)]
struct Report<'a> {
    store: String,
    recorded: bool,
    capabilities: &'a Capabilities,
    findings: &'a [Assessment],
    left_behind: &'a [String],
}

pub async fn run(
    args: StoreArgs,
    mut source: ServerArgs,
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    if let Some(url) = args.url {
        let other = source.settings.store_url.replace(url);
        anyhow::ensure!(
            other.is_none(),
            "name the store once: STORE_URL or --store-url"
        );
    }
    let settings = source.resolve(global)?;
    let record = record_in(&settings).await?;
    let keys = keys::open(&settings.path("keys_dir"), &SystemEntropy)?;
    let mut connection = store::connection(&settings, &keys, at_hand(&settings).await?)?;
    // Phones are played from here, where the public URL may not lead anywhere.
    connection.public_endpoint = None;
    let objects = Objects::connect(connection, Capabilities::unprobed())?;
    let interrupted = interruption();
    let Probed {
        capabilities,
        left_behind,
    } = objects
        .probe_capabilities(&SystemClock, &SystemEntropy, &|| {
            interrupted.load(Ordering::Relaxed)
        })
        .await
        .context(
            "look at store_url and its keys, and whether the store runs and the bucket exists",
        )?;
    let (name, recorded) = match record {
        None => (settings.text("store_url").to_owned(), false),
        Some((catalog, url)) => {
            known_store::record(&catalog, &url, &capabilities, SystemClock.now()).await?;
            catalog.close().await;
            (url.to_string(), true)
        }
    };
    let findings = match store::backend(&settings) {
        Backend::Disk(_) => capabilities.assess_embedded(),
        Backend::S3 => capabilities.assess(),
    };
    let report = Report {
        store: name,
        recorded,
        capabilities: &capabilities,
        findings: &findings,
        left_behind: &left_behind,
    };
    if global.json {
        output::json(&report)?;
    } else {
        print(&report)?;
    }
    Ok(status(findings.iter().map(|f| f.verdict)))
}

fn print(report: &Report<'_>) -> anyhow::Result<()> {
    let headings = ["CAPABILITY", "", "FOUND", "WHAT IT MEANS", "WHAT TO DO"];
    let mut table = output::Table::with(&headings, &[]);
    for f in report.findings {
        table.row([
            f.capability.to_owned(),
            word(f.verdict).to_owned(),
            f.found.clone(),
            f.meaning.to_owned(),
            f.what_to_do.unwrap_or_default().to_owned(),
        ]);
    }
    let mut text = table.render();
    for left in report.left_behind {
        text += &format!("could not be removed again: {left}\n");
    }
    text += &if report.recorded {
        format!(
            "Recorded for {}. Servers that run go by it once they are started again.\n",
            report.store
        )
    } else {
        "Nothing to record: what the embedded store can do comes with the program.\n".to_owned()
    };
    output::write(text.as_bytes())
}

/// Where an S3 store is recorded, and under which name. That nothing can be is said before the probe.
async fn record_in(settings: &Resolved) -> anyhow::Result<Option<(Catalog, S3Url)>> {
    if let Backend::Disk(_) = store::backend(settings) {
        return Ok(None);
    }
    let url = S3Url::parse(settings.text("store_url"))?;
    let catalog = compose::open_catalog(settings, super::schema_at_hand(settings)).await?;
    let version = catalog.schema_version().await?;
    anyhow::ensure!(
        version >= SCHEMA_VERSION,
        "the catalog has schema version {version}, and this program works with {SCHEMA_VERSION}: run `safelight migrate` first"
    );
    Ok(Some((catalog, url)))
}

/// Whether Ctrl-C was pressed. The first one has the probe clean up; the second one ends it at once.
fn interruption() -> Arc<AtomicBool> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let noted = interrupted.clone();
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            if noted.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
            eprintln!("cleaning up; press Ctrl-C again to leave things as they are");
        }
    });
    interrupted
}

/// Where the embedded store is not served at this moment, it is opened and served for the examination.
pub async fn at_hand(settings: &Resolved) -> anyhow::Result<Option<String>> {
    let Backend::Disk(root) = store::backend(settings) else {
        return Ok(None);
    };
    if !settings.has_role("store")
        || tokio::net::TcpStream::connect(settings.address("store_listen")?)
            .await
            .is_ok()
    {
        return Ok(None);
    }
    let keys = keys::open(&settings.path("keys_dir"), &SystemEntropy)?;
    let disk = store::open_disk(settings, &keys, root, None)?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    tokio::spawn(safelight_diskstore::serve(
        disk,
        listener,
        std::future::pending(),
    ));
    Ok(Some(endpoint))
}
