//! `safelight doctor` and `safelight doctor store`.

use std::process::{Command, Output};

use serde_json::Value;

use safelight_testkit::server::{Server, ServerOptions};

use crate::http_rig::{Caller, Database, Rig, http, on_both_databases, options, photo, text};

on_both_databases!(a_running_server_is_examined, what_a_probe_finds_is_gone_by,);

async fn doctor(dir: &std::path::Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_safelight"));
    command
        .arg("doctor")
        .args(args)
        .env_clear()
        .current_dir(dir);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
}

async fn a_running_server_is_examined(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let dir = rig.server.data_dir();
    let store_listen = rig.server.store_url().replace("http://", "");
    let mut args = vec![
        "--json",
        "--data-dir",
        dir.to_str().unwrap(),
        "--store-listen",
        &store_listen,
    ];
    let url = rig.server.catalog_url();
    if database == Database::Postgres {
        args.extend(["--catalog-url", &url]);
    }
    let output = doctor(dir, &args).await;
    let findings = json(&output);
    assert!(output.status.success(), "{findings:#}");
    let of = |check: &str| {
        let all = findings.as_array().unwrap().iter();
        all.clone().find(|f| f["check"] == check).unwrap().clone()
    };
    assert_eq!(of("capabilities")["verdict"], "ok");
    assert_eq!(of("capabilities")["found"], "those of the embedded store");
    assert_eq!(of("scanner")["verdict"], "warning");
    assert_eq!(of("webhooks")["verdict"], "ok");
    // Without landlock it is a warning.
    assert_ne!(of("sandbox")["verdict"], "wrong");
    assert!(text(&of("sandbox")["found"]).starts_with("system calls are filtered, "));
    assert!(text(&of("memory")["found"]).starts_with("decoders may hold "));

    let examined = [&["store"], args.as_slice()].concat();
    let report = json(&doctor(dir, &examined).await);
    assert_eq!(report["recorded"], false);
    assert_eq!(report["left_behind"], serde_json::json!([]));
    assert_eq!(
        report["capabilities"]["put_checksums"]["sha256"],
        "enforced"
    );
    for finding in report["findings"].as_array().unwrap() {
        assert_eq!(finding["verdict"], "ok", "{finding}");
        assert!(!text(&finding["meaning"]).is_empty());
    }
}

/// The embedded store of one server, named by another as any S3 store is.
async fn what_a_probe_finds_is_gone_by(database: Database) {
    let dir = tempfile::tempdir().unwrap();
    let alone = options(dir.path().join("store"), None, &["--roles", "store"]);
    let store = Server::start(alone).await.unwrap();
    let key = std::fs::read_to_string(store.data_dir().join("keys/store.key")).unwrap();
    let (access_key, secret_key) = key.trim().split_once(':').unwrap();
    let url = format!("s3://safelight?endpoint={}", store.store_url());
    let database = database.fresh();
    let mut args = vec![
        "--store-access-key",
        access_key,
        "--store-secret-key",
        secret_key,
        "--store-url",
        &url,
    ];
    let server = Server::start(ServerOptions {
        extra_args: args.iter().map(|a| (*a).to_owned()).collect(),
        ..options(dir.path().join("server"), database.clone(), &[])
    });
    let mut server = server.await.unwrap();
    let caller = |server: &Server| Caller {
        base: server.url(),
        http: http(),
        token: Some(server.admin_key().unwrap()),
        owner: Some("ann".to_owned()),
    };
    let is_bound = async |server: &Server, seed| {
        let file = photo(seed);
        let asset = caller(server).initiate(&[&file]).await.remove(0);
        let headers = &asset["uploads"][0]["urls"][0]["headers"];
        caller(server).send(&asset, &file).await;
        headers["x-amz-checksum-sha256"].is_string()
    };
    assert!(server.log().contains("nobody has looked"));
    assert!(!is_bound(&server, 1).await, "nothing is taken for granted");
    assert_eq!(server.terminate().await.unwrap().code(), Some(0));

    let data_dir = server.data_dir().to_owned();
    args.extend(["--data-dir", data_dir.to_str().unwrap(), "--json"]);
    if let Some(url) = &database {
        args.extend(["--catalog-url", url]);
    }
    let verdict = async || {
        let findings = json(&doctor(dir.path(), &args).await);
        let all = findings.as_array().unwrap().iter();
        let one = all.clone().find(|f| f["check"] == "capabilities").unwrap();
        (one["verdict"].clone(), one["found"].clone())
    };
    assert_eq!(verdict().await.0, "warning");
    let report = json(&doctor(dir.path(), &[&["store"], args.as_slice()].concat()).await);
    assert_eq!(
        (&report["recorded"], &report["store"]),
        (&true.into(), &url.as_str().into())
    );
    let (known, found) = verdict().await;
    assert_eq!(known, "ok");
    assert!(text(&found).starts_with("probed at 20"), "{found}");

    server.restart().await.unwrap();
    assert_eq!(server.log().matches("nobody has looked").count(), 1);
    assert!(is_bound(&server, 2).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_at_rest_is_opened_for_the_examination() {
    let dir = tempfile::tempdir().unwrap();
    let output = doctor(dir.path(), &["store", "--store-listen", "127.0.0.1:1"]).await;
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{table}");
    assert!(table.starts_with("CAPABILITY"), "{table}");
    for line in ["signed length", "SHA-256 of parts", "Nothing to record"] {
        assert!(table.contains(line), "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_store_from_being_examined_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let keys = ["--store-access-key", "k", "--store-secret-key", "s"];
    let dead = "s3://b1c?endpoint=http://127.0.0.1:1";
    for (args, says) in [
        (vec!["store", "s3://bucket"], "store_access_key must be set"),
        (vec!["store", "ftp://x"], "store_url must be"),
        (
            vec!["store", "s3://b1c", "--store-url", dead],
            "name the store once",
        ),
        ([&["store", dead][..], &keys].concat(), "look at store_url"),
    ] {
        let output = doctor(dir.path(), &args).await;
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {err}");
        assert!(
            err.contains(says) && err.lines().count() == 1,
            "{args:?}: {err}"
        );
    }
}
