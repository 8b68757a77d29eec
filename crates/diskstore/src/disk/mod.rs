//! The file system, as far as the store changes it.
//!
//! Whatever creates, writes, syncs, renames, links or removes goes through here, so that tests can record it, replay
//! what a crash would have left of it, and make any step of it fail. Reading does not.

#[cfg(test)]
pub(crate) mod tape;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
#[cfg(test)]
use std::path::PathBuf;

/// The file system. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    #[cfg(test)]
    tape: Option<std::sync::Arc<tape::Tape>>,
}

/// Does some work; in tests after the tape, if there is one, was told what it is.
macro_rules! step {
    ($tape:expr, $step:expr, $work:expr) => {{
        #[cfg(test)]
        let done = match &$tape {
            Some(tape) => tape.perform($step, || $work),
            None => $work,
        };
        #[cfg(not(test))]
        let done = $work;
        done
    }};
}

impl Disk {
    /// Makes an empty file with mode 0600 for reading and writing; an error if there is something of this name.
    pub(crate) fn create(&self, path: &Path) -> io::Result<DiskFile> {
        let create = || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
        };
        #[cfg(test)]
        let id = tape::draw_id();
        let file = step!(
            self.tape,
            tape::Step::Create {
                path: path.to_owned(),
                id
            },
            create()
        )?;
        Ok(DiskFile {
            file,
            written_bytes: 0,
            #[cfg(test)]
            tape: self.tape.clone(),
            #[cfg(test)]
            id,
        })
    }

    /// Makes a directory with mode 0700; an error if there is something of this name.
    pub(crate) fn make_dir(&self, path: &Path) -> io::Result<()> {
        step!(
            self.tape,
            tape::Step::MakeDir(path.to_owned()),
            DirBuilder::new().mode(0o700).create(path)
        )
    }

    /// Renames a file or a directory; a file at the new name goes.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        step!(
            self.tape,
            tape::Step::Rename {
                from: from.to_owned(),
                to: to.to_owned()
            },
            fs::rename(from, to)
        )
    }

    /// Gives a file a second name.
    pub(crate) fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        step!(
            self.tape,
            tape::Step::Link {
                from: from.to_owned(),
                to: to.to_owned()
            },
            fs::hard_link(from, to)
        )
    }

    /// Removes a file's name.
    pub(crate) fn remove_file(&self, path: &Path) -> io::Result<()> {
        step!(
            self.tape,
            tape::Step::RemoveFile(path.to_owned()),
            fs::remove_file(path)
        )
    }

    /// Removes an empty directory.
    pub(crate) fn remove_dir(&self, path: &Path) -> io::Result<()> {
        step!(
            self.tape,
            tape::Step::RemoveDir(path.to_owned()),
            fs::remove_dir(path)
        )
    }

    /// Removes a directory with all in it, which nobody else changes.
    pub(crate) fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                self.remove_dir_all(&entry.path())?;
            } else {
                self.remove_file(&entry.path())?;
            }
        }
        self.remove_dir(path)
    }

    /// Opens a directory, to sync it when names in it have changed, even if it has another name then.
    pub(crate) fn open_dir(&self, path: &Path) -> io::Result<OpenDir> {
        Ok(OpenDir {
            file: File::open(path)?,
            #[cfg(test)]
            path: path.to_owned(),
            #[cfg(test)]
            tape: self.tape.clone(),
        })
    }

    /// Returns when the names in this directory are on the disk.
    pub(crate) fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.open_dir(path)?.sync()
    }

    /// Returns when all that was written to the file system of this directory is on the disk.
    pub(crate) fn sync_all(&self, root: &Path) -> io::Result<()> {
        let root = File::open(root)?;
        step!(
            self.tape,
            tape::Step::SyncAll,
            rustix::fs::syncfs(&root).map_err(io::Error::from)
        )
    }
}

/// An open directory.
pub(crate) struct OpenDir {
    file: File,
    #[cfg(test)]
    path: PathBuf,
    #[cfg(test)]
    tape: Option<std::sync::Arc<tape::Tape>>,
}

impl OpenDir {
    /// Returns when the names in it are on the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        step!(
            self.tape,
            tape::Step::SyncDir(self.path.clone()),
            self.file.sync_all()
        )
    }
}

/// A file that is being written, from its beginning to its end.
#[derive(Debug)]
pub(crate) struct DiskFile {
    file: File,
    written_bytes: u64,
    #[cfg(test)]
    tape: Option<std::sync::Arc<tape::Tape>>,
    #[cfg(test)]
    id: u64,
}

impl DiskFile {
    /// Appends these bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = &mut self.file;
        step!(
            self.tape,
            tape::Step::Write {
                id: self.id,
                at: self.written_bytes,
                bytes: bytes.to_vec()
            },
            file.write_all(bytes)
        )?;
        self.written_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Reads what was written, from so many bytes on.
    pub(crate) fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, at)
    }

    /// Appends so many bytes of another file, from where that stands, and tells how many there were. Where the file
    /// system can, none are copied but both files share them.
    pub(crate) fn take_from(&mut self, from: &mut File, bytes: u64) -> io::Result<u64> {
        let file = &mut self.file;
        // On Linux this is copy_file_range, which clones where that works.
        let taken = step!(
            self.tape,
            tape::Step::Write {
                id: self.id,
                at: self.written_bytes,
                bytes: tape::peek(from, bytes)?
            },
            io::copy(&mut from.take(bytes), file)
        )?;
        self.written_bytes += taken;
        Ok(taken)
    }

    /// Returns when its bytes are on the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        step!(
            self.tape,
            tape::Step::SyncFile { id: self.id },
            self.file.sync_data()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What changes a file system, as sources write it.
    const CHANGES: [&str; 14] = [
        "fs::rename",
        "fs::remove_",
        "fs::hard_link",
        "fs::copy",
        "fs::write",
        "fs::create_dir",
        "OpenOptions",
        "DirBuilder",
        "File::create",
        "io::copy",
        ".set_len(",
        ".sync_all()",
        ".sync_data()",
        "syncfs",
    ];

    /// The lines of a source, without its tests, that change a file system.
    fn changes(source: &str) -> Vec<&str> {
        let shipped = source
            .split("#[cfg(test)]\nmod tests")
            .next()
            .unwrap_or_default();
        shipped
            .lines()
            .filter(|line| !line.trim_start().starts_with("use "))
            .filter(|line| CHANGES.iter().any(|change| line.contains(change)))
            .collect()
    }

    #[test]
    fn nothing_else_changes_the_file_system() {
        let mut found = Vec::new();
        let mut ahead = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        while let Some(dir) = ahead.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                // This folder, what plays crashes through, and files that hold tests only.
                if path.ends_with("src/disk")
                    || path.ends_with("src/crash")
                    || path.ends_with("listings/tests.rs")
                {
                    continue;
                }
                if path.is_dir() {
                    ahead.push(path);
                    continue;
                }
                let source = fs::read_to_string(&path).unwrap();
                for line in changes(&source) {
                    found.push(format!("{}: {}", path.display(), line.trim()));
                }
            }
        }
        // The lock is a file that holds nothing.
        found.retain(|line| !line.ends_with("store.rs: let mut writable = OpenOptions::new();"));
        assert!(found.is_empty(), "{found:#?}");
        assert!(
            changes(include_str!("mod.rs")).len() > 5,
            "nothing is found at all"
        );
    }
}
