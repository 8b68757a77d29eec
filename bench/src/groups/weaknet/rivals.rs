//! Others send the same burst over the same link, each as another owner.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;

use anyhow::ensure;
use tokio::process::Command;
use tokio::time::Instant;

use super::burst::Photos;
use super::scene::Scene;
use crate::phone::Phone;

/// Tries of one photo by PUT.
const TRIES: u32 = 5;

/// One photo after another by a presigned PUT, initiated and completed each. What breaks off is sent again from its
/// first byte; how long it took, in seconds.
pub async fn put(scene: &Scene, photos: &Photos) -> anyhow::Result<f64> {
    let token = scene.server.token("putter").await?;
    let begun = Instant::now();
    let work = async {
        let mut phone = Phone::connect(scene.api(), &token).await?;
        photos
            .each(async |photo| {
                let mut tries = 1;
                while let Err(error) = phone.upload(photo).await {
                    ensure!(tries < TRIES, "{error:#}");
                    println!("weaknet: a PUT broke off and is sent again: {error:#}");
                    tries += 1;
                    phone = Phone::connect(scene.api(), &token).await?;
                }
                anyhow::Ok(())
            })
            .await
    };
    scene.under(photos.bytes(), work).await?;
    Ok(begun.elapsed().as_secs_f64())
}

/// tus-js-client, three photos at a time, straight to the gateway, with its own defaults; how long it took, in seconds.
pub async fn tus(scene: &Scene, photos: &Photos, tools: &OsStr) -> anyhow::Result<f64> {
    let token = scene.server.token("tus").await?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/groups/weaknet/tus_many.cjs");
    let files: Vec<String> = photos
        .paths
        .iter()
        .map(|p| p.display().to_string())
        .collect();
    let mut node = Command::new("node");
    node.arg(script)
        .env("SAFELIGHT_TOOLS", tools)
        .env("GATEWAY", scene.to_api.url())
        .env("TOKEN", token)
        .env("FILES", files.join("\n"))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let begun = Instant::now();
    let output = scene.under(photos.bytes(), node.output()).await?;
    ensure!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(begun.elapsed().as_secs_f64())
}
