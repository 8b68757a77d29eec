//! A kernel that does not filter system calls: nothing is decoded on it unless somebody says so, and who asks for it is told.

use std::process::Command;

use safelight_api::captures::Compress;
use safelight_testkit::older_kernel::{SECCOMP, run_without};
use safelight_testkit::server::Server;
use serde_json::Value;

use crate::fake_server::{API_KEY, FakeServer};
use crate::http_rig::{Rig, options, photo};

const ALLOWED: [&str; 2] = ["--sandbox-allow-open", "yes"];

#[test]
fn serve_refuses_to_decode_in_the_open() {
    run_without(SECCOMP, async || {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(options(dir.path().join("server"), None, &[]));
        let error = format!("{:#}", server.await.unwrap_err());
        assert!(error.contains("decoders would not be confined"), "{error}");
        assert!(error.contains("sandbox_allow_open"), "{error}");
        // Who decodes nothing needs no sandbox.
        let args = ["--roles", "api,store"];
        let server = Server::start(options(dir.path().join("api"), None, &args));
        server.await.unwrap();
    })
    .unwrap();
}

#[test]
fn told_to_it_decodes_in_the_open_and_says_so() {
    run_without(SECCOMP, async || {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(options(dir.path().join("server"), None, &ALLOWED));
        let rig = Rig::around(server.await.unwrap(), dir);
        assert!(rig.server.log().contains("decoders are not confined"));
        let ann = rig.owner("ann");
        let asset_id = ann.upload(&photo(1)).await;
        ann.ready(&asset_id).await;
    })
    .unwrap();
}

#[test]
fn doctor_calls_it_wrong() {
    run_without(SECCOMP, async || {
        for (args, verdict) in [(&[] as &[&str], "wrong"), (&ALLOWED[..], "warning")] {
            let dir = tempfile::tempdir().unwrap();
            let output = Command::new(env!("CARGO_BIN_EXE_safelight"))
                .args(["doctor", "--json", "--data-dir", "data"])
                .args(args)
                .env_clear()
                .current_dir(dir.path())
                .output()
                .unwrap();
            let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
            let all = findings.as_array().unwrap();
            let found = all.iter().find(|f| f["check"] == "sandbox").unwrap();
            assert_eq!(found["verdict"], verdict, "{found}");
            assert!(found["what_to_do"].is_string(), "{found}");
        }
    })
    .unwrap();
}

#[test]
fn upload_says_that_it_makes_no_smaller_copies() {
    run_without(SECCOMP, async || {
        let server = FakeServer::start().await;
        server.world().advises = Some(Compress {
            format: "image/jpeg".to_owned(),
            quality: 60,
            max_edge_px: Some(320),
        });
        let dir = tempfile::tempdir().unwrap();
        let picture = photo(1);
        for (i, args) in [&[] as &[&str], &["--compress"]].into_iter().enumerate() {
            let path = dir.path().join(format!("{i}.jpg"));
            let mut bytes = picture.clone();
            bytes.push(u8::try_from(i).unwrap());
            std::fs::write(&path, &bytes).unwrap();
            let mut command = Command::new(env!("CARGO_BIN_EXE_safelight"));
            command
                .arg("upload")
                .arg(&path)
                .args(args)
                .env_clear()
                .env("HOME", dir.path())
                .env("SAFELIGHT_URL", &server.url)
                .env("SAFELIGHT_TOKEN", API_KEY)
                .env("SAFELIGHT_OWNER", "ann");
            let output = tokio::task::spawn_blocking(move || command.output().unwrap());
            let output = output.await.unwrap();
            let err = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{err}");
            let says = "no smaller copies are made on this machine";
            assert_eq!(err.matches(says).count(), i, "{err}");
            let all = server
                .world()
                .assets
                .values()
                .map(|a| a.size_bytes)
                .sum::<i64>();
            let sent = i64::try_from(bytes.len() * (i + 1)).unwrap();
            assert_eq!(all, sent, "it goes as it is");
        }
    })
    .unwrap();
}
