//! How fast the disk makes bytes durable: the bound on commits that are not shared.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes written before each sync: a page of a database.
const PAGE_BYTES: usize = 4096;
/// The file is overwritten in a ring, as a log is: its size does not change.
const PAGES: u64 = 1024;
const SPAN: Duration = Duration::from_secs(2);

/// Writes of 4 KiB per second, each followed by `fdatasync`, one after another.
pub fn syncs_per_second(dir: &Path) -> anyhow::Result<f64> {
    let path = dir.join("sync");
    let file = File::create(&path)?;
    let page = [0x5a; PAGE_BYTES];
    for at in 0..PAGES {
        file.write_all_at(&page, at * PAGE_BYTES as u64)?;
    }
    file.sync_all()?;
    let (began, mut count) = (Instant::now(), 0_u64);
    while began.elapsed() < SPAN {
        file.write_all_at(&page, count % PAGES * PAGE_BYTES as u64)?;
        file.sync_data()?;
        count += 1;
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}

/// Says so when `dir` is in memory: commits there cost nothing, and figures would flatter.
pub fn warn_of_memory(dir: &Path) {
    const TMPFS_MAGIC: u64 = 0x0102_1994;
    if let Ok(stat) = rustix::fs::statfs(dir)
        && u64::try_from(stat.f_type).ok() == Some(TMPFS_MAGIC)
    {
        println!(
            "{} is in memory: commits there are not durable. Set TMPDIR to a directory on a disk.",
            dir.display()
        );
    }
}
