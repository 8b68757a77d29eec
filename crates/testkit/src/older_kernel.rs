//! A kernel that lacks some system calls, as old ones do, and containers that forbid them.

use std::collections::BTreeMap;

use anyhow::Context as _;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

/// The call that puts a filter around system calls.
pub const SECCOMP: i64 = libc::SYS_seccomp;
/// The call that landlock begins with.
pub const LANDLOCK: i64 = libc::SYS_landlock_create_ruleset;

/// Runs a test for which this call fails with `ENOSYS`, and for every program that it starts: on a
/// thread of its own, since what is taken from a thread never comes back.
///
/// # Errors
/// The kernel takes no filter, or no thread or runtime starts.
///
/// # Panics
/// As the test does.
pub fn run_without(call: i64, test: impl AsyncFnOnce() + Send + 'static) -> anyhow::Result<()> {
    let thread = std::thread::Builder::new().spawn(move || {
        give_up(call)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(test());
        anyhow::Ok(())
    })?;
    match thread.join() {
        Ok(outcome) => outcome,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn give_up(call: i64) -> anyhow::Result<()> {
    let filter = SeccompFilter::new(
        BTreeMap::from([(call, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.unsigned_abs()),
        TargetArch::try_from(std::env::consts::ARCH)?,
    )?;
    let filter: BpfProgram = filter.try_into()?;
    apply_filter(&filter).context("the kernel takes no filter")
}
