//! `safelight list`: the owner's assets.

use std::process::ExitCode;

use safelight_api::assets::{Asset, AssetPage};
use safelight_model::limits;

use crate::connect::{connect, explain};
use crate::global::GlobalArgs;
use crate::output::{self, Table};

/// What to list.
#[derive(clap::Args)]
pub struct ListArgs {
    /// At most this many
    #[arg(long, default_value_t = limits::PAGE.0, value_parser = clap::value_parser!(i64).range(1..))]
    limit: i64,
    /// All of them
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

/// Lists.
pub async fn run(args: ListArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let connection = connect(global)?;
    let wanted = if args.all { i64::MAX } else { args.limit };
    let mut list = AssetPage {
        items: Vec::new(),
        next_cursor: None,
    };
    loop {
        let rest = wanted.saturating_sub(i64::try_from(list.items.len())?);
        let cursor = list.next_cursor.take();
        let page = connection
            .session
            .assets(
                rest.min(limits::PAGE.1),
                cursor.as_deref(),
                "original,times",
            )
            .await
            .map_err(|e| explain(&e, global))?;
        let got = page.items.len();
        list.items.extend(page.items);
        list.next_cursor = page.next_cursor;
        let enough = i64::try_from(list.items.len())? >= wanted;
        if list.next_cursor.is_none() || got == 0 || enough {
            break;
        }
    }
    if global.json {
        output::json(&list)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::with(
        &["asset", "state", "reason", "file", "bytes", "created"],
        &["bytes"],
    );
    for asset in &list.items {
        table.row(row(asset));
    }
    table.print()?;
    if list.items.is_empty() {
        eprintln!(
            "no assets of {} yet; send some with `safelight upload`",
            global.owner()
        );
    } else if list.next_cursor.is_some() {
        eprintln!("there are more: --limit N, or --all");
    }
    Ok(ExitCode::SUCCESS)
}

fn row(asset: &Asset) -> [String; 6] {
    let original = asset.original.as_ref();
    [
        asset.asset_id.clone(),
        asset.state.clone(),
        asset
            .reason
            .as_ref()
            .map_or(String::new(), |r| r.code.clone()),
        original
            .and_then(|o| o.filename.clone())
            .unwrap_or_default(),
        original.map_or(String::new(), |o| output::size(o.size_bytes)),
        asset
            .times
            .as_ref()
            .map_or(String::new(), |t| t.created_at.clone()),
    ]
}
