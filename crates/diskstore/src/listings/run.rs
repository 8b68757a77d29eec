//! A part of a directory's names in order, in a scratch file.
//!
//! Blocks of names; in each a name begins with what it shares with the one before: `shared u16 ‖ rest u16 ‖ flags u8 ‖
//! rest of the bytes ‖ upload id`, integers little endian. In memory there are the first name, the place and a CRC32C of
//! each block.

use std::io;
use std::sync::Arc;

use crc_fast::CrcAlgorithm;

use super::Place;
use super::scratch::ScratchFile;
use crate::keypath::{Kind, Name, NameRef};

const HEAD_BYTES: usize = 5;
const ID_BYTES: usize = 32;
const IS_GONE: u8 = 1;
const HAS_ID: u8 = 2;
/// The kind stands above the flags.
const KIND_SHIFT: u8 = 2;
/// What a block takes in memory besides its first name.
const BLOCK_ENTRY_BYTES: usize = 80;

/// A name, and whether it is there or was taken away.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Record {
    pub name: Name,
    pub is_there: bool,
}

/// Records in order, each name once.
pub(super) struct Run {
    file: Arc<ScratchFile>,
    blocks: Vec<Block>,
    names: u64,
}

struct Block {
    first: Name,
    at: u64,
    bytes: u32,
    crc: u32,
}

/// A run that is being written.
pub(super) struct RunWriter<'a> {
    file: &'a mut ScratchFile,
    block_bytes: usize,
    block: Vec<u8>,
    first: Option<Name>,
    last_adds: Vec<u8>,
    blocks: Vec<Block>,
    names: u64,
}

/// The blocks that were written, before the file is shared.
pub(super) struct Written {
    blocks: Vec<Block>,
    names: u64,
}

impl<'a> RunWriter<'a> {
    pub(super) fn begin(file: &'a mut ScratchFile, block_bytes: usize) -> Self {
        Self {
            file,
            block_bytes,
            block: Vec::with_capacity(block_bytes),
            first: None,
            last_adds: Vec::new(),
            blocks: Vec::new(),
            names: 0,
        }
    }

    /// Appends a record. Its name comes after the one before.
    pub(super) fn push(&mut self, name: NameRef<'_>, is_there: bool) -> io::Result<()> {
        let shared = if self.first.is_some() {
            let pairs = self.last_adds.iter().zip(name.adds);
            pairs.take_while(|(a, b)| a == b).count()
        } else {
            self.first = Some(name.to_name());
            0
        };
        let rest = &name.adds[shared..];
        let length = |bytes: usize| u16::try_from(bytes).map_err(io::Error::other);
        let kind = match name.kind {
            Kind::Leaf => 0,
            Kind::Segment => 1,
            Kind::Piece => 2,
        };
        let mut flags = kind << KIND_SHIFT;
        flags |= if is_there { 0 } else { IS_GONE };
        flags |= if name.upload_id.is_empty() { 0 } else { HAS_ID };
        self.block.extend(length(shared)?.to_le_bytes());
        self.block.extend(length(rest.len())?.to_le_bytes());
        self.block.push(flags);
        self.block.extend_from_slice(rest);
        self.block.extend_from_slice(name.upload_id.as_bytes());
        self.last_adds.truncate(shared);
        self.last_adds.extend_from_slice(rest);
        self.names += 1;
        if self.block.len() >= self.block_bytes {
            self.end_block()?;
        }
        Ok(())
    }

    fn end_block(&mut self) -> io::Result<()> {
        let Some(first) = self.first.take() else {
            return Ok(());
        };
        self.blocks.push(Block {
            first,
            at: self.file.bytes(),
            bytes: u32::try_from(self.block.len()).map_err(io::Error::other)?,
            crc: crc32c(&self.block),
        });
        self.file.write(&self.block)?;
        self.block.clear();
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<Written> {
        self.end_block()?;
        Ok(Written {
            blocks: self.blocks,
            names: self.names,
        })
    }
}

impl Written {
    /// The run, once nothing more is written to its file.
    pub(super) fn in_file(self, file: &Arc<ScratchFile>) -> Run {
        Run {
            file: Arc::clone(file),
            blocks: self.blocks,
            names: self.names,
        }
    }
}

impl Run {
    /// How many records it has.
    pub(super) fn names(&self) -> u64 {
        self.names
    }

    /// The bytes of its file.
    pub(super) fn scratch_bytes(&self) -> u64 {
        self.file.bytes()
    }

    /// The memory that it takes, about.
    pub(super) fn memory_bytes(&self) -> usize {
        let first = |block: &Block| block.first.adds.len() + block.first.upload_id.len();
        let blocks = self.blocks.iter();
        blocks.map(|block| BLOCK_ENTRY_BYTES + first(block)).sum()
    }

    /// Its records from a place on.
    pub(super) fn read_from(self: &Arc<Self>, place: &Place) -> RunReader {
        let ahead = |block: &Block| !place.is_reached_by(block.first.borrow());
        RunReader {
            run: Arc::clone(self),
            // The names from there on may begin within the block before.
            next_block: self.blocks.partition_point(ahead).saturating_sub(1),
            block: Vec::new(),
            at: 0,
            adds: Vec::new(),
            from: Some(place.clone()),
        }
    }
}

/// Reads records of a run, one after the other.
pub(super) struct RunReader {
    run: Arc<Run>,
    next_block: usize,
    block: Vec<u8>,
    at: usize,
    adds: Vec<u8>,
    /// Until the first record.
    from: Option<Place>,
}

impl RunReader {
    fn read(&mut self) -> io::Result<Option<Record>> {
        loop {
            if self.at == self.block.len() && !self.read_block()? {
                return Ok(None);
            }
            let (name, is_there, end) = decode(&self.block, self.at, &mut self.adds)
                .ok_or_else(|| io::Error::other("a scratch file holds something else"))?;
            self.at = end;
            if self
                .from
                .as_ref()
                .is_none_or(|from| from.is_reached_by(name))
            {
                self.from = None;
                let name = name.to_name();
                return Ok(Some(Record { name, is_there }));
            }
        }
    }

    /// `false` after the last one.
    fn read_block(&mut self) -> io::Result<bool> {
        let Some(block) = self.run.blocks.get(self.next_block) else {
            return Ok(false);
        };
        self.block.resize(block.bytes as usize, 0);
        self.run.file.read_at(&mut self.block, block.at)?;
        if crc32c(&self.block) != block.crc {
            return Err(io::Error::other("a scratch file is damaged"));
        }
        self.next_block += 1;
        self.at = 0;
        self.adds.clear();
        Ok(true)
    }
}

/// The record at a place of a block, behind one that added these bytes; whether its name is there; and its end.
fn decode<'a>(
    block: &'a [u8],
    at: usize,
    adds: &'a mut Vec<u8>,
) -> Option<(NameRef<'a>, bool, usize)> {
    let head = block.get(at..)?.first_chunk::<HEAD_BYTES>()?;
    let shared = usize::from(u16::from_le_bytes([head[0], head[1]]));
    let rest = usize::from(u16::from_le_bytes([head[2], head[3]]));
    let flags = head[4];
    let kind = match flags >> KIND_SHIFT {
        0 => Kind::Leaf,
        1 => Kind::Segment,
        2 => Kind::Piece,
        _ => return None,
    };
    let from = at + HEAD_BYTES;
    let id = from + rest;
    let end = id + if flags & HAS_ID == 0 { 0 } else { ID_BYTES };
    adds.truncate(shared);
    adds.extend_from_slice(block.get(from..id)?);
    let name = NameRef {
        adds,
        kind,
        upload_id: str::from_utf8(block.get(id..end)?).ok()?,
    };
    Some((name, flags & IS_GONE == 0, end))
}

impl Iterator for RunReader {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}
