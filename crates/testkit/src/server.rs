//! The real server: its binary as a process of its own, killed and started again at will.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::wait;

/// How long a server may take to be ready, to stop, or to be gone: generous, for machines under load.
const DEADLINE: Duration = Duration::from_secs(60);
/// What a server says when every role runs.
const READY: &str = "Safelight is ready";
/// Lines of the log that are shown when a test fails.
const SHOWN_LINES: usize = 60;

/// What to start.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    /// The binary: `env!("CARGO_BIN_EXE_safelight")`.
    pub program: PathBuf,
    /// Its data directory; made if it is not there.
    pub data_dir: PathBuf,
    /// The database; SQLite in the data directory if none is named.
    pub catalog_url: Option<String>,
    /// Further arguments of `serve`.
    pub extra_args: Vec<String>,
    /// Its environment. Nothing of this process's own goes to it.
    pub env: Vec<(String, String)>,
}

/// A running server. It dies when this is dropped, and with the process that started it.
#[derive(Debug)]
pub struct Server {
    options: ServerOptions,
    port: u16,
    store_port: u16,
    process: Option<Child>,
}

impl Server {
    /// Starts a server and waits until it is ready.
    ///
    /// # Errors
    /// It does not start; the error has the end of its log.
    pub async fn start(options: ServerOptions) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&options.data_dir)?;
        let mut server = Self {
            options,
            port: steady_port()?,
            store_port: steady_port()?,
            process: None,
        };
        server.restart().await?;
        Ok(server)
    }

    /// Says more to the program, from its next start on.
    pub fn add_args(&mut self, args: &[&str]) {
        let args = args.iter().map(|a| (*a).to_owned());
        self.options.extra_args.extend(args);
    }

    /// Where API and delivery listen, also after a restart.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where the embedded store listens, also after a restart.
    #[must_use]
    pub fn store_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.store_port)
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> &std::path::Path {
        &self.options.data_dir
    }

    /// The URL of its database.
    #[must_use]
    pub fn catalog_url(&self) -> String {
        let file = || format!("sqlite://{}/catalog.db", self.options.data_dir.display());
        self.options.catalog_url.clone().unwrap_or_else(file)
    }

    /// The administrator's key.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn admin_key(&self) -> anyhow::Result<String> {
        let path = self.options.data_dir.join("keys/admin.key");
        let key = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(key.trim().to_owned())
    }

    /// Its process; `None` while it does not run.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Everything it logged since it was started first.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Kills it (SIGKILL). Its decoding children are not killed: they must find out and go by
    /// themselves, and this waits until they have.
    ///
    /// # Errors
    /// A child is still there after a minute.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        let children = self.strike()?;
        let gone = wait::until(DEADLINE, async || children.iter().all(|c| !c.is_there())).await;
        gone.context("a child outlives its server")
    }

    /// Kills it (SIGKILL) and does not wait for its children; returns them.
    ///
    /// # Errors
    /// It does not run.
    pub fn strike(&mut self) -> anyhow::Result<Vec<Process>> {
        let mut process = self.process.take().context("the server does not run")?;
        let children = children(process.id());
        process.kill()?;
        process.wait()?;
        Ok(children)
    }

    /// The processes that it started: those that decode.
    #[must_use]
    pub fn children(&self) -> Vec<Process> {
        self.pid().map(children).unwrap_or_default()
    }

    /// Asks it to stop (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// It does not run, or does not stop within a minute.
    pub async fn terminate(&mut self) -> anyhow::Result<ExitStatus> {
        self.ask_to_stop()?;
        self.stopped().await
    }

    /// Asks it to stop (SIGTERM), and returns at once.
    ///
    /// # Errors
    /// It does not run.
    pub fn ask_to_stop(&self) -> anyhow::Result<()> {
        let pid = self.pid().context("the server does not run")?;
        let pid = libc::pid_t::try_from(pid)?;
        // SAFETY: kill(2) takes plain numbers. The child is not reaped yet, so the pid is its own.
        let sent = unsafe { libc::kill(pid, libc::SIGTERM) };
        ensure!(sent == 0, "kill: {}", std::io::Error::last_os_error());
        Ok(())
    }

    /// Waits until it has stopped by itself.
    ///
    /// # Errors
    /// It does not run, or is still there after a minute.
    pub async fn stopped(&mut self) -> anyhow::Result<ExitStatus> {
        let process = self.process.as_mut().context("the server does not run")?;
        let ended = wait::until_some(DEADLINE, async || process.try_wait().transpose()).await;
        let status = ended.context("the server does not stop")??;
        self.process = None;
        Ok(status)
    }

    /// Starts it, at first or again on the same ports and data, and waits until it is ready.
    ///
    /// # Errors
    /// It runs already, or does not become ready; the error has the end of its log.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "the server runs already");
        let said = self.log().matches(READY).count();
        self.process = Some(self.spawn()?);
        let ready = wait::until_some(DEADLINE, async || {
            match self.process.as_mut().map(Child::try_wait) {
                Some(Ok(None)) => {}
                _ => return Some(false),
            }
            let up = self.log().matches(READY).count() > said && self.answers("/readyz");
            up.then_some(true)
        })
        .await;
        if !matches!(ready, Ok(true)) {
            bail!("the server does not become ready:\n{}", self.log_end());
        }
        Ok(())
    }

    fn spawn(&self) -> anyhow::Result<Child> {
        let mut command = Command::new(&self.options.program);
        command
            .arg("serve")
            .arg("--data-dir")
            .arg(&self.options.data_dir)
            .args(["--listen", &format!("127.0.0.1:{}", self.port)])
            .args(["--store-listen", &format!("127.0.0.1:{}", self.store_port)]);
        if let Some(url) = &self.options.catalog_url {
            command.args(["--catalog-url", url]);
        }
        command
            .args(&self.options.extra_args)
            .env_clear()
            .envs(self.options.env.iter().map(|(k, v)| (k, v)))
            .current_dir(&self.options.data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(
                File::options()
                    .create(true)
                    .append(true)
                    .open(self.log_path())?,
            );
        die_with_parent(&mut command);
        Ok(command.spawn()?)
    }

    fn answers(&self, path: &str) -> bool {
        let asked = || -> std::io::Result<bool> {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            write!(
                stream,
                "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"
            )?;
            let mut head = [0; 12];
            stream.read_exact(&mut head)?;
            Ok(&head == b"HTTP/1.1 200")
        };
        asked().unwrap_or(false)
    }

    fn log_path(&self) -> PathBuf {
        self.options.data_dir.join("test-server.log")
    }

    fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "--- the end of the log of {} ---\n{}\n---",
                self.url(),
                self.log_end()
            );
        }
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Has the command's process killed when the thread that starts it ends, however that comes about.
pub fn die_with_parent(command: &mut Command) {
    // SAFETY: prctl(2) with plain numbers is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == 0 {
                Ok(())
            } else {
                Err(std::io::Error::last_os_error())
            }
        });
    }
}

/// A process, told from a later one of the same number by its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    started: String,
}

impl Process {
    fn find(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in parentheses and may hold anything; field 3 comes after it.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?;
        let started = fields.nth(18)?.to_owned();
        (state != "Z").then_some(Self { pid, started })
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_there(&self) -> bool {
        Self::find(self.pid).as_ref() == Some(self)
    }

    /// The most memory it has held so far, in bytes (`VmHWM`).
    #[must_use]
    pub fn peak_memory_bytes(&self) -> Option<u64> {
        peak_memory_bytes(self.pid)
    }
}

/// The most memory that a process has held so far, in bytes (`VmHWM`).
#[must_use]
pub fn peak_memory_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn children(pid: u32) -> Vec<Process> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|pid| Process::find(pid.parse().ok()?))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// A free port below those that the system gives to outgoing connections, so that nobody takes it
/// while the server is down.
fn steady_port() -> std::io::Result<u16> {
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 18_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes that test at the same time begin at different places.
    let start = (std::process::id() % 977) as u16 * 18;
    let mut last = None;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (start + step) % COUNT;
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(port),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| std::io::ErrorKind::AddrInUse.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_ports_differ_and_can_be_bound() {
        let (a, b) = (steady_port().unwrap(), steady_port().unwrap());
        assert_ne!(a, b);
        TcpListener::bind((Ipv4Addr::LOCALHOST, a)).unwrap();
    }

    #[test]
    fn a_process_is_known_until_it_ends() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let known = Process::find(child.id()).unwrap();
        assert!(known.is_there() && known.peak_memory_bytes().is_some());
        assert!(children(std::process::id()).contains(&known));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!known.is_there());
    }
}
