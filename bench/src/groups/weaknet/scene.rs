//! A server that phones reach over an emulated link, and others at once.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use safelight_testkit::link::Link;
use safelight_testkit::ports;
use tokio::time::{Instant, sleep};

use super::{Emulated, setting};
use crate::Bench;
use crate::server::Server;

/// Which packets are lost, unless `SEED` says otherwise.
const SEED: u64 = 7;
/// How often it is looked at how much has passed.
pub const LOOK: Duration = Duration::from_millis(5);

/// The server and the link before it.
pub struct Scene {
    pub server: Server,
    pub emulated: Emulated,
    pub to_api: Link,
    to_store: Link,
    pub dir: PathBuf,
}

impl Scene {
    /// Starts both.
    pub async fn start(bench: &Bench, emulated: Emulated) -> anyhow::Result<Self> {
        let dir = bench.scratch.join(emulated.name);
        let (api, store) = (ports::free()?, ports::free()?);
        let seed = setting("SEED", SEED)?;
        let to_api = Link::start(api, emulated.weather(), seed).await?;
        let to_store = to_api.beside(store).await?;
        let ports = (api, store);
        Ok(Self {
            server: Server::start_behind(&bench.program, &dir, ports, &to_api, &to_store).await?,
            emulated,
            to_api,
            to_store,
            dir,
        })
    }

    /// The API, over the link.
    pub fn api(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.to_api.port()))
    }

    /// Bytes that have arrived so far over the link.
    pub fn arrived(&self) -> u64 {
        self.to_api.carried().up_bytes + self.to_store.carried().up_bytes
    }

    /// What comes of `work`, which sends `bytes`, with an outage in the midst of it if the link has one.
    pub async fn under<T>(&self, bytes: u64, work: impl Future<Output = T>) -> T {
        let begun = self.arrived();
        let disturb = async {
            if self.emulated.outage > Duration::ZERO {
                while self.arrived() - begun < bytes / 3 {
                    sleep(LOOK).await;
                }
                self.to_api.change(|weather| weather.is_out = true);
                sleep(self.emulated.outage).await;
                self.to_api.change(|weather| weather.is_out = false);
            }
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            done = work => done,
            never = disturb => match never {},
        }
    }

    /// When so many bytes have arrived over one connection.
    pub async fn first_whole(&self, bytes: u64) -> Instant {
        while self
            .to_api
            .most_up_bytes()
            .max(self.to_store.most_up_bytes())
            < bytes
        {
            sleep(LOOK).await;
        }
        Instant::now()
    }

    /// Stops it all.
    pub async fn end(self) -> anyhow::Result<()> {
        self.server.stop().await?;
        Ok(std::fs::remove_dir_all(&self.dir)?)
    }
}
