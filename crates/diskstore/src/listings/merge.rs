//! Several orders of names as one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::Arc;

use super::bounds::Bounds;
use super::run::{Record, Run, RunWriter};
use super::scratch::Scratch;
use crate::keypath::Name;

/// Records in order.
pub(super) type Source<'a> = Box<dyn Iterator<Item = io::Result<Record>> + 'a>;

/// Records in order, of each name that of the newest source.
pub(super) struct Merge<'a> {
    /// The newest first.
    sources: Vec<Source<'a>>,
    heads: BinaryHeap<Reverse<(Name, usize, bool)>>,
}

impl<'a> Merge<'a> {
    /// Of these sources, the newest first.
    pub(super) fn of(sources: Vec<Source<'a>>) -> io::Result<Self> {
        let mut merge = Self {
            heads: BinaryHeap::with_capacity(sources.len()),
            sources,
        };
        for at in 0..merge.sources.len() {
            merge.advance(at)?;
        }
        Ok(merge)
    }

    fn advance(&mut self, at: usize) -> io::Result<()> {
        if let Some(record) = self.sources[at].next() {
            let Record { name, is_there } = record?;
            self.heads.push(Reverse((name, at, is_there)));
        }
        Ok(())
    }

    fn pop(&mut self) -> io::Result<Option<Record>> {
        let Some(Reverse((name, at, is_there))) = self.heads.pop() else {
            return Ok(None);
        };
        self.advance(at)?;
        // What older ones say of it does not count.
        while let Some(Reverse((other, at, _))) = self.heads.peek()
            && *other == name
        {
            let at = *at;
            self.heads.pop();
            self.advance(at)?;
        }
        Ok(Some(Record { name, is_there }))
    }
}

impl Iterator for Merge<'_> {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        self.pop().transpose()
    }
}

/// Writes a run of these records into a file of its own, of names that are gone only if that must be `noted`, for what
/// older runs say of them.
pub(super) fn write(
    records: impl Iterator<Item = io::Result<Record>>,
    noted: bool,
    scratch: &Scratch,
    bounds: &Bounds,
) -> io::Result<Arc<Run>> {
    let mut file = scratch.create(bounds)?;
    let mut writer = RunWriter::begin(&mut file, bounds.block_bytes);
    for record in records {
        let Record { name, is_there } = record?;
        if is_there || noted {
            writer.push(name.borrow(), is_there)?;
        }
    }
    let written = writer.finish()?;
    Ok(Arc::new(written.in_file(&Arc::new(file))))
}
