//! Clips whose pictures are too large, or whose sound nothing here knows.

use serde_json::Value;

use crate::http_clips::{clip, probe, rendition};
use crate::http_rig::{Database, Rig, fetch, on_both_databases, text};
use crate::media::tool;

on_both_databases!(
    pictures_of_too_many_pixels_are_not_decoded,
    sound_that_can_be_decoded_is_taken,
);

/// The place of `name` in a file behind `from`.
fn find(name: &[u8], bytes: &[u8], from: usize) -> Option<usize> {
    let found = bytes
        .get(from..)?
        .windows(name.len())
        .position(|w| w == name);
    Some(found? + from)
}

async fn pictures_of_too_many_pixels_are_not_decoded(database: Database) {
    let rig = Rig::start(database, &["--max-pixels", "200000"]).await;
    let ann = rig.owner("ann");
    let honest = clip("640x360", "testsrc");
    // What the container says of its size is one thing, and what is coded in it another.
    let mut lying = honest.clone();
    let entry = find(b"avc1", &lying, find(b"stsd", &lying, 0).unwrap()).unwrap();
    let size = entry + 28..entry + 32;
    assert_eq!(
        lying[size.clone()],
        [640_u16, 360].map(u16::to_be_bytes).concat()
    );
    lying[size].copy_from_slice(&[0, 64, 0, 36]);
    for original in [honest, lying] {
        let id = ann.upload(&original).await;
        let kept: Value = ann.settled(&id).await;
        assert_eq!(kept["state"], "failed");
        assert_eq!(kept["reason"]["code"], "pixel_limit_exceeded", "{kept}");
        let detail = text(&kept["reason"]["detail"]);
        assert!(detail.contains("640x360 is more than 200000"), "{detail}");
        assert_eq!(ann.original(&id).await, original);
    }
    let id = ann.upload(&clip("320x240", "testsrc")).await;
    ann.ready(&id).await;
}

/// A clip with two tracks of sound, of 440 and 2000 Hz, of which the first `unknown` are coded in a way that nobody knows.
fn two_tracks(unknown: usize) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clip.mp4");
    let mut args = vec!["-v", "error"];
    for source in [
        "testsrc=size=320x240:rate=15:duration=1",
        "sine=frequency=440:duration=1",
        "sine=frequency=2000:duration=1",
    ] {
        args.extend(["-f", "lavfi", "-i", source]);
    }
    args.extend(["-map", "0", "-map", "1", "-map", "2", "-c:a", "aac"]);
    args.extend(["-c:v", "libx264", "-pix_fmt", "yuv420p"]);
    let mut args: Vec<&std::ffi::OsStr> = args.into_iter().map(AsRef::as_ref).collect();
    args.push(path.as_os_str());
    tool("ffmpeg", &args);
    let mut clip = std::fs::read(path).unwrap();
    for _ in 0..unknown {
        let entry = find(b"mp4a", &clip, 0).unwrap();
        let how = find(b"esds", &clip, entry).unwrap();
        clip[entry..entry + 4].copy_from_slice(b"apac");
        clip[how..how + 4].copy_from_slice(b"free");
    }
    clip
}

/// How often a clip's sound goes up through nothing in its first half second.
fn pitch(file: &std::path::Path) -> usize {
    let args = ["-v", "error", "-i"].map(std::ffi::OsStr::new);
    let how = [
        "-t", "0.5", "-ac", "1", "-ar", "48000", "-f", "s16le", "pipe:1",
    ];
    let args = args.into_iter().chain([file.as_os_str()]);
    let args: Vec<_> = args.chain(how.map(std::ffi::OsStr::new)).collect();
    let heard = tool("ffmpeg", &args);
    let samples = heard
        .as_chunks()
        .0
        .iter()
        .map(|two| i16::from_le_bytes(*two));
    let samples: Vec<i16> = samples.collect();
    samples.windows(2).filter(|w| w[0] < 0 && w[1] >= 0).count()
}

async fn sound_that_can_be_decoded_is_taken(database: Database) {
    let rig = Rig::start(database, &[]).await;
    let ann = rig.owner("ann");
    let dir = tempfile::tempdir().unwrap();
    for (unknown, tracks, hertz) in [(0, 2, 440), (1, 2, 2000), (2, 1, 0)] {
        let id = ann.upload(&two_tracks(unknown)).await;
        let shown = rendition(&ann, &id, "stream").await;
        let stream = &shown["renditions"]["stream"];
        assert_eq!(stream["state"], "ready", "{unknown}: {shown}");
        let played = fetch(&rig.http, text(&stream["url"])).await;
        let into = dir.path().join("stream.mp4");
        std::fs::write(&into, &played.body).unwrap();
        let found = probe(&into);
        assert_eq!(
            found["streams"].as_array().unwrap().len(),
            tracks,
            "{found}"
        );
        if hertz > 0 {
            let heard = pitch(&into) * 2;
            assert!(heard.abs_diff(hertz) < hertz / 8, "{unknown}: {heard}");
        }
    }
}
