//! Whether this machine has the memory that decoders may take.

use safelight_objects::Verdict;

use super::finding::Finding;
use crate::output;
use crate::server::settings::Resolved;

const CHECK: &str = "memory";
/// What is left to the server, the database and the machine: one part of so many.
const LEFT_TO_OTHERS: u64 = 4;

/// Holds the budget of the decoders against the memory there is.
pub fn memory(settings: &Resolved) -> Finding {
    let budget_bytes = settings.number("decode_budget_bytes", 0).unwrap_or(0);
    judge(budget_bytes, memory_bytes())
}

fn judge(budget_bytes: u64, memory_bytes: Option<u64>) -> Finding {
    let size = |bytes| output::size(i64::try_from(bytes).unwrap_or(i64::MAX));
    let there = memory_bytes.map_or_else(
        || "it is not known how much memory there is".to_owned(),
        |bytes| format!("this machine has {}", size(bytes)),
    );
    let is_too_much = memory_bytes.is_some_and(|all| budget_bytes > all - all / LEFT_TO_OTHERS);
    let (verdict, found, what_to_do) = match budget_bytes {
        0 => (
            Verdict::Warning,
            format!("what decoders hold together has no bound; {there}"),
            Some("set decode_budget_bytes, unless something else bounds this server's memory"),
        ),
        _ if is_too_much => (
            Verdict::Warning,
            format!("decoders may hold {}; {there}", size(budget_bytes)),
            Some("lower heavy_workers, video_workers or decode_budget_bytes, or take more memory"),
        ),
        _ => (
            Verdict::Ok,
            format!("decoders may hold {}; {there}", size(budget_bytes)),
            None,
        ),
    };
    Finding {
        check: CHECK,
        verdict,
        found,
        what_to_do,
    }
}

/// The machine's memory, or what its container may have of it.
fn memory_bytes() -> Option<u64> {
    let all = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kib = all
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?
        .split_whitespace()
        .next()?;
    let all = kib.parse::<u64>().ok()?.saturating_mul(1024);
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let container = container.and_then(|text| text.trim().parse::<u64>().ok());
    Some(container.map_or(all, |most| most.min(all)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_is_left_to_others() {
        let verdict = |budget, all| judge(budget, all).verdict;
        assert_eq!(verdict(6 << 30, Some(8 << 30)), Verdict::Ok);
        assert_eq!(verdict(7 << 30, Some(8 << 30)), Verdict::Warning);
        assert_eq!(verdict(7 << 30, None), Verdict::Ok);
        assert_eq!(verdict(0, Some(8 << 30)), Verdict::Warning);
        assert!(memory_bytes().is_some_and(|bytes| bytes > 0));
    }
}
