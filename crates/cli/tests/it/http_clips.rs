//! Clips: shown by a picture of their own, and played by everyone.

use std::path::{Path, PathBuf};

use safelight_objects::ObjectKey;
use safelight_testkit::{media, wait};
use serde_json::{Value, json};

use crate::http_rig::{
    Caller, Database, PATIENCE, Rig, change, fetch, number, objects, on_both_databases, photo, text,
};
use crate::media::{gallery, tool, upright, ways_of};

on_both_databases!(
    a_clip_is_shown_and_played,
    a_preview_begins_with_the_picture_that_is_shown,
    what_the_store_has_lost_of_a_clip_is_made_again,
    a_clip_that_cannot_be_played_is_still_shown,
    a_clip_that_is_too_long_is_kept,
    without_ffmpeg_a_clip_is_kept,
);

/// What a clip says of its owner.
const TELLTALES: [&str; 4] = ["+54.3233+010.1228/", "Ann at home", "2024-05-06", "Lavf"];

/// A clip of this size with sound, made by ffmpeg, that tells a lot.
pub(super) fn clip(size: &str, pattern: &str) -> Vec<u8> {
    coded(size, pattern, "20", "1.2")
}

/// The same, so roughly coded, of so many seconds.
pub(super) fn coded(size: &str, pattern: &str, crf: &str, seconds: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clip.mp4");
    let source = format!("{pattern}=size={size}:rate=30:duration={seconds}");
    let sound = format!("sine=frequency=440:duration={seconds}");
    let mut args = vec!["-v", "error", "-f", "lavfi", "-i", &source];
    args.extend(["-f", "lavfi", "-i", &sound]);
    args.extend(["-metadata", "location=+54.3233+010.1228/"]);
    args.extend(["-metadata", "title=Ann at home"]);
    args.extend(["-metadata", "creation_time=2024-05-06T07:08:09Z"]);
    args.extend(["-metadata:s:v", "handler_name=Ann at home"]);
    args.extend([
        "-c:v",
        "libx264",
        "-crf",
        crf,
        "-pix_fmt",
        "yuv420p",
        "-movflags",
        "use_metadata_tags",
    ]);
    let mut args: Vec<&std::ffi::OsStr> = args.into_iter().map(AsRef::as_ref).collect();
    args.push(path.as_os_str());
    tool("ffmpeg", &args);
    std::fs::read(path).unwrap()
}

/// The asset when this rendition of it is settled.
pub(super) async fn rendition(ann: &Caller, id: &str, preset: &str) -> Value {
    let mut seen = Value::Null;
    wait::until(PATIENCE, async || {
        seen = ann.asset(id).await;
        let state = &seen["renditions"][preset]["state"];
        state == "ready" || state == "failed"
    })
    .await
    .unwrap();
    seen
}

pub(super) fn probe(path: &Path) -> Value {
    let args = [
        "-v",
        "error",
        "-show_streams",
        "-show_format",
        "-of",
        "json",
    ];
    let args = args.map(std::ffi::OsStr::new);
    let args: Vec<_> = args.into_iter().chain([path.as_os_str()]).collect();
    serde_json::from_slice(&tool("ffprobe", &args)).unwrap()
}

fn place_of(needle: &[u8], bytes: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|w| w == needle)
}

/// Fails unless these bytes are a clip that plays everywhere, with sound, and tells nothing. Its size.
pub(super) fn plays(bytes: &[u8], into: &Path) -> (u64, u64) {
    let found = is_plain(bytes, into);
    let streams = found["streams"].as_array().unwrap();
    let name = into.display();
    assert_eq!(streams.len(), 2, "{name}: {found}");
    assert_eq!(streams[1]["codec_name"], "aac", "{name}: {found}");
    size_of(&found)
}

/// The same of a preview: short and silent.
fn previews(bytes: &[u8], into: &Path) -> (u64, u64) {
    let found = is_plain(bytes, into);
    let streams = found["streams"].as_array().unwrap();
    let name = into.display();
    assert_eq!(streams.len(), 1, "{name}: {found}");
    let number = |of: &Value| text(of).parse::<f64>().unwrap();
    let runs = number(&found["format"]["duration"]);
    assert!(runs > 0.0 && runs < 3.1, "{name}: {found}");
    let pictures = number(&streams[0]["nb_frames"]);
    assert!(pictures / runs < 15.5, "{name}: {found}");
    assert!(bytes.len() < 512 * 1024, "{name}: {} bytes", bytes.len());
    size_of(&found)
}

fn size_of(found: &Value) -> (u64, u64) {
    let edge = |key: &str| found["streams"][0][key].as_u64().unwrap();
    (edge("width"), edge("height"))
}

/// Fails unless these bytes are H.264 that every player plays, upright as it is, and tell nothing. What ffprobe says.
fn is_plain(bytes: &[u8], into: &Path) -> Value {
    std::fs::write(into, bytes).unwrap();
    let found = probe(into);
    let name = into.display();
    let picture = &found["streams"][0];
    assert_eq!(picture["codec_name"], "h264", "{name}: {found}");
    assert_eq!(picture["pix_fmt"], "yuv420p", "{name}: {found}");
    assert!(picture["side_data_list"].is_null(), "{name}: {found}");
    // It can be played before all of it is there.
    let index = place_of(b"moov", bytes).unwrap();
    assert!(index < place_of(b"mdat", bytes).unwrap(), "{name}");
    let args = ["-j", "-G1", "-a", "-ee"].map(std::ffi::OsStr::new);
    let args: Vec<_> = args.into_iter().chain([into.as_os_str()]).collect();
    let told = String::from_utf8(tool("exiftool", &args)).unwrap();
    for word in ["GPS", "Location", "Make\"", "Model\"", "Software"] {
        assert!(!told.contains(word), "{name} tells {word}: {told}");
    }
    found
}

async fn a_clip_is_shown_and_played(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let original = clip("640x360", "testsrc");
    for telltale in TELLTALES {
        let is_time = telltale.starts_with("2024");
        assert!(is_time || place_of(telltale.as_bytes(), &original).is_some());
    }
    let id = ann.upload(&original).await;
    let shown: Value = ann.settled(&id).await;
    assert_eq!(shown["state"], "ready", "{shown}");
    assert_eq!(shown["original"]["mime"], "video/mp4");
    let size = (&shown["original"]["width"], &shown["original"]["height"]);
    assert_eq!(size, (&json!(640), &json!(360)));
    assert!(!shown["thumbhash"].is_null());
    assert_eq!(shown["progress"]["renditions_total"], 4);
    let cover = fetch(&rig.http, text(&shown["cover_url"])).await;
    assert_eq!(cover.header("content-type"), "image/webp");
    let poster = &shown["renditions"]["poster"];
    assert_eq!(
        (&poster["state"], &poster["width"]),
        (&json!("ready"), &json!(640))
    );

    let shown = rendition(&ann, &id, "stream").await;
    let stream = &shown["renditions"]["stream"];
    assert_eq!(stream["state"], "ready", "{shown}");
    assert_eq!(shown["progress"]["renditions_ready"], 4);
    let played = fetch(&rig.http, text(&stream["url"])).await;
    assert_eq!(played.header("content-type"), "video/mp4");
    assert_eq!(json!(played.body.len()), stream["size_bytes"]);
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(
        plays(&played.body, &dir.path().join("stream.mp4")),
        (640, 360)
    );
    let preview = &shown["renditions"]["preview_clip"];
    assert!(text(&preview["url"]).contains("/preview_clip@1.mp4?"));
    // What it is sent as goes by no header: there is one format.
    let looped = fetch(&rig.http, text(&preview["auto_url"])).await;
    assert_eq!(looped.header("content-type"), "video/mp4");
    assert_eq!(json!(looped.body.len()), preview["size_bytes"]);
    assert_eq!(
        previews(&looped.body, &dir.path().join("preview.mp4")),
        (640, 360)
    );
    for telltale in TELLTALES {
        for body in [&played.body, &looped.body] {
            assert_eq!(place_of(telltale.as_bytes(), body), None, "{telltale}");
        }
    }
    // A CDN that reads the store is told what they are.
    let store = rig.store();
    for key in objects(&store, "r/")
        .await
        .iter()
        .filter(|key| key.ends_with(".mp4"))
    {
        let key = ObjectKey::parse(key).unwrap();
        let head = store.head(&key).await.unwrap().unwrap();
        assert_eq!(head.content_type.as_deref(), Some("video/mp4"));
    }
    // As players ask.
    let part = rig
        .http
        .get(text(&stream["url"]))
        .header("range", "bytes=4-7");
    let part = part.send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await.unwrap(), &b"ftyp"[..]);
}

/// A clip of six seconds that is red for 0.9, and then green, with no key frame but the first.
fn changing() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clip.mov");
    let source = "color=c=red:size=960x540:rate=30:duration=0.9[a];
                  color=c=lime:size=960x540:rate=30:duration=5.1[b];[a][b]concat";
    let args = ["-v", "error", "-f", "lavfi", "-i", source];
    let how = ["-g", "300", "-sc_threshold", "0", "-c:v", "libx264"];
    let args = args.into_iter().chain(how).map(std::ffi::OsStr::new);
    let args: Vec<_> = args.chain([path.as_os_str()]).collect();
    tool("ffmpeg", &args);
    std::fs::read(path).unwrap()
}

/// What colour the first picture of a file has on the whole.
fn first_color(file: &Path) -> [u8; 3] {
    let args = ["-v", "error", "-i"].map(std::ffi::OsStr::new);
    let how = [
        "-frames:v",
        "1",
        "-vf",
        "scale=1:1:flags=area",
        "-pix_fmt",
        "rgb24",
    ];
    let how = how.into_iter().chain(["-f", "rawvideo", "pipe:1"]);
    let args = args.into_iter().chain([file.as_os_str()]);
    let args: Vec<_> = args.chain(how.map(std::ffi::OsStr::new)).collect();
    tool("ffmpeg", &args).try_into().unwrap()
}

async fn a_preview_begins_with_the_picture_that_is_shown(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let id = ann.upload(&changing()).await;
    let shown = rendition(&ann, &id, "preview_clip").await;
    let dir = tempfile::tempdir().unwrap();
    for (preset, name) in [("poster", "a.webp"), ("preview_clip", "a.mp4")] {
        let made = fetch(&rig.http, text(&shown["renditions"][preset]["url"])).await;
        let path = dir.path().join(name);
        std::fs::write(&path, &made.body).unwrap();
        let [red, green, _] = first_color(&path);
        assert!(red < 60 && green > 200, "{preset}: {red} {green}");
    }
    let preview = dir.path().join("a.mp4");
    let bytes = std::fs::read(&preview).unwrap();
    assert_eq!(previews(&bytes, &preview), (852, 480));
    let runs = text(&probe(&preview)["format"]["duration"]).parse::<f64>();
    assert!(
        runs.as_ref().is_ok_and(|s| (2.9..3.1).contains(s)),
        "{runs:?}"
    );
}

async fn what_the_store_has_lost_of_a_clip_is_made_again(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let id = ann.upload(&clip("320x240", "testsrc")).await;
    ann.ready(&id).await;
    let before = rendition(&ann, &id, "stream").await;
    let sql = "UPDATE renditions SET state = 'pending'";
    let catalog = rig.catalog().await;
    assert_eq!(change(&catalog, sql, vec![]).await, 4);
    // As a sweep asks for it.
    let sql = "INSERT INTO jobs (tenant_id, job_id, kind, lane, class, owner_id, subject_id, unique_key, state, turn, run_at, attempts, fence, enqueued_at, updated_at)
               SELECT tenant_id, 'job_again', 'transcode', 'bulk', 'video', 'ann', blob_id, 'transcode:again', 'queued', 1, 1, 0, 0, 1, 1 FROM blobs";
    assert_eq!(change(&catalog, sql, vec![]).await, 1);
    let after = rendition(&ann, &id, "stream").await;
    for preset in ["cover", "poster", "preview_clip", "stream"] {
        let of = |asset: &Value| asset["renditions"][preset]["size_bytes"].clone();
        assert_eq!(of(&before), of(&after), "{preset}");
    }
}

async fn a_clip_that_cannot_be_played_is_still_shown(database: Database) {
    // Of so rough a clip nothing as short is made.
    let original = coded("640x360", "testsrc2", "51", "1.2");
    let most = original.len().to_string();
    let rig = Rig::start(database, &["--max-clip-bytes", &most]).await;
    let ann = rig.owner("ann");
    let id = ann.upload(&original).await;
    let shown: Value = ann.settled(&id).await;
    assert_eq!(shown["state"], "ready", "{shown}");
    let shown = rendition(&ann, &id, "stream").await;
    let stream = &shown["renditions"]["stream"];
    assert_eq!(stream["state"], "failed", "{shown}");
    assert_eq!(stream["reason"]["code"], "byte_limit_exceeded", "{shown}");
    assert!(stream["url"].is_null());
    assert_eq!(shown["state"], "ready");
    // The preview does not stand or fall with it.
    for preset in ["poster", "preview_clip"] {
        assert_eq!(shown["renditions"][preset]["state"], "ready", "{shown}");
    }
}

async fn a_clip_that_is_too_long_is_kept(database: Database) {
    let original = clip("320x240", "testsrc");
    let most = (original.len() - 1).to_string();
    let rig = Rig::start(database, &["--max-clip-bytes", &most]).await;
    let ann = rig.owner("ann");
    let id = ann.upload(&original).await;
    let kept: Value = ann.settled(&id).await;
    assert_eq!(kept["state"], "failed");
    assert_eq!(kept["reason"]["code"], "byte_limit_exceeded", "{kept}");
    assert_eq!(ann.original(&id).await, original);
}

async fn without_ffmpeg_a_clip_is_kept(database: Database) {
    let rig = Rig::start(database, &["--ffmpeg", ""]).await;
    assert!(
        rig.server
            .log()
            .contains("clips are not decoded on this server")
    );
    let ann = rig.owner("ann");
    let original = clip("320x240", "testsrc");
    let id = ann.upload(&original).await;
    let kept: Value = ann.settled(&id).await;
    assert_eq!(kept["state"], "failed");
    assert_eq!(kept["reason"]["code"], "unsupported_media_type", "{kept}");
    assert!(
        text(&kept["reason"]["detail"]).contains("no ffmpeg"),
        "{kept}"
    );
    assert_eq!(ann.original(&id).await, original);
}

/// Ten bits of HEVC, as phones film by default, in a MOV.
#[tokio::test(flavor = "multi_thread")]
async fn a_clip_of_hevc_is_played_as_h264() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clip.mov");
    let source = "testsrc2=size=320x240:rate=30:duration=1";
    let sound = "sine=frequency=440:duration=1";
    let mut args = vec!["-v", "error", "-f", "lavfi", "-i", source];
    args.extend(["-f", "lavfi", "-i", sound]);
    args.extend(["-c:v", "libx265", "-x265-params", "log-level=error"]);
    args.extend(["-pix_fmt", "yuv420p10le", "-tag:v", "hvc1", "-c:a", "aac"]);
    let mut args: Vec<&std::ffi::OsStr> = args.into_iter().map(AsRef::as_ref).collect();
    args.push(path.as_os_str());
    tool("ffmpeg", &args);
    assert_eq!(probe(&path)["streams"][0]["codec_name"], "hevc");
    let rig = Rig::start(Database::Sqlite, &[]).await;
    let ann = rig.owner("ann");
    let id = ann.upload(&std::fs::read(&path).unwrap()).await;
    let ready: Value = ann.ready(&id).await;
    assert_eq!(ready["original"]["width"], 320, "{ready}");
    let shown = rendition(&ann, &id, "stream").await;
    let stream = fetch(&rig.http, text(&shown["renditions"]["stream"]["url"])).await;
    assert_eq!(
        plays(&stream.body, &dir.path().join("stream.mp4")),
        (320, 240)
    );
}

/// While a clip of 4K is made into what is played, which takes as long as it runs, photos are seen and derived from.
#[tokio::test(flavor = "multi_thread")]
async fn a_4k_clip_holds_up_no_photo() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clip.mp4");
    let source = "testsrc2=size=3840x2160:rate=30:duration=3,noise=alls=20:allf=t";
    let mut args = vec!["-v", "error", "-f", "lavfi", "-i", source];
    args.extend(["-f", "lavfi", "-i", "sine=frequency=440:duration=3"]);
    args.extend(["-c:v", "libx264", "-preset", "ultrafast", "-b:v", "50M"]);
    args.extend(["-pix_fmt", "yuv420p", "-c:a", "aac"]);
    let mut args: Vec<&std::ffi::OsStr> = args.into_iter().map(AsRef::as_ref).collect();
    args.push(path.as_os_str());
    tool("ffmpeg", &args);
    let workers = ["--workers", "1", "--video-workers", "1"];
    let rig = Rig::start(Database::Sqlite, &workers).await;
    let (ann, ben) = (rig.owner("ann"), rig.owner("ben"));
    let id = ben.upload(&std::fs::read(&path).unwrap()).await;
    let seen = wait::until(PATIENCE, async || ben.asset(&id).await["state"] == "ready");
    seen.await.unwrap();
    let catalog = rig.catalog().await;
    let begun = "SELECT COUNT(*) FROM jobs WHERE kind = 'transcode' AND state = 'leased'";
    let seen = wait::until(PATIENCE, async || number(&catalog, begun).await == 1);
    seen.await.unwrap();
    for number in 1..=2 {
        let ready = ann.ready(&ann.upload(&photo(number)).await).await;
        assert_eq!(ready["renditions"]["large"]["state"], "ready", "{ready}");
    }
    let clip = ben.asset(&id).await;
    assert_eq!(clip["renditions"]["stream"]["state"], "pending", "{clip}");
}

/// What ffmpeg shows of a clip, upright, where its picture is taken.
fn reference(clip: &Path, scratch: &Path) -> PathBuf {
    let into = scratch.join("reference-of-clip.png");
    let args = ["-v", "error", "-y", "-i"].map(std::ffi::OsStr::new);
    let then = ["-frames:v", "1"].map(std::ffi::OsStr::new);
    let args = args.into_iter().chain([clip.as_os_str()]).chain(then);
    let args: Vec<_> = args.chain([into.as_os_str()]).collect();
    tool("ffmpeg", &args);
    into
}

#[tokio::test(flavor = "multi_thread")]
async fn what_phones_wrote_is_upright_and_tells_nothing() {
    let Some(folder) = media::require("video") else {
        return;
    };
    let root = folder.parent().unwrap();
    let rig = Rig::start(Database::Sqlite, &[]).await;
    let ann = rig.owner("ann");
    let (shown, scratch) = (gallery("clips"), tempfile::tempdir().unwrap());
    let preview_size = (480, 852);
    for (name, size) in [
        ("video/android_1080p_gps.mp4", (1080, 1920)),
        ("video/android_720p_rot90.3gp", (720, 1280)),
        ("video/iphonex_720x1280_gps.mov", (720, 1280)),
        ("live/iphone11pro_live.mov", (720, 1280)),
    ] {
        let path = root.join(name);
        let id = ann.upload(&std::fs::read(&path).unwrap()).await;
        let asset: Value = ann.settled(&id).await;
        assert_eq!(asset["state"], "ready", "{name}: {asset}");
        let found = (&asset["original"]["width"], &asset["original"]["height"]);
        assert_eq!(found, (&json!(size.0), &json!(size.1)), "{name}");
        let ways = ways_of(&reference(&path, scratch.path()), scratch.path());
        let asset = rendition(&ann, &id, "stream").await;
        let stem = path.file_name().unwrap().to_str().unwrap();
        for preset in ["cover", "poster"] {
            let picture = fetch(&rig.http, text(&asset["renditions"][preset]["url"])).await;
            let into = shown.join(format!("{stem}.{preset}.webp"));
            std::fs::write(&into, &picture.body).unwrap();
            upright(&ways, &into, scratch.path());
        }
        let stream = &asset["renditions"]["stream"];
        assert_eq!(stream["state"], "ready", "{name}: {asset}");
        let played = fetch(&rig.http, text(&stream["url"])).await;
        let into = shown.join(format!("{stem}.stream.mp4"));
        assert_eq!(plays(&played.body, &into), size, "{name}");
        let again = reference(&into, scratch.path());
        upright(&ways, &again, scratch.path());
        let preview = &asset["renditions"]["preview_clip"];
        let looped = fetch(&rig.http, text(&preview["url"])).await;
        let into = shown.join(format!("{stem}.preview_clip.mp4"));
        let found = previews(&looped.body, &into);
        assert_eq!(found, preview_size, "{name}");
        let again = reference(&into, scratch.path());
        upright(&ways, &again, scratch.path());
    }
    println!("look at {}", shown.display());
}
