//! The names of a directory in order: runs in scratch files, and in memory what has changed since they were written.
//! Without runs, all is in memory.

use std::io;
use std::sync::Arc;

use super::bounds::Bounds;
use super::entry::Entry;
use super::merge::{self, Merge, Source};
use super::run::{Record, Run};
use super::scratch::Scratch;
use super::{Batch, Place};
use crate::keypath::Name;

#[derive(Default)]
pub(super) struct Order {
    /// The oldest first. A name counts as the newest says that has it.
    runs: Vec<Arc<Run>>,
    /// In order, and newer than all runs.
    changes: Vec<Change>,
    /// The memory of the changes.
    change_bytes: usize,
    /// That of the runs.
    run_bytes: usize,
}

struct Change {
    entry: Arc<Entry>,
    is_there: bool,
}

impl Order {
    /// Of names in order, in memory.
    pub(super) fn of_names(names: impl Iterator<Item = Name>) -> Self {
        let change = |name| Change {
            entry: Arc::new(Entry::of(name)),
            is_there: true,
        };
        let changes: Vec<Change> = names.map(change).collect();
        Self {
            change_bytes: changes.iter().map(|change| change.entry.bytes()).sum(),
            changes,
            ..Self::default()
        }
    }

    pub(super) fn of_run(run: Arc<Run>) -> Self {
        Self {
            run_bytes: run.memory_bytes(),
            runs: vec![run],
            ..Self::default()
        }
    }

    /// The memory that it takes, about.
    pub(super) fn memory_bytes(&self) -> usize {
        self.change_bytes + self.run_bytes
    }

    /// The scratch files that it has, and their bytes.
    pub(super) fn scratch(&self) -> (usize, u64) {
        let bytes = self.runs.iter().map(|run| run.scratch_bytes()).sum();
        (self.runs.len(), bytes)
    }

    /// Takes note that a name is there now, perhaps with another object, or not.
    pub(super) fn set(&mut self, name: Name, is_there: bool) {
        let found = self
            .changes
            .binary_search_by(|change| change.entry.name.cmp(&name));
        // Who still has the old entry may learn of the old object only now.
        let change = Change {
            entry: Arc::new(Entry::of(name)),
            is_there,
        };
        let (is_new, bytes) = (found.is_err(), change.entry.bytes());
        match found {
            Ok(at) if is_there || !self.runs.is_empty() => self.changes[at] = change,
            Ok(at) => {
                self.changes.remove(at);
                self.change_bytes -= bytes;
            }
            Err(at) if is_there || !self.runs.is_empty() => self.changes.insert(at, change),
            Err(_) => return,
        }
        if is_new {
            self.change_bytes += bytes;
        }
    }

    /// The names from a place on, as many as a walk gets.
    pub(super) fn batch(&self, from: &Place, most: usize) -> io::Result<Batch> {
        let at = self
            .changes
            .partition_point(|change| !from.is_reached_by(change.entry.name.borrow()));
        let changes = &self.changes[at..];
        if self.runs.is_empty() {
            let entries = changes.iter().take(most);
            return Ok(Batch {
                entries: entries.map(|change| Arc::clone(&change.entry)).collect(),
                is_last: changes.len() <= most,
            });
        }
        let changed: Source<'_> = Box::new(changes.iter().map(|change| Ok(change.record())));
        let runs = self.runs.iter().rev();
        let runs = runs.map(|run| -> Source<'_> { Box::new(run.read_from(from)) });
        let mut merge = Merge::of(std::iter::once(changed).chain(runs).collect())?;
        let mut entries = Vec::with_capacity(most);
        while entries.len() < most {
            let Some(record) = merge.next().transpose()? else {
                return Ok(Batch {
                    entries,
                    is_last: true,
                });
            };
            if record.is_there {
                entries.push(Arc::new(Entry::of(record.name)));
            }
        }
        Ok(Batch {
            entries,
            is_last: false,
        })
    }

    /// Moves what changed into a run if it is much.
    pub(super) fn settle(&mut self, scratch: &Scratch, bounds: &Bounds) -> io::Result<()> {
        let is_much = if self.runs.is_empty() {
            self.change_bytes > bounds.memory_bytes
        } else {
            self.changes.len() >= bounds.delta_names
        };
        if !is_much {
            return Ok(());
        }
        if self.runs.len() >= bounds.kept_runs {
            return Err(io::Error::other("an order has too many runs"));
        }
        let records = self.changes.iter().map(|change| Ok(change.record()));
        let run = merge::write(records, !self.runs.is_empty(), scratch, bounds)?;
        self.changes = Vec::new();
        self.change_bytes = 0;
        self.run_bytes += run.memory_bytes();
        self.runs.push(run);
        while let Some(due) = self.due()
            && due.names() <= bounds.merged_at_once
        {
            let run = due.merge(scratch, bounds)?;
            self.merged(&due, run);
        }
        Ok(())
    }

    /// The runs that should become one, all from one on: a run has at least twice the names of all that are newer. So
    /// there are few, and a name is written again about as often as the names of a directory can be doubled.
    pub(super) fn due(&self) -> Option<Due> {
        let (mut newer, mut from) = (0, None);
        for (at, run) in self.runs.iter().enumerate().rev() {
            if newer > 0 && run.names() < 2 * newer {
                from = Some(at);
            }
            newer += run.names();
        }
        let from = from?;
        Some(Due {
            from,
            runs: self.runs[from..].to_vec(),
        })
    }

    /// Puts a run into the place of those that it was merged from, if they are still there.
    pub(super) fn merged(&mut self, due: &Due, run: Arc<Run>) -> bool {
        let to = due.from + due.runs.len();
        let is_same = self.runs.get(due.from..to).is_some_and(|runs| {
            let mut pairs = runs.iter().zip(&due.runs);
            pairs.all(|(a, b)| Arc::ptr_eq(a, b))
        });
        if is_same {
            self.runs.splice(due.from..to, [run]);
            self.run_bytes = self.runs.iter().map(|run| run.memory_bytes()).sum();
        }
        is_same
    }
}

/// Runs that should become one.
pub(super) struct Due {
    from: usize,
    runs: Vec<Arc<Run>>,
}

impl Due {
    fn names(&self) -> u64 {
        self.runs.iter().map(|run| run.names()).sum()
    }

    pub(super) fn merge(&self, scratch: &Scratch, bounds: &Bounds) -> io::Result<Arc<Run>> {
        merge::write(merge_runs(&self.runs)?, self.from > 0, scratch, bounds)
    }
}

/// The records of runs, the oldest of which is the first.
pub(super) fn merge_runs(runs: &[Arc<Run>]) -> io::Result<Merge<'static>> {
    let readers = runs.iter().rev();
    let readers =
        readers.map(|run| -> Source<'static> { Box::new(run.read_from(&Place::start())) });
    Merge::of(readers.collect())
}

impl Change {
    fn record(&self) -> Record {
        Record {
            name: self.entry.name.clone(),
            is_there: self.is_there,
        }
    }
}
