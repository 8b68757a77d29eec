//! A temporary PostgreSQL cluster on a free loopback port.
//!
//! A small shell script supervises it: it makes the cluster, starts it, and then waits for the
//! end of its input, a pipe that this process holds. However this process ends, SIGKILL
//! included, the pipe closes and the script stops the cluster and removes its directory.

use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

/// Superuser of the cluster; loopback connections need no password.
const USER: &str = "safelight";

/// Arguments: programs' directory, cluster directory, port, further settings.
const SUPERVISOR: &str = r#"
trap '' INT TERM PIPE HUP
bin=$1 dir=$2 port=$3 settings=$4
clean() { rm -rf "$dir"; }
cd "$dir" || exit 1
if "$bin/initdb" --no-sync -D "$dir/cluster" -U safelight --auth=trust -E UTF8 --locale=C >"$dir/log" 2>&1 &&
   printf "%s\n" "listen_addresses = '127.0.0.1'" "port = $port" "unix_socket_directories = '$dir'" \
     "max_connections = 200" "$settings" >>"$dir/cluster/postgresql.conf" &&
   "$bin/pg_ctl" -D "$dir/cluster" -l "$dir/log" -w -t 60 start </dev/null >/dev/null 2>&1
then
  echo ready
  cat >/dev/null
  "$bin/pg_ctl" -D "$dir/cluster" -m immediate stop >/dev/null 2>&1
else
  tail -n 20 "$dir/log"
fi
clean
"#;

/// Whether a commit survives a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Commits wait for the disk, as in production: for measurements.
    Durable,
    /// Commits do not wait for the disk: for tests.
    Relaxed,
}

impl Durability {
    fn settings(self) -> &'static str {
        match self {
            // The log's sizes as docs/guide/running.md advises them.
            Self::Durable => {
                "fsync = on\nsynchronous_commit = on\n\
                 max_wal_size = 4GB\nmin_wal_size = 1GB\nwal_compression = on"
            }
            Self::Relaxed => "fsync = off\nsynchronous_commit = off\nfull_page_writes = off",
        }
    }
}

/// A running cluster, stopped and removed when dropped or when this process ends.
#[derive(Debug)]
pub struct Cluster {
    supervisor: Child,
    programs: PathBuf,
    account: Option<(u32, u32)>,
    directory: TempDir,
    port: u16,
}

impl Cluster {
    /// Makes and starts a cluster; takes a second or two.
    ///
    /// # Errors
    /// PostgreSQL is not installed (the message says what to run), or it did not start.
    pub fn start(durability: Durability) -> anyhow::Result<Self> {
        let programs = programs()?;
        let account = account()?;
        let mut log = String::new();
        // A free port may be taken by the time the cluster binds it.
        for _ in 0..5 {
            let directory = tempfile::Builder::new()
                .prefix("safelight-postgres-")
                .permissions(Permissions::from_mode(0o700))
                .tempdir()?;
            if let Some((uid, gid)) = account {
                std::os::unix::fs::chown(directory.path(), Some(uid), Some(gid))?;
            }
            let port = crate::ports::free()?;
            let mut command = Command::new("sh");
            command
                .args(["-c", SUPERVISOR, "supervisor"])
                .arg(&programs)
                .arg(directory.path())
                .args([&port.to_string(), durability.settings()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                // Ctrl-C ends the tests, not the one who cleans up after them.
                .process_group(0);
            let mut supervisor = as_account(&mut command, account).spawn()?;
            match first_line(&mut supervisor)? {
                Ok(()) => {
                    return Ok(Self {
                        supervisor,
                        programs,
                        account,
                        directory,
                        port,
                    });
                }
                Err(text) => log = text,
            }
            if !log.contains("could not bind") && !log.contains("already in use") {
                break;
            }
        }
        bail!("the temporary PostgreSQL did not start:\n{log}")
    }

    /// The one cluster of this process for tests, started by whoever asks first.
    ///
    /// # Errors
    /// As [`Cluster::start`]; the same error for everybody.
    pub fn shared() -> anyhow::Result<&'static Self> {
        static SHARED: OnceLock<Result<Cluster, String>> = OnceLock::new();
        SHARED
            .get_or_init(|| Self::start(Durability::Relaxed).map_err(|e| format!("{e:#}")))
            .as_ref()
            .map_err(|e| anyhow::anyhow!("{e}"))
    }

    /// Makes an empty database and returns its URL.
    ///
    /// # Errors
    /// The cluster does not answer.
    pub fn fresh_database(&self) -> anyhow::Result<String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("safelight_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let output = self
            .program("createdb")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", USER])
            .arg(&name)
            .output()?;
        ensure!(
            output.status.success(),
            "createdb: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(format!("postgres://{USER}@127.0.0.1:{}/{name}", self.port))
    }

    /// The loopback port that the cluster listens on, also after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes a checkpoint: what was written so far is in its tables, and the log's files are used again.
    ///
    /// # Errors
    /// The cluster does not answer.
    pub fn checkpoint(&self) -> anyhow::Result<()> {
        let output = self
            .program("psql")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", USER])
            .args(["-d", "postgres", "-c", "CHECKPOINT"])
            .output()?;
        ensure!(
            output.status.success(),
            "psql: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(())
    }

    /// Stops the cluster at once, without a checkpoint: every connection breaks.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&self) -> anyhow::Result<()> {
        self.control(&["-m", "immediate", "stop"])
    }

    /// Starts the cluster again after [`Cluster::kill`]; returns when it accepts connections.
    ///
    /// # Errors
    /// It does not come up.
    pub fn restart(&self) -> anyhow::Result<()> {
        self.control(&["-w", "start"])
    }

    fn control(&self, action: &[&str]) -> anyhow::Result<()> {
        let root = self.directory.path();
        let status = self
            .program("pg_ctl")
            .current_dir(root)
            .arg("-D")
            .arg(root.join("cluster"))
            .arg("-l")
            .arg(root.join("log"))
            .args(action)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .status()?;
        ensure!(status.success(), "pg_ctl {}: {status}", action.join(" "));
        Ok(())
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        as_account(&mut command, self.account);
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The end of its input is what the supervisor waits for.
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

/// `Ok` when the supervisor says that the cluster is ready, else what it printed.
fn first_line(supervisor: &mut Child) -> anyhow::Result<Result<(), String>> {
    let stdout = supervisor
        .stdout
        .take()
        .context("the supervisor's output")?;
    let mut lines = BufReader::new(stdout).lines();
    let mut text = String::new();
    while let Some(line) = lines.next().transpose()? {
        if line == "ready" {
            return Ok(Ok(()));
        }
        text.push_str(&line);
        text.push('\n');
    }
    supervisor.wait()?;
    Ok(Err(text))
}

/// The directory of PostgreSQL's programs: that of `initdb` in PATH, else the newest of
/// Debian's packages.
fn programs() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).find_map(|dir| {
        let initdb = std::fs::canonicalize(dir.join("initdb")).ok()?;
        Some(initdb.parent()?.to_owned())
    });
    in_path
        .filter(|dir| dir.join("pg_ctl").exists())
        .or_else(|| newest(Path::new("/usr/lib/postgresql")))
        .context("PostgreSQL is not installed (no initdb): run `make deps-test`")
}

fn newest(root: &Path) -> Option<PathBuf> {
    std::fs::read_dir(root)
        .ok()?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin");
            bin.join("initdb").exists().then_some((version, bin))
        })
        .max()
        .map(|(_, bin)| bin)
}

/// PostgreSQL refuses to run as root: the user and group to run it as instead.
fn account() -> anyhow::Result<Option<(u32, u32)>> {
    let id = |arguments: &[&str]| -> anyhow::Result<Option<u32>> {
        let output = Command::new("id").args(arguments).output()?;
        Ok(std::str::from_utf8(&output.stdout)?.trim().parse().ok())
    };
    if id(&["-u"])? != Some(0) {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let (Some(uid), Some(gid)) = (id(&["-u", name])?, id(&["-g", name])?) {
            return Ok(Some((uid, gid)));
        }
    }
    bail!("run as root, PostgreSQL needs a user `postgres` or `nobody` to run as")
}

fn as_account(command: &mut Command, account: Option<(u32, u32)>) -> &mut Command {
    if let Some((uid, gid)) = account {
        command.uid(uid).gid(gid);
    }
    command
}
