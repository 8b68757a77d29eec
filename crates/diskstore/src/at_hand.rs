//! Reading files, with or without waiting for the disk.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, ReadWriteFlags};

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// For as long as it takes, on a thread that may block.
    Waiting,
    /// Only what the system has in its memory, anywhere: handing work to another thread costs more than reading that.
    /// Else the error is [`io::ErrorKind::WouldBlock`], also where the system cannot do this; waiting will tell then
    /// what is the matter.
    AtHand,
}

impl How {
    /// Opens a file for reading.
    pub(crate) fn open(self, path: &Path) -> io::Result<File> {
        if self == Self::Waiting {
            return File::open(path);
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        match rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED) {
            Ok(file) => Ok(File::from(file)),
            // In the system's memory is also what it knows to be missing.
            Err(Errno::NOENT) => Err(Errno::NOENT.into()),
            Err(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Fills a buffer with what stands at an offset.
    pub(crate) fn read_exact_at(
        self,
        file: &File,
        buffer: &mut [u8],
        offset: u64,
    ) -> io::Result<()> {
        if self == Self::Waiting {
            return file.read_exact_at(buffer, offset);
        }
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let at = offset + filled as u64;
            let slices = &mut [IoSliceMut::new(rest)];
            match rustix::io::preadv2(file, slices, at, ReadWriteFlags::NOWAIT) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => filled += read,
                Err(_) => return Err(io::ErrorKind::WouldBlock.into()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_just_written_is_at_hand_and_reads_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, b"0123456789").unwrap();
        for how in [How::Waiting, How::AtHand] {
            let file = how.open(&path).unwrap();
            let mut read = [0; 4];
            how.read_exact_at(&file, &mut read, 3).unwrap();
            assert_eq!(&read, b"3456");
            let short = how.read_exact_at(&file, &mut read, 8).unwrap_err();
            assert_eq!(short.kind(), io::ErrorKind::UnexpectedEof);
            let missing = how.open(&dir.path().join("y")).unwrap_err();
            assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        }
    }

    #[test]
    fn what_would_block_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, vec![7; 1 << 20]).unwrap();
        let file = File::open(&path).unwrap();
        file.sync_all().unwrap();
        let forget = || rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        let mut read = vec![0; 4096];
        forget();
        // Where the pages stay, as on a file system in memory, there is nothing to wait for.
        match How::AtHand.read_exact_at(&file, &mut read, 512 << 10) {
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            Ok(()) => assert_eq!(read, vec![7; 4096]),
        }
        How::Waiting
            .read_exact_at(&file, &mut read, 512 << 10)
            .unwrap();
        assert_eq!(read, vec![7; 4096]);
    }
}
