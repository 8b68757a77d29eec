//! How a file is cut into parts.

use crate::limits;

const MEBIBYTE: i64 = 1024 * 1024;

/// The part size for a file of `size_bytes`: what is wanted, or what the store takes where that is more, or what is
/// needed for `most_parts` to suffice, in whole mebibytes. All parts but the last have it, as some stores demand.
#[must_use]
pub fn fit(size_bytes: i64, wanted_bytes: i64, min_part_bytes: i64, most_parts: i64) -> i64 {
    let parts = most_parts.clamp(1, limits::MAX_PARTS);
    let needed = size_bytes / parts + i64::from(size_bytes % parts != 0);
    let whole = needed / MEBIBYTE + i64::from(needed % MEBIBYTE != 0);
    let needed = if needed > MEBIBYTE {
        whole.saturating_mul(MEBIBYTE)
    } else {
        1
    };
    wanted_bytes.max(min_part_bytes).max(needed).max(1)
}

/// How many parts of `part_size_bytes` a file has.
#[must_use]
pub fn part_count(size_bytes: i64, part_size_bytes: i64) -> i64 {
    let part = part_size_bytes.max(1);
    (size_bytes / part + i64::from(size_bytes % part != 0)).max(1)
}

/// The exact length of part `number` (from 1), or `None` if the file has no such part.
#[must_use]
pub fn part_length(size_bytes: i64, part_size_bytes: i64, number: i64) -> Option<i64> {
    let count = part_count(size_bytes, part_size_bytes);
    if !(1..=count).contains(&number) {
        return None;
    }
    Some(if number == count {
        size_bytes - (count - 1) * part_size_bytes
    } else {
        part_size_bytes
    })
}
