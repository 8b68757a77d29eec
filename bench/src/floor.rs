//! The floor: the same HTTP server answering a constant, so that the reader sees what an initiation
//! costs beyond being an HTTP request.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::post;
use bytes::Bytes;
use safelight_api::paths;
use safelight_testkit::ports;

use crate::server::wait_for;
use crate::wire::Connection;

/// The argument by which this program starts itself as the floor.
pub const NAME: &str = "serve-constant";

/// A floor in a process of its own, so that its processor time can be told from the generator's.
pub struct Floor {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Floor {
    /// Starts one whose answers have bodies of `size_bytes`.
    pub async fn start(size_bytes: usize) -> anyhow::Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], ports::free()?));
        let child = Command::new(std::env::current_exe()?)
            .args([NAME, &address.to_string(), &size_bytes.to_string()])
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

/// Serves until killed.
pub fn serve(address: &str, size_bytes: usize) -> anyhow::Result<()> {
    let body = Bytes::from(vec![b'x'; size_bytes]);
    // The request's body is read whole, as the server must.
    let answer = move |_: Bytes| {
        let body = body.clone();
        async move {
            let kind = [(header::CONTENT_TYPE, "application/json")];
            (StatusCode::CREATED, kind, body)
        }
    };
    let router = Router::new().route(paths::CAPTURES, post(answer));
    let address: SocketAddr = address.parse()?;
    tokio::runtime::Runtime::new()?.block_on(async move {
        let listener = tokio::net::TcpListener::bind(address).await?;
        axum::serve(listener, router).await?;
        Ok(())
    })
}
