//! A kernel that does not filter system calls: nothing is decoded on it unless somebody says so.

use std::process::Command;

use safelight_testkit::older_kernel::{SECCOMP, run_without};
use safelight_testkit::server::Server;
use serde_json::Value;

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
