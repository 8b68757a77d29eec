//! Foreign S3 stores, each a process of its own on a free loopback port, with a directory and a
//! configuration of its own.
//!
//! Their programs are built by `make test-stores`, which keeps them outside the repository and names them in
//! `SAFELIGHT_GARAGE` and `SAFELIGHT_VERSITYGW`. Tests on them are ignored unless asked for, and fail
//! without the program.

mod garage;
mod versitygw;

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use crate::server::die_with_parent;
use crate::{ports, wait};

/// The bucket that each store has.
pub const BUCKET: &str = "safelight";
/// The region that each is set to, so that nothing works by being the default.
pub const REGION: &str = "test-region-1";
/// How long a store may take to start.
const DEADLINE: Duration = Duration::from_secs(60);

/// Which store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Garage: Rust, replicated, with its own layout of blocks.
    Garage,
    /// The Versity S3 Gateway over a file system: Go.
    Versitygw,
}

/// A running store. It dies when this is dropped, and with the process that started it.
#[derive(Debug)]
pub struct Store {
    process: Child,
    port: u16,
    access: Access,
    log: PathBuf,
    _dir: TempDir,
}

/// A store's only access key.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// Its id.
    pub key: &'static str,
    /// Its secret.
    pub secret: &'static str,
}

/// How a store is started.
struct Recipe {
    command: Command,
    access: Access,
}

impl Store {
    /// Starts a store and waits until it answers.
    ///
    /// # Errors
    /// Its program is not there (the message says what to run), or it does not start; then the
    /// error has its log.
    pub async fn start(kind: Kind) -> anyhow::Result<Self> {
        let program = program(kind)?;
        let mut last = String::new();
        // A free port may be taken by the time the store binds it.
        for _ in 0..5 {
            let dir = tempfile::Builder::new()
                .prefix("safelight-store-")
                .tempdir()?;
            let port = ports::free()?;
            let recipe = match kind {
                Kind::Garage => garage::recipe(&program, dir.path(), port)?,
                Kind::Versitygw => versitygw::recipe(&program, dir.path(), port)?,
            };
            let mut store = Self::spawn(recipe, dir, port)?;
            if store.is_ready().await? {
                return Ok(store);
            }
            last = std::fs::read_to_string(&store.log).unwrap_or_default();
        }
        bail!("{kind:?} does not start:\n{last}")
    }

    fn spawn(recipe: Recipe, dir: TempDir, port: u16) -> anyhow::Result<Self> {
        let log = dir.path().join("log");
        let output = std::fs::File::create(&log)?;
        let mut command = recipe.command;
        command
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        die_with_parent(&mut command);
        Ok(Self {
            process: command.spawn()?,
            port,
            access: recipe.access,
            log,
            _dir: dir,
        })
    }

    /// Whether it answers, once it does; `false` if it ended before.
    async fn is_ready(&mut self) -> anyhow::Result<bool> {
        let log = self.log.clone();
        let ready = wait::until_some(DEADLINE, async || match self.process.try_wait() {
            Ok(None) if self.answers() => Some(true),
            Ok(None) => None,
            _ => Some(false),
        });
        ready.await.with_context(|| {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            format!("the store does not become ready:\n{log}")
        })
    }

    /// Whether the bucket is there for who has no key: refused, which is an answer, or shown.
    fn answers(&self) -> bool {
        use std::io::{Read, Write};
        let asked = || -> std::io::Result<bool> {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            write!(
                stream,
                "GET /{BUCKET} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\n\r\n",
                self.port
            )?;
            let mut head = [0; 10];
            stream.read_exact(&mut head)?;
            Ok(&head == b"HTTP/1.1 4" || &head == b"HTTP/1.1 2")
        };
        asked().unwrap_or(false)
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Its URL.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its access key, which may do everything with [`BUCKET`].
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(40)..].join("\n");
            eprintln!(
                "--- the end of the log of {} ---\n{end}\n---",
                self.endpoint()
            );
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether the environment names a store's program.
#[must_use]
pub fn is_there(kind: Kind) -> bool {
    program(kind).is_ok()
}

/// The program of a store, which the environment names.
fn program(kind: Kind) -> anyhow::Result<PathBuf> {
    let variable = match kind {
        Kind::Garage => "SAFELIGHT_GARAGE",
        Kind::Versitygw => "SAFELIGHT_VERSITYGW",
    };
    let told = std::env::var_os(variable).filter(|path| !path.is_empty());
    let told = told
        .with_context(|| format!("{variable} does not name a program: run `make test-stores`"))?;
    let path = PathBuf::from(told);
    ensure!(
        is_program(&path),
        "{} is not there: run `make test-stores`",
        path.display()
    );
    Ok(path)
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
