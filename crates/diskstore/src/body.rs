//! The body of a sealed file, compared with its sums as it is read.

use std::fs::File;
use std::io::{self, IoSliceMut, Seek as _, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use bytes::Bytes;
use rustix::io::ReadWriteFlags;

use crate::blocks::{BLOCK_BYTES, sum_offset, sums_bytes, verify};
use crate::buffers::Buffers;
use crate::fault::Fault;
use crate::temp::Temp;

/// So much is read at a time, in whole blocks.
pub(crate) const CHUNK_BYTES: u64 = 4 * BLOCK_BYTES;

/// What bodies are read into, in all stores of the process. A range that begins within a block takes one more.
static BUFFERS: LazyLock<Buffers> =
    LazyLock::new(|| Buffers::of((CHUNK_BYTES + BLOCK_BYTES) as usize));

/// The body of an open file.
#[derive(Debug)]
pub(crate) struct Body {
    file: File,
    path: PathBuf,
    bytes: u64,
    has_sums: bool,
}

/// A range of a body that is being read.
#[derive(Debug)]
pub(crate) struct BodyReader {
    body: Body,
    /// The sums of all blocks that the range touches; none if the file has none.
    sums: Vec<u8>,
    /// Where the first of these blocks begins.
    sums_from: u64,
    left: Range<u64>,
}

/// How bytes are read.
#[derive(Clone, Copy)]
enum How {
    Blocking,
    /// Only what the system has in its memory.
    FromMemory,
}

impl Body {
    /// The body at the beginning of a file.
    pub(crate) fn of(file: File, path: &Path, bytes: u64, has_sums: bool) -> Self {
        Self {
            file,
            path: path.to_owned(),
            bytes,
            has_sums,
        }
    }

    /// The file's path, as it was opened.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its length in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether damage to it would be seen when it is read.
    pub(crate) fn has_sums(&self) -> bool {
        self.has_sums
    }

    /// Has the system forget what it holds of the file in memory, so that the disk is asked.
    pub(crate) fn forget(&self) {
        if let Err(error) = rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::DontNeed) {
            tracing::debug!(%error, path = %self.path.display(), "the page cache stays as it is");
        }
    }

    /// Begins to read a range of it.
    pub(crate) fn read(self, range: Range<u64>) -> Result<BodyReader, Fault> {
        if range.end > self.bytes {
            return Err(Fault::damaged(
                &self.path,
                "it is shorter than its record says",
            ));
        }
        let sums_from = range.start / BLOCK_BYTES * BLOCK_BYTES;
        let sums = if self.has_sums && !range.is_empty() {
            let of = sum_offset(range.start)..sums_bytes(range.end);
            let mut sums = vec![0; (of.end - of.start) as usize];
            let read = self.file.read_exact_at(&mut sums, self.bytes + of.start);
            read.map_err(|error| Fault::reading(&self.path, error))?;
            sums
        } else {
            Vec::new()
        };
        Ok(BodyReader {
            body: self,
            sums,
            sums_from,
            left: range,
        })
    }
}

impl BodyReader {
    /// How many bytes are left.
    pub(crate) fn left_bytes(&self) -> u64 {
        self.left.end - self.left.start
    }

    /// The next bytes, so many at most, none at the end.
    pub(crate) fn next(&mut self, most: u64) -> Result<Bytes, Fault> {
        Ok(self.advance(most, How::Blocking)?.unwrap_or_default())
    }

    /// The same if it need not wait for the disk; `None` if it would.
    pub(crate) fn next_at_hand(&mut self, most: u64) -> Result<Option<Bytes>, Fault> {
        self.advance(most, How::FromMemory)
    }

    fn advance(&mut self, most: u64, how: How) -> Result<Option<Bytes>, Fault> {
        let Range { start, end } = self.left;
        let until = start.saturating_add(most).min(end);
        // Whole blocks have sums, so the next read should begin with one.
        let aligned = until / BLOCK_BYTES * BLOCK_BYTES;
        let until = if until < end && aligned > start {
            aligned
        } else {
            until
        };
        let from = start / BLOCK_BYTES * BLOCK_BYTES;
        let to = until.next_multiple_of(BLOCK_BYTES).min(self.body.bytes);
        let filled = self.fill(from..to, how);
        let Some(blocks) = filled.map_err(|error| Fault::reading(&self.body.path, error))? else {
            return Ok(None);
        };
        if self.body.has_sums && start < until {
            let sums = self.sums.get(sum_offset(from - self.sums_from) as usize..);
            verify(&blocks, sums.unwrap_or_default()).map_err(|at| {
                let at = from + at;
                Fault::damaged(
                    &self.body.path,
                    format!("the block at byte {at} has another checksum"),
                )
            })?;
        }
        self.left.start = until;
        Ok(Some(
            blocks.slice((start - from) as usize..(until - from) as usize),
        ))
    }

    /// Appends the next bytes to a file, and shows them; so many at most, none at the end. Where the file system can,
    /// none are copied but both files share them.
    pub(crate) fn copy(
        &mut self,
        to: &mut Temp,
        most: u64,
        mut seen: impl FnMut(&[u8]),
    ) -> Result<u64, Fault> {
        let wanted = self.left_bytes().min(most);
        self.body.file.seek(SeekFrom::Start(self.left.start))?;
        let copied = to.take_from(&mut self.body.file, wanted)?;
        if copied < wanted {
            return Err(Fault::damaged(
                &self.body.path,
                "it is shorter than its record says",
            ));
        }
        // They are at hand now. What is not as it was written is not passed on.
        let mut left = copied;
        while left > 0 {
            let bytes = self.next(left.min(CHUNK_BYTES))?;
            left -= bytes.len() as u64;
            to.written(&bytes);
            seen(&bytes);
        }
        Ok(copied)
    }

    fn fill(&self, range: Range<u64>, how: How) -> io::Result<Option<Bytes>> {
        let mut buffer = BUFFERS.take((range.end - range.start) as usize);
        match how {
            How::Blocking => self.body.file.read_exact_at(buffer.bytes(), range.start)?,
            How::FromMemory => {
                let mut filled = 0;
                while let Some(rest) = buffer.bytes().get_mut(filled..).filter(|r| !r.is_empty()) {
                    let at = range.start + filled as u64;
                    let slices = &mut [IoSliceMut::new(rest)];
                    match rustix::io::preadv2(&self.body.file, slices, at, ReadWriteFlags::NOWAIT) {
                        Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                        Ok(read) => filled += read,
                        // Where it cannot be tried, reading that blocks will tell what is the matter.
                        Err(_) => return Ok(None),
                    }
                }
            }
        }
        Ok(Some(buffer.freeze()))
    }
}
