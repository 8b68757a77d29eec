//! The embedded store as the server puts it together: for tools with keys of their own, and for
//! web pages.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use reqwest::{Method, Url};
use safelight_objects::{Capabilities, Objects, StoreSettings};
use safelight_testkit::server::Server;
use serde_json::Value;

use crate::http_rig::{Rig, http, objects, open_store, options, photo};

const ACCESS: &str = r#"
    [[key]]
    id = "BACKUP"
    secret = "backup-secret"
    may = ["read", "list"]
    bucket = "safelight"
    prefix = "o/"
"#;

/// A data directory whose store is also for a backup tool.
fn with_backup_key(dir: &std::path::Path) -> std::path::PathBuf {
    let data = dir.join("server");
    let keys = data.join("keys");
    std::fs::create_dir_all(&keys).unwrap();
    let file = keys.join("store.toml");
    std::fs::write(&file, ACCESS).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    data
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_reads_originals_with_a_key_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let started = Server::start(options(with_backup_key(dir.path()), None, &[])).await;
    let rig = Rig::around(started.unwrap(), dir);
    let ann = rig.owner("ann");
    let sent = photo(1);
    let asset_id = ann.upload(&sent).await;
    ann.ready(&asset_id).await;
    let settings = StoreSettings {
        endpoint: Some(rig.server.store_url()),
        public_endpoint: None,
        region: "us-east-1".to_owned(),
        bucket: "safelight".to_owned(),
        access_key: "BACKUP".to_owned(),
        secret_key: "backup-secret".to_owned(),
        path_style: true,
        request_timeout: StoreSettings::REQUEST_TIMEOUT,
        complete_timeout: StoreSettings::COMPLETE_TIMEOUT,
    };
    let backup = Objects::connect(settings, Capabilities::embedded()).unwrap();
    let originals = objects(&backup, "o/").await;
    assert_eq!(originals, objects(&open_store(&rig.server), "o/").await);
    assert_eq!(originals.len(), 1);
    let key = safelight_objects::ObjectKey::parse(&originals[0]).unwrap();
    assert!(backup.head(&key).await.unwrap().is_some());
    assert!(
        backup.list("r/", None, 10).await.is_err(),
        "renditions are not its concern"
    );
    assert!(backup.delete(&key).await.is_err(), "it may only read");
    assert!(backup.head(&key).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_any_origin_may_use_a_presigned_url_unless_the_settings_say_otherwise() {
    for (args, origin, allowed) in [
        (&[][..], "https://app.example", Some("*")),
        (
            &["--store-cors-origins", "https://app.example,https://*.test"],
            "https://a.test",
            Some("https://a.test"),
        ),
        (
            &["--store-cors-origins", "https://app.example"],
            "https://a.test",
            None,
        ),
        (&["--store-cors-origins", ""], "https://app.example", None),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(options(dir.path().join("server"), None, args)).await;
        let server = server.unwrap();
        let url: Url = format!("{}/safelight/o/x", server.store_url())
            .parse()
            .unwrap();
        let asked = http()
            .request(Method::OPTIONS, url)
            .header("origin", origin)
            .header("access-control-request-method", "PUT")
            .header("access-control-request-headers", "content-type");
        let answer = asked.send().await.unwrap();
        let told = answer
            .headers()
            .get("access-control-allow-origin")
            .map(|value| value.to_str().unwrap());
        assert_eq!(told, allowed, "{args:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_file_stops_the_start_and_is_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let data = with_backup_key(dir.path());
    let file = data.join("keys/store.toml");
    let serve = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_safelight"))
            .args(["--data-dir", data.to_str().unwrap(), "--json", "serve"])
            .args(args)
            .env_clear()
            .output()
            .unwrap()
    };
    let explained = serve(&["--explain-config"]);
    let rows: Value = serde_json::from_slice(&explained.stdout).unwrap();
    let row = |key: &str| {
        let rows = rows.as_array().unwrap();
        rows.iter().find(|row| row["key"] == key).unwrap().clone()
    };
    assert_eq!(row("store_access_file")["value"], file.to_str().unwrap());
    assert_eq!(row("store_hosts")["value"], "localhost");
    assert_eq!(row("store_cors_origins")["value"], "*");
    assert!(
        !String::from_utf8(explained.stdout)
            .unwrap()
            .contains("backup-secret")
    );
    std::fs::write(&file, ACCESS.replace("list", "look")).unwrap();
    let refused = serve(&["--roles", "store", "--store-listen", "127.0.0.1:0"]);
    let says = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success());
    assert!(
        says.contains("store.toml") && says.contains("look"),
        "{says}"
    );
    assert!(!says.contains("backup-secret"), "{says}");
}

/// Connections that are open and say nothing, as those of phones that are thinking.
const IDLE: usize = 3000;

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_idle_connections_disturb_nobody() {
    // As a login shell or systemd would start it.
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("limited");
    let server = env!("CARGO_BIN_EXE_safelight");
    let script = format!("#!/bin/sh\nulimit -Sn 1024\nexec {server} \"$@\"\n");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit {
        current: limit.maximum,
        ..limit
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    let started = Server::start(safelight_testkit::server::ServerOptions {
        program,
        ..options(dir.path().join("server"), None, &[])
    });
    let rig = Rig::around(started.await.unwrap(), dir);
    let store = rig.server.store_url().replace("http://", "");
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        idle.push(tokio::net::TcpStream::connect(&store).await.unwrap());
    }
    let ann = rig.owner("ann");
    let sent = photo(1);
    let asset_id = ann.upload(&sent).await;
    ann.ready(&asset_id).await;
    assert_eq!(ann.original(&asset_id).await, sent);
    // Each was taken: what is asked on the last of them is answered.
    let mut last = idle.pop().unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: {store}\r\nconnection: close\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut last, request.as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut last, &mut answer)
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}
