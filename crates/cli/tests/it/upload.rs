//! The client commands of the binary, against a server that keeps to the wire.

use std::process::{Command, Output};

use serde_json::Value;

use crate::fake_server::{API_KEY, Deed, FakeServer};

struct Rig {
    server: FakeServer,
    dir: tempfile::TempDir,
}

impl Rig {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("photos")).unwrap();
        for (name, size) in [
            ("A_BURST001.jpg", 900),
            ("A_BURST002_COVER.jpg", 5_500),
            ("b.jpg", 700),
        ] {
            let bytes: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            std::fs::write(dir.path().join("photos").join(name), bytes).unwrap();
        }
        Self {
            server: FakeServer::start().await,
            dir,
        }
    }

    /// Runs the binary in the folder of the test, without this machine's settings.
    async fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_safelight"));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.dir.path())
            .env("SAFELIGHT_URL", &self.server.url)
            .env("SAFELIGHT_TOKEN", API_KEY)
            .env("SAFELIGHT_OWNER", "ann")
            .current_dir(self.dir.path());
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }

    async fn json(&self, args: &[&str]) -> (bool, Value) {
        let output = self.run(args).await;
        let document =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
        (output.status.success(), document)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_uploaded_waited_for_and_not_sent_again() {
    let rig = Rig::start().await;
    let output = rig.run(&["upload", "photos", "--wait"]).await;
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert_eq!(out.lines().count(), 4, "{out}");
    assert!(
        out.contains("A_BURST002_COVER.jpg") && out.contains("ready"),
        "{out}"
    );
    assert!(
        out.contains("0.25 s") && out.contains("/cover@1.webp"),
        "{out}"
    );
    assert!(
        err.contains("3 of 3 uploaded, 3 viewable, 7.1 kB sent"),
        "{err}"
    );
    assert!(
        std::fs::read_dir(rig.dir.path().join(".local/state/safelight"))
            .unwrap()
            .count()
            > 0,
        "the journal stands in the home folder"
    );

    let output = rig.run(&["upload", "photos"]).await;
    assert!(output.status.success());
    let err = text(&output.stderr);
    assert!(
        err.contains("3 of 3 were there already; nothing was sent"),
        "{err}"
    );

    let (ok, report) = rig
        .json(&["upload", "photos/b.jpg", "--wait", "--json"])
        .await;
    assert!(ok);
    assert_eq!(report["files"][0]["already_there"], true);
    assert_eq!(
        (&report["uploaded"], &report["viewable"]),
        (&1.into(), &1.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_fails_is_named_with_its_code() {
    let rig = Rig::start().await;
    std::fs::write(rig.dir.path().join("photos/empty.jpg"), "").unwrap();
    let output = rig.run(&["upload", "photos"]).await;
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(
        err.contains("empty.jpg: validation_failed: the file is empty"),
        "{err}"
    );
    assert!(err.contains("3 of 4 uploaded"), "{err}");
    assert_eq!(rig.server.world().whole().len(), 3);

    rig.server
        .fail("initiate", 0, Deed::Refuse(422, "quota_exceeded", None));
    let fresh = rig.dir.path().join("fresh.bin");
    std::fs::write(fresh, "x").unwrap();
    let (ok, report) = rig.json(&["upload", "fresh.bin", "--json"]).await;
    assert!(!ok);
    assert_eq!(report["files"][0]["code"], "quota_exceeded");
    assert_eq!(report["failed"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_are_listed_shown_and_fetched() {
    let rig = Rig::start().await;
    let (_, report) = rig.json(&["upload", "photos", "--wait", "--json"]).await;
    let asset = report["files"][0]["asset_id"].as_str().unwrap().to_owned();
    let capture = report["files"][0]["capture_id"]
        .as_str()
        .unwrap()
        .to_owned();

    let (ok, list) = rig.json(&["list", "--json"]).await;
    assert!(ok);
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
    let out = text(&rig.run(&["list"]).await.stdout);
    assert!(out.starts_with("ASSET") && out.contains(&asset), "{out}");

    let out = text(&rig.run(&["status", &asset]).await.stdout);
    assert!(out.contains("original.size_bytes"), "{out}");
    let (_, shown) = rig.json(&["status", &capture, "--json"]).await;
    assert_eq!(shown["mode"], "burst");
    let upload = rig.server.world().uploads.keys().next().unwrap().clone();
    let (_, shown) = rig.json(&["status", &upload, "--json"]).await;
    assert_eq!(shown["state"], "completed");

    for preset in ["cover", "original"] {
        let output = rig
            .run(&["get", &asset, "--preset", preset, "-o", "out.webp"])
            .await;
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(
            std::fs::read(rig.dir.path().join("out.webp"))
                .unwrap()
                .starts_with(b"RIFF")
        );
    }
    let output = rig
        .run(&["get", &asset, "--preset", "huge", "-o", "x"])
        .await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("it has cover and original"));
    assert!(!rig.dir.path().join("x").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_in_one_line() {
    let rig = Rig::start().await;
    for (args, says) in [
        (vec!["upload", "absent"], "absent cannot be read"),
        (vec!["upload", "."], "no pictures"),
        (vec!["status", "x"], "is not an id"),
        (vec!["key", "revoke", "x"], "is not a key's id"),
        (vec!["list", "--token", "sk_wrong"], "unauthorized"),
        (vec!["list", "--url", "nowhere"], "--url: "),
        (
            vec!["list", "--url", "http://127.0.0.1:1"],
            "is it running? Start it with `safelight serve`",
        ),
    ] {
        let args: Vec<&str> = args;
        if args == ["upload", "."] {
            std::fs::remove_dir_all(rig.dir.path().join("photos")).unwrap();
        }
        let output = rig.run(&args).await;
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {err}");
        assert!(
            err.contains(says) && err.lines().count() == 1,
            "{args:?}: {err}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_name_the_commands() {
    let rig = Rig::start().await;
    for shell in ["bash", "zsh", "fish"] {
        let output = rig.run(&["completions", shell]).await;
        assert!(output.status.success() && text(&output.stdout).contains("upload"));
    }
}
