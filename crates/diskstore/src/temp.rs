//! Files in `tmp/`: there until published, gone otherwise.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::blocks::BlockSums;
use crate::disk::{Disk, DiskFile};
use crate::sealed;

/// A file that is being written: a body, then what is known of it.
#[derive(Debug)]
pub(crate) struct Temp {
    disk: Disk,
    path: PathBuf,
    file: DiskFile,
    sums: BlockSums,
    body_bytes: u64,
    published: bool,
}

impl Temp {
    /// Makes an empty file.
    pub(crate) fn create(disk: &Disk, path: PathBuf) -> io::Result<Self> {
        Ok(Self {
            file: disk.create(&path)?,
            disk: disk.clone(),
            path,
            sums: BlockSums::begin(),
            body_bytes: 0,
            published: false,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends bytes of the body.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write(bytes)?;
        self.written(bytes);
        Ok(())
    }

    /// Appends so many bytes of another file, from where that stands, and tells how many there were. What they are
    /// is yet to be told by [`Temp::written`].
    pub(crate) fn take_from(&mut self, from: &mut File, bytes: u64) -> io::Result<u64> {
        self.file.take_from(from, bytes)
    }

    /// Takes note of bytes of the body that are in the file.
    pub(crate) fn written(&mut self, bytes: &[u8]) {
        self.sums.update(bytes);
        self.body_bytes += bytes.len() as u64;
    }

    /// Appends the body's sums and the record, and waits until all of it is on the disk.
    pub(crate) fn seal<T: Serialize>(&mut self, record: &T) -> io::Result<()> {
        let sums = std::mem::replace(&mut self.sums, BlockSums::begin()).finish();
        self.file
            .write(&sealed::tail(self.body_bytes, sums, record)?)?;
        self.file.sync()
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
        if let Err(error) = self.disk.remove_file(&self.path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %self.path.display(), "a temporary file stays until the next start");
        }
    }
}
