//! Events as they happen: streams of the real server, read as any client reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use safelight_testkit::server::Server;
use safelight_testkit::wait;
use serde_json::{Value, json};

use crate::event_stream::Stream;
use crate::http_owners::stranger;
use crate::http_rig::{
    Caller, Database, PATIENCE, Rig, capture, change, number, on_both_databases, options, photo,
    text,
};

on_both_databases!(
    an_upload_is_told_of_from_beginning_to_end,
    a_reader_who_comes_back_misses_nothing,
    an_asset_that_became_another_leads_to_it,
    an_owner_sees_only_what_is_his,
    who_comes_back_too_late_is_told_to_look_again,
    a_stopping_server_ends_its_streams,
    a_revoked_key_ends_its_streams,
    streams_have_a_room_of_their_own,
    a_killed_server_forgets_no_event,
);

/// What an event is, in short.
fn short(told: &Value) -> String {
    let data = &told["data"];
    let kind = text(&told["type"]);
    match kind {
        "asset.state_changed" => format!("{} to {}", text(&data["from"]), text(&data["to"])),
        "rendition.ready" => format!("{} {}", kind, text(&data["preset"])),
        _ => kind.to_owned(),
    }
}

fn rendition(preset: &'static str) -> impl Fn(&Value) -> bool {
    move |told| short(told) == format!("rendition.ready {preset}")
}

async fn an_upload_is_told_of_from_beginning_to_end(database: Database) {
    let rig = Rig::start(database, &["--single-max-bytes", "1000"]).await;
    let ann = rig.owner("ann");
    let mut all = Stream::open(&ann, "/v1/events", None).await;
    let file = photo(1);
    let made = ann.post("/v1/captures", &capture(&[&file])).await;
    let made = made.expect(201);
    let (capture_id, asset) = (text(&made["capture_id"]), &made["assets"][0]);
    let path = format!("/v1/captures/{capture_id}/events?last_event_id=0");
    let mut of_capture = Stream::open(&ann, &path, None).await;
    ann.send(asset, &file).await;
    let upload_id = text(&asset["uploads"][0]["upload_id"]);
    ann.complete(upload_id).await.expect(200);

    let told = all.until(rendition("large")).await;
    let story: Vec<String> = told.iter().map(short).collect();
    assert_eq!(
        story,
        [
            "capture.created",
            "initiated to uploading",
            "upload.started",
            "uploading to uploaded",
            "upload.completed",
            "uploaded to processing",
            "rendition.ready cover",
            "processing to ready",
            "rendition.ready display",
            "rendition.ready large",
        ]
    );
    let mut positions = 0;
    let mut ids = BTreeSet::new();
    for event in &told {
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["source"], "/v1/events");
        assert_eq!(event["datacontenttype"], "application/json");
        assert!(text(&event["time"]).ends_with('Z'));
        assert!(text(&event["id"]).starts_with("evt_") && ids.insert(text(&event["id"])));
        assert_eq!(event["data"]["owner"], "ann");
        assert_eq!(event["data"]["capture_id"], capture_id);
        let position: i64 = text(&event["position"]).parse().unwrap();
        assert!(position > positions, "{event}");
        positions = position;
    }
    assert_eq!(told[0]["subject"], capture_id);
    assert!(told[1..].iter().all(|e| e["subject"] == asset["asset_id"]));
    assert_eq!(told[2]["data"]["upload_id"], upload_id);
    assert_eq!(told[4]["data"]["upload_id"], upload_id);
    assert_eq!(of_capture.until(rendition("large")).await, told);

    // What a failure was is told too.
    let broken = ann.upload(b"no picture at all").await;
    let told = all.until(|e| short(e) == "processing to failed").await;
    let last = told.last().unwrap();
    assert_eq!(last["data"]["asset_id"], broken.as_str());
    assert_eq!(last["data"]["code"], "unsupported_media_type");
}

async fn a_reader_who_comes_back_misses_nothing(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let mut first = Stream::open(&ann, "/v1/events", None).await;
    // He goes away at once, and again after every few, while many captures are made.
    let mut seen = BTreeMap::new();
    let begun = first.last_id.take().unwrap();
    drop(first);
    let mut from = begun.clone();
    let makers: Vec<_> = (0..8_u64)
        .map(|n| {
            let ann = ann.clone();
            tokio::spawn(async move {
                for i in 0..10 {
                    ann.initiate(&[&photo(n * 10 + i)]).await;
                }
            })
        })
        .collect();
    while seen.len() < 160 {
        let mut stream = Stream::open(&ann, "/v1/events", Some(&from)).await;
        for _ in 0..7.min(160 - seen.len()) {
            let told = stream.told().await;
            let position: i64 = text(&told["position"]).parse().unwrap();
            assert!(position > from.parse().unwrap());
            assert_eq!(seen.insert(position, told), None);
            from = stream.last_id.clone().unwrap();
        }
    }
    for maker in makers {
        maker.await.unwrap();
    }
    let positions: Vec<i64> = seen.keys().copied().collect();
    let begun: i64 = begun.parse().unwrap();
    let dense: Vec<i64> = (begun + 1..=begun + 160).collect();
    assert_eq!(positions, dense);
    let kinds = |kind| seen.values().filter(|e| e["type"] == kind).count();
    assert_eq!(
        (kinds("capture.created"), kinds("upload.started")),
        (80, 80)
    );
    // A burst of events larger than what is held for a reader in memory arrives whole.
    let mut stream = Stream::open(&ann, "/v1/events", Some(&from)).await;
    let files: Vec<Vec<u8>> = (1_000..1_100).map(photo).collect();
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    ann.initiate(&files).await;
    for n in 1..=101 {
        let told = stream.told().await;
        assert_eq!(told["position"], (begun + 160 + n).to_string());
    }
}

/// Two devices send the same photo at the same time.
async fn an_asset_that_became_another_leads_to_it(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = photo(77);
    let captures = [capture(&[&file]), capture(&[&file])];
    let mut made = Vec::new();
    for capture in &captures {
        made.push(ann.post("/v1/captures", capture).await.expect(201));
    }
    let asset_id = |n: usize| text(&made[n]["assets"][0]["asset_id"]).to_owned();
    assert_ne!(asset_id(0), asset_id(1));
    let mut stream = Stream::open(&ann, "/v1/events", None).await;
    for n in [0, 1] {
        let asset = &made[n]["assets"][0];
        ann.send(asset, &file).await;
        let upload_id = text(&asset["uploads"][0]["upload_id"]);
        ann.complete(upload_id).await.expect(200);
        ann.ready(&asset_id(n)).await;
    }
    let told = stream.until(|e| !e["data"]["merged_into"].is_null()).await;
    let told = told.last().unwrap();
    assert_eq!(told["type"], "asset.state_changed");
    assert_eq!(told["data"]["asset_id"], asset_id(1));
    assert_eq!(told["data"]["to"], "deleted");
    assert_eq!(told["data"]["merged_into"], asset_id(0));

    // Whichever is asked for, there is one, and both captures hold it.
    let list = ann.get("/v1/assets").await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    for n in [0, 1] {
        let asset = ann.ready(&asset_id(n)).await;
        assert_eq!(asset["asset_id"], asset_id(0));
        assert_eq!(ann.original(&asset_id(n)).await, file);
        let path = format!("/v1/captures/{}", text(&made[n]["capture_id"]));
        let held = ann.get(&path).await.expect(200);
        assert_eq!(held["assets"][0]["asset_id"], asset_id(0));
        // What was said before is said again, as it is now.
        let upload_id = text(&made[n]["assets"][0]["uploads"][0]["upload_id"]);
        let again = ann.complete(upload_id).await.expect(200);
        assert_eq!(
            (&again["asset_id"], &again["state"]),
            (&json!(asset_id(0)), &json!("ready"))
        );
        let again = ann.post("/v1/captures", &captures[n]).await;
        assert_eq!(again.json()["assets"][0]["asset_id"], asset_id(0));
    }
}

async fn an_owner_sees_only_what_is_his(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let (ann, bob) = (rig.owner("ann"), rig.owner("bob"));
    let other = stranger(&rig, "ann").await;
    let mut of_ann = Stream::open(&ann, "/v1/events", None).await;
    let mut of_other = Stream::open(&other, "/v1/events", None).await;
    let made = bob.post("/v1/captures", &capture(&[&photo(1)])).await;
    let of_bob = text(&made.expect(201)["capture_id"]).to_owned();
    let made = other.post("/v1/captures", &capture(&[&photo(2)])).await;
    let made_other = text(&made.expect(201)["capture_id"]).to_owned();
    let made = ann.post("/v1/captures", &capture(&[&photo(3)])).await;
    let made = made.expect(201);
    let (made_ann, asset) = (text(&made["capture_id"]), &made["assets"][0]);
    let first = of_ann.told().await;
    assert_eq!(first["data"]["capture_id"], made_ann);
    // Another tenant counts by itself.
    let first = of_other.told().await;
    assert_eq!(first["data"]["capture_id"], made_other.as_str());
    assert_eq!(first["position"], "1");
    let path = format!("/v1/captures/{of_bob}/events");
    ann.get(&path).await.problem(404, "not_found");
    other.get(&path).await.problem(404, "not_found");
    rig.caller(None, Some("ann"))
        .get("/v1/events")
        .await
        .problem(401, "unauthorized");
    let nobody = rig.caller(Some(&rig.server.admin_key().unwrap()), None);
    nobody
        .get("/v1/events")
        .await
        .problem(422, "validation_failed");
    let wrong = ann.get("/v1/events?last_event_id=x").await;
    let problem = wrong.problem(422, "validation_failed");
    assert_eq!(problem["field"], "last_event_id");
    // One capture's stream tells of no other.
    let path = format!("/v1/captures/{made_ann}/events?last_event_id=0");
    let mut of_capture = Stream::open(&ann, &path, None).await;
    ann.initiate(&[&photo(4)]).await;
    ann.send(asset, &photo(3)).await;
    ann.complete(text(&asset["uploads"][0]["upload_id"]))
        .await
        .expect(200);
    for told in of_capture.until(rendition("large")).await {
        assert_eq!(told["data"]["capture_id"], made_ann);
    }
}

async fn who_comes_back_too_late_is_told_to_look_again(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let mut stream = Stream::open(&ann, "/v1/events", None).await;
    for n in 0..3 {
        ann.initiate(&[&photo(n)]).await;
    }
    let told = stream.until(|e| e["position"] == "6").await;
    drop(stream);
    let catalog = rig.catalog().await;
    // Eight days pass for the first four.
    change(
        &catalog,
        "UPDATE events SET at = at - 691200000000 WHERE position <= 4",
        Vec::new(),
    )
    .await;
    let pruned = wait::until(PATIENCE, async || {
        number(&catalog, "SELECT COUNT(*) FROM events").await == 2
    });
    pruned.await.unwrap();
    for lost in ["0", "3", "7", "1000"] {
        let mut stream = Stream::open(&ann, "/v1/events", Some(lost)).await;
        let reset = stream.next().await;
        assert_eq!(reset.event.as_deref(), Some("reset"), "{lost}: {reset:?}");
        assert_eq!(reset.id.as_deref(), Some("6"));
        assert_eq!(reset.data.unwrap()["reason"], "events_not_kept");
    }
    // Who has seen all that was forgotten misses nothing.
    let mut stream = Stream::open(&ann, "/v1/events?last_event_id=4", None).await;
    assert_eq!(stream.told().await, told[4]);
    let mut stream = Stream::open(&ann, "/v1/events", Some("6")).await;
    ann.initiate(&[&photo(9)]).await;
    assert_eq!(stream.told().await["position"], "7");
}

async fn a_stopping_server_ends_its_streams(database: Database) {
    let mut rig = Rig::start(database, &["--event-heartbeat-seconds", "1"]).await;
    let ann = rig.owner("ann");
    let mut stream = Stream::open(&ann, "/v1/events", None).await;
    // A quiet stream says that it is there, and keeps its reader's place.
    let beat = stream.piece().await.unwrap();
    assert!(beat.comment.is_some() && beat.id == Some("0".into()) && beat.data.is_none());
    ann.initiate(&[&photo(1)]).await;
    stream.until(|e| e["type"] == "upload.started").await;
    let last_id = stream.last_id.clone().unwrap();
    rig.server.ask_to_stop().unwrap();
    let last = stream.end().await;
    assert!(last.comment.unwrap().contains("stopping") && last.retry.is_some());
    let status = rig.server.stopped().await.unwrap();
    assert!(status.success(), "{status}");
    assert!(!rig.server.log().contains("grace was over"));
    rig.server.restart().await.unwrap();
    let mut stream = Stream::open(&ann, "/v1/events", Some(&last_id)).await;
    ann.initiate(&[&photo(2)]).await;
    assert_eq!(stream.told().await["type"], "capture.created");
}

async fn a_revoked_key_ends_its_streams(database: Database) {
    let rig = Rig::start(database, &["--event-heartbeat-seconds", "1"]).await;
    let admin = rig.owner("ann");
    let wanted = json!({ "label": "app", "scopes": ["media"] });
    let made = admin.post("/v1/keys", &wanted).await.expect(201);
    let app = rig.caller(made["secret"].as_str(), Some("ann"));
    let stream = Stream::open(&app, "/v1/events", None).await;
    let path = format!("/v1/keys/{}", text(&made["key_id"]));
    assert_eq!(admin.delete(&path).await.status, 204);
    let last = stream.end().await;
    assert!(last.comment.unwrap().contains("revoked"));
}

async fn streams_have_a_room_of_their_own(database: Database) {
    let rig = Rig::start(database, &["--max-waiting", "3", "--max-requests", "1"]).await;
    let ann = rig.owner("ann");
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(Stream::open(&ann, "/v1/events", None).await);
    }
    let refused = ann.get("/v1/events").await;
    refused.problem(503, "overloaded");
    // They take no room of other requests; and who goes away makes room.
    ann.initiate(&[&photo(1)]).await;
    open.pop();
    let again = wait::until(PATIENCE, async || {
        let request = ann.request(reqwest::Method::GET, "/v1/events");
        request.send().await.unwrap().status() == 200
    });
    again.await.unwrap();
}

async fn a_killed_server_forgets_no_event(database: Database) {
    let mut rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    for n in 0..4 {
        ann.initiate(&[&photo(n)]).await;
        // Its events are committed; whether they have their places already is chance.
        rig.server.kill().await.unwrap();
        rig.server.restart().await.unwrap();
    }
    let mut stream = Stream::open(&ann, "/v1/events", Some("0")).await;
    let mut kinds = Vec::new();
    for n in 1..=8 {
        let told = stream.told().await;
        assert_eq!(told["position"], n.to_string());
        kinds.push(short(&told));
    }
    assert_eq!(kinds, ["capture.created", "upload.started"].repeat(4));
}

/// One owner does not take all the room there is.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_has_his_share_of_the_room() {
    let rig = Rig::start(Database::Sqlite, &[]).await;
    let (ann, bob) = (rig.owner("ann"), rig.owner("bob"));
    let mut open = Vec::new();
    for _ in 0..256 {
        open.push(Stream::open(&bob, "/v1/events", None).await);
    }
    bob.get("/v1/events").await.problem(503, "overloaded");
    let mut of_ann = Stream::open(&ann, "/v1/events", None).await;
    ann.initiate(&[&photo(1)]).await;
    assert_eq!(of_ann.told().await["type"], "capture.created");
    bob.initiate(&[&photo(1)]).await;
    for stream in &mut open {
        assert_eq!(stream.told().await["type"], "capture.created");
    }
}

/// What a reader does not take is not held for him without bound: the server reads no further for him,
/// and gives him up at last. He comes back to where he was.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_does_not_read_is_cut_off() {
    const EVENTS: usize = 40_000;
    let rig = Rig::start(Database::Sqlite, &[]).await;
    let ann = rig.owner("ann");
    ann.initiate(&[&photo(1)]).await;
    let catalog = rig.catalog().await;
    change(
        &catalog,
        "INSERT INTO events (tenant_id, event_id, kind, owner_id, asset_id, at)
         SELECT (SELECT MAX(tenant_id) FROM events), 'evt_' || n, 'asset.updated', 'ann', 'ast_1',
                (SELECT MAX(at) FROM events)
           FROM (WITH RECURSIVE seq (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 40000)
                 SELECT n FROM seq)",
        Vec::new(),
    )
    .await;
    let address = ann.base.replace("http://", "");
    let mut silent = TcpStream::connect(&address).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    let token = ann.token.clone().unwrap();
    write!(
        silent,
        "GET /v1/events?last_event_id=0 HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         safelight-owner: ann\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    // Another reads them all meanwhile.
    let mut quick = Stream::open(&ann, "/v1/events", Some("0")).await;
    for n in 1..=EVENTS + 2 {
        assert_eq!(quick.told().await["position"], n.to_string());
    }
    let cut_off = wait::until(2 * PATIENCE, async || {
        let metrics = ann.get("/metrics").await;
        String::from_utf8_lossy(&metrics.body).contains("safelight_event_streams_cut_off_total 1")
    });
    cut_off.await.unwrap();
    let mut rest = String::new();
    silent.read_to_string(&mut rest).unwrap();
    let last = rest.lines().rev().find_map(|l| l.strip_prefix("id: "));
    let last: usize = last.unwrap().parse().unwrap();
    assert!(last < EVENTS, "all fitted on the way: {last}");
    assert!(rest.contains(": you read too slowly\nretry: 10000\n\n"));
    let mut again = Stream::open(&ann, "/v1/events", Some(&last.to_string())).await;
    assert_eq!(again.told().await["position"], (last + 1).to_string());
}

/// Events of one process reach the readers of another.
#[tokio::test(flavor = "multi_thread")]
async fn events_cross_processes() {
    let rig = Rig::start(Database::Postgres, &[]).await;
    let dir = tempfile::tempdir().unwrap();
    let keys = rig.server.data_dir().join("keys").display().to_string();
    let second = options(
        dir.path().join("second"),
        Some(rig.server.catalog_url()),
        &[
            "--roles",
            "api",
            "--keys-dir",
            &keys,
            "--store-public-url",
            &rig.server.store_url(),
        ],
    );
    let second = Server::start(second).await.unwrap();
    let here = rig.owner("ann");
    let there = Caller {
        base: second.url(),
        ..here.clone()
    };
    let mut stream = Stream::open(&there, "/v1/events", None).await;
    let waiting = {
        let asset = here.initiate(&[&photo(1)]).await.remove(0);
        here.send(&asset, &photo(1)).await;
        let there = there.clone();
        let path = format!("/v1/assets/{}", text(&asset["asset_id"]));
        let task = tokio::spawn(async move {
            let request = there.request(reqwest::Method::GET, &path);
            crate::http_rig::answer(request.header("prefer", "wait=25")).await
        });
        here.complete(text(&asset["uploads"][0]["upload_id"]))
            .await
            .expect(200);
        task
    };
    stream.until(rendition("large")).await;
    let answer = waiting.await.unwrap();
    assert_eq!(answer.status, 200);
}
