//! Real server processes of the release build, each with a data directory of its own.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use safelight_api::keys::{MintToken, TokenMinted};
use safelight_api::paths;
use safelight_testkit::link::Link;
use safelight_testkit::{ports, wait};

use crate::wire::{Connection, head};

const START_TIME: Duration = Duration::from_secs(60);
const STOP_TIME: Duration = Duration::from_secs(40);

/// The release build of `safelight`.
pub struct Program(PathBuf);

impl Program {
    /// Brings it up to date when this program was started by cargo; else it must be beside this one.
    pub fn build() -> anyhow::Result<Self> {
        if let Some(cargo) = std::env::var_os("CARGO") {
            let built = Command::new(cargo)
                .args(["build", "--release", "-p", "safelight-cli"])
                .status()?;
            ensure!(built.success(), "safelight could not be built");
        }
        let program = Self::beside()?;
        ensure!(program.0.exists(), "{} is not there", program.0.display());
        Ok(program)
    }

    /// Beside this program, if it was built; for groups that do not start it.
    pub fn beside() -> anyhow::Result<Self> {
        Ok(Self(std::env::current_exe()?.with_file_name("safelight")))
    }
}

/// What to start.
#[derive(Clone, Debug, Default)]
pub struct Start<'a> {
    /// The catalog; SQLite in the data directory if none is given.
    pub catalog_url: Option<&'a str>,
    /// The roles; all if none are given.
    pub roles: Option<&'a str>,
    /// The ports of the API and of the store; free ones if none are given.
    pub ports: Option<(u16, u16)>,
    /// More arguments.
    pub more: &'a [String],
}

/// A running server; stopped when dropped.
pub struct Server {
    child: Child,
    log: PathBuf,
    /// Where the API listens.
    pub api: SocketAddr,
    /// Where the embedded store listens.
    pub store: SocketAddr,
    /// The administrator's key.
    pub admin: String,
}

impl Server {
    /// Starts a server on free ports and waits until it is ready.
    pub async fn start(program: &Program, dir: &Path, start: Start<'_>) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let (api, store) = match start.ports {
            Some(ports) => ports,
            None => (ports::free()?, ports::free()?),
        };
        let api = SocketAddr::from(([127, 0, 0, 1], api));
        let store = SocketAddr::from(([127, 0, 0, 1], store));
        let log = dir.join("server.log");
        let out = File::create(&log)?;
        let mut command = Command::new(&program.0);
        for (name, _) in std::env::vars_os() {
            // The defaults are measured, not what happens to be set here.
            if name.to_string_lossy().starts_with("SAFELIGHT_") {
                command.env_remove(name);
            }
        }
        command.current_dir(dir).arg("serve");
        command.arg("--data-dir").arg(dir);
        command.args(["--listen", &api.to_string()]);
        command.args(["--store-listen", &store.to_string()]);
        if let Some(url) = start.catalog_url {
            command.args(["--catalog-url", url]);
        }
        if let Some(roles) = start.roles {
            command.args(["--roles", roles]);
        }
        command.args(start.more);
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()?;
        let mut server = Self {
            child,
            log,
            api,
            store,
            admin: String::new(),
        };
        let ready = wait_for(&mut server.child, async || is_ready(api).await).await;
        ready.with_context(|| server.log_end())?;
        let key = std::fs::read_to_string(dir.join("keys/admin.key"))?;
        server.admin = key.trim().to_owned();
        Ok(server)
    }

    /// The same on these ports of API and store, known to clients by the links before them.
    pub async fn start_behind(
        program: &Program,
        dir: &Path,
        ports: (u16, u16),
        to_api: &Link,
        to_store: &Link,
    ) -> anyhow::Result<Self> {
        let more = [
            "--public-url".to_owned(),
            to_api.url(),
            "--store-public-url".to_owned(),
            to_store.url(),
        ];
        let start = Start {
            ports: Some(ports),
            more: &more,
            ..Start::default()
        };
        Self::start(program, dir, start).await
    }

    /// The root of its process tree.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The end of what it logged, for errors.
    pub fn log_end(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        format!(
            "the server's log ends:\n{}",
            lines[lines.len().saturating_sub(20)..].join("\n")
        )
    }

    /// A device token for an owner.
    pub async fn token(&self, owner: &str) -> anyhow::Result<String> {
        let body = serde_json::to_vec(&MintToken {
            owner: owner.to_owned(),
            device: format!("phone of {owner}"),
            ttl_s: None,
        })?;
        let key = format!("idempotency-key: \"mint-{owner}\"\r\n");
        let head = head("POST", paths::TOKENS, &self.admin, &key, body.len());
        let mut connection = Connection::open(self.api).await?;
        let answer = connection.exchange(&[head.as_bytes(), &body]).await?;
        Ok(answer.json::<TokenMinted>(201)?.token)
    }

    /// Stops it as an operator does and waits for its end.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.terminate();
        let child = &mut self.child;
        let ended = wait::until_some(STOP_TIME, async || child.try_wait().ok().flatten()).await;
        let Ok(status) = ended else {
            bail!("the server did not stop; {}", self.log_end());
        };
        ensure!(status.success(), "{status}; {}", self.log_end());
        Ok(())
    }

    fn terminate(&self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

async fn is_ready(api: SocketAddr) -> bool {
    let Ok(mut connection) = Connection::open(api).await else {
        return false;
    };
    let head = head("GET", paths::READY, "", "", 0);
    let answer = connection.exchange(&[head.as_bytes()]).await;
    answer.is_ok_and(|a| a.status == 200)
}

/// Waits until a process that was just started is ready; its early end is an error.
pub async fn wait_for(
    child: &mut Child,
    mut ready: impl AsyncFnMut() -> bool,
) -> anyhow::Result<()> {
    let end = wait::until_some(START_TIME, async || {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(Err(status));
        }
        ready().await.then_some(Ok(()))
    });
    match end.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(status)) => bail!("it ended before it was ready: {status}"),
        Err(passed) => bail!("it is not ready: {passed}"),
    }
}
