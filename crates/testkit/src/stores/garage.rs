//! How Garage is started: one node, whose layout, key and bucket it makes itself.

use std::path::Path;
use std::process::Command;

use super::{Access, BUCKET, REGION, Recipe};
use crate::ports;

const ACCESS: Access = Access {
    key: "GK0123456789abcdef01234567",
    secret: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
};

pub(super) fn recipe(program: &Path, dir: &Path, port: u16) -> anyhow::Result<Recipe> {
    let config = dir.join("garage.toml");
    let rpc = format!("127.0.0.1:{}", ports::free()?);
    let secret = ACCESS.secret;
    let text = format!(
        r#"metadata_dir = "{dir}/meta"
data_dir = "{dir}/data"
db_engine = "sqlite"
replication_factor = 1
rpc_bind_addr = "{rpc}"
rpc_public_addr = "{rpc}"
rpc_secret = "{secret}"

[s3_api]
s3_region = "{REGION}"
api_bind_addr = "127.0.0.1:{port}"
root_domain = ".localhost"
"#,
        dir = dir.display()
    );
    std::fs::write(&config, text)?;
    let mut command = Command::new(program);
    command
        .arg("-c")
        .arg(config)
        .args(["server", "--single-node", "--default-bucket"])
        .env("GARAGE_DEFAULT_ACCESS_KEY", ACCESS.key)
        .env("GARAGE_DEFAULT_SECRET_KEY", ACCESS.secret)
        .env("GARAGE_DEFAULT_BUCKET", BUCKET)
        .env("RUST_LOG", "garage=info");
    Ok(Recipe {
        command,
        access: ACCESS,
    })
}
