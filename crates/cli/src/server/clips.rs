//! Where ffmpeg is, and what it may take.

use std::path::{Path, PathBuf};
use std::time::Duration;

use safelight_service::processing::sandbox::ClipSettings;

use super::settings::Resolved;

/// Where programs are looked for where nobody says: of a service that is started without `PATH`.
const USUAL_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// How clips are decoded by these settings; not at all where there is no ffmpeg, or no ffprobe beside it.
pub fn clip_settings(settings: &Resolved) -> anyhow::Result<Option<ClipSettings>> {
    let Some((ffmpeg, ffprobe)) = find(settings.text("ffmpeg")) else {
        return Ok(None);
    };
    Ok(Some(ClipSettings {
        ffmpeg,
        ffprobe,
        memory_bytes: settings.number("clip_memory_bytes", 1)?,
        transcode: Duration::from_secs(settings.number("transcode_seconds", 1)?),
        stream_bytes: settings.number("max_clip_bytes", 0)?,
        scratch_dir: settings.path("scratch_dir"),
    }))
}

fn find(named: &str) -> Option<(PathBuf, PathBuf)> {
    if named.is_empty() {
        return None;
    }
    let path = std::env::var("PATH").unwrap_or_else(|_| USUAL_PATH.to_owned());
    let places: Vec<PathBuf> = match named.contains('/') {
        true => vec![PathBuf::from(named)],
        false => std::env::split_paths(&path)
            .map(|dir| dir.join(named))
            .collect(),
    };
    let both = |ffmpeg: PathBuf| {
        // As it is found by the processes that run it, from any directory.
        let ffmpeg = std::path::absolute(ffmpeg).ok()?;
        let ffprobe = ffmpeg.with_file_name("ffprobe");
        (is_program(&ffmpeg) && is_program(&ffprobe)).then_some((ffmpeg, ffprobe))
    };
    places.into_iter().find_map(both)
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_programs_are_needed() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let named = dir.path().join("ffmpeg");
        let of = || find(named.to_str().unwrap());
        let make = |name: &str, mode| {
            let path = dir.path().join(name);
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        assert_eq!(of(), None);
        make("ffmpeg", 0o755);
        assert_eq!(of(), None);
        make("ffprobe", 0o644);
        assert_eq!(of(), None);
        make("ffprobe", 0o755);
        assert_eq!(of(), Some((named.clone(), dir.path().join("ffprobe"))));
        assert_eq!(find(""), None);
        assert_eq!(find("no-such-program-anywhere"), None);
    }
}
