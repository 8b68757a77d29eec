//! nginx with WebDAV PUT, by the defaults but for what a directory of its own needs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use safelight_testkit::ports;

use crate::server::wait_for;
use crate::wire::Connection;

/// A running nginx, ended when dropped.
pub struct Nginx {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Where it is installed.
pub fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    // Debian puts it where users do not look.
    dirs.push("/usr/sbin".into());
    let mut found = dirs.into_iter().map(|dir| dir.join("nginx"));
    found.find(|path| path.is_file())
}

impl Nginx {
    /// Starts one with this directory.
    pub async fn start(dir: &Path) -> anyhow::Result<Self> {
        let program = program().context("nginx is not installed")?;
        let address = SocketAddr::from(([127, 0, 0, 1], ports::free()?));
        let config = dir.join("nginx.conf");
        std::fs::create_dir(dir.join("files"))?;
        let user = if geteuid().is_root() {
            "user root;"
        } else {
            ""
        };
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|what| format!("{what}_temp_path {what};\n"))
            .collect();
        let text = format!(
            "{user}
daemon off;
worker_processes auto;
pid nginx.pid;
events {{}}
http {{
    access_log off;
    client_max_body_size 0;
    keepalive_requests 1000000;
    sendfile on;
    {temporary}
    server {{
        listen {address};
        root files;
        dav_methods PUT;
        create_full_put_path on;
    }}
}}
"
        );
        std::fs::write(&config, text)?;
        let child = Command::new(program)
            .arg("-p")
            .arg(dir)
            .arg("-e")
            .arg(dir.join("error.log"))
            .arg("-c")
            .arg(config)
            .stdin(Stdio::null())
            .spawn()?;
        let mut nginx = Self { child, address };
        wait_for(&mut nginx.child, async || {
            Connection::open(address).await.is_ok()
        })
        .await?;
        Ok(nginx)
    }

    /// Its master process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers are ended by the master, which therefore is asked and not killed.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.child.wait();
    }
}
