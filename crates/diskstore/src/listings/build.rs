//! Reading and ordering a directory with bounded memory.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::arena::Arena;
use super::bounds::Bounds;
use super::entry::entry_bytes;
use super::merge;
use super::names;
use super::order::{Order, merge_runs};
use super::run::{Run, RunWriter, Written};
use super::scratch::{Scratch, ScratchFile};
use super::slots::{Slot, Slots};

/// Directories with fewer bytes of names are ordered without waiting for a turn: some 8,000 names.
const SMALL_BYTES: usize = 256 << 10;

/// What became of it.
pub(super) enum Built {
    /// There is no such directory.
    Gone,
    Order(Order),
    /// It fits neither into memory nor into scratch files.
    TooLarge,
}

/// What is needed for it.
pub(super) struct Workshop<'a> {
    pub dir: &'a Path,
    pub scratch: &'a Scratch,
    pub bounds: &'a Bounds,
    pub turns: &'a Slots,
    /// Gives up what others have in scratch files until there are so many files and bytes free.
    pub make_room: &'a dyn Fn(usize, u64),
}

enum Trouble {
    Directory(io::Error),
    Scratch(io::Error),
    NotTried,
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Directory(error)
    }
}

impl Workshop<'_> {
    /// Reads and orders a directory. Blocks.
    pub(super) fn build(&self) -> io::Result<Built> {
        let mut turn: Option<Slot<'_>> = None;
        let mut arena = Arena::default();
        let mut spilled = Spilled::default();
        let read = names::each(self.dir, |name| {
            arena.push(name);
            if turn.is_none() && arena.bytes() > SMALL_BYTES {
                turn = Some(self.turns.wait());
            }
            if arena.bytes() >= self.bounds.arena_bytes {
                self.spill(&mut arena, &mut spilled)?;
            }
            Ok(())
        });
        let built = read.and_then(|found| match found {
            false => Ok(Built::Gone),
            true => self.finish(arena, spilled).map(Built::Order),
        });
        match built {
            Ok(built) => Ok(built),
            Err(Trouble::Directory(error)) => Err(error),
            Err(Trouble::Scratch(error)) => {
                self.scratch.failed(self.dir, &error);
                Ok(Built::TooLarge)
            }
            Err(Trouble::NotTried) => Ok(Built::TooLarge),
        }
    }

    fn finish(&self, mut arena: Arena, mut spilled: Spilled) -> Result<Order, Trouble> {
        if spilled.is_nothing() {
            arena.sort();
            let names = arena.iter();
            let bytes: usize = names
                .map(|name| entry_bytes(name.adds.len() + name.upload_id.len()))
                .sum();
            if bytes <= self.bounds.memory_bytes {
                return Ok(Order::of_names(arena.iter().map(|name| name.to_name())));
            }
        }
        if arena.names() > 0 {
            self.spill(&mut arena, &mut spilled)?;
        }
        drop(arena);
        let runs = spilled.into_runs();
        self.merge(&runs).map(Order::of_run)
    }

    /// Writes names as a run.
    fn spill(&self, arena: &mut Arena, spilled: &mut Spilled) -> Result<(), Trouble> {
        if spilled.is_nothing() && !self.scratch.is_worth_it(self.dir) {
            return Err(Trouble::NotTried);
        }
        arena.sort();
        (self.make_room)(1, arena.bytes() as u64);
        let written = spilled.write(arena, self.scratch, self.bounds);
        written.map_err(Trouble::Scratch)?;
        arena.clear();
        if spilled.count() >= self.bounds.spilled_runs {
            let run = self.merge(&std::mem::take(spilled).into_runs())?;
            spilled.merged.push(run);
        }
        Ok(())
    }

    fn merge(&self, runs: &[Arc<Run>]) -> Result<Arc<Run>, Trouble> {
        if let [run] = runs {
            return Ok(Arc::clone(run));
        }
        let bytes = runs.iter().map(|run| run.scratch_bytes()).max();
        (self.make_room)(1, bytes.unwrap_or_default());
        merge_runs(runs)
            .and_then(|records| merge::write(records, false, self.scratch, self.bounds))
            .map_err(Trouble::Scratch)
    }
}

/// The runs so far.
#[derive(Default)]
struct Spilled {
    /// What had become too many, with a file of its own.
    merged: Vec<Arc<Run>>,
    /// Those that share a file.
    file: Option<ScratchFile>,
    written: Vec<Written>,
}

impl Spilled {
    fn is_nothing(&self) -> bool {
        self.count() == 0
    }

    fn count(&self) -> usize {
        self.merged.len() + self.written.len()
    }

    fn write(&mut self, arena: &Arena, scratch: &Scratch, bounds: &Bounds) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            empty => empty.insert(scratch.create(bounds)?),
        };
        let mut writer = RunWriter::begin(file, bounds.block_bytes);
        for name in arena.iter() {
            writer.push(name, true)?;
        }
        self.written.push(writer.finish()?);
        Ok(())
    }

    fn into_runs(self) -> Vec<Arc<Run>> {
        let mut runs = self.merged;
        if let Some(file) = self.file.map(Arc::new) {
            let written = self.written.into_iter();
            runs.extend(written.map(|written| Arc::new(written.in_file(&file))));
        }
        runs
    }
}
