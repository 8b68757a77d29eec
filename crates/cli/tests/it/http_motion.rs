//! The clips of motion photos: made to be played when they are asked for, and gone with their asset.

use std::path::Path;

use safelight_testkit::{media, wait};
use serde_json::{Value, json};

use crate::http_clips::{clip, coded, plays, probe};
use crate::http_rig::{
    Answer, Caller, Database, PATIENCE, Rig, answer, change, fetch, fresh_key, number, objects,
    on_both_databases, photo, rows, text,
};

on_both_databases!(
    it_is_made_once_and_played,
    what_is_no_motion_photo_says_so,
    what_cannot_be_played_is_still_shown,
    what_runs_for_longer_than_it_may_is_not_played,
    without_ffmpeg_it_is_not_played_yet,
    nobody_else_is_told,
    what_the_store_has_lost_of_it_is_made_again,
    it_goes_with_its_asset,
);

/// Puts it into a photo that says so, as Google's cameras do.
fn motion_photo(seed: u64, clip: &[u8]) -> Vec<u8> {
    let photo = photo(seed);
    let xmp = b"http://ns.adobe.com/xap/1.0/\0<a GCamera:MotionPhoto=\"1\"/>";
    let length = u16::try_from(xmp.len() + 2).unwrap().to_be_bytes();
    let segment = [&[0xff, 0xe1], &length[..], xmp].concat();
    [&photo[..2], &segment, &photo[2..], clip].concat()
}

async fn ask(caller: &Caller, asset_id: &str, patience: Option<&str>) -> Answer {
    let path = format!("/v1/assets/{asset_id}/grants");
    let mut request = caller.request(reqwest::Method::POST, &path);
    if let Some(patience) = patience {
        request = request.header("prefer", patience);
    }
    let body = json!({ "variant": "motion" });
    answer(request.header("idempotency-key", fresh_key()).json(&body)).await
}

/// What is answered in the end, however long it takes to make it.
async fn settled(caller: &Caller, asset_id: &str) -> Answer {
    for _ in 0..20 {
        let answer = ask(caller, asset_id, Some("wait=20")).await;
        if answer.status != 202 {
            return answer;
        }
    }
    panic!("{asset_id} has no clip")
}

async fn link(caller: &Caller, asset_id: &str) -> String {
    let granted = settled(caller, asset_id).await.expect(201);
    text(&granted["url"]).to_owned()
}

async fn it_is_made_once_and_played(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let original = motion_photo(1, &clip("640x360", "testsrc2"));
    let id = ann.upload(&original).await;
    let asset = ann.ready(&id).await;
    let path = format!("/v1/assets/{id}?fields=metadata");
    let told = ann.get(&path).await.expect(200);
    assert_eq!(told["metadata"]["motion_photo"], true, "{told}");
    let catalog = rig.catalog().await;
    let count = "SELECT COUNT(*) FROM renditions WHERE preset = 'cover.motion'";
    assert_eq!(number(&catalog, count).await, 0, "nobody has asked");
    assert!(asset["renditions"].get("motion").is_none());

    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (ann, id) = (ann.clone(), id.clone());
        asking.spawn(async move { link(&ann, &id).await });
    }
    let links = asking.join_all().await;
    let dir = tempfile::tempdir().unwrap();
    for url in &links {
        assert!(url.contains("/motion@1.mp4?"), "{url}");
    }
    let served = fetch(&rig.http, &links[0]).await;
    assert_eq!(served.status, 200, "{served:?}");
    assert_eq!(served.header("content-type"), "video/mp4");
    assert!(served.header("cache-control").ends_with("immutable"));
    let path = dir.path().join("motion.mp4");
    assert_eq!(plays(&served.body, &path), (640, 360));
    runs_for(&path, 1.2);
    let stored = objects(&rig.store(), "r/").await;
    let stored: Vec<_> = stored.iter().filter(|k| k.contains("/motion@")).collect();
    assert_eq!(stored.len(), 1, "{stored:?}");
    let events = "SELECT detail FROM events WHERE kind = 'rendition.ready'";
    let told = rows(&catalog, events).await;
    let told = told.iter().filter_map(|r| r.maybe_text(0).unwrap());
    assert_eq!(told.filter(|d| d.contains("\"motion\"")).count(), 1);

    // It is seen beside the pictures, with a link like theirs, and the asset is none the more ready.
    let asset = ann.asset(&id).await;
    let progress = json!({ "renditions_ready": 3, "renditions_total": 3 });
    assert_eq!(asset["progress"], progress);
    let made = &asset["renditions"]["motion"];
    assert_eq!(
        (&made["state"], &made["width"]),
        (&json!("ready"), &json!(640))
    );
    assert!(made.get("auto_url").is_none_or(Value::is_null), "{made}");
    let shown = fetch(&rig.http, text(&made["url"])).await;
    assert_eq!(shown.body, served.body);
    // The pictures are the photo's.
    assert_eq!(ann.original(&id).await, original);
    assert_eq!(asset["original"]["mime"], "image/jpeg");

    let stranger = ask(&rig.owner("bob"), &id, None).await;
    stranger.problem(404, "not_found");
}

fn runs_for(path: &Path, seconds: f64) {
    let found = probe(path);
    let runs: f64 = text(&found["format"]["duration"]).parse().unwrap();
    assert!((runs - seconds).abs() < 0.2, "{found}");
}

async fn what_is_no_motion_photo_says_so(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    for original in [photo(2), clip("320x240", "testsrc")] {
        let id = ann.upload(&original).await;
        ann.ready(&id).await;
        let problem = ask(&ann, &id, None).await.problem(404, "not_found");
        assert!(text(&problem["detail"]).contains("no clip"), "{problem}");
    }
    let catalog = rig.catalog().await;
    let jobs = "SELECT COUNT(*) FROM jobs WHERE kind = 'derive_motion'";
    assert_eq!(number(&catalog, jobs).await, 0);
    // Where nobody has read yet what the file tells, that is found out.
    let id = ann.upload(&photo(10)).await;
    ann.ready(&id).await;
    let unread = "DELETE FROM blob_metadata";
    assert_ne!(change(&catalog, unread, vec![]).await, 0);
    ask(&ann, &id, None).await.expect(202);
    let problem = settled(&ann, &id).await.problem(404, "not_found");
    assert!(text(&problem["detail"]).contains("no clip"), "{problem}");
    assert_eq!(number(&catalog, jobs).await, 0, "nothing is left of it");
}

async fn what_cannot_be_played_is_still_shown(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let whole = clip("320x240", "testsrc");
    // The clip is not there at all; its pictures are gone, but not what tells where they were; it runs for longer than any camera's.
    let moov = whole.windows(4).position(|w| w == b"moov").unwrap() - 4;
    let mut hollow = whole.clone();
    let media = whole.windows(4).position(|w| w == b"mdat").unwrap() + 4;
    hollow[media..moov].fill(0);
    let long = coded("64x64", "testsrc", "51", "31");
    for (seed, clip, code, detail) in [
        (3, &b""[..], "media_corrupt", "there is no clip in it"),
        (4, &hollow, "media_corrupt", "cannot be decoded"),
        (5, &long, "duration_limit_exceeded", "more than 30"),
    ] {
        is_not_played(&rig, &motion_photo(seed, clip), code, detail).await;
    }
}

async fn what_runs_for_longer_than_it_may_is_not_played(database: Database) {
    let rig = Rig::start(database, &["--max-clip-seconds", "1"]).await;
    let original = motion_photo(5, &clip("320x240", "testsrc"));
    let (code, detail) = ("duration_limit_exceeded", "more than 1");
    is_not_played(&rig, &original, code, detail).await;
}

/// What failed for a reason that may pass rests, and is tried again when it is asked for later.
async fn without_ffmpeg_it_is_not_played_yet(database: Database) {
    let rig = Rig::start(database, &["--ffmpeg", ""]).await;
    let original = motion_photo(8, &clip("320x240", "testsrc"));
    let code = "unsupported_media_type";
    let id = is_not_played(&rig, &original, code, "no ffmpeg").await;
    let rested = "UPDATE renditions SET updated_at = 0 WHERE preset = 'cover.motion'";
    assert_eq!(change(&rig.catalog().await, rested, vec![]).await, 1);
    let ann = rig.owner("ann");
    ask(&ann, &id, None).await.expect(202);
    settled(&ann, &id).await.problem(422, code);
}

/// Uploads a photo whose clip cannot be played, and looks that it is shown all the same.
async fn is_not_played(rig: &Rig, original: &[u8], code: &str, detail: &str) -> String {
    let ann = rig.owner("ann");
    let id = ann.upload(original).await;
    ann.ready(&id).await;
    let problem = settled(&ann, &id).await.problem(422, code);
    assert!(text(&problem["detail"]).contains(detail), "{problem}");
    // It is not tried again at once.
    let again = ask(&ann, &id, None).await.problem(422, code);
    assert_eq!(again["detail"], problem["detail"]);
    let asset = ann.asset(&id).await;
    assert_eq!(asset["state"], "ready", "{asset}");
    let made = &asset["renditions"]["motion"];
    assert_eq!(made["state"], "failed", "{made}");
    assert_eq!(made["reason"]["code"], code, "{made}");
    let cover = fetch(&rig.http, text(&asset["cover_url"])).await;
    assert_eq!(cover.status, 200);
    let jobs = "SELECT COUNT(*) FROM jobs WHERE kind = 'derive_motion'";
    assert_eq!(number(&rig.catalog().await, jobs).await, 0);
    id
}

/// Who shares the bytes is not told that another has asked.
async fn nobody_else_is_told(database: Database) {
    let rig = Rig::start(database, &["--dedup-scope", "tenant"]).await;
    let (ann, ben) = (rig.owner("ann"), rig.owner("ben"));
    let original = motion_photo(9, &clip("320x240", "testsrc"));
    let (anns, bens) = (ann.upload(&original).await, ben.upload(&original).await);
    ann.ready(&anns).await;
    ben.ready(&bens).await;
    link(&ann, &anns).await;
    let events =
        "SELECT asset_id FROM events WHERE kind = 'rendition.ready' AND detail LIKE '%\"motion\"%'";
    let told = rows(&rig.catalog().await, events).await;
    let told: Vec<String> = told.iter().map(|r| r.text(0).unwrap()).collect();
    assert_eq!(told, [anns]);
    // He is given the same, which was made once.
    let given = ask(&ben, &bens, None).await.expect(201);
    assert_eq!(fetch(&rig.http, text(&given["url"])).await.status, 200);
}

async fn what_the_store_has_lost_of_it_is_made_again(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let id = ann
        .upload(&motion_photo(6, &clip("320x240", "testsrc")))
        .await;
    ann.ready(&id).await;
    let url = link(&ann, &id).await;
    let first = fetch(&rig.http, &url).await;
    let stored = objects(&rig.store(), "r/").await;
    let key = stored.iter().find(|k| k.contains("/motion@")).unwrap();
    let key = safelight_objects::ObjectKey::parse(key).unwrap();
    rig.store().delete(&key).await.unwrap();
    // Whoever misses it has it made again, and is told that it is not there.
    assert_ne!(fetch(&rig.http, &url).await.status, 200);
    let again = fetch(&rig.http, &link(&ann, &id).await).await;
    assert_eq!(again.status, 200);
    assert_eq!(again.body, first.body);

    // What failed for another reason than the file's is tried again when it is asked for.
    let failed = "UPDATE renditions SET state = 'failed', reason_code = 'disk_full', updated_at = 0
                   WHERE preset = 'cover.motion'";
    assert_eq!(change(&rig.catalog().await, failed, vec![]).await, 1);
    let again = fetch(&rig.http, &link(&ann, &id).await).await;
    assert_eq!(again.body, first.body);
}

async fn it_goes_with_its_asset(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let id = ann
        .upload(&motion_photo(7, &clip("320x240", "testsrc")))
        .await;
    ann.ready(&id).await;
    let url = link(&ann, &id).await;
    ann.delete(&format!("/v1/assets/{id}")).await.expect(202);
    let gone = fetch(&rig.http, &url).await;
    gone.problem(410, "asset_deleted");
    ask(&ann, &id, None).await.problem(410, "asset_deleted");
    let is_gone = async || objects(&rig.store(), "r/").await.is_empty();
    wait::until(PATIENCE, is_gone).await.unwrap();
}

/// The clip of a photo of a phone: it has a second track, of a few larger pictures, and two that are none.
#[tokio::test(flavor = "multi_thread")]
async fn the_motion_of_a_phone_is_played() {
    let Some(path) = media::require("motion/pixel3axl_12mp.MP.jpg") else {
        return;
    };
    let rig = Rig::start(Database::Sqlite, &[]).await;
    let ann = rig.owner("ann");
    let id = ann.upload(&std::fs::read(path).unwrap()).await;
    ann.ready(&id).await;
    let served = fetch(&rig.http, &link(&ann, &id).await).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("motion.mp4");
    std::fs::write(&path, &served.body).unwrap();
    let found = probe(&path);
    let streams = found["streams"].as_array().unwrap();
    assert_eq!(streams.len(), 1, "{found}");
    assert_eq!(
        (&streams[0]["width"], &streams[0]["height"]),
        (&json!(1024), &json!(768))
    );
    runs_for(&path, 0.76);
}
