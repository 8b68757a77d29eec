//! How client commands reach the server, and what is said when they do not.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use safelight_client::back_off::Patience;
use safelight_client::call_error::CallError;
use safelight_client::http::HttpTransport;
use safelight_client::pause::TimerPause;
use safelight_client::progress::{Progress, Silent};
use safelight_client::session::{Credential, Session};
use safelight_client::system_entropy::SystemEntropy;
use safelight_model::{limits, text};

use crate::global::GlobalArgs;

/// How long commands that only ask try to reach the server.
pub const SHORT: Duration = Duration::from_secs(4);

/// A way to the server.
pub struct Connection {
    pub session: Arc<Session>,
    pub transport: Arc<HttpTransport>,
    pub patience: Patience,
}

/// Makes a way to the server for a command that only asks.
pub fn connect(global: &GlobalArgs) -> anyhow::Result<Connection> {
    connect_with(global, SHORT, Arc::new(Silent))
}

/// Makes a way to the server; nothing is sent yet.
pub fn connect_with(
    global: &GlobalArgs,
    give_up_after: Duration,
    progress: Arc<dyn Progress>,
) -> anyhow::Result<Connection> {
    let owner = global.owner();
    anyhow::ensure!(
        text::is_reference(&owner, limits::MAX_CLIENT_REF),
        "--owner must be 1 to {} characters, none of them a control character",
        limits::MAX_CLIENT_REF
    );
    let token = token(global)?;
    let credential = if token.starts_with("sk_") {
        Credential::ApiKey { key: token, owner }
    } else {
        Credential::DeviceToken(token)
    };
    let transport = HttpTransport::to(&global.url()).context("--url")?;
    let transport = Arc::new(transport);
    let patience = Patience {
        pause: Arc::new(TimerPause),
        entropy: Arc::new(SystemEntropy),
        progress,
        give_up_after,
    };
    let session = Session::open(transport.clone(), credential, device(), patience.clone());
    Ok(Connection {
        session: Arc::new(session),
        transport,
        patience,
    })
}

fn token(global: &GlobalArgs) -> anyhow::Result<String> {
    if let Some(token) = &global.token {
        let token = token.trim();
        anyhow::ensure!(
            !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic()),
            "--token (or SAFELIGHT_TOKEN) is empty or has characters that no token has"
        );
        return Ok(token.to_owned());
    }
    let file = global.data_dir().join("keys").join("admin.key");
    match std::fs::read_to_string(&file) {
        Ok(key) => Ok(key.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => anyhow::bail!(
            "no credential: give --token or SAFELIGHT_TOKEN, or name the server's data directory by --data-dir (there is no {})",
            file.display()
        ),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// This machine, as it stands in device tokens.
fn device() -> String {
    let name = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    match name.trim() {
        name if text::is_reference(name, 64) => format!("cli-{name}"),
        _ => "cli".to_owned(),
    }
}

/// The error in one line, with what to do next.
pub fn explain(error: &CallError, global: &GlobalArgs) -> anyhow::Error {
    let url = global.url();
    match error.code() {
        "unreachable" => anyhow::anyhow!(
            "the server cannot be reached at {url} ({error}); is it running? Start it with `safelight serve`, or name another with --url"
        ),
        "unauthorized" => anyhow::anyhow!(
            "unauthorized: {url} does not know this token; check --token or SAFELIGHT_TOKEN ({})",
            error.detail()
        ),
        "answer_not_understood" => {
            anyhow::anyhow!("{error}; is {url} a safelight server of this version?")
        }
        code => anyhow::anyhow!("{code}: {}", error.detail()),
    }
}
