//! `safelight get`: a rendition, or the original, as a file.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use safelight_client::session::Session;
use safelight_model::ids;

use crate::connect::{connect, explain};
use crate::global::GlobalArgs;
use crate::output;

/// What to get, and where to put it.
#[derive(clap::Args)]
pub struct GetArgs {
    /// The asset: `ast_…`
    asset: String,
    /// `cover`, `display`, `large`, another preset of the server's, or `original`
    #[arg(long, default_value = "display")]
    preset: String,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Gets it.
pub async fn run(args: GetArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let asset_id = args.asset.trim();
    anyhow::ensure!(
        ids::is(ids::ASSET, asset_id),
        "`{asset_id}` is not an asset's id: they begin with ast_ (see `safelight list`)"
    );
    anyhow::ensure!(
        !args.output.is_dir(),
        "{} is a folder; name a file",
        args.output.display()
    );
    let connection = connect(global)?;
    let url = if args.preset == "original" {
        let granted = connection.session.grant_original(asset_id).await;
        granted.map_err(|e| explain(&e, global))?.url
    } else {
        rendition_url(&connection.session, asset_id, &args.preset, global).await?
    };
    let size_bytes = connection
        .transport
        .download(&url, &args.output)
        .await
        .with_context(|| format!("{} of {asset_id}", args.preset))?;
    if global.json {
        output::json(&serde_json::json!({
            "asset_id": asset_id,
            "preset": args.preset,
            "file": args.output,
            "size_bytes": size_bytes,
        }))?;
    } else {
        let size = output::size(i64::try_from(size_bytes)?);
        eprintln!(
            "{} of {asset_id}: {size} in {}",
            args.preset,
            args.output.display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

async fn rendition_url(
    session: &Session,
    asset_id: &str,
    preset: &str,
    global: &GlobalArgs,
) -> anyhow::Result<String> {
    let asset = session.asset(asset_id, "renditions").await;
    let asset = asset.map_err(|e| explain(&e, global))?;
    let renditions = asset.renditions.unwrap_or_default();
    let reason = |r: &Option<safelight_api::assets::Reason>| match r {
        Some(reason) => format!(" ({})", reason.code),
        None => String::new(),
    };
    match renditions.get(preset) {
        Some(rendition) => match &rendition.url {
            Some(url) => Ok(url.clone()),
            None => anyhow::bail!(
                "{preset} of {asset_id} is {}{}; the asset is {}",
                rendition.state,
                reason(&rendition.reason),
                asset.state
            ),
        },
        None if renditions.is_empty() => anyhow::bail!(
            "{asset_id} is {}{} and has no renditions",
            asset.state,
            reason(&asset.reason)
        ),
        None => {
            let known: Vec<&str> = renditions.keys().map(String::as_str).collect();
            anyhow::bail!(
                "{asset_id} has no `{preset}`; it has {} and original",
                known.join(", ")
            )
        }
    }
}
