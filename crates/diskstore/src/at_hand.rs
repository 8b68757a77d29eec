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
        // Somebody may hold a lease on the file, as file servers do; opening it would wait for him.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
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
                Ok(read @ 1..) => filled += read,
                // Linux 5.9 and 5.10 may say 0 before the end, see readv(2).
                Ok(0) | Err(_) => return Err(io::ErrorKind::WouldBlock.into()),
            }
        }
        Ok(())
    }
}

/// Whether opening a file of this directory's file system is quick. Over a network, and where a process answers for the
/// file system, it is asked of others each time, whatever is in memory. The numbers are those of statfs(2).
pub(crate) fn opens_quickly(dir: &Path) -> bool {
    const FUSE: u64 = 0x6573_5546;
    const NFS: u64 = 0x6969;
    const SMB: u64 = 0xff53_4d42;
    const SMB2: u64 = 0xfe53_4d42;
    const CEPH: u64 = 0x00c3_6400;
    const V9FS: u64 = 0x0102_1997;
    match rustix::fs::statfs(dir) {
        // Some kernels tell a 32-bit number with its sign.
        Ok(of) => ![FUSE, NFS, SMB, SMB2, CEPH, V9FS].contains(&(of.f_type as u64 & 0xffff_ffff)),
        Err(_) => false,
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
            let expected = match how {
                How::Waiting => io::ErrorKind::UnexpectedEof,
                How::AtHand => io::ErrorKind::WouldBlock,
            };
            assert_eq!(short.kind(), expected);
            let missing = how.open(&dir.path().join("y")).unwrap_err();
            assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        }
    }

    #[test]
    fn a_file_that_others_hold_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        rustix::fs::mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        let file = How::AtHand.open(&path).unwrap();
        let read = How::AtHand.read_exact_at(&file, &mut [0; 1], 0);
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(opens_quickly(dir.path()) && !opens_quickly(&dir.path().join("none")));
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
