//! Media that is not part of the repository: a directory named by `SAFELIGHT_MEDIA`.

use std::path::PathBuf;

/// The environment variable that names the directory.
pub const VARIABLE: &str = "SAFELIGHT_MEDIA";

/// The path of `relative` below the directory that `SAFELIGHT_MEDIA` names.
///
/// `None`, after printing that the test is skipped, when the variable is not set: the caller returns.
///
/// # Panics
/// When the variable is set and the file or folder is not there, so that a test cannot pass
/// by looking at nothing.
#[allow(
    clippy::panic,
    reason = "a missing file must fail the test that asks for it"
)]
#[must_use]
pub fn require(relative: &str) -> Option<PathBuf> {
    match resolve(std::env::var_os(VARIABLE).map(PathBuf::from), relative) {
        Ok(found) => found,
        Err(missing) => panic!("{VARIABLE} is set, and {} is missing", missing.display()),
    }
}

fn resolve(root: Option<PathBuf>, relative: &str) -> Result<Option<PathBuf>, PathBuf> {
    let Some(root) = root.filter(|r| !r.as_os_str().is_empty()) else {
        println!("skipped: {VARIABLE} not set");
        return Ok(None);
    };
    let path = root.join(relative);
    if path.exists() {
        Ok(Some(path))
    } else {
        Err(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unset_skips_and_set_demands() {
        assert_eq!(resolve(None, "a.jpg"), Ok(None));
        assert_eq!(resolve(Some(PathBuf::new()), "a.jpg"), Ok(None));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jpg");
        let root = Some(dir.path().to_owned());
        assert_eq!(resolve(root.clone(), "a.jpg"), Err(path.clone()));
        std::fs::write(&path, b"x").unwrap();
        assert_eq!(resolve(root, "a.jpg"), Ok(Some(path)));
    }
}
