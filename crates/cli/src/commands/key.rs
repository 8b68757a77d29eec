//! `safelight key`: API keys of the tenant.

use std::process::ExitCode;

use clap::Subcommand;
use safelight_api::keys::{CreateKey, KeyList};
use safelight_client::session::Session;
use safelight_model::ids;

use crate::connect::{connect, explain};
use crate::global::GlobalArgs;
use crate::output::{self, Table};

/// What to do with keys.
#[derive(clap::Args)]
pub struct KeyArgs {
    #[command(subcommand)]
    deed: Deed,
}

#[derive(Subcommand)]
enum Deed {
    /// Make a key; its secret is shown this once
    Create {
        /// What it is for
        #[arg(long)]
        label: String,
        /// What it may do; may be given more than once
        #[arg(long = "scope", required = true, value_parser = ["media", "tokens", "admin"])]
        scopes: Vec<String>,
    },
    /// List the keys
    List,
    /// Revoke a key: it stops working at once
    Revoke {
        /// The key's id: `key_…`
        id: String,
    },
}

/// Does it.
pub async fn run(args: KeyArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let session = connect(global)?.session;
    match args.deed {
        Deed::Create { label, scopes } => {
            create(&session, CreateKey { label, scopes }, global).await
        }
        Deed::List => list(&session, global).await,
        Deed::Revoke { id } => revoke(&session, id.trim(), global).await,
    }
}

async fn create(
    session: &Session,
    key: CreateKey,
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    let made = session
        .create_key(&key)
        .await
        .map_err(|e| explain(&e, global))?;
    if global.json {
        output::json(&made)?;
        return Ok(ExitCode::SUCCESS);
    }
    match &made.secret {
        Some(secret) => {
            let text = format!("key     {}\nsecret  {secret}\n", made.key_id);
            output::write(text.as_bytes())?;
            eprintln!("keep the secret: it is not shown again");
            Ok(ExitCode::SUCCESS)
        }
        None => anyhow::bail!(
            "{} was made, but the answer with its secret was lost on the way; revoke it and make another",
            made.key_id
        ),
    }
}

async fn list(session: &Session, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let items = session.keys().await.map_err(|e| explain(&e, global))?;
    if global.json {
        output::json(&KeyList { items })?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::with(&["key", "label", "scopes", "created", "revoked"], &[]);
    for key in items {
        table.row([
            key.key_id,
            key.label,
            key.scopes.join(","),
            key.created_at,
            key.revoked_at.unwrap_or_default(),
        ]);
    }
    table.print()?;
    Ok(ExitCode::SUCCESS)
}

async fn revoke(session: &Session, id: &str, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        ids::is(ids::API_KEY, id),
        "`{id}` is not a key's id: they begin with key_ (see `safelight key list`)"
    );
    session
        .revoke_key(id)
        .await
        .map_err(|e| explain(&e, global))?;
    if global.json {
        output::json(&serde_json::json!({ "key_id": id, "revoked": true }))?;
    } else {
        eprintln!("{id} is revoked");
    }
    Ok(ExitCode::SUCCESS)
}
