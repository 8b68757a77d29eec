//! What every command takes: where the server is, and who asks.

use std::path::PathBuf;

/// Flags that stand before or after any command.
#[derive(Clone, Debug, clap::Args)]
pub struct GlobalArgs {
    /// Where the server is [default: http://127.0.0.1:7600]
    #[arg(long, global = true, env = "SAFELIGHT_URL", value_name = "URL")]
    pub url: Option<String>,
    /// An API key or a device token [default: the key in DATA_DIR/keys/admin.key]
    #[arg(
        long,
        global = true,
        env = "SAFELIGHT_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    pub token: Option<String>,
    /// Whose captures these are [default: the login name]
    #[arg(long, global = true, env = "SAFELIGHT_OWNER", value_name = "NAME")]
    pub owner: Option<String>,
    /// The server's data directory [default: ./safelight-data]
    #[arg(
        long,
        global = true,
        env = "SAFELIGHT_DATA_DIR",
        value_name = "DATA_DIR"
    )]
    pub data_dir: Option<PathBuf>,
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub json: bool,
}

impl GlobalArgs {
    /// The server's base URL, without a slash at its end.
    pub fn url(&self) -> String {
        self.url
            .as_deref()
            .unwrap_or("http://127.0.0.1:7600")
            .trim_end_matches('/')
            .to_owned()
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.data_dir
            .clone()
            .unwrap_or_else(|| PathBuf::from("safelight-data"))
    }

    /// The owner: as given, else the login name, else `me`.
    pub fn owner(&self) -> String {
        let login = || {
            ["USER", "LOGNAME"]
                .into_iter()
                .find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()))
        };
        self.owner
            .clone()
            .or_else(login)
            .unwrap_or_else(|| "me".to_owned())
    }
}
