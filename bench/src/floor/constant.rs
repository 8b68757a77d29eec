//! The same HTTP server answering a constant: what an initiation costs beyond being an HTTP request.

use std::net::SocketAddr;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::post;
use bytes::Bytes;
use safelight_api::paths;

/// The argument by which this program is it.
pub const NAME: &str = "serve-constant";

/// Serves until killed.
pub fn serve(address: SocketAddr, size_bytes: &str) -> anyhow::Result<()> {
    let body = Bytes::from(vec![b'x'; size_bytes.parse()?]);
    // The request's body is read whole, as the server must.
    let answer = move |_: Bytes| {
        let body = body.clone();
        async move {
            let kind = [(header::CONTENT_TYPE, "application/json")];
            (StatusCode::CREATED, kind, body)
        }
    };
    let router = Router::new().route(paths::CAPTURES, post(answer));
    tokio::runtime::Runtime::new()?.block_on(async move {
        let listener = tokio::net::TcpListener::bind(address).await?;
        axum::serve(listener, router).await?;
        Ok(())
    })
}
