//! The filter of system calls around a child.
//!
//! Two filters, of whose answers the kernel takes the harsher one. The first kills the process at
//! every call that is not named here. The second refuses, without killing, what libraries try
//! before they do without.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp,
    SeccompCondition, SeccompFilter, SeccompRule, TargetArch, apply_filter_all_threads,
};

use super::confinement::Seccomp;
use super::protocol::tame;

/// What decoding takes, whatever the arguments.
const ALLOWED: [c_long; 27] = [
    // The socket, standard error, and the original.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_recvmsg,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_close,
    // Memory, of which RLIMIT_AS is the bound.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    // Locks, time, chance.
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    // What it has used, who it is.
    libc::SYS_getrusage,
    libc::SYS_getpid,
    libc::SYS_gettid,
    // Its own signals, and its end.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// What libraries may try, and get EPERM for.
const REFUSED: &[c_long] = &[
    // By path: a descriptor's own state is asked for by `fstat`.
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getcwd,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    // Whether a descriptor is a terminal.
    libc::SYS_ioctl,
    // The machine.
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getcpu,
    libc::SYS_membarrier,
];

/// Puts the filters around the whole process, for ever.
pub(super) fn enter() -> Seccomp {
    match filters().map_err(Error::from).and_then(|filters| {
        for filter in &filters {
            apply_filter_all_threads(filter)?;
        }
        Ok(())
    }) {
        Ok(()) => Seccomp::Filtered,
        Err(error) => Seccomp::Missing(tame(&error.to_string())),
    }
}

/// Both filters. The one that kills comes last, since nothing may be added behind it.
fn filters() -> Result<[BpfProgram; 2], BackendError> {
    let processor = TargetArch::try_from(std::env::consts::ARCH)?;
    let refusing = SeccompFilter::new(
        refused()?,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM.unsigned_abs()),
        processor,
    )?;
    // The two have to name the same calls.
    let mut passed = allowed()?;
    passed.extend(refused()?.into_keys().map(|call| (call, Vec::new())));
    let killing = SeccompFilter::new(
        passed,
        SeccompAction::KillProcess,
        SeccompAction::Allow,
        processor,
    )?;
    Ok([refusing.try_into()?, killing.try_into()?])
}

pub(super) type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

fn allowed() -> Result<Rules, BackendError> {
    let own_process = u64::from(std::process::id());
    let not_executable = || word(2, SeccompCmpOp::MaskedEq(flag(libc::PROT_EXEC)), 0);
    let mut rules: Rules = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    rules.extend([
        (libc::SYS_mmap, vec![all_of([not_executable()?])?]),
        (libc::SYS_mprotect, vec![all_of([not_executable()?])?]),
        // What is above tests the machine's memory, and takes it out of use.
        (
            libc::SYS_madvise,
            vec![all_of([word(2, SeccompCmpOp::Lt, HWPOISON)?])?],
        ),
        // To whom the socket is connected, and to nobody else.
        (libc::SYS_sendto, vec![all_of([pointer_is_null(4)?])?]),
        // To raise a signal is how a program aborts.
        (
            libc::SYS_tgkill,
            vec![all_of([word(0, SeccompCmpOp::Eq, own_process)?])?],
        ),
        (
            libc::SYS_tkill,
            vec![all_of([word(0, SeccompCmpOp::Eq, own_process)?])?],
        ),
        // Its own limits may be read, and that of processor time set.
        (
            libc::SYS_prlimit64,
            vec![
                all_of([
                    word(0, SeccompCmpOp::Eq, 0)?,
                    word(1, SeccompCmpOp::Eq, libc::RLIMIT_CPU as u64)?,
                ])?,
                all_of([word(0, SeccompCmpOp::Eq, 0)?, pointer_is_null(2)?])?,
            ],
        ),
    ]);
    Ok(rules)
}

fn refused() -> Result<Rules, BackendError> {
    let mut rules: Rules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    rules.extend([
        // All but to ask for a descriptor's flags.
        (
            libc::SYS_fcntl,
            vec![all_of([
                word(1, SeccompCmpOp::Ne, flag(libc::F_GETFD))?,
                word(1, SeccompCmpOp::Ne, flag(libc::F_GETFL))?,
            ])?],
        ),
        // All but to name a thread, and to give up privileges, which putting a filter in place begins with.
        (
            libc::SYS_prctl,
            vec![all_of([
                word(0, SeccompCmpOp::Ne, flag(libc::PR_SET_NAME))?,
                word(0, SeccompCmpOp::Ne, flag(libc::PR_SET_NO_NEW_PRIVS))?,
            ])?],
        ),
    ]);
    Ok(rules)
}

/// The first advice that is none: `MADV_HWPOISON`.
pub(super) const HWPOISON: u64 = 100;

pub(super) fn flag(value: libc::c_int) -> u64 {
    u64::from(value.unsigned_abs())
}

pub(super) fn all_of<const N: usize>(
    conditions: [SeccompCondition; N],
) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions.into())
}

/// A condition on an argument of 32 bits.
pub(super) fn word(
    argument: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

pub(super) fn pointer_is_null(argument: u8) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_both_allowed_and_refused() {
        let refused = refused().unwrap();
        for call in allowed().unwrap().into_keys() {
            assert!(!refused.contains_key(&call), "{call}");
        }
    }

    #[test]
    fn both_filters_compile() {
        for filter in filters().unwrap() {
            // What the kernel takes.
            assert!(filter.len() < 4096, "{}", filter.len());
        }
    }
}
