//! Who is measured: the embedded store, and what it is held against.

mod list;
mod nginx;
mod plain;
mod s3;

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use safelight_testkit::stores;

use super::work::{PARTS, Size};
use crate::Bench;
use crate::floor::Floor;
use crate::server::{Server, Start};
use nginx::Nginx;
use s3::S3;

/// Which peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The embedded store, in a server of its own.
    Safelight,
    /// The least that could do it.
    Floor,
    /// nginx with WebDAV: its writes are neither hashed nor durable.
    Nginx,
    /// Garage, one node, its metadata in SQLite.
    Garage,
}

impl Kind {
    /// As rows and directories name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Safelight => "safelight",
            Self::Floor => "floor",
            Self::Nginx => "nginx",
            Self::Garage => "garage",
        }
    }

    /// Whether it is one of the two that goals for processor time compare.
    pub fn is_pair(self) -> bool {
        matches!(self, Self::Safelight | Self::Floor)
    }

    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Safelight => "the embedded store",
            Self::Floor => "a program that hashes, writes and syncs",
            Self::Nginx => "nginx",
            Self::Garage => "Garage",
        }
    }
}

/// Those that this machine has. Says who is missing.
pub fn present() -> Vec<Kind> {
    let mut kinds = vec![Kind::Safelight, Kind::Floor];
    if nginx::program().is_some() {
        kinds.push(Kind::Nginx);
    } else {
        println!("diskstore: nginx is not installed, so it is not measured");
    }
    if stores::is_there(stores::Kind::Garage) {
        kinds.push(Kind::Garage);
    } else {
        println!(
            "diskstore: Garage is not there (`make test-stores` builds it), so it is not measured"
        );
    }
    kinds
}

/// A running peer.
pub struct Peer {
    process: Process,
    pid: u32,
    address: SocketAddr,
    /// How requests are signed; `None` if this one takes all.
    s3: Option<S3>,
}

enum Process {
    Safelight(Server),
    Floor(Floor),
    Nginx(Nginx),
    Garage(stores::Store),
}

impl Peer {
    /// Starts one with this directory.
    pub async fn start(kind: Kind, bench: &Bench, dir: &Path) -> anyhow::Result<Self> {
        Ok(match kind {
            Kind::Safelight => {
                let start = Start {
                    roles: Some("store"),
                    ..Start::default()
                };
                let server = Server::start(&bench.program, dir, start).await?;
                let key = std::fs::read_to_string(dir.join("keys/store.key"))?;
                let (access, secret) = key.trim().split_once(':').unwrap_or_default();
                Self {
                    pid: server.pid(),
                    address: server.store,
                    s3: Some(S3::connect(server.store, "us-east-1", access, secret)?),
                    process: Process::Safelight(server),
                }
            }
            Kind::Floor => {
                let floor = Floor::files(&dir.to_string_lossy()).await?;
                Self {
                    pid: floor.pid(),
                    address: floor.address,
                    s3: None,
                    process: Process::Floor(floor),
                }
            }
            Kind::Nginx => {
                let nginx = Nginx::start(dir).await?;
                Self {
                    pid: nginx.pid(),
                    address: nginx.address,
                    s3: None,
                    process: Process::Nginx(nginx),
                }
            }
            Kind::Garage => {
                let store = stores::Store::start(stores::Kind::Garage).await?;
                let address = SocketAddr::from(([127, 0, 0, 1], store.port()));
                let access = store.access();
                Self {
                    pid: store.pid(),
                    address,
                    s3: Some(S3::connect(
                        address,
                        stores::REGION,
                        access.key,
                        access.secret,
                    )?),
                    process: Process::Garage(store),
                }
            }
        })
    }

    /// Stops it.
    pub async fn stop(self) -> anyhow::Result<()> {
        match self.process {
            Process::Safelight(server) => server.stop().await?,
            Process::Floor(floor) => drop(floor),
            Process::Nginx(nginx) => drop(nginx),
            Process::Garage(store) => drop(store),
        }
        Ok(())
    }

    /// The root of its process tree.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it checks the SHA-256 of what is put.
    pub fn checks_hashes(&self) -> bool {
        self.s3.is_some()
    }

    /// Whether it lists.
    pub fn can_list(&self) -> bool {
        self.s3.is_some()
    }

    /// The head of a request that puts an object.
    pub fn put(&self, size: Size, number: u64, sha256: Option<&str>) -> anyhow::Result<String> {
        match &self.s3 {
            Some(s3) => s3.put(size, number, sha256),
            None => Ok(plain::put(&key(size, number), size.bytes())),
        }
    }

    /// The uploads that so many parts from the number `first` on belong to; empty where there is no such thing.
    pub async fn uploads(&self, first: u64, count: u64) -> anyhow::Result<Vec<String>> {
        match &self.s3 {
            Some(s3) => s3.create_uploads(first, count.div_ceil(PARTS)).await,
            None => Ok(Vec::new()),
        }
    }

    /// The head of a request that puts a part: the one with this number, which is the `turn`th of `uploads`.
    pub fn put_part(
        &self,
        uploads: &[String],
        number: u64,
        turn: u64,
        sha256: Option<&str>,
    ) -> anyhow::Result<String> {
        match &self.s3 {
            Some(s3) => s3.put_part(uploads, number, turn, sha256),
            None => {
                let key = format!("{}-part", key(Size::Medium, number));
                Ok(plain::put(&key, super::work::PART_BYTES))
            }
        }
    }

    /// The head of a request for an object.
    pub fn get(&self, size: Size, number: u64) -> anyhow::Result<String> {
        match &self.s3 {
            Some(s3) => s3.get(size, number, ""),
            None => Ok(plain::get(&key(size, number), "")),
        }
    }

    /// The head of a request for a piece out of the middle of a large object.
    pub fn get_range(&self, number: u64) -> anyhow::Result<String> {
        let from = Size::Large.bytes() / 2;
        let range = format!(
            "range: bytes={from}-{}\r\n",
            from + super::work::RANGE_BYTES - 1
        );
        match &self.s3 {
            Some(s3) => s3.get(Size::Large, number, &range),
            None => Ok(plain::get(&key(Size::Large, number), &range)),
        }
    }

    /// The head of a request for a page of keys, of a peer that lists.
    pub fn list(&self) -> anyhow::Result<String> {
        self.s3.as_ref().context("it does not list")?.list()
    }
}

/// An object's key: as the server makes them, all of a day below one prefix.
fn key(size: Size, number: u64) -> String {
    let letter = match size {
        Size::Small => 's',
        Size::Medium => 'm',
        Size::Large => 'l',
    };
    format!("o/bench/2026/11/25/{letter}{number:025}")
}
