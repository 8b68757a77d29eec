//! Real photos and hostile files, from `safelight upload` to what anybody is shown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use safelight_testkit::media;
use safelight_testkit::server::peak_memory_bytes;
use serde_json::Value;

use crate::http_rig::{Database, Rig, fetch, text};

/// Groups of tags that every picture has, or that exiftool adds by itself.
const PLAIN_GROUPS: [&str; 6] = ["ExifTool", "System", "File", "RIFF", "JFIF", "Composite"];
/// Bytes that no rendition may hold: the beginnings of EXIF, XMP, Photoshop and MPF blocks.
const BLOCKS: [&[u8]; 5] = [
    b"Exif\0\0",
    b"http://ns.adobe.com",
    b"<x:xmpmeta",
    b"8BIM",
    b"MPF\0",
];
/// What `large` has of these besides, of a photo with a gain map, which is told of there; and as exiftool names it.
const BLOCKS_OF_GAIN_MAP: [&[u8]; 3] = [b"http://ns.adobe.com", b"<x:xmpmeta", b"MPF\0"];
const GROUPS_OF_GAIN_MAP: [&str; 7] = [
    "XMP-x",
    "XMP-hdrgm",
    "XMP-Container",
    "XMP-GContainer",
    "MPF0",
    "MPImage1",
    "MPImage2",
];
/// Edge of the picture that hashes are made of.
const EDGE: usize = 16;
/// Bits of a hash of 240 that may differ between two makers of the same picture: in a smooth sky
/// neighbours differ by less than what encoding does to them. Another way up differs in half of them.
const TOLERANCE: u32 = 48;
/// What the server itself may hold in memory.
const SERVER_BYTES: u64 = 300_000_000;
/// What a decoding child may hold: its limit.
const CHILD_BYTES: u64 = 1024 * 1024 * 1024;
/// How often memory is looked at. Peaks are the kernel's own: only a child that ends between is missed.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// What becomes of each hostile file: `ready`, or the code that it fails with.
const HOSTILE: [(&str, &str); 18] = [
    ("bomb_40000x40000_1bit.png", "pixel_limit_exceeded"),
    ("bomb_65536x65536.png", "pixel_limit_exceeded"),
    ("bomb_ztxt_256MB.png", "ready"),
    ("crash_moov_trak.mp4", "unsupported_media_type"),
    ("eicar.jpg", "unsupported_media_type"),
    ("empty.jpg", "validation_failed"),
    ("exif_thumb_out_of_range.jpg", "ready"),
    ("heic_named.jpg", "ready"),
    ("lying_header_65535.jpg", "pixel_limit_exceeded"),
    ("mp4_box_size0.mp4", "media_corrupt"),
    ("mp4_no_moov.mp4", "media_corrupt"),
    ("png_named.jpg", "ready"),
    ("polyglot_html.jpg", "ready"),
    ("progressive_400_scans.jpg", "media_corrupt"),
    ("script.svg", "unsupported_media_type"),
    ("svg_named.jpg", "unsupported_media_type"),
    ("truncated.heic", "media_corrupt"),
    ("truncated_60pct.jpg", "media_corrupt"),
];

/// The files of a folder of the media, by name.
fn files(folder: &str, extensions: &[&str]) -> Option<Vec<PathBuf>> {
    let root = media::require(folder)?;
    let mut files: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let extension = path
                .extension()
                .and_then(|e| e.to_str())
                .unwrap_or_default();
            extensions.is_empty() || extensions.contains(&extension)
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} is empty");
    Some(files)
}

/// Uploads files by the command line, waits, and returns its report with each file by path.
async fn upload(rig: &Rig, files: &[PathBuf]) -> (Output, BTreeMap<PathBuf, Value>) {
    let home = rig.server.data_dir().join("client");
    std::fs::create_dir_all(&home).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_safelight"));
    command
        .args(["upload", "--wait", "--json"])
        .args(files)
        .env_clear()
        .env("HOME", home)
        .env("SAFELIGHT_URL", rig.server.url())
        .env("SAFELIGHT_TOKEN", rig.server.admin_key().unwrap())
        .env("SAFELIGHT_OWNER", "ann");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    let files = report["files"].as_array().unwrap();
    let by_path = files
        .iter()
        .map(|f| (PathBuf::from(text(&f["file"])), f.clone()));
    (output, by_path.collect())
}

/// Watches the memory of a server and its children until dropped.
struct Watch {
    stop: Option<mpsc::Sender<()>>,
    watching: Option<std::thread::JoinHandle<(u64, u64)>>,
}

impl Watch {
    fn over(rig: &Rig) -> Self {
        let (stop, stopped) = mpsc::channel();
        let pid = rig.server.pid().unwrap();
        let children = format!("/proc/{pid}/task");
        let watching = std::thread::spawn(move || {
            let (mut own, mut largest) = (0, 0);
            loop {
                own = own.max(peak_memory_bytes(pid).unwrap_or(0));
                for thread in std::fs::read_dir(&children).into_iter().flatten().flatten() {
                    let list = std::fs::read_to_string(thread.path().join("children"));
                    for child in list.unwrap_or_default().split_whitespace() {
                        let peak = child.parse().ok().and_then(peak_memory_bytes);
                        largest = largest.max(peak.unwrap_or(0));
                    }
                }
                if stopped.recv_timeout(BETWEEN_LOOKS) != Err(RecvTimeoutError::Timeout) {
                    return (own, largest);
                }
            }
        });
        Self {
            stop: Some(stop),
            watching: Some(watching),
        }
    }

    /// Checks what was seen.
    fn end(mut self) {
        drop(self.stop.take());
        let (own, child) = self.watching.take().unwrap().join().unwrap();
        println!(
            "most memory: server {} MB, a decoding child {} MB",
            own / 1_000_000,
            child / 1_000_000
        );
        assert!(own > 0 && own < SERVER_BYTES, "the server held {own} bytes");
        assert!(
            child > 0 && child < CHILD_BYTES,
            "a child held {child} bytes"
        );
    }
}

/// Runs a tool that the tests need.
pub(super) fn tool(name: &str, args: &[&std::ffi::OsStr]) -> Vec<u8> {
    let output = Command::new(name).args(args).output();
    let output = output.unwrap_or_else(|e| panic!("{name}: {e}: run `make deps-test`"));
    assert!(
        output.status.success(),
        "{name} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// A picture of 16 by 16 grey values.
pub(super) type Grey = [[u8; EDGE]; EDGE];

/// What libvips shows of a file, squeezed into a small square. It turns nothing.
fn grey(file: &Path, scratch: &Path) -> Grey {
    let small = scratch.join("small.ppm");
    let edge = EDGE.to_string();
    let args = [
        "thumbnail".as_ref(),
        file.as_os_str(),
        small.as_os_str(),
        edge.as_ref(),
    ];
    let how = [
        "--height",
        &edge,
        "--size",
        "force",
        "--no-rotate",
        "--export-profile",
        "srgb",
    ];
    let args: Vec<&std::ffi::OsStr> = args.into_iter().chain(how.map(AsRef::as_ref)).collect();
    tool("vips", &args);
    let bytes = std::fs::read(&small).unwrap();
    let depth = match &bytes[..2] {
        b"P6" => 3,
        b"P5" => 1,
        other => panic!("{}: {other:?}", file.display()),
    };
    let pixels = &bytes[bytes.len() - EDGE * EDGE * depth..];
    let mut grey = Grey::default();
    for (i, pixel) in pixels.chunks(depth).enumerate() {
        let sum: u32 = pixel.iter().map(|v| u32::from(*v)).sum();
        grey[i / EDGE][i % EDGE] = (sum / depth as u32) as u8;
    }
    grey
}

/// The perceptual hash: whether each pixel is brighter than its neighbour.
fn hash(grey: &Grey) -> Vec<bool> {
    let brighter =
        |row: &[u8; EDGE]| -> Vec<bool> { row.windows(2).map(|p| p[0] > p[1]).collect() };
    grey.iter().flat_map(brighter).collect()
}

fn distance(a: &Grey, b: &Grey) -> u32 {
    let differ = hash(a).into_iter().zip(hash(b)).filter(|(a, b)| a != b);
    differ.count() as u32
}

/// The eight ways to hold a picture; the first is upright.
fn held(grey: &Grey) -> Vec<Grey> {
    let mut ways = Vec::new();
    for way in 0..8 {
        let mut turned = Grey::default();
        for (y, row) in turned.iter_mut().enumerate() {
            for (x, value) in row.iter_mut().enumerate() {
                let (mut u, mut v) = if way & 4 == 0 { (x, y) } else { (y, x) };
                if way & 1 != 0 {
                    u = EDGE - 1 - u;
                }
                if way & 2 != 0 {
                    v = EDGE - 1 - v;
                }
                *value = grey[v][u];
            }
        }
        ways.push(turned);
    }
    ways
}

/// Downloads every rendition of an asset; preset and file.
async fn renditions(rig: &Rig, asset: &Value, into: &Path, name: &str) -> Vec<(String, PathBuf)> {
    let mut got = Vec::new();
    for (preset, rendition) in asset["renditions"].as_object().unwrap() {
        assert_eq!(rendition["state"], "ready", "{name}: {asset}");
        let answer = fetch(&rig.http, text(&rendition["url"])).await;
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        let extension = if answer.header("content-type") == "image/webp" {
            "webp"
        } else {
            "jpg"
        };
        let holds = |block: &[u8]| answer.body.windows(block.len()).any(|w| w == block);
        let has_gain_map = preset == "large" && holds(b"http://ns.adobe.com/hdr-gain-map/");
        for block in BLOCKS {
            let is_of_gain_map = has_gain_map && BLOCKS_OF_GAIN_MAP.contains(&block);
            assert!(
                is_of_gain_map || !holds(block),
                "{preset} of {name} holds {:?}",
                String::from_utf8_lossy(block)
            );
        }
        let path = into.join(format!("{name}.{preset}.{extension}"));
        std::fs::write(&path, &answer.body).unwrap();
        got.push((preset.clone(), path));
    }
    assert_eq!(got.len(), 3, "{name}: {asset}");
    got
}

/// Fails if exiftool sees any tag in these files that a plain picture does not have.
fn without_metadata(folder: &Path, count: usize) {
    let args = ["-j", "-G1", "-a", "-u", "-q"].map(std::ffi::OsStr::new);
    let args: Vec<_> = args.into_iter().chain([folder.as_os_str()]).collect();
    let seen: Value = serde_json::from_slice(&tool("exiftool", &args)).unwrap();
    let seen = seen.as_array().unwrap();
    assert_eq!(seen.len(), count, "exiftool looked at every file");
    for file in seen {
        let is_large = text(&file["SourceFile"]).ends_with(".large.jpg");
        let has_gain_map = is_large && file.get("XMP-hdrgm:Version").is_some();
        for tag in file
            .as_object()
            .unwrap()
            .keys()
            .filter(|t| *t != "SourceFile")
        {
            let (group, name) = tag.split_once(':').unwrap_or(("", tag));
            let plain = PLAIN_GROUPS.contains(&group) && !name.contains("Thumbnail");
            let is_of_gain_map = has_gain_map && GROUPS_OF_GAIN_MAP.contains(&group);
            assert!(plain || is_of_gain_map, "{}: {tag}", file["SourceFile"]);
        }
    }
}

/// How libvips holds a file by the orientation that the file names, and the seven other ways.
pub(super) fn ways_of(file: &Path, scratch: &Path) -> Vec<Grey> {
    let reference = scratch.join("reference.png");
    let (from, to) = (file.as_os_str(), reference.as_os_str());
    // It goes by the first EXIF segment alone, which tells nothing; the second says that this is upright, and it is.
    if file.ends_with("exif_thumb_out_of_range.jpg") {
        tool("vips", &["rot".as_ref(), from, to, "d90".as_ref()]);
    } else {
        tool("vips", &["autorot".as_ref(), from, to]);
    }
    held(&grey(&reference, scratch))
}

/// Fails unless a rendition is nearest to the first of the ways, and near.
pub(super) fn upright(ways: &[Grey], rendition: &Path, scratch: &Path) {
    let shown = grey(rendition, scratch);
    let from: Vec<u32> = ways.iter().map(|way| distance(way, &shown)).collect();
    let name = rendition.file_name().unwrap().display();
    println!(
        "{name}: {} bits from upright, {:?} from the others",
        from[0],
        &from[1..]
    );
    assert!(from[0] <= TOLERANCE, "{name}: {from:?}");
    // A picture of one colour looks the same any way up.
    let is_flat = hash(&ways[0]).iter().all(|brighter| !brighter);
    let nearest = from[1..].iter().all(|other| from[0] < *other);
    assert!(nearest || is_flat, "{name}: {from:?}");
}

/// An empty folder that stays after the test, to be looked at.
pub(super) fn gallery(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn real_photos_are_shown_upright_and_without_metadata() {
    let mut photos = Vec::new();
    for (folder, extensions) in [
        ("photos", &["jpg"][..]),
        ("orientation", &["jpg"]),
        ("burst", &["jpg"]),
        ("pano", &["jpg"]),
        ("hdr", &["jpg"]),
        ("motion", &["jpg"]),
        ("heic", &["heic", "heif"]),
        ("formats", &["jpg", "png", "webp", "avif"]),
    ] {
        let Some(files) = files(folder, extensions) else {
            return;
        };
        photos.extend(files);
    }
    let rig = Rig::start(Database::Sqlite, &[]).await;
    let watch = Watch::over(&rig);
    let (output, report) = upload(&rig, &photos).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(report.len(), photos.len());
    let ann = rig.owner("ann");
    let (folder, scratch) = (gallery("renditions"), tempfile::tempdir().unwrap());
    let mut covers = Vec::new();
    for path in &photos {
        let file = &report[path];
        assert_eq!(file["state"], "ready", "{file}");
        let asset = ann.ready(text(&file["asset_id"])).await;
        let name = path.file_name().unwrap().to_str().unwrap();
        let ways = ways_of(path, scratch.path());
        for (preset, rendition) in renditions(&rig, &asset, &folder, name).await {
            upright(&ways, &rendition, scratch.path());
            if preset == "cover" {
                covers.push(rendition);
            }
        }
    }
    watch.end();
    without_metadata(&folder, 3 * photos.len());
    // For people: everything on one sheet.
    let covers: Vec<String> = covers.iter().map(|p| p.display().to_string()).collect();
    let sheet = folder.with_file_name("contact-sheet.png");
    let mut command = Command::new("vips");
    command.arg("arrayjoin").arg(covers.join(" ")).arg(&sheet);
    command.args(["--across", "8", "--hspacing", "324", "--vspacing", "324"]);
    assert!(command.status().unwrap().success());
    println!("{} photos; look at {}", photos.len(), sheet.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_files_fail_by_name_or_are_shown_right() {
    let Some(all) = files("hostile", &[]) else {
        return;
    };
    let rig = Rig::start(Database::Sqlite, &[]).await;
    let watch = Watch::over(&rig);
    let (output, report) = upload(&rig, &all).await;
    assert_eq!(output.status.code(), Some(1), "some of them failed");
    let ann = rig.owner("ann");
    let (folder, mut shown) = (gallery("hostile"), 0);
    let scratch = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for path in &all {
        let (file, name) = (&report[path], path.file_name().unwrap().to_str().unwrap());
        let became = match file["code"].as_str() {
            Some(code) => code,
            None => text(&file["state"]),
        };
        println!("{name}: {became} {}", file["detail"]);
        let expected = HOSTILE.iter().find(|(n, _)| *n == name);
        if expected.is_none_or(|(_, expected)| *expected != became) {
            wrong.push(format!("{name}: {became} {}", file["detail"]));
            continue;
        }
        if became == "ready" {
            let asset = ann.ready(text(&file["asset_id"])).await;
            let ways = ways_of(path, scratch.path());
            for (_, rendition) in renditions(&rig, &asset, &folder, name).await {
                upright(&ways, &rendition, scratch.path());
            }
            shown += 1;
        } else if let Some(asset_id) = file["asset_id"].as_str() {
            assert_eq!(file["state"], "failed", "{file}");
            let bytes = std::fs::read(path).unwrap();
            assert_eq!(ann.original(asset_id).await, bytes, "{name} is kept");
        }
    }
    watch.end();
    assert!(wrong.is_empty(), "{wrong:#?}");
    without_metadata(&folder, 3 * shown);
    assert!(ann.get("/readyz").await.status == 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn animations_and_raw_photos_are_shown() {
    let Some(all) = files("formats", &["gif", "dng"]) else {
        return;
    };
    let rig = Rig::start(Database::Sqlite, &[]).await;
    let (_, report) = upload(&rig, &all).await;
    let (ann, folder) = (rig.owner("ann"), gallery("animations-and-raw"));
    for path in &all {
        let file = &report[path];
        assert_eq!(file["state"], "ready", "{file}");
        let asset = ann.ready(text(&file["asset_id"])).await;
        let name = path.file_name().unwrap().to_str().unwrap();
        renditions(&rig, &asset, &folder, name).await;
    }
    without_metadata(&folder, 3 * all.len());
}
