//! Real files: grouped as their cameras meant them.

use std::path::PathBuf;

use safelight_client::grouping::group;

#[test]
fn a_real_burst_is_one_capture_with_its_cover_as_key() {
    let Some(media) = std::env::var_os("SAFELIGHT_MEDIA") else {
        eprintln!("skipped: SAFELIGHT_MEDIA not set");
        return;
    };
    let media = PathBuf::from(media);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(media.join("burst"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "jpg"))
        .collect();
    paths.push(media.join("photos/iphone6_hdr_on.jpg"));
    paths.push(media.join("live/iphone11pro_live.mov"));
    let drafts = group(&paths);
    let modes: Vec<&str> = drafts.iter().map(|d| d.mode).collect();
    assert_eq!(modes, ["burst", "single", "clip"]);
    let burst = &drafts[0];
    assert_eq!(burst.files.len(), 5);
    let key: Vec<_> = burst.files.iter().filter(|f| f.role == "key").collect();
    assert_eq!(key.len(), 1);
    assert!(key[0].path.to_string_lossy().ends_with("_COVER.jpg"));
    let at = burst.captured_at.as_deref().unwrap_or_default();
    assert!(at.starts_with("2020-07-10T06:16:29"), "{at}");
}
