//! The client commands of the binary, against a server that keeps to the wire.

use std::process::{Command, Output};

use safelight_api::captures::Compress;
use safelight_testkit::camera::{self, Scene};
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
        let mut command = self.command(args);
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_safelight"));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.dir.path())
            .env("SAFELIGHT_URL", &self.server.url)
            .env("SAFELIGHT_TOKEN", API_KEY)
            .env("SAFELIGHT_OWNER", "ann")
            .current_dir(self.dir.path());
        command
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
async fn smaller_copies_are_uploaded_only_where_that_is_asked_for() {
    for is_asked in [false, true] {
        let rig = Rig::start().await;
        let real = camera::photo(&Scene::default());
        let path = rig.dir.path().join("photos/real.jpg");
        std::fs::write(&path, &real).unwrap();
        rig.server.world().advises = Some(Compress {
            format: "image/jpeg".to_owned(),
            quality: 60,
            max_edge_px: Some(320),
        });
        let mut args = vec!["upload", "photos", "--wait", "--json"];
        if is_asked {
            args.push("--compress");
        }
        let output = rig.run(&args).await;
        let (err, report) = (text(&output.stderr), text(&output.stdout));
        assert!(output.status.success(), "{err}");
        let told = err.matches("no smaller copy could be made").count();
        assert_eq!(told, if is_asked { 3 } else { 0 }, "{err}");
        let report: Value = serde_json::from_str(&report).unwrap();
        for file in report["files"].as_array().unwrap() {
            // The others are no pictures that could be read: they go as they are.
            let is_copy = is_asked && file["file"].as_str().unwrap().ends_with("real.jpg");
            assert_eq!(file["is_copy"], is_copy, "{file}");
            assert_eq!(file["safe_to_delete"], !is_copy, "{file}");
            if is_copy {
                assert!(file["sent_bytes"].as_u64().unwrap() < real.len() as u64 / 2);
            }
        }
        assert_eq!(std::fs::read(&path).unwrap(), real);
        let states = rig.server.world().whole();
        assert_eq!(states.len(), 4, "{states:?}");
        let output = rig.run(&args[..2]).await;
        let err = text(&output.stderr);
        let warns = err.contains("keep these files");
        assert!(output.status.success() && !warns, "nothing was sent: {err}");
        let (_, again) = rig.json(&args).await;
        assert_eq!(again["sent_bytes"], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_smaller_copies_are_advised_it_says_why() {
    let rig = Rig::start().await;
    let path = rig.dir.path().join("photos/real.jpg");
    std::fs::write(&path, camera::photo(&Scene::default())).unwrap();
    let runs: [(&[&str], Option<&str>); 4] = [
        (&["photos/A_BURST001.jpg"], Some("say by --purpose")),
        (
            &["photos/b.jpg", "--purpose", "post"],
            Some("the server advised no copies"),
        ),
        (&["photos/real.jpg", "--purpose", "post"], None),
        // Nothing is sent, so there is nothing to say.
        (&["photos/A_BURST001.jpg"], None),
    ];
    for (args, why) in runs {
        rig.server.world().advises = args[0].ends_with("real.jpg").then(|| Compress {
            format: "image/jpeg".to_owned(),
            quality: 60,
            max_edge_px: Some(320),
        });
        let output = rig.run(&[&["upload", "--compress"], args].concat()).await;
        let err = text(&output.stderr);
        assert!(output.status.success(), "{err}");
        let told = err.contains("--compress: files went as they are");
        assert_eq!(told, why.is_some(), "{args:?}: {err}");
        assert!(why.is_none_or(|why| err.contains(why)), "{args:?}: {err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_there_become_another_asset_only_where_that_is_asked_for() {
    let rig = Rig::start().await;
    let photos = rig.dir.path().join("photos");
    std::fs::copy(photos.join("b.jpg"), photos.join("c.jpg")).unwrap();
    std::fs::copy(photos.join("b.jpg"), photos.join("d.jpg")).unwrap();
    let first = rig.json(&["upload", "photos/b.jpg", "--json"]).await.1;
    for (name, word) in [("c", "merge"), ("d", "keep")] {
        let path = format!("photos/{name}.jpg");
        let args = ["upload", &path, "--duplicates", word, "--json"];
        let (ok, report) = rig.json(&args).await;
        assert!(ok, "{report}");
        let file = &report["files"][0];
        assert_eq!(
            (&report["sent_bytes"], &file["already_there"]),
            (&0.into(), &true.into())
        );
        let is_same = file["asset_id"] == first["files"][0]["asset_id"];
        assert_eq!(is_same, word == "merge", "{report}");
    }
    let refused = rig.run(&["upload", "photos", "--duplicates", "drop"]).await;
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
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
        .fail("initiate", 0, Deed::Refuse(422, "validation_failed", None));
    let fresh = rig.dir.path().join("fresh.bin");
    std::fs::write(fresh, "x").unwrap();
    let (ok, report) = rig.json(&["upload", "fresh.bin", "--json"]).await;
    assert!(!ok);
    assert_eq!(report["files"][0]["code"], "validation_failed");
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
async fn the_network_that_is_named_makes_the_plan() {
    let rig = Rig::start().await;
    let output = rig
        .run(&["upload", "photos", "--network", "2g", "--metered"])
        .await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    {
        let world = rig.server.world();
        assert_eq!((world.count("put"), world.count("append")), (0, 3));
        let asked = world.log.iter().find(|(kind, _)| kind == "initiate");
        let said = &asked.unwrap().1;
        assert!(
            said.contains(r#""type":"2g""#) && said.contains(r#""metered":true"#),
            "{said}"
        );
    }
    for wrong in [
        ["--network", "6g"],
        ["--uplink-kbps", "0"],
        ["--round-trip-ms", "fast"],
    ] {
        let output = rig.run(&["upload", "photos", wrong[0], wrong[1]]).await;
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_pauses_and_the_same_command_goes_on() {
    let rig = Rig::start().await;
    rig.server.fail("put", 2, Deed::Hang);
    let child = rig
        .command(&["upload", "photos", "--parallel-files", "1"])
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let hangs = safelight_testkit::wait::until(std::time::Duration::from_secs(60), async || {
        rig.server.world().count("hang") == 1
    });
    hangs.await.unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    let output = output.await.unwrap();
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{err}");
    assert!(err.contains("Go on with: safelight upload photos"), "{err}");
    let (ok, report) = rig.json(&["upload", "photos", "--json"]).await;
    assert!(ok, "{report}");
    assert_eq!(report["uploaded"], 3);
    let world = rig.server.world();
    assert_eq!((world.repeated_parts, world.assets.len()), (0, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unfinished_is_given_up() {
    let rig = Rig::start().await;
    rig.server
        .fail("put", 2, Deed::Refuse(400, "BadDigest", None));
    for _ in 0..2 {
        rig.server
            .fail("put", 2, Deed::Refuse(400, "BadDigest", None));
    }
    let upload = [
        "upload",
        "photos",
        "--parallel-files",
        "1",
        "--retry-for",
        "0",
    ];
    assert_eq!(rig.run(&upload).await.status.code(), Some(1));
    // Which files the three refusals meet is not sure, nor whether of one capture or two.
    for is_first in [true, false] {
        let (ok, said) = rig.json(&["upload", "photos", "--cancel", "--json"]).await;
        let cancelled = said["cancelled"].as_u64().unwrap();
        assert!(ok && (cancelled > 0) == is_first, "{said}");
    }
    let world = rig.server.world();
    assert!(world.uploads.values().any(|u| u.state == "aborted"));
    assert!(world.uploads.values().all(|u| u.state != "open"));
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_name_the_commands() {
    let rig = Rig::start().await;
    for shell in ["bash", "zsh", "fish"] {
        let output = rig.run(&["completions", shell]).await;
        assert!(output.status.success() && text(&output.stdout).contains("upload"));
    }
}
