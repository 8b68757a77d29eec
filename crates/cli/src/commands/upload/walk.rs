//! Finds the files to send.

use std::path::{Path, PathBuf};

use anyhow::Context;
use safelight_client::grouping::media_type;
use walkdir::{DirEntry, WalkDir};

/// The files among `paths`, and the pictures and clips in the folders among them, in the order of
/// their names. A file that is named is taken whatever it is called; what is hidden or a link in a
/// folder is not.
pub fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        let metadata = std::fs::metadata(path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        if metadata.is_dir() {
            walk(path, &mut files)?;
        } else if metadata.is_file() {
            files.push(path.clone());
        } else {
            anyhow::bail!("{} is neither a file nor a folder", path.display());
        }
    }
    anyhow::ensure!(
        !files.is_empty(),
        "no pictures or clips were found in the folders named"
    );
    Ok(files)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let hidden = |entry: &DirEntry| {
        entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".")
    };
    let entries = WalkDir::new(folder).sort_by_file_name();
    for entry in entries.into_iter().filter_entry(|e| !hidden(e)) {
        let entry = entry.context("a folder cannot be read")?;
        if entry.file_type().is_file() && media_type(entry.path()).is_some() {
            files.push(entry.into_path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_give_their_media_and_names_give_what_they_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir(path("b")).unwrap();
        std::fs::create_dir(path(".trash")).unwrap();
        for name in [
            "c.JPG",
            "a.heic",
            "notes.txt",
            "b/d.mov",
            ".trash/e.jpg",
            ".f.jpg",
        ] {
            std::fs::write(path(name), "x").unwrap();
        }
        let found = files(&[dir.path().to_owned(), path("notes.txt")]).unwrap();
        assert_eq!(
            found,
            [
                path("a.heic"),
                path("b/d.mov"),
                path("c.JPG"),
                path("notes.txt")
            ]
        );
        assert!(files(&[path("absent")]).is_err());
        // To open a pipe would wait for who writes to it.
        assert!(files(&["/dev/null".into()]).is_err());
        assert!(files(&[path("b/d.mov")]).is_ok());
    }
}
