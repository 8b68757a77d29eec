//! `safelight rederive`: has pictures made by the present versions of presets that are there by others only.

use std::process::ExitCode;

use safelight_catalog::{SCHEMA_VERSION, Schema, keys};
use safelight_model::preset::CHANGEABLE;
use safelight_service::context::Context;
use safelight_service::processing::rederive::{Found, Which, rederive};

use super::doctor::at_hand;
use crate::commands::serve::ServerArgs;
use crate::global::GlobalArgs;
use crate::output;
use crate::server::compose::{Shared, share};
use crate::server::presets;

/// What `rederive` takes.
#[derive(Debug, clap::Args)]
pub struct RederiveArgs {
    /// Only pictures that lack this preset: display or large. What else they lack is made with it
    #[arg(long, value_name = "NAME", value_parser = CHANGEABLE.map(|p| p.name))]
    preset: Option<String>,
    /// Only pictures of this tenant
    #[arg(long, value_name = "ID")]
    tenant: Option<String>,
    #[command(flatten)]
    pub source: ServerArgs,
}

/// Asks for them. The servers' workers make them, when nothing else is to be done.
pub async fn run(args: RederiveArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let settings = args.source.resolve(global)?;
    let temporary = at_hand(&settings).await?;
    let Shared { context, .. } = share(&settings, Schema::LeaveAsItIs, temporary).await?;
    let version = context.catalog.schema_version().await?;
    anyhow::ensure!(
        version == SCHEMA_VERSION,
        "the catalog has schema version {version}, and this program works with {SCHEMA_VERSION}: run `safelight migrate` first"
    );
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
        tracing::debug!(pictures = so_far.pictures, "looked at");
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
        ready,
        asked,
        waiting,
        failed,
    } = found;
    let mut text = format!(
        "{pictures} pictures were looked at: {ready} are there by the present versions, {asked} were asked for now, {waiting} before.\n"
    );
    if *failed > 0 {
        text +=
            &format!("{failed} are damaged and could not be made; they are shown as they were.\n");
    }
    output::write(text.as_bytes())
}
