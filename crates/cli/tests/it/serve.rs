//! The server as a process: health, metrics, stopping, dying, coming back, and roles of their own.

use std::net::TcpStream;
use std::process::Command;

use safelight_testkit::server::Server;
use safelight_testkit::wait;
use serde_json::{Value, json};

use crate::http_rig::{
    Caller, Database, HalfSent, PATIENCE, Rig, capture, fetch, http, number, on_both_databases,
    options, photo, text,
};

on_both_databases!(
    it_tells_how_it_is,
    told_to_stop_it_ends_what_it_began,
    killed_it_comes_back_with_everything,
);

async fn it_tells_how_it_is(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let get = async |path: &str| fetch(&rig.http, &format!("{}{path}", rig.server.url())).await;
    assert_eq!(get("/healthz").await.body, "ok\n");
    assert_eq!(get("/readyz").await.body, "ready\n");
    let ann = rig.owner("ann");
    let asset_id = ann.upload(&photo(1)).await;
    ann.ready(&asset_id).await;
    let file = photo(2);
    let asset = ann.initiate(&[&file]).await.remove(0);
    let upload = &asset["uploads"][0];
    ann.send(&asset, &file).await;
    let complete = format!("/v1/uploads/{}/complete", text(&upload["upload_id"]));
    let report = |network: &str| json!({ "network": network, "outcome": "completed", "attempts": 3, "retries": 2, "failed_parts": 1 });
    let told = json!({ "transfers": [report("wifi"), report("the neighbour's")] });
    for _ in 0..2 {
        // Told again under the same key it counts once.
        ann.post_as(&complete, "told", &told).await.expect(200);
    }
    let too_many = json!({ "transfers": vec![report("wifi"); 33] });
    ann.post(&complete, &too_many)
        .await
        .problem(422, "validation_failed");
    let metrics = get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain"));
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    for line in [
        "safelight_http_requests_total{route=\"/v1/captures\",method=\"POST\",status=\"201\"} 2",
        "safelight_jobs_total{kind=\"inspect\"",
        "safelight_http_request_seconds_bucket",
        "safelight_sandbox_seccomp 1",
        "safelight_sandbox_landlock_abi ",
        "safelight_sandbox_video_seccomp 1",
        "safelight_sandbox_video_landlock_abi ",
        "safelight_client_transfers_total{network=\"wifi\",outcome=\"completed\"} 1",
        "safelight_client_attempts_total{network=\"other\"} 3",
        "safelight_client_retries_total{network=\"wifi\"} 2",
        "safelight_client_failed_parts_total{network=\"wifi\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert!(!metrics.contains(&asset_id), "ids would make a series each");
    // What each of them means is said with it.
    let families = metrics.lines().filter_map(|l| l.strip_prefix("# TYPE "));
    for family in families.map(|l| l.split(' ').next().unwrap()) {
        assert!(metrics.contains(&format!("# HELP {family} ")), "{family}");
    }
    let empty = "safelight_queue_jobs{lane=\"bulk\",class=\"video\",state=\"dead\"} 0\n";
    let counted = wait::until(PATIENCE, async || {
        let metrics = get("/metrics").await;
        String::from_utf8_lossy(&metrics.body).contains(empty)
    });
    counted.await.unwrap();
    let served = get("/openapi.json").await.json();
    let printed = Command::new(env!("CARGO_BIN_EXE_safelight"))
        .arg("openapi")
        .output()
        .unwrap();
    let printed: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(served, printed);
    assert!(text(&served["openapi"]).starts_with("3."));
}

async fn told_to_stop_it_ends_what_it_began(database: Database) {
    let mut rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let mut begun = Vec::new();
    for seed in 0..6 {
        begun.push(ann.upload(&photo(seed)).await);
    }
    // A request whose body is still on its way.
    let body = capture(&[&photo(9)]).to_string();
    let sending = HalfSent::begin(&ann, &body);
    let address = rig.server.url().replace("http://", "");
    rig.server.ask_to_stop().unwrap();
    let refusing = wait::until(PATIENCE, async || TcpStream::connect(&address).is_err());
    refusing.await.unwrap();
    let made = sending.end();
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    let status = rig.server.stopped().await.unwrap();
    assert_eq!(status.code(), Some(0));
    let catalog = rig.catalog().await;
    let leased = "SELECT COUNT(*) FROM jobs WHERE state = 'leased'";
    assert_eq!(number(&catalog, leased).await, 0, "no job is left behind");
    drop(catalog);
    rig.server.restart().await.unwrap();
    for asset_id in begun {
        ann.ready(&asset_id).await;
    }
}

async fn killed_it_comes_back_with_everything(database: Database) {
    let mut rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let (first, second) = (photo(1), photo(2));
    let ready = ann.upload(&first).await;
    ann.ready(&ready).await;
    let taken = ann.upload(&second).await;
    assert!(!rig.server.children().is_empty(), "it decodes in children");
    // Waits until no child is left.
    rig.server.kill().await.unwrap();
    rig.server.restart().await.unwrap();
    ann.ready(&ready).await;
    ann.ready(&taken).await;
    assert_eq!(ann.original(&ready).await, first);
    assert_eq!(ann.original(&taken).await, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_run_apart() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::Postgres.fresh();
    let front = ["--roles", "api,store,delivery"];
    let front = options(dir.path().join("front"), database.clone(), &front);
    let front = Server::start(front).await.unwrap();
    let keys = front.data_dir().join("keys").display().to_string();
    let store = format!("disk://{}/store", front.data_dir().display());
    let back = [
        "--roles",
        "worker,janitor",
        "--keys-dir",
        &keys,
        "--store-url",
        &store,
        "--store-public-url",
        &front.store_url(),
    ];
    let ann = Caller {
        base: front.url(),
        http: http(),
        token: Some(front.admin_key().unwrap()),
        owner: Some("ann".to_owned()),
    };
    let file = photo(1);
    let asset_id = ann.upload(&file).await;
    assert!(front.children().is_empty(), "nothing is decoded here");
    let waiting = ann.asset(&asset_id).await;
    assert_eq!(waiting["state"], "uploaded");
    let mut back = Server::start(options(dir.path().join("back"), database, &back))
        .await
        .unwrap();
    let asset = ann.ready(&asset_id).await;
    let cover = fetch(&ann.http, text(&asset["cover_url"])).await;
    assert_eq!(cover.status, 200);
    assert_eq!(ann.original(&asset_id).await, file);
    // It can be asked how it is, and nothing else.
    for (path, status) in [("/healthz", 200), ("/metrics", 200), ("/v1/assets", 404)] {
        let answer = fetch(&ann.http, &format!("{}{path}", back.url())).await;
        assert_eq!(answer.status, status, "{path}");
    }
    assert_eq!(back.terminate().await.unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_it_from_starting_is_said_in_one_line() {
    let rig = Rig::start(Database::Sqlite, &[]).await;
    let dir = tempfile::tempdir().unwrap();
    let taken = rig.server.url().replace("http://", "");
    for (args, says) in [
        (["--listen", taken.as_str()], "cannot listen on"),
        (["--workers", "many"], "workers must be a whole number"),
        (["--catalog-url", "mysql://x"], "catalog_url must be"),
        (["--roles", "cook"], "roles must be"),
        (["--store-url", "ftp://x"], "store_url must be"),
        (["--log", "verbose"], "log must be"),
        (["--public-url", "http://x/y?z"], "public_url must be"),
        (
            ["--store-cors-origins", "app"],
            "store_cors_origins must be",
        ),
        (
            ["--single-max-bytes", "5368709121"],
            "single_max_bytes must be",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_safelight"))
            .arg("serve")
            .arg("--data-dir")
            .arg(dir.path())
            .args(args)
            .env_clear()
            .current_dir(dir.path())
            .output()
            .unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {err}");
        assert!(
            err.contains(says) && err.lines().count() == 1,
            "{args:?}: {err}"
        );
    }
}
