//! The filter of system calls around a process that decodes clips.
//!
//! Wider than that of pictures ([`super::seccomp`]): a program has to be started and linked, and has threads. Of three filters the
//! kernel takes the harshest answer: what is not named here kills the process; what libraries try is refused; and what the
//! C library does without once it hears that it is not there (`clone3`, whose arguments no filter sees) is not there. Which files can be opened is left to landlock.

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, TargetArch, apply_filter,
};

use super::confinement::Seccomp;
use super::exec_once::Permission;
use super::protocol::tame;
use super::seccomp::{HWPOISON, Rules, all_of, flag, pointer_is_null, word};

/// What linking, decoding and encoding take, whatever the arguments.
const ALLOWED: &[c_long] = &[
    // The clip, its output, standard error; what landlock lets be opened.
    libc::SYS_openat,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_close,
    // Memory, of which RLIMIT_AS is the bound.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    // Which some library cannot do without saying so.
    libc::SYS_mlock,
    // Threads, locks, time, chance.
    libc::SYS_futex,
    libc::SYS_set_tid_address,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_arch_prctl,
    // What it has used, who it is.
    libc::SYS_getrusage,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    // Its own signals, and its end.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Once: the filter of `exec_once` asks.
    libc::SYS_execve,
    libc::SYS_execveat,
];

/// What libraries may try, and get EPERM for.
const REFUSED: &[c_long] = &[
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getcwd,
    libc::SYS_statfs,
    libc::SYS_getdents64,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mkdir,
    libc::SYS_mkdirat,
    // Whether a descriptor is a terminal.
    libc::SYS_ioctl,
    // The machine.
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getcpu,
    libc::SYS_membarrier,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_get_mempolicy,
    libc::SYS_set_mempolicy,
    libc::SYS_mbind,
    libc::SYS_fadvise64,
];

/// Puts the filters around the calling thread and what it becomes, for ever. One program may be started after.
pub(super) fn enter(permission: Permission) -> Seccomp {
    let entered = || -> Result<(), String> {
        let filters = filters().map_err(|e| e.to_string())?;
        let bound = permission.bind();
        bound.map_err(|e| format!("no question at the start of programs: {e}"))?;
        for filter in &filters {
            apply_filter(filter).map_err(|e| e.to_string())?;
        }
        Ok(())
    };
    match entered() {
        Ok(()) => Seccomp::Filtered,
        Err(why) => Seccomp::Missing(tame(&why)),
    }
}

/// All filters. The one that kills comes last, since nothing may be added behind it.
fn filters() -> Result<[BpfProgram; 3], BackendError> {
    let processor = TargetArch::try_from(std::env::consts::ARCH)?;
    let answering = |rules: Rules, error: i32| {
        let refusal = SeccompAction::Errno(error.unsigned_abs());
        SeccompFilter::new(rules, SeccompAction::Allow, refusal, processor)
    };
    let absent = Rules::from([(libc::SYS_clone3, Vec::new())]);
    let missing = answering(absent, libc::ENOSYS)?;
    let refusing = answering(refused()?, libc::EPERM)?;
    let mut passed = allowed()?;
    passed.extend(refused()?.into_keys().map(|call| (call, Vec::new())));
    passed.insert(libc::SYS_clone3, Vec::new());
    let killing = SeccompFilter::new(
        passed,
        SeccompAction::KillProcess,
        SeccompAction::Allow,
        processor,
    )?;
    Ok([
        missing.try_into()?,
        refusing.try_into()?,
        killing.try_into()?,
    ])
}

fn allowed() -> Result<Rules, BackendError> {
    let own_process = u64::from(std::process::id());
    let all = |bits: i32| SeccompCmpOp::MaskedEq(flag(bits));
    let mut rules: Rules = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    // A thread, and no process; no other names than those it has.
    let thread = libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_THREAD;
    let apart = [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWCGROUP,
    ];
    let looked_at = apart.iter().fold(thread, |bits, one| bits | one);
    rules.extend([
        (
            libc::SYS_clone,
            vec![all_of([word(0, all(looked_at), flag(thread))?])?],
        ),
        // Libraries are mapped executable from their files. Memory that is or was written never becomes executable; which files are
        // mapped no filter sees, so that of the clip and of the output may be.
        (
            libc::SYS_mmap,
            vec![
                all_of([word(2, all(libc::PROT_EXEC), 0)?])?,
                all_of([
                    word(
                        2,
                        all(libc::PROT_EXEC | libc::PROT_WRITE),
                        flag(libc::PROT_EXEC),
                    )?,
                    word(3, all(libc::MAP_ANONYMOUS), 0)?,
                ])?,
            ],
        ),
        (
            libc::SYS_mprotect,
            vec![all_of([word(2, all(libc::PROT_EXEC), 0)?])?],
        ),
        // What is above tests the machine's memory, and takes it out of use.
        (
            libc::SYS_madvise,
            vec![all_of([word(2, SeccompCmpOp::Lt, HWPOISON)?])?],
        ),
        (
            libc::SYS_tgkill,
            vec![all_of([word(0, SeccompCmpOp::Eq, own_process)?])?],
        ),
        // Its own limits may be read.
        (
            libc::SYS_prlimit64,
            vec![all_of([
                word(0, SeccompCmpOp::Eq, 0)?,
                pointer_is_null(2)?,
            ])?],
        ),
    ]);
    Ok(rules)
}

fn refused() -> Result<Rules, BackendError> {
    let mut rules: Rules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let unlike = |argument, value: i32| word(argument, SeccompCmpOp::Ne, flag(value));
    rules.extend([
        // All but to ask for a descriptor's flags, to have it closed at the start of programs, and to copy it so: newer ffmpeg (from
        // 6.1 on) writes to a copy of its standard output.
        (
            libc::SYS_fcntl,
            vec![all_of([
                unlike(1, libc::F_GETFD)?,
                unlike(1, libc::F_SETFD)?,
                unlike(1, libc::F_DUPFD_CLOEXEC)?,
                unlike(1, libc::F_GETFL)?,
            ])?],
        ),
        // All but to name a thread, and to give up privileges, which putting a filter in place begins with.
        (
            libc::SYS_prctl,
            vec![all_of([
                unlike(0, libc::PR_SET_NAME)?,
                unlike(0, libc::PR_SET_NO_NEW_PRIVS)?,
            ])?],
        ),
        // By path. Of a descriptor the C library asks this way too.
        (
            libc::SYS_newfstatat,
            vec![all_of([SeccompCondition::new(
                3,
                SeccompCmpArgLen::Dword,
                SeccompCmpOp::MaskedEq(flag(libc::AT_EMPTY_PATH)),
                0,
            )?])?],
        ),
    ]);
    Ok(rules)
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
    fn all_filters_compile() {
        for filter in filters().unwrap() {
            // What the kernel takes.
            assert!(filter.len() < 4096, "{}", filter.len());
        }
    }
}
