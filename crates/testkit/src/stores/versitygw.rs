//! How the Versity S3 Gateway is started, over a directory: its buckets are the directories in it.

use std::path::Path;
use std::process::Command;

use super::{Access, BUCKET, REGION, Recipe};

const ACCESS: Access = Access {
    key: "test-access-key",
    secret: "test-secret-key",
};

pub(super) fn recipe(program: &Path, dir: &Path, port: u16) -> anyhow::Result<Recipe> {
    let root = dir.join("root");
    std::fs::create_dir_all(root.join(BUCKET))?;
    // What it says of objects stands beside them, since not every file system keeps attributes.
    let sidecar = dir.join("sidecar");
    std::fs::create_dir(&sidecar)?;
    let mut command = Command::new(program);
    command
        .args(["--port", &format!("127.0.0.1:{port}")])
        .args(["--region", REGION])
        .arg("posix")
        .arg("--sidecar")
        .arg(sidecar)
        .arg(root)
        .env("ROOT_ACCESS_KEY_ID", ACCESS.key)
        .env("ROOT_SECRET_ACCESS_KEY", ACCESS.secret);
    Ok(Recipe {
        command,
        access: ACCESS,
    })
}
