//! `safelight migrate`: brings the catalog's schema up to date. `serve` does so by itself.

use std::process::ExitCode;

use safelight_catalog::Schema;

use crate::commands::serve::ServerArgs;
use crate::global::GlobalArgs;
use crate::output;
use crate::server::compose;

/// What `migrate` takes.
#[derive(Debug, clap::Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    pub source: ServerArgs,
}

pub async fn run(args: MigrateArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let settings = args.source.resolve(global)?;
    let catalog = compose::open_catalog(&settings, Schema::BringUpToDate).await?;
    let version = catalog.schema_version().await?;
    if global.json {
        output::json(&serde_json::json!({ "schema_version": version }))?;
    } else {
        output::write(format!("The catalog is at schema version {version}.\n").as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}
