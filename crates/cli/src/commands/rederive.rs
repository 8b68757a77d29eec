//! `safelight rederive`: has pictures made by the present versions of presets that are there by others only, and clips given what there
//! was not when they came.

use std::process::ExitCode;

use safelight_catalog::keys;
use safelight_service::context::Context;
use safelight_service::processing::rederive::{Found, NAMES, Which, rederive};

use super::open_present::open_present;
use crate::commands::serve::ServerArgs;
use crate::global::GlobalArgs;
use crate::output;
use crate::server::compose::Shared;
use crate::server::presets;

/// What `rederive` takes.
#[derive(Debug, clap::Args)]
pub struct RederiveArgs {
    /// Only what lacks this preset. What else a picture lacks is made with it
    #[arg(long, value_name = "NAME", value_parser = NAMES)]
    preset: Option<String>,
    /// Only what is this tenant's
    #[arg(long, value_name = "ID")]
    tenant: Option<String>,
    #[command(flatten)]
    pub source: ServerArgs,
}

/// Asks for them. The servers' workers make them, when nothing else is to be done.
pub async fn run(args: RederiveArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let settings = args.source.resolve(global)?;
    let Shared { context, .. } = open_present(&settings).await?;
    if let Some(tenant) = &args.tenant {
        let known = keys::tenants(&mut context.catalog.reader().await?.tx()).await?;
        anyhow::ensure!(known.contains(tenant), "there is no tenant {tenant}");
    }
    presets::check(&context).await?;
    let by = versions(&context, args.tenant.as_deref());
    let which = Which {
        tenant_id: args.tenant,
        preset: args.preset,
    };
    let found = rederive(&context, &which, |so_far| {
        tracing::debug!(
            pictures = so_far.pictures,
            clips = so_far.clips,
            "looked at"
        );
    })
    .await?;
    context.catalog.close().await;
    if global.json {
        output::json(&found)?;
    } else {
        print(&found)?;
        // Servers with others would make nothing of what was asked for.
        eprintln!(
            "The present versions are {by}, as far as the settings of this command go: the servers' must be the same."
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The versions of one tenant, or of those without any of their own.
fn versions(context: &Context, tenant: Option<&str>) -> String {
    let presets = context.presets(tenant.unwrap_or_default());
    let labels = presets
        .derived()
        .map(|p| format!("{}@{}", p.name, p.version));
    labels.join(" and ")
}

fn print(found: &Found) -> anyhow::Result<()> {
    let Found {
        pictures,
        clips,
        ready,
        asked,
        waiting,
        failed,
    } = found;
    let mut text = format!(
        "{pictures} pictures and {clips} clips were looked at: {ready} are there by the present versions, {asked} were asked for now, {waiting} before.\n"
    );
    if *failed > 0 {
        text +=
            &format!("{failed} are damaged and could not be made; they are shown as they were.\n");
    }
    output::write(text.as_bytes())
}
