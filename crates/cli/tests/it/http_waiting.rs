//! `Prefer: wait`: reads that are held back until there is something to say.

use reqwest::Method;
use safelight_testkit::wait;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::http_rig::{
    Answer, Caller, Database, PATIENCE, Rig, answer, capture, on_both_databases, photo, text,
};

on_both_databases!(
    an_asset_is_followed_by_waiting,
    a_capture_is_waited_for_as_a_whole,
    who_has_it_is_told_so,
    who_waits_takes_no_room,
    a_stopping_server_sends_waiters_away,
);

/// Asks, with what the caller has and how long he would wait.
async fn ask(caller: &Caller, path: &str, known: Option<&str>, prefer: Option<&str>) -> Answer {
    let mut request = caller.request(Method::GET, path);
    if let Some(etag) = known {
        request = request.header("if-none-match", etag);
    }
    if let Some(prefer) = prefer {
        request = request.header("prefer", prefer);
    }
    answer(request).await
}

/// Asks in the background.
fn asking(caller: &Caller, path: &str, known: Option<&str>) -> JoinHandle<Answer> {
    let (caller, path, known) = (caller.clone(), path.to_owned(), known.map(str::to_owned));
    tokio::spawn(async move {
        loop {
            let answer = ask(&caller, &path, known.as_deref(), Some("wait=25")).await;
            // On a busy machine there may be no room at this moment, which is not what is asked here.
            if answer.status != 503 {
                return answer;
            }
        }
    })
}

/// How many requests wait at this server, by its own account.
async fn waiting(caller: &Caller) -> u64 {
    let metrics = caller.get("/metrics").await;
    if metrics.status != 200 {
        return u64::MAX;
    }
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    let line = metrics
        .lines()
        .find_map(|l| l.strip_prefix("safelight_waiting "));
    line.map_or(0, |n| n.parse::<f64>().unwrap() as u64)
}

async fn all_wait(caller: &Caller, count: u64) {
    let all = wait::until(PATIENCE, async || waiting(caller).await == count);
    all.await.unwrap();
}

async fn an_asset_is_followed_by_waiting(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let file = photo(1);
    let asset = ann.initiate(&[&file]).await.remove(0);
    let path = format!("/v1/assets/{}?fields=renditions", text(&asset["asset_id"]));
    let first = ask(&ann, &path, None, None).await;
    assert_eq!(
        (first.status, first.header("preference-applied")),
        (200, "")
    );
    assert_eq!(first.header("cache-control"), "private, no-cache");
    let mut etag = first.header("etag").to_owned();
    // One who knows nothing hears of the first change.
    let pending = asking(&ann, &path, None);
    all_wait(&ann, 1).await;
    ann.send(&asset, &file).await;
    ann.complete(text(&asset["uploads"][0]["upload_id"]))
        .await
        .expect(200);
    let changed = pending.await.unwrap();
    assert_eq!(
        (changed.status, changed.header("preference-applied")),
        (200, "wait=25")
    );
    assert_ne!(changed.header("etag"), etag);
    // One who knows follows from change to change, each of which he hears of once.
    let mut last = Value::Null;
    while last["renditions"]["large"]["state"] != "ready" {
        let next = ask(&ann, &path, Some(&etag), Some("wait=25")).await;
        assert_eq!(
            (next.status, next.header("preference-applied")),
            (200, "wait=25")
        );
        assert_ne!(next.header("etag"), etag);
        etag = next.header("etag").to_owned();
        last = next.json();
    }
    assert_eq!(last["state"], "ready");
    // One who knows nothing need not wait for what is settled.
    let settled = ask(&ann, &path, None, Some("wait=25")).await;
    assert_eq!(settled.header("etag"), etag);
    assert_eq!(settled.json(), last);
    ann.get("/v1/assets/ast_0").await.problem(404, "not_found");
    let unknown = ask(&ann, "/v1/assets/ast_0", None, Some("wait=25")).await;
    unknown.problem(404, "not_found");
}

async fn a_capture_is_waited_for_as_a_whole(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let files: Vec<Vec<u8>> = (0..3).map(photo).collect();
    let slices: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let made = ann.post("/v1/captures", &capture(&slices)).await;
    let made = made.expect(201);
    let path = format!("/v1/captures/{}", text(&made["capture_id"]));
    let sending = {
        let (ann, made, files) = (ann.clone(), made.clone(), files.clone());
        tokio::spawn(async move {
            for (n, file) in files.iter().enumerate() {
                let asset = &made["assets"][n];
                ann.send(asset, file).await;
                ann.complete(text(&asset["uploads"][0]["upload_id"]))
                    .await
                    .expect(200);
            }
        })
    };
    let mut etag = None;
    // A frame is measured after its cover is shown; with that the last thing is known.
    let is_whole = |capture: &Value| {
        let assets = capture["assets"].as_array().unwrap();
        let is_whole = |a: &Value| a["state"] == "ready" && a["scores"].is_object();
        assets.iter().all(is_whole)
    };
    loop {
        let next = ask(&ann, &path, etag.as_deref(), Some("wait=25")).await;
        assert_eq!(next.status, 200, "{next:?}");
        etag = Some(next.header("etag").to_owned());
        if is_whole(&next.json()) {
            break;
        }
    }
    sending.await.unwrap();
    let whole = ask(&ann, &path, None, Some("wait=25")).await;
    assert_eq!(whole.header("etag"), etag.unwrap());
}

async fn who_has_it_is_told_so(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let made = ann.post("/v1/captures", &capture(&[&photo(1)])).await;
    let made = made.expect(201);
    for path in [
        format!("/v1/captures/{}", text(&made["capture_id"])),
        format!("/v1/assets/{}", text(&made["assets"][0]["asset_id"])),
    ] {
        let etag = ask(&ann, &path, None, None).await.header("etag").to_owned();
        for prefer in [None, Some("wait=1"), Some("respond-async, Wait=\"1\"")] {
            let same = ask(&ann, &path, Some(&format!("\"x\", W/{etag}")), prefer).await;
            assert_eq!((same.status, same.body.len()), (304, 0), "{same:?}");
            assert_eq!(same.header("etag"), etag);
            let applied = prefer.map_or("", |_| "wait=1");
            assert_eq!(same.header("preference-applied"), applied);
        }
        // What another owner's things do wakes nobody, and what is not understood is ignored.
        for prefer in ["wait=soon", "wait", "wait=0", "return=minimal"] {
            let odd = ask(&ann, &path, None, Some(prefer)).await;
            assert_eq!((odd.status, odd.header("preference-applied")), (200, ""));
        }
        let other = ask(&ann, &path, Some("\"x\""), Some("wait=25")).await;
        assert_eq!(other.status, 200);
    }
}

async fn who_waits_takes_no_room(database: Database) {
    let rig = Rig::start(database, &["--max-requests", "2", "--max-waiting", "6"]).await;
    let ann = rig.owner("ann");
    let file = photo(1);
    let asset = ann.initiate(&[&file]).await.remove(0);
    let path = format!("/v1/assets/{}", text(&asset["asset_id"]));
    let mut pending = Vec::new();
    for n in 1..=6 {
        pending.push(asking(&ann, &path, None));
        all_wait(&ann, n).await;
    }
    // For one more there is no room to wait: he is answered at once.
    let at_once = ask(&ann, &path, None, Some("wait=25")).await;
    assert_eq!(
        (at_once.status, at_once.header("preference-applied")),
        (200, "")
    );
    // Some go away.
    for gone in pending.drain(..2) {
        gone.abort();
    }
    all_wait(&ann, 4).await;
    ann.send(&asset, &file).await;
    ann.complete(text(&asset["uploads"][0]["upload_id"]))
        .await
        .expect(200);
    for one in pending {
        let changed = one.await.unwrap();
        assert_eq!(
            (changed.status, changed.header("preference-applied")),
            (200, "wait=25")
        );
        assert_ne!(changed.json()["state"], "uploading");
    }
    all_wait(&ann, 0).await;
}

async fn a_stopping_server_sends_waiters_away(database: Database) {
    let mut rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let asset = ann.initiate(&[&photo(1)]).await.remove(0);
    let path = format!("/v1/assets/{}", text(&asset["asset_id"]));
    let etag = ask(&ann, &path, None, None).await.header("etag").to_owned();
    let (knows, knows_not) = (asking(&ann, &path, Some(&etag)), asking(&ann, &path, None));
    all_wait(&ann, 2).await;
    rig.server.ask_to_stop().unwrap();
    assert_eq!(knows.await.unwrap().status, 304);
    assert_eq!(knows_not.await.unwrap().json()["state"], "uploading");
    let status = rig.server.stopped().await.unwrap();
    assert!(status.success(), "{status}");
    assert!(!rig.server.log().contains("grace was over"));
}
