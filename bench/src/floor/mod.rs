//! Floors: the least that could do a server's work, so that the reader sees what the server costs beyond
//! it. Each is this program started once more, so that its processor time can be told from the generator's.

mod constant;
mod files;

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::bail;
use safelight_testkit::ports;

use crate::server::wait_for;
use crate::wire::Connection;

/// A running floor, ended when dropped.
pub struct Floor {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Floor {
    /// The same HTTP server as the API's, answering a constant of `size_bytes`.
    pub async fn constant(size_bytes: usize) -> anyhow::Result<Self> {
        Self::start(constant::NAME, &size_bytes.to_string()).await
    }

    /// Files in a directory, by PUT and GET.
    pub async fn files(dir: &str) -> anyhow::Result<Self> {
        Self::start(files::NAME, dir).await
    }

    async fn start(name: &str, argument: &str) -> anyhow::Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], ports::free()?));
        let child = Command::new(std::env::current_exe()?)
            .args([name, &address.to_string(), argument])
            .stdin(Stdio::null())
            .spawn()?;
        let mut floor = Self { child, address };
        wait_for(&mut floor.child, async || {
            Connection::open(address).await.is_ok()
        })
        .await?;
        Ok(floor)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves until killed, if these arguments are those of a floor; `None` if they are not.
pub fn serve(arguments: &[String]) -> Option<anyhow::Result<()>> {
    let [name, address, argument] = arguments else {
        return None;
    };
    let serve = match name.as_str() {
        constant::NAME => constant::serve,
        files::NAME => files::serve,
        _ => return None,
    };
    Some(match address.parse() {
        Ok(address) => serve(address, argument),
        Err(_) => (|| bail!("{address} is no address"))(),
    })
}
