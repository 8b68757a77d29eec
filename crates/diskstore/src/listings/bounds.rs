//! How much of the order of directories is kept, and where.

/// The bounds of what is kept.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    /// Memory of all that is kept, in bytes, about: names, what is known of objects, and the indexes of runs. Some
    /// 35,000 names in directories that are kept in memory as a whole.
    pub memory_bytes: usize,
    /// The names of a directory that changed since its newest run was written. They are in memory, and may be so of each
    /// directory that has runs; writing them takes a millisecond.
    pub delta_names: usize,
    /// The names that are ordered at once of a directory that does not fit into memory, in bytes: some 130,000. Two
    /// directories may be ordered at a time, so it counts twice.
    pub arena_bytes: usize,
    /// The names that a page reads at once, in bytes. Some 2,000, so that a page needs one block or two. Merging holds
    /// one of each run.
    pub block_bytes: usize,
    /// The runs of a directory that is being ordered; when there are so many they become one. Merging them takes 2 MiB
    /// of blocks.
    pub spilled_runs: usize,
    /// The runs of a directory that is kept. Merging keeps them below 20, whatever the number of names; a directory in
    /// which they are more is given up, since nothing merges them.
    pub kept_runs: usize,
    /// Runs with so many names at most are merged by whoever finds that they should be, which may be a write; it takes a
    /// few milliseconds. Others are merged aside.
    pub merged_at_once: u64,
    /// Scratch files in all. Each is an open file, of which a process often may have 1,024.
    pub files: usize,
    /// Scratch files in all, in bytes. The names of 10 million objects take 150 to 300 MiB, and twice that while they
    /// are being merged.
    pub scratch_bytes: u64,
    /// What scratch files leave free on the file system, in bytes: objects come first.
    pub room_bytes: u64,
    /// The names that a walk gets at once. Few enough that they are no matter, and enough that finding the first of them
    /// is none either.
    pub batch_names: usize,
    /// The same where each time costs a look at the whole directory: more than a page.
    pub selected_names: usize,
    /// The changes that are noted while a directory is being ordered. With more its order is not kept. Millions of names
    /// take tens of seconds, in which a disk does not often sync as many.
    pub noted_changes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            memory_bytes: 8 << 20,
            delta_names: 2048,
            arena_bytes: 4 << 20,
            block_bytes: 32 << 10,
            spilled_runs: 64,
            kept_runs: 24,
            merged_at_once: 8192,
            files: 128,
            scratch_bytes: 1 << 30,
            room_bytes: 256 << 20,
            batch_names: 512,
            selected_names: 4096,
            noted_changes: 32_768,
        }
    }
}

#[cfg(test)]
impl Bounds {
    /// So little is in memory that a few names make everything happen that many would. Nothing is done aside.
    pub(crate) fn smallest() -> Self {
        Self {
            memory_bytes: 1000,
            delta_names: 3,
            arena_bytes: 100,
            block_bytes: 40,
            spilled_runs: 3,
            merged_at_once: u64::MAX,
            files: 12,
            room_bytes: 0,
            batch_names: 2,
            selected_names: 3,
            noted_changes: 8,
            ..Self::default()
        }
    }
}
