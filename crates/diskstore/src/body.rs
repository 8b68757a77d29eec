//! The body of a sealed file, compared with its sums as it is read.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use bytes::Bytes;

use crate::at_hand::How;
use crate::blocks::{BLOCK_BYTES, sum_offset, sums_bytes, verify};
use crate::buffers::Buffers;
use crate::fault::Fault;
use crate::temp::Temp;

/// So much is read at a time, in whole blocks.
pub(crate) const CHUNK_BYTES: u64 = 4 * BLOCK_BYTES;

/// For less than this no buffer is taken, since it may be held for as long as a body is read.
const SMALL_BYTES: u64 = 16 << 10;

/// What bodies are read into, in all stores of the process. A range that begins within a block takes one more, as does
/// what stands behind a body that is read in one go with it.
static BUFFERS: LazyLock<Buffers> =
    LazyLock::new(|| Buffers::of((CHUNK_BYTES + BLOCK_BYTES) as usize));

/// The body of an open file.
#[derive(Debug)]
pub(crate) struct Body {
    file: File,
    path: PathBuf,
    bytes: u64,
    has_sums: bool,
    held: Held,
}

/// The end of a file, as it was read.
#[derive(Debug)]
pub(crate) struct Held {
    /// Where in the file it begins.
    from: u64,
    bytes: Bytes,
}

impl Held {
    /// Reads a file of so many bytes from an offset to its end.
    pub(crate) fn read(file: &File, range: Range<u64>, how: How) -> io::Result<Self> {
        let bytes = if range.end - range.start <= SMALL_BYTES {
            let mut bytes = vec![0; (range.end - range.start) as usize];
            how.read_exact_at(file, &mut bytes, range.start)?;
            bytes.into()
        } else {
            fill(file, range.clone(), how)?
        };
        Ok(Self {
            from: range.start,
            bytes,
        })
    }

    /// What of it stands in a range of the file; `None` if it does not hold all of that.
    pub(crate) fn slice(&self, range: &Range<u64>) -> Option<Bytes> {
        let start = usize::try_from(range.start.checked_sub(self.from)?).ok()?;
        let end = usize::try_from(range.end.checked_sub(self.from)?).ok()?;
        (start <= end && end <= self.bytes.len()).then(|| self.bytes.slice(start..end))
    }
}

/// A range of a body that is being read.
#[derive(Debug)]
pub(crate) struct BodyReader {
    body: Body,
    /// The sums of all blocks that the range touches; none if the file has none.
    sums: Bytes,
    /// Where the first of these blocks begins.
    sums_from: u64,
    left: Range<u64>,
}

impl Body {
    /// The body at the beginning of a file, of which the end was read.
    pub(crate) fn of(file: File, path: &Path, bytes: u64, has_sums: bool, held: Held) -> Self {
        Self {
            held,
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
    pub(crate) fn read(mut self, range: Range<u64>, how: How) -> Result<BodyReader, Fault> {
        if range.end > self.bytes {
            return Err(Fault::damaged(
                &self.path,
                "it is shorter than its record says",
            ));
        }
        let sums_from = range.start / BLOCK_BYTES * BLOCK_BYTES;
        let sums = if self.has_sums && !range.is_empty() {
            let of = self.bytes + sum_offset(range.start)..self.bytes + sums_bytes(range.end);
            match self.held.slice(&of) {
                Some(sums) => sums,
                None => {
                    let mut sums = vec![0; (of.end - of.start) as usize];
                    let read = how.read_exact_at(&self.file, &mut sums, of.start);
                    read.map_err(|error| Fault::reading(&self.path, error))?;
                    sums.into()
                }
            }
        } else {
            Bytes::new()
        };
        if self.held.from >= self.bytes {
            self.held.bytes = Bytes::new();
        }
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
    pub(crate) fn next(&mut self, most: u64, how: How) -> Result<Bytes, Fault> {
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
        let blocks = match self.body.held.slice(&(from..to)) {
            Some(blocks) => blocks,
            None => fill(&self.body.file, from..to, how)
                .map_err(|error| Fault::reading(&self.body.path, error))?,
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
        Ok(blocks.slice((start - from) as usize..(until - from) as usize))
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
            let bytes = self.next(left.min(CHUNK_BYTES), How::Waiting)?;
            left -= bytes.len() as u64;
            to.written(&bytes);
            seen(&bytes);
        }
        Ok(copied)
    }
}

/// Reads a range of a file.
fn fill(file: &File, range: Range<u64>, how: How) -> io::Result<Bytes> {
    let mut buffer = BUFFERS.take((range.end - range.start) as usize);
    how.read_exact_at(file, buffer.bytes(), range.start)?;
    Ok(buffer.freeze())
}
