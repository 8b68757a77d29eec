//! Makes captures of files: frames of one burst belong together, everything else stands alone.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safelight_model::limits;

use crate::metadata::{self, ShutterNote};

/// A capture that was not sent yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// `single`, `burst` or `clip`.
    pub mode: &'static str,
    /// When it was taken, RFC 3339.
    pub captured_at: Option<String>,
    /// Its files, 1 to 100, in the order of their names; exactly one of a burst is the key frame.
    pub files: Vec<DraftFile>,
}

/// A file of a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftFile {
    /// Where it is.
    pub path: PathBuf,
    /// `key`, `frame`, `still` or `clip`.
    pub role: &'static str,
}

/// Kinds of files that cameras write: extension, media type.
const KINDS: [(&str, &str); 18] = [
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("jpe", "image/jpeg"),
    ("png", "image/png"),
    ("webp", "image/webp"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("avif", "image/avif"),
    ("gif", "image/gif"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("dng", "image/x-adobe-dng"),
    ("jxl", "image/jxl"),
    ("mp4", "video/mp4"),
    ("m4v", "video/x-m4v"),
    ("mov", "video/quicktime"),
    ("3gp", "video/3gpp"),
    ("webm", "video/webm"),
];

/// The media type that the file's name promises; `None` for names that no camera gives.
#[must_use]
pub fn media_type(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    KINDS.iter().find(|(e, _)| *e == extension).map(|(_, t)| *t)
}

/// Groups `paths` into captures, in the order of each capture's first path. Reads the pictures' metadata.
///
/// Frames are of one burst when they stand in one folder and share a burst id in their metadata or,
/// where there is none, in their names. A burst of more than 100 frames becomes several captures.
#[must_use]
pub fn group(paths: &[PathBuf]) -> Vec<Draft> {
    let mut groups: Vec<Vec<(PathBuf, ShutterNote)>> = Vec::new();
    let mut bursts: HashMap<(PathBuf, String), usize> = HashMap::new();
    for path in paths {
        let is_picture = !media_type(path).is_some_and(|t| t.starts_with("video/"));
        let note = if is_picture {
            metadata::read(path)
        } else {
            ShutterNote::default()
        };
        let burst = is_picture
            .then(|| note.burst_id.clone().or_else(|| burst_in_name(path)))
            .flatten();
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let index = match burst {
            Some(burst) => *bursts.entry((folder, burst)).or_insert(groups.len()),
            None => groups.len(),
        };
        if index == groups.len() {
            groups.push(Vec::new());
        }
        groups[index].push((path.clone(), note));
    }
    let mut drafts = Vec::new();
    for mut group in groups {
        group.sort_by(|a, b| a.0.cmp(&b.0));
        drafts.extend(group.chunks(limits::MAX_ASSETS).map(draft));
    }
    drafts
}

fn draft(group: &[(PathBuf, ShutterNote)]) -> Draft {
    let named = |path: &Path| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        stem.to_ascii_uppercase().ends_with("_COVER")
    };
    let key = group
        .iter()
        .position(|(path, _)| named(path))
        .or_else(|| group.iter().position(|(_, note)| note.burst_primary))
        .unwrap_or(0);
    let is_clip = |path: &Path| media_type(path).is_some_and(|t| t.starts_with("video/"));
    let (mode, lone_role) = match group {
        [(path, _)] if is_clip(path) => ("clip", "clip"),
        [_] => ("single", "still"),
        _ => ("burst", "frame"),
    };
    let role = |i: usize| match mode {
        "burst" if i == key => "key",
        _ => lone_role,
    };
    Draft {
        mode,
        captured_at: group
            .get(key)
            .and_then(|(_, note)| note.captured_at.clone()),
        files: group
            .iter()
            .enumerate()
            .map(|(i, (path, _))| DraftFile {
                path: path.clone(),
                role: role(i),
            })
            .collect(),
    }
}

/// What a file name says about its burst. Two forms are in use: `IMG_2020_BURST003_COVER`, where
/// the frame's number follows and what stands before it names the burst, and
/// `00003IMG_00003_BURST20200710061629144`, where the time of the burst follows.
fn burst_in_name(path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_str()?.to_ascii_uppercase();
    let at = stem.rfind("_BURST")?;
    let (before, after) = (&stem[..at], &stem[at + "_BURST".len()..]);
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    if !matches!(&after[digits..], "" | "_COVER") {
        return None;
    }
    match digits {
        1..=5 => Some(format!("before {before}")),
        14.. => Some(format!("time {}", &after[..digits])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grouped(names: &[&str]) -> Vec<(&'static str, Vec<(String, &'static str)>)> {
        let paths: Vec<PathBuf> = names.iter().map(|n| Path::new("/none").join(n)).collect();
        let name = |f: &DraftFile| f.path.file_name().unwrap().to_string_lossy().into_owned();
        group(&paths)
            .iter()
            .map(|d| (d.mode, d.files.iter().map(|f| (name(f), f.role)).collect()))
            .collect()
    }

    fn file(name: &str, role: &'static str) -> (String, &'static str) {
        (name.to_owned(), role)
    }

    #[test]
    fn names_make_bursts() {
        assert_eq!(
            grouped(&[
                "b.jpg",
                "IMG_1_BURST002.jpg",
                "IMG_1_BURST001.jpg",
                "IMG_2_BURST001_COVER.jpg",
                "IMG_1_BURST003_COVER.jpg",
                "c.MP4",
                "00000IMG_00000_BURST20200710061629144.jpg",
                "00001IMG_00001_BURST20200710061629144.jpg",
                "x_BURST_y.jpg",
            ]),
            [
                ("single", vec![file("b.jpg", "still")]),
                (
                    "burst",
                    vec![
                        file("IMG_1_BURST001.jpg", "frame"),
                        file("IMG_1_BURST002.jpg", "frame"),
                        file("IMG_1_BURST003_COVER.jpg", "key"),
                    ]
                ),
                ("single", vec![file("IMG_2_BURST001_COVER.jpg", "still")]),
                ("clip", vec![file("c.MP4", "clip")]),
                (
                    "burst",
                    vec![
                        file("00000IMG_00000_BURST20200710061629144.jpg", "key"),
                        file("00001IMG_00001_BURST20200710061629144.jpg", "frame"),
                    ]
                ),
                ("single", vec![file("x_BURST_y.jpg", "still")]),
            ]
        );
    }

    #[test]
    fn a_long_burst_becomes_several_captures() {
        let names: Vec<String> = (0..101).map(|i| format!("A_BURST{i:03}.jpg")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let sizes: Vec<usize> = grouped(&names).iter().map(|(_, f)| f.len()).collect();
        assert_eq!(sizes, [100, 1]);
    }

    #[test]
    fn metadata_makes_bursts() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, xmp: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, xmp).unwrap();
            path
        };
        let first = write("p1.jpg", "<GCamera:BurstID>x</GCamera:BurstID>");
        let second = write("p2.jpg", "GCamera:BurstID=\"x\" GCamera:BurstPrimary=\"1\"");
        let other = write("p3.jpg", "");
        let drafts = group(&[first, second, other]);
        let roles: Vec<Vec<&str>> = drafts
            .iter()
            .map(|d| d.files.iter().map(|f| f.role).collect())
            .collect();
        assert_eq!(roles, [vec!["frame", "key"], vec!["still"]]);
    }
}
