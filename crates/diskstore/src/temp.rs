//! Files in `tmp/`: there until published, gone otherwise.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::sealed;

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct Temp {
    path: PathBuf,
    file: File,
    published: bool,
}

impl Temp {
    /// Makes an empty file.
    pub(crate) fn create(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Self {
            path,
            file,
            published: false,
        })
    }

    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends the record and waits until all of it is on the disk.
    pub(crate) fn seal<T: Serialize>(&mut self, body_bytes: u64, record: &T) -> io::Result<()> {
        sealed::seal(&mut self.file, body_bytes, record)?;
        self.file.sync_data()
    }

    /// To be called once the file has its lasting name.
    pub(crate) fn published(mut self) {
        self.published = true;
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if self.published {
            return;
        }
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "a temporary file stays until the next start");
        }
    }
}
