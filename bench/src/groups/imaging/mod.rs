//! `imaging`: processor time, memory, bytes and likeness of the pictures made of a photo, through the sandbox, beside sharp
//! and libvips. Orientation, colours, stripping, errors and the way in and out are part of all of it.
//!
//! | environment | |
//! |---|---|
//! | `SAFELIGHT_MEDIA` | photos of phones, and `make-large.sh`; without it, one of the fake camera is measured |
//! | `SAFELIGHT_PEERS` | where `scripts/peers.sh` has put sharp; without it that is left out |
//! | `SAFELIGHT_IMAGING` | `all`: every JPEG of 8 megapixels and more, and those that `make-large.sh` makes; else three |

pub mod likeness;
pub mod ours;
mod peers;
pub mod used;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use safelight_imaging::{Limits, MediaType, Rendition, header};
use safelight_model::preset::{COVER, Format, OF_EVERY_PICTURE};
use safelight_testkit::camera::{Burst, shoot};

use crate::Bench;
use crate::row::Row;
use likeness::Original;
use ours::Way;
use peers::{Peers, Wanted};
use used::Cost;

/// The photo that the goals in milliseconds are about.
const MAIN: &str = "samsung_galaxy_s7edge_12mp_gps";
const GOAL_SET_MS: f64 = 85.0;
const GOAL_COVER_MS: f64 = 42.0;
/// How many times sharp's processor time for the set is ours, as people call it.
const GOAL_TIMES_SHARP: f64 = 3.0;
/// Below sharp's SSIM by this at most, and above its bytes by this at most.
const GOAL_SSIM: f64 = 0.002;
const GOAL_BYTES: f64 = 1.04;
/// Memory of a child, by megapixels of the photo.
const GOAL_MEMORY: [(f64, f64); 2] = [(13.0, 64.0), (109.0, 400.0)];
/// Measured without asking for all: the main one, one that is turned, one that no halving fits.
const FEW: [&str; 3] = [MAIN, "xiaomi_mi9t_12mp_orient6", "oppo_r7plus_13mp_gps"];
/// Other kinds of files, measured without peers.
const OTHER_KINDS: [&str; 3] = [
    "heic/iphone13promax_12mp_orient6.heic",
    "formats/mountains_exif.avif",
    "formats/screenshot_1170x2532.png",
];
/// What counts as 8 megapixels: phones say so of 3264 by 2448.
const LARGE_PIXELS: u64 = 7_900_000;
const ROUNDS: u32 = 20;
/// What takes long is measured less often.
const ROUNDS_OF_HUGE: u32 = 6;
const HUGE_PIXELS: u64 = 40_000_000;
const SHARP: &str = "sharp, three calls";

/// Runs the group.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let folder = bench.scratch.join("imaging");
    std::fs::create_dir_all(&folder)?;
    let media = std::env::var_os("SAFELIGHT_MEDIA").map(PathBuf::from);
    let all = std::env::var_os("SAFELIGHT_IMAGING").is_some_and(|v| v == "all");
    let files = match &media {
        Some(media) => photos(media, all, &folder)?,
        None => {
            println!("imaging: SAFELIGHT_MEDIA not set: a photo of the fake camera instead");
            let burst = Burst {
                seed: 2,
                count: 1,
                megapixels: 12.0,
            };
            shoot(&burst, &folder.join("camera"))?
        }
    };
    let peers = Peers::find();
    let (mut rows, mut compared) = (Vec::new(), Vec::new());
    for file in &files {
        compared.extend(photo(file, &peers, &folder, &mut rows).await?);
    }
    means(&compared, &mut rows);
    for name in OTHER_KINDS {
        let Some(file) = media.as_ref().map(|m| m.join(name)) else {
            println!("imaging: {name} is left out: SAFELIGHT_MEDIA not set");
            continue;
        };
        println!("imaging: {name}");
        let (set, _) = ours::measure(&file, &OF_EVERY_PICTURE, Way::AtOnce, ROUNDS_OF_HUGE).await?;
        push(&mut rows, &stem(&file), "set", &set);
        in_two(&file, ROUNDS_OF_HUGE, &mut rows).await?;
    }
    Ok(rows)
}

fn stem(file: &Path) -> String {
    file.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The JPEGs to measure.
fn photos(media: &Path, all: bool, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !all {
        println!("imaging: three photos; SAFELIGHT_IMAGING=all measures every one");
        let few = FEW.map(|name| media.join("photos").join(name).with_extension("jpg"));
        return Ok(few.to_vec());
    }
    let large = folder.join("large");
    println!("imaging: making large photos");
    let made = Command::new("bash")
        .arg(media.join("make-large.sh"))
        .arg(&large)
        .status()?;
    ensure!(made.success(), "make-large.sh failed");
    let mut found = Vec::new();
    for folder in ["photos", "motion", "hdr", "pano", "orientation"].map(|f| media.join(f)) {
        found.extend(jpegs(&folder)?);
    }
    found.extend(jpegs(&large)?);
    ensure!(!found.is_empty(), "no photos in {}", media.display());
    Ok(found)
}

fn jpegs(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_file()
            && let Ok(header) = header(&std::fs::read(&path)?, &Limits::default())
            && header.media == MediaType::Jpeg
            && pixels(header.width, header.height) >= LARGE_PIXELS
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn pixels(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height)
}

fn push(rows: &mut Vec<Row>, photo: &str, what: &str, cost: &Cost) {
    let name = |value: &str| format!("imaging.{photo}.{what}_{value}");
    rows.push(Row::plain(name("cpu"), cost.cpu_ms, "ms"));
    rows.push(Row::plain(name("wall"), cost.wall_ms, "ms"));
    rows.push(Row::plain(name("memory"), cost.peak_mb, "MB"));
}

/// The same set as the server makes it, the cover first: of one decoded picture, beside decoding it again.
async fn in_two(file: &Path, rounds: u32, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let (in_two, _) = ours::measure(file, &OF_EVERY_PICTURE, Way::InTwo, rounds).await?;
    let (twice, _) = ours::measure(file, &OF_EVERY_PICTURE, Way::Twice, rounds).await?;
    let name = |value: &str| format!("imaging.{}.cover_then_rest_{value}", stem(file));
    let row = Row::plain(name("cpu"), in_two.cpu_ms, "ms");
    rows.push(row.against("decoded twice", twice.cpu_ms));
    rows.push(Row::plain(name("memory"), in_two.peak_mb, "MB"));
    Ok(())
}

/// One photo's pictures beside sharp's.
struct Compared {
    /// Sharp's processor time in units of ours.
    times: f64,
    pictures: Vec<Beside>,
}

/// A picture beside sharp's.
struct Beside {
    preset: &'static str,
    /// Our SSIM less sharp's.
    ssim: f64,
    /// Our bytes in units of sharp's.
    bytes: f64,
}

/// Rows of all photos together: geometric means, of SSIM the mean difference.
fn means(compared: &[Compared], rows: &mut Vec<Row>) {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let geometric = |values: &[f64]| mean(&values.iter().map(|v| v.ln()).collect::<Vec<_>>()).exp();
    if compared.is_empty() {
        return;
    }
    let times: Vec<f64> = compared.iter().map(|c| c.times).collect();
    let row = Row::plain("imaging.mean.set_times_sharp", geometric(&times), "times");
    rows.push(row.at_least(GOAL_TIMES_SHARP));
    for preset in OF_EVERY_PICTURE.map(|p| p.name) {
        let pictures = compared.iter().flat_map(|c| &c.pictures);
        let pictures: Vec<&Beside> = pictures.filter(|p| p.preset == preset).collect();
        if pictures.is_empty() {
            continue;
        }
        let ssim: Vec<f64> = pictures.iter().map(|p| p.ssim).collect();
        let name = format!("imaging.mean.{preset}_ssim_above_sharp");
        rows.push(Row::plain(name, mean(&ssim), "of 1").at_least(-GOAL_SSIM));
        let bytes: Vec<f64> = pictures.iter().map(|p| p.bytes).collect();
        let name = format!("imaging.mean.{preset}_bytes_of_sharp");
        rows.push(Row::plain(name, geometric(&bytes), "times").at_most(GOAL_BYTES));
    }
}

/// Everybody's pictures of one photo.
async fn photo(
    file: &Path,
    peers: &Peers,
    folder: &Path,
    rows: &mut Vec<Row>,
) -> anyhow::Result<Option<Compared>> {
    let photo = stem(file);
    println!("imaging: {photo}");
    let main = photo == MAIN;
    let (set, reply) = ours::measure(file, &OF_EVERY_PICTURE, Way::AtOnce, ROUNDS).await?;
    let pixels = pixels(reply.width, reply.height);
    let rounds = if pixels >= HUGE_PIXELS {
        ROUNDS_OF_HUGE
    } else {
        ROUNDS
    };
    let (cover, alone) = ours::measure(file, &[COVER], Way::AtOnce, rounds).await?;
    in_two(file, rounds, rows).await?;
    let wanted: Vec<Wanted> = reply.renditions.iter().map(to_make).collect();
    let small: Vec<Wanted> = alone.renditions.iter().map(to_make).collect();
    let [own, calls, cascade] = ["own", "calls", "cascade"].map(|way| folder.join(way));
    for folder in [&own, &calls, &cascade] {
        std::fs::create_dir_all(folder)?;
    }
    for rendition in &reply.renditions {
        std::fs::write(own.join(rendition.preset.name), &rendition.bytes)?;
    }
    let sharp_cover = peers.sharp(file, "calls", &small, rounds, &calls)?;
    let sharp = peers.sharp(file, "calls", &wanted, rounds, &calls)?;
    let cascaded = peers.sharp(file, "cascade", &wanted, rounds, &cascade)?;
    let vips = peers.vips(
        file,
        &vips_names(&wanted),
        rounds.min(ROUNDS_OF_HUGE),
        folder,
    )?;

    let against = |row: Row, peer: Option<Cost>, value: fn(&Cost) -> f64| match peer {
        Some(peer) => row.against(SHARP, value(&peer)),
        None => row,
    };
    let name = |value: &str| format!("imaging.{photo}.{value}");
    for (what, cost, peer, goal) in [
        ("set", &set, sharp, GOAL_SET_MS),
        ("cover", &cover, sharp_cover, GOAL_COVER_MS),
    ] {
        let row = Row::plain(name(&format!("{what}_cpu")), cost.cpu_ms, "ms");
        let row = against(row, peer, |c| c.cpu_ms);
        rows.push(if main { row.at_most(goal) } else { row });
        let row = Row::plain(name(&format!("{what}_wall")), cost.wall_ms, "ms");
        rows.push(against(row, peer, |c| c.wall_ms));
    }
    for (peer, cost) in [("sharp_cascaded", cascaded), ("vipsthumbnail", vips)] {
        if let Some(cost) = cost {
            push(rows, &photo, &format!("set_of_{peer}"), &cost);
        }
    }
    let row = Row::plain(name("set_memory"), set.peak_mb, "MB");
    let row = against(row, sharp, |c| c.peak_mb);
    let megapixels = pixels as f64 / 1e6;
    let goal = GOAL_MEMORY.iter().find(|(most, _)| megapixels <= *most);
    rows.push(match goal {
        Some((_, goal)) => row.at_most(*goal),
        None => row,
    });
    let pictures = likenesses(
        file,
        folder,
        &reply.renditions,
        [&own, &calls],
        sharp.is_some(),
        rows,
    )?;
    Ok(sharp.map(|sharp| Compared {
        times: sharp.cpu_ms / set.cpu_ms,
        pictures,
    }))
}

fn to_make(rendition: &Rendition) -> Wanted {
    Wanted {
        name: rendition.preset.name.to_owned(),
        width: rendition.width,
        height: rendition.height,
        format: match rendition.preset.format {
            Format::Webp => "webp",
            Format::Jpeg => "jpeg",
            Format::Avif => "avif",
            Format::Mp4 => "mp4",
            Format::M3u8 => "m3u8",
        },
        quality: rendition.preset.quality,
    }
}

/// libvips goes by the ends of names.
fn vips_names(wanted: &[Wanted]) -> Vec<Wanted> {
    let mut wanted = wanted.to_vec();
    for one in &mut wanted {
        one.name = format!("{}.{}", one.name, one.format);
    }
    wanted
}

fn likenesses(
    file: &Path,
    folder: &Path,
    renditions: &[Rendition],
    [own, calls]: [&Path; 2],
    with_sharp: bool,
    rows: &mut Vec<Row>,
) -> anyhow::Result<Vec<Beside>> {
    let original = match Original::decode(file, folder, "0") {
        Ok(original) => original,
        Err(error) => {
            println!("imaging: no likeness of {}: {error:#}", file.display());
            return Ok(Vec::new());
        }
    };
    let mut beside = Vec::new();
    for rendition in renditions {
        let preset = rendition.preset.name;
        let (own_ssim, own_bytes) = original.compare(&own.join(preset))?;
        let name = |value: &str| format!("imaging.{}.{preset}_{value}", stem(file));
        let ssim = Row::plain(name("ssim"), own_ssim, "of 1");
        let bytes = Row::plain(name("bytes"), own_bytes, "bytes");
        if !with_sharp {
            rows.extend([ssim, bytes]);
            continue;
        }
        let (peer_ssim, peer_bytes) = original.compare(&calls.join(preset))?;
        beside.push(Beside {
            preset,
            ssim: own_ssim - peer_ssim,
            bytes: own_bytes / peer_bytes,
        });
        let goal = peer_ssim - GOAL_SSIM;
        rows.push(ssim.against(SHARP, peer_ssim).at_least(goal));
        let goal = peer_bytes * GOAL_BYTES;
        rows.push(bytes.against(SHARP, peer_bytes).at_most(goal));
    }
    Ok(beside)
}
