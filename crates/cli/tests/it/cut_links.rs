//! Links on which every connection breaks before a part, or a photo by one request, is through: all arrives, and what it costs is
//! bounded.

use std::process::{Command, Stdio};

use safelight_testkit::link::{Link, Weather};
use safelight_testkit::server::Server;
use serde_json::Value;

use crate::http_rig::{
    Caller, Database, PART_BYTES, http, large_photo, on_both_databases, options, photo, port,
    sha256, text,
};

on_both_databases!(what_no_part_gets_through_arrives_all_the_same);

const MIB: u64 = 1 << 20;
/// What requests without media cost on the wire, all together.
const TALK_BYTES: u64 = 200_000;

async fn what_no_part_gets_through_arrives_all_the_same(database: Database) {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(options(dir.path().join("data"), database.fresh(), &[]))
        .await
        .unwrap();
    let cut = Weather {
        cut_after_bytes: Some(MIB..=MIB),
        ..Weather::default()
    };
    let to_store = Link::start(port(&server.store_url()), cut.clone(), 1);
    let to_store = to_store.await.unwrap();
    let to_gateway = Link::start(port(&server.url()), cut, 2).await.unwrap();
    server.terminate().await.unwrap();
    let urls = [
        "--store-public-url",
        &to_store.url(),
        "--gateway-public-url",
        &to_gateway.url(),
    ];
    server.add_args(&urls);
    server.restart().await.unwrap();

    // By one request, by parts, and what waits behind them, small ones too.
    let files = [
        ("a.jpg", large_photo(1, 3_000_000)),
        ("b.jpg", large_photo(2, PART_BYTES + 2_000_000)),
        ("c.jpg", large_photo(3, 2_500_000)),
        ("d.jpg", photo(4)),
    ];
    let photos = dir.path().join("photos");
    std::fs::create_dir(&photos).unwrap();
    for (name, bytes) in &files {
        std::fs::write(photos.join(name), bytes).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_safelight"));
    command
        .args(["upload", "--json", "--wait", "--journal"])
        .arg(dir.path().join("journal.db"))
        .arg(&photos)
        .env_clear()
        .env("SAFELIGHT_URL", server.url())
        .env("SAFELIGHT_TOKEN", server.admin_key().unwrap())
        .env("SAFELIGHT_OWNER", "ann")
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{report}");
    let ann = Caller {
        base: server.url(),
        http: http(),
        token: Some(server.admin_key().unwrap()),
        owner: Some("ann".to_owned()),
    };
    for (i, (name, bytes)) in files.iter().enumerate() {
        let file = &report["files"][i];
        assert!(text(&file["file"]).ends_with(name), "{file}");
        let asset = ann.ready(text(&file["asset_id"])).await;
        assert_eq!(asset["original"]["sha256"], sha256(bytes), "{name}");
    }
    // Three cuts of what was first under way by itself and in two parts, until it is known that the link breaks; what comes
    // after is not cut in vain.
    let (store, gateway) = (to_store.carried(), to_gateway.carried());
    println!("{store:?} {gateway:?}");
    assert!(store.up_bytes <= 12 * MIB, "{store:?}");
    let appended: usize = files[..3].iter().map(|(_, bytes)| bytes.len()).sum();
    let appended = appended as u64;
    // The bench holds it to less, by itself.
    let most = appended + appended / 10 + TALK_BYTES;
    assert!((appended..=most).contains(&gateway.up_bytes), "{gateway:?}");
}
