//! Long clips, fetched in pieces by players.

use std::collections::BTreeSet;

use safelight_objects::{ObjectKey, PutOptions};
use safelight_testkit::wait;
use serde_json::{Value, json};

use crate::http_clips::{clip, probe, rendition};
use crate::http_rig::{
    Database, PATIENCE, Rig, change, fetch, http, number, objects, on_both_databases, photo, text,
};
use crate::media::tool;
use crate::sweep::swept;

on_both_databases!(
    a_long_clip_is_played_in_pieces,
    pieces_are_cut_of_a_stream_that_is_there,
    pieces_of_a_stream_that_is_lost_as_well_are_made_of_the_original,
    clips_of_before_are_given_what_is_new,
);

/// How long the clip runs, in seconds, and how many pictures it has in each.
pub const SECONDS: u64 = 63;
const RATE: u64 = 5;

/// Its columns.
pub const WIDTH: u64 = 160;

/// A clip of more than a minute with sound.
pub fn long_clip() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.mp4");
    let source = format!("testsrc=size={WIDTH}x120:rate={RATE}:duration={SECONDS}");
    let sound = format!("sine=frequency=440:duration={SECONDS}");
    let args = ["-v", "error", "-f", "lavfi", "-i", &source, "-f", "lavfi"];
    let how = ["-i", &sound, "-c:v", "libx264", "-pix_fmt", "yuv420p"];
    let args = args.into_iter().chain(how).map(std::ffi::OsStr::new);
    let args: Vec<_> = args.chain([path.as_os_str()]).collect();
    tool("ffmpeg", &args);
    std::fs::read(path).unwrap()
}

fn number_of(value: &Value) -> f64 {
    text(value).parse().unwrap()
}

/// How many pictures a player shows of what is behind a link, to the end.
fn pictures_of(url: &str) -> u64 {
    let args = ["-v", "error", "-count_frames", "-select_streams", "v"];
    let how = [
        "-show_entries",
        "stream=nb_read_frames",
        "-of",
        "csv=p=0",
        url,
    ];
    let args: Vec<_> = args.into_iter().chain(how).collect();
    let args: Vec<_> = args.into_iter().map(std::ffi::OsStr::new).collect();
    let said = String::from_utf8(tool("ffprobe", &args)).unwrap();
    // Once for the program, and once for what it is made of.
    let said: BTreeSet<&str> = said.split_whitespace().collect();
    assert_eq!(said.len(), 1, "{said:?}");
    said.first().unwrap().parse().unwrap()
}

async fn a_long_clip_is_played_in_pieces(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let id = ann.upload(&long_clip()).await;
    ann.ready(&id).await;
    let shown = rendition(&ann, &id, "hls").await;
    assert_eq!(shown["renditions"]["stream"]["state"], "ready", "{shown}");
    assert_eq!(
        shown["progress"],
        json!({ "renditions_ready": 5, "renditions_total": 5 })
    );
    // What ffmpeg took is counted: a cover alone takes less than the tenth of a second that a minute of even so small a clip takes.
    let took_us = number(&rig.catalog().await, "SELECT cpu_us FROM blobs").await;
    assert!(took_us > 100_000, "{took_us}");
    let hls = &shown["renditions"]["hls"];
    assert_eq!(
        (&hls["state"], &hls["width"]),
        (&json!("ready"), &json!(WIDTH))
    );
    let url = text(&hls["url"]);
    let playlist = fetch(&rig.http, url).await;
    assert_eq!(playlist.status, 200);
    let mime = playlist.header("content-type");
    assert_eq!(mime, "application/vnd.apple.mpegurl");
    assert!(playlist.header("cache-control").starts_with("public, "));
    let lines = String::from_utf8(playlist.body.to_vec()).unwrap();
    let beside = lines.lines().find(|l| l.starts_with("hls@1.mp4?")).unwrap();
    // Whoever can play it for as long can fetch its pieces.
    let end = |link: &str| {
        link.split("?e=")
            .nth(1)
            .unwrap()
            .split('&')
            .next()
            .map(str::to_owned)
    };
    assert_eq!(end(beside), end(url));
    let (folder, _) = url.rsplit_once('/').unwrap();
    let media = format!("{folder}/{beside}");
    let whole = fetch(&rig.http, &media).await;
    assert_eq!(whole.header("content-type"), "video/mp4");

    // Its pieces lie one behind the other, up to the end, and none runs longer than it says that any does.
    let mut next = None;
    let (mut runs, mut pieces) = (0.0, 0);
    for line in lines.lines() {
        if let Some(seconds) = line.strip_prefix("#EXTINF:") {
            let seconds: f64 = seconds.trim_end_matches(',').parse().unwrap();
            assert!(seconds < 8.5, "{lines}");
            runs += seconds;
            pieces += 1;
        }
        if let Some(range) = line.strip_prefix("#EXT-X-BYTERANGE:") {
            let (length, offset) = range.split_once('@').unwrap();
            let (length, offset): (usize, usize) =
                (length.parse().unwrap(), offset.parse().unwrap());
            assert_eq!(*next.get_or_insert(offset), offset, "{lines}");
            next = Some(offset + length);
            assert_eq!(&whole.body[offset + 4..offset + 8], b"moof");
        }
    }
    assert_eq!(next, Some(whole.body.len()));
    assert!(pieces >= 8, "{lines}");
    assert!((runs - SECONDS as f64).abs() < 0.5, "{runs}");

    // A player plays all of it.
    assert_eq!(pictures_of(url), SECONDS * RATE);
    let found = probe(std::path::Path::new(url));
    let tracks = found["streams"].as_array().unwrap();
    let codecs: Vec<&str> = tracks.iter().map(|s| text(&s["codec_name"])).collect();
    assert_eq!(codecs, ["h264", "aac"], "{found}");
    let runs = number_of(&found["format"]["duration"]);
    assert!((runs - SECONDS as f64).abs() < 0.5, "{found}");
    assert_eq!(pictures_of(text(&hls["auto_url"])), SECONDS * RATE);

    let forged = http().get(url.replace("hls@1", "hls@2")).send().await;
    assert_eq!(forged.unwrap().status(), 404);
    let stolen = media.replace("hls@1.mp4", "stream@1.mp4");
    let refused = http().get(stolen).send().await.unwrap();
    assert_eq!(refused.status(), 403);

    // Both files go with their clip.
    ann.delete(&format!("/v1/assets/{id}")).await.expect(202);
    let (catalog, store) = (rig.catalog().await, rig.store());
    let gone = safelight_testkit::wait::until(crate::http_rig::PATIENCE, async || {
        let soon = "UPDATE jobs SET run_at = 1 WHERE kind = 'purge' AND run_at > 1";
        change(&catalog, soon, vec![]).await;
        objects(&store, "r/").await.is_empty()
    });
    gone.await.unwrap();
}

/// What the store lost, or what a version that cut nothing left, is made of the stream: that is not made anew.
async fn pieces_are_cut_of_a_stream_that_is_there(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let id = ann.upload(&long_clip()).await;
    ann.ready(&id).await;
    let before = rendition(&ann, &id, "hls").await;
    let catalog = rig.catalog().await;
    let lost = "UPDATE renditions SET state = 'pending' WHERE preset LIKE 'hls%'";
    assert_eq!(change(&catalog, lost, vec![]).await, 2);
    let made_at = "SELECT MAX(updated_at) FROM renditions WHERE preset LIKE 'hls%'";
    let again = "INSERT INTO jobs (tenant_id, job_id, kind, lane, class, owner_id, subject_id, unique_key, state, turn, run_at, attempts, fence, enqueued_at, updated_at)
                 SELECT tenant_id, 'job_again', 'transcode', 'bulk', 'video', 'ann', blob_id, 'transcode:again', 'queued', 1, 1, 0, 0, 1, 1 FROM blobs";
    assert_eq!(change(&catalog, again, vec![]).await, 1);
    let after = rendition(&ann, &id, "hls").await;
    for field in ["state", "size_bytes"] {
        let of = |asset: &Value| asset["renditions"]["hls"][field].clone();
        assert_eq!(of(&before), of(&after), "{field}");
    }
    let streams =
        "SELECT COUNT(*) FROM events WHERE kind = 'rendition.ready' AND detail LIKE '%stream%'";
    assert_eq!(number(&catalog, streams).await, 1);
    assert_eq!(
        pictures_of(text(&after["renditions"]["hls"]["url"])),
        SECONDS * RATE
    );
    // Without the stream they are whole.
    let before = number(&catalog, made_at).await;
    let lost = "UPDATE renditions SET state = 'pending' WHERE preset = 'stream'";
    assert_eq!(change(&catalog, lost, vec![]).await, 1);
    assert_eq!(change(&catalog, again, vec![]).await, 1);
    rendition(&ann, &id, "stream").await;
    assert_eq!(number(&catalog, made_at).await, before);
}

/// The store has lost a playlist, and something else is in place of the stream that it could be cut of.
async fn pieces_of_a_stream_that_is_lost_as_well_are_made_of_the_original(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let id = ann.upload(&long_clip()).await;
    ann.ready(&id).await;
    let shown = rendition(&ann, &id, "hls").await;
    let url = |name: &str| text(&shown["renditions"][name]["url"]).to_owned();
    let store = rig.store();
    let catalog = rig.catalog().await;
    let key = async |name: &str| {
        let sql = format!("SELECT object_key FROM renditions WHERE preset = '{name}'");
        let found = crate::http_rig::rows(&catalog, &sql).await;
        ObjectKey::parse(&found[0].text(0).unwrap()).unwrap()
    };
    store.delete(&key("hls").await).await.unwrap();
    let other = bytes::Bytes::from_static(b"something else");
    let (stream, options) = (key("stream").await, PutOptions::default());
    store.put(&stream, other, options).await.unwrap();
    assert_eq!(fetch(&rig.http, &url("hls")).await.status, 404);
    for name in ["hls", "stream"] {
        let there = wait::until(PATIENCE, async || {
            fetch(&rig.http, &url(name)).await.status == 200
        });
        there.await.unwrap();
    }
    let again = rendition(&ann, &id, "hls").await;
    for name in ["hls", "stream", "preview_clip"] {
        assert_eq!(again["renditions"][name]["state"], "ready", "{again}");
    }
    assert_eq!(pictures_of(&url("hls")), SECONDS * RATE);
}

/// What came before there were pieces and previews has none, until an operator asks for all of them.
async fn clips_of_before_are_given_what_is_new(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let (long, short) = (
        ann.upload(&long_clip()).await,
        ann.upload(&clip("320x240", "testsrc")).await,
    );
    let photo = ann.upload(&photo(1)).await;
    let catalog = rig.catalog().await;
    let jobs = "SELECT COUNT(*) FROM jobs WHERE kind <> 'sweep'";
    let at_rest = async || {
        let done = wait::until(PATIENCE, async || number(&catalog, jobs).await == 0);
        done.await.unwrap();
    };
    for id in [&long, &short, &photo] {
        ann.ready(id).await;
    }
    at_rest().await;
    let forgotten = "DELETE FROM renditions WHERE preset LIKE 'hls%' OR preset = 'preview_clip'";
    assert_eq!(change(&catalog, forgotten, vec![]).await, 4);
    let found = async |more: &[&str]| {
        let args = [&["--json", "rederive"], more].concat();
        let (status, said) = swept(&rig.server, &args).await;
        assert_eq!(status, Some(0), "{said}");
        let said: Value = serde_json::from_str(&said).unwrap();
        ["pictures", "clips", "ready", "asked", "failed"].map(|key| said[key].as_i64().unwrap())
    };
    assert_eq!(found(&["--preset", "display"]).await, [1, 0, 1, 0, 0]);
    assert_eq!(found(&["--preset", "hls"]).await, [0, 2, 1, 1, 0]);
    let asset = rendition(&ann, &long, "hls").await;
    let link = text(&asset["renditions"]["hls"]["url"]);
    assert_eq!(pictures_of(link), SECONDS * RATE);
    at_rest().await;
    // Streams were there, and were not made anew.
    let streams =
        "SELECT COUNT(*) FROM events WHERE kind = 'rendition.ready' AND detail LIKE '%stream%'";
    assert_eq!(number(&catalog, streams).await, 2);
    assert_eq!(found(&[]).await, [1, 2, 1, 2, 0]);
    at_rest().await;
    for id in [&long, &short] {
        let asset = rendition(&ann, id, "preview_clip").await;
        assert_eq!(asset["renditions"]["preview_clip"]["state"], "ready");
    }
    assert_eq!(found(&[]).await, [1, 2, 3, 0, 0]);
    // What took too long is tried again; what is damaged is not.
    let fail = async |reason: &str| {
        let sql = "UPDATE renditions SET state = 'failed', reason_code = $1 WHERE preset = 'preview_clip'";
        assert_eq!(change(&catalog, sql, vec![reason.into()]).await, 2);
    };
    fail("decode_timeout").await;
    assert_eq!(found(&["--preset", "preview_clip"]).await, [0, 2, 0, 2, 0]);
    at_rest().await;
    assert_eq!(found(&["--preset", "preview_clip"]).await, [0, 2, 2, 0, 0]);
    // Of which nobody knows how long it runs is looked at: pieces are made of what needs them alone.
    for sql in [
        "DELETE FROM blob_metadata",
        "DELETE FROM renditions WHERE preset LIKE 'hls%'",
    ] {
        assert!(change(&catalog, sql, vec![]).await >= 2);
    }
    assert_eq!(found(&["--preset", "hls"]).await, [0, 2, 0, 2, 0]);
    at_rest().await;
    let pieces = "SELECT COUNT(*) FROM renditions WHERE preset LIKE 'hls%' AND state = 'ready'";
    assert_eq!(number(&catalog, pieces).await, 2);
    let pending = "SELECT COUNT(*) FROM renditions WHERE state <> 'ready'";
    assert_eq!(number(&catalog, pending).await, 0);
    fail("media_corrupt").await;
    assert_eq!(found(&["--preset", "preview_clip"]).await, [0, 2, 0, 0, 2]);
}
