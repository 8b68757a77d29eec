//! Long clips, fetched in pieces by players.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::http_clips::{probe, rendition};
use crate::http_rig::{
    Database, Rig, change, fetch, http, number, objects, on_both_databases, text,
};
use crate::media::tool;

on_both_databases!(
    a_long_clip_is_played_in_pieces,
    pieces_are_cut_of_a_stream_that_is_there,
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
