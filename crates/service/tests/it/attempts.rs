//! What code that has taken over a child may try.

use std::ptr::{null, null_mut};

use libc::{c_int, c_long};

/// The error that the kernel answered, or none where it did as it was told.
pub(super) type Outcome = Option<c_int>;
/// An attempt; it is told the parent's process number.
pub(super) type Attempt = fn(u32) -> Outcome;

/// Each is something that decoding never takes: the kernel kills the process.
pub(super) const DEADLY: &[(&str, Attempt)] = &[
    // Files.
    ("open", |_| {
        call(libc::SYS_openat, &[CWD, path(c"/etc/hostname")])
    }),
    ("open itself", |_| {
        call(libc::SYS_openat, &[CWD, path(c"/proc/self/environ")])
    }),
    ("open relative", |_| {
        call(libc::SYS_openat, &[CWD, path(c"etc/hostname")])
    }),
    ("open below the socket", |_| {
        call(libc::SYS_openat, &[0, path(c"x")])
    }),
    ("open by the library", |_| {
        outcome(std::fs::File::open("/etc/hostname").err())
    }),
    ("list a folder", |_| outcome(std::fs::read_dir("/").err())),
    ("create", |_| {
        outcome(std::fs::File::create("/tmp/safelight-escape").err())
    }),
    ("remove", |_| {
        call(
            libc::SYS_unlinkat,
            &[CWD, path(c"/tmp/safelight-escape"), 0],
        )
    }),
    ("openat2", |_| {
        call(libc::SYS_openat2, &[CWD, path(c"/etc/hostname"), 0, 0])
    }),
    ("open by handle", |_| {
        call(libc::SYS_open_by_handle_at, &[CWD, 0, 0])
    }),
    #[cfg(target_arch = "x86_64")]
    ("old open", |_| {
        call(libc::SYS_open, &[path(c"/etc/hostname"), 0])
    }),
    // The bit that marks the calls of programs with short pointers.
    #[cfg(target_arch = "x86_64")]
    ("x32 open", |_| {
        call(0x4000_0000 | libc::SYS_open, &[path(c"/etc/hostname"), 0])
    }),
    ("memfd", |_| call(libc::SYS_memfd_create, &[path(c"x"), 0])),
    ("pipe", |_| call(libc::SYS_pipe2, &[0, 0])),
    ("chroot", |_| call(libc::SYS_chroot, &[path(c"/")])),
    ("mount", |_| {
        call(libc::SYS_mount, &[0, path(c"/tmp"), path(c"tmpfs"), 0, 0])
    }),
    ("io_uring", |_| call(libc::SYS_io_uring_setup, &[1, 0])),
    // The network.
    ("TCP", |_| {
        call(
            libc::SYS_socket,
            &[libc::AF_INET.into(), libc::SOCK_STREAM.into(), 0],
        )
    }),
    ("TCP over IPv6", |_| {
        call(
            libc::SYS_socket,
            &[libc::AF_INET6.into(), libc::SOCK_STREAM.into(), 0],
        )
    }),
    ("UDP", |_| {
        call(
            libc::SYS_socket,
            &[libc::AF_INET.into(), libc::SOCK_DGRAM.into(), 0],
        )
    }),
    ("unix socket", |_| {
        call(
            libc::SYS_socket,
            &[libc::AF_UNIX.into(), libc::SOCK_STREAM.into(), 0],
        )
    }),
    ("netlink", |_| {
        call(
            libc::SYS_socket,
            &[libc::AF_NETLINK.into(), libc::SOCK_RAW.into(), 0],
        )
    }),
    ("socket pair", |_| {
        call(
            libc::SYS_socketpair,
            &[libc::AF_UNIX.into(), libc::SOCK_STREAM.into(), 0, 0],
        )
    }),
    ("connect the socket", |_| {
        call(libc::SYS_connect, &[0, 0, 0])
    }),
    ("send to somebody", |_| {
        call(libc::SYS_sendto, &[0, path(c"x"), 1, 0, path(c"x"), 1])
    }),
    ("send a descriptor", |_| call(libc::SYS_sendmsg, &[0, 0, 0])),
    // Processes.
    ("fork", |_| fork()),
    #[cfg(target_arch = "x86_64")]
    ("vfork", |_| call(libc::SYS_vfork, &[])),
    ("clone", |_| {
        call(libc::SYS_clone, &[libc::SIGCHLD.into(), 0, 0, 0, 0])
    }),
    ("clone3", |_| call(libc::SYS_clone3, &[0, 0])),
    ("thread", |_| {
        outcome(std::thread::Builder::new().spawn(|| ()).err())
    }),
    ("start a program", |_| {
        outcome(std::process::Command::new("/bin/true").spawn().err())
    }),
    ("execve", |_| {
        call(libc::SYS_execve, &[path(c"/bin/true"), 0, 0])
    }),
    ("execveat", |_| {
        call(libc::SYS_execveat, &[CWD, path(c"/bin/true"), 0, 0, 0])
    }),
    ("unshare", |_| {
        call(libc::SYS_unshare, &[libc::CLONE_NEWUSER.into()])
    }),
    ("setns", |_| call(libc::SYS_setns, &[0, 0])),
    // Other processes.
    ("ptrace", |parent| {
        call(
            libc::SYS_ptrace,
            &[libc::PTRACE_ATTACH.into(), parent.into(), 0, 0],
        )
    }),
    ("read the parent", |parent| {
        call(libc::SYS_process_vm_readv, &[parent.into(), 0, 0, 0, 0, 0])
    }),
    ("write the parent", |parent| {
        call(libc::SYS_process_vm_writev, &[parent.into(), 0, 0, 0, 0, 0])
    }),
    ("signal the parent", |parent| {
        call(libc::SYS_kill, &[parent.into(), 0])
    }),
    ("signal its thread", |parent| {
        call(libc::SYS_tgkill, &[parent.into(), parent.into(), 0])
    }),
    ("signal a thread", |parent| {
        call(libc::SYS_tkill, &[parent.into(), 0])
    }),
    ("queue a signal", |parent| {
        call(libc::SYS_rt_sigqueueinfo, &[parent.into(), 0, 0])
    }),
    ("hold the parent", |parent| {
        call(libc::SYS_pidfd_open, &[parent.into(), 0])
    }),
    ("limit the parent", |parent| {
        call(
            libc::SYS_prlimit64,
            &[parent.into(), libc::RLIMIT_CPU as c_long, 0, 0],
        )
    }),
    // Memory.
    ("map executable", |_| map(libc::PROT_READ | libc::PROT_EXEC)),
    ("map all", |_| {
        map(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC)
    }),
    ("make executable", |_| {
        call(
            libc::SYS_mprotect,
            &[heap(), 4096, (libc::PROT_READ | libc::PROT_EXEC).into()],
        )
    }),
    ("make executable by key", |_| {
        call(
            libc::SYS_pkey_mprotect,
            &[heap(), 4096, (libc::PROT_READ | libc::PROT_EXEC).into(), -1],
        )
    }),
    ("more memory", |_| limit(libc::RLIMIT_AS as c_int)),
    ("more files", |_| limit(libc::RLIMIT_NOFILE as c_int)),
    ("shared memory", |_| call(libc::SYS_shmget, &[0, 4096, 0])),
    ("spoil memory", |_| {
        call(libc::SYS_madvise, &[heap(), 4096, 100])
    }),
    // The kernel.
    ("bpf", |_| call(libc::SYS_bpf, &[0, 0, 0])),
    ("kexec", |_| call(libc::SYS_kexec_load, &[0, 0, 0, 0])),
    ("load a module", |_| call(libc::SYS_init_module, &[0, 0, 0])),
    ("perf", |_| {
        call(libc::SYS_perf_event_open, &[0, 0, 0, 0, 0])
    }),
    ("faults", |_| call(libc::SYS_userfaultfd, &[0])),
    ("keys", |_| call(libc::SYS_keyctl, &[0, 0, 0, 0, 0])),
    ("another personality", |_| call(libc::SYS_personality, &[0])),
    ("another filter", |_| call(libc::SYS_seccomp, &[0, 0, 0])),
    ("another user", |_| call(libc::SYS_setuid, &[0])),
    ("the clock", |_| call(libc::SYS_clock_settime, &[0, 0])),
];

/// What libraries may try: it fails with EPERM, and the process lives on.
pub(super) const REFUSED: &[(&str, Attempt)] = &[
    ("metadata", |_| {
        outcome(std::fs::metadata("/etc/hostname").err())
    }),
    ("stat", |_| {
        call(libc::SYS_newfstatat, &[CWD, path(c"/etc/hostname"), 0, 0])
    }),
    ("statx", |_| {
        call(libc::SYS_statx, &[CWD, path(c"/etc/hostname"), 0, 0, 0])
    }),
    ("access", |_| {
        call(libc::SYS_faccessat, &[CWD, path(c"/etc/hostname"), 0])
    }),
    ("link", |_| {
        outcome(std::fs::read_link("/proc/self/exe").err())
    }),
    ("ioctl", |_| {
        call(libc::SYS_ioctl, &[0, libc::FIOASYNC as c_long, 0])
    }),
    ("owner", |parent| {
        call(libc::SYS_fcntl, &[0, libc::F_SETOWN.into(), parent.into()])
    }),
    ("copy", |_| {
        call(libc::SYS_fcntl, &[0, libc::F_DUPFD.into(), 0])
    }),
    ("dumpable", |_| {
        call(libc::SYS_prctl, &[libc::PR_SET_DUMPABLE.into(), 1, 0, 0, 0])
    }),
    ("uname", |_| call(libc::SYS_uname, &[0])),
];

/// What landlock refuses by itself: the attempt, from which version of its interface on, and with which error.
pub(super) const BEHIND_LANDLOCK: &[(&str, u32, c_int, Attempt)] = &[
    ("open", 1, libc::EACCES, |_| {
        outcome(std::fs::File::open("/etc/passwd").err())
    }),
    ("itself", 1, libc::EACCES, |_| {
        outcome(std::fs::File::open("/proc/self/status").err())
    }),
    ("relative", 1, libc::EACCES, |_| {
        call(libc::SYS_openat, &[CWD, path(c".")])
    }),
    ("execute", 1, libc::EACCES, |_| {
        // Looked up, but not started: the arguments are none.
        let none = null::<*const libc::c_char>();
        // SAFETY: the path is a text, and the lists are refused.
        outcome_of(unsafe {
            libc::syscall(libc::SYS_execve, c"/bin/true".as_ptr(), usize::MAX, none)
        })
    }),
    ("TCP", 4, libc::EACCES, |_| {
        outcome(std::net::TcpStream::connect(("127.0.0.1", 9)).err())
    }),
    ("listen", 4, libc::EACCES, |_| {
        outcome(std::net::TcpListener::bind(("127.0.0.1", 0)).err())
    }),
    ("abstract", 6, libc::EPERM, |parent| {
        use std::os::linux::net::SocketAddrExt;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(abstract_name(parent));
        let connected = std::os::unix::net::UnixStream::connect_addr(&address.unwrap());
        outcome(connected.err())
    }),
    ("signal", 6, libc::EPERM, |parent| {
        call(libc::SYS_kill, &[parent.into(), 0])
    }),
];

/// What the process of this number listens on, among the sockets without a place in the file system.
pub(super) fn abstract_name(process: u32) -> String {
    format!("safelight-confinement-{process}")
}

const CWD: c_long = libc::AT_FDCWD as c_long;

pub(super) fn path(text: &'static std::ffi::CStr) -> c_long {
    text.as_ptr() as c_long
}

/// Makes a system call; missing arguments are zero.
pub(super) fn call(number: c_long, arguments: &[c_long]) -> Outcome {
    let argument = |i: usize| arguments.get(i).copied().unwrap_or(0);
    // SAFETY: pointers among the arguments are of texts that live for ever, or null.
    outcome_of(unsafe {
        libc::syscall(
            number,
            argument(0),
            argument(1),
            argument(2),
            argument(3),
            argument(4),
            argument(5),
        )
    })
}

fn outcome_of(returned: c_long) -> Outcome {
    outcome((returned < 0).then(std::io::Error::last_os_error))
}

pub(super) fn outcome(error: Option<std::io::Error>) -> Outcome {
    error.map(|error| error.raw_os_error().unwrap_or(-1))
}

fn fork() -> Outcome {
    // SAFETY: the new process, should there be one, ends at once.
    unsafe {
        match libc::fork() {
            0 => libc::_exit(0),
            returned => outcome_of(returned.into()),
        }
    }
}

fn map(protection: c_int) -> Outcome {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a fresh mapping.
    let mapped = unsafe { libc::mmap(null_mut(), 4096, protection, flags, -1, 0) };
    outcome((mapped == libc::MAP_FAILED).then(std::io::Error::last_os_error))
}

/// The beginning of a page of this process's own.
fn heap() -> c_long {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a fresh mapping.
    let mapped = unsafe { libc::mmap(null_mut(), 4096, protection, flags, -1, 0) };
    assert_ne!(mapped, libc::MAP_FAILED);
    mapped as c_long
}

/// Raises a limit of this process.
fn limit(resource: c_int) -> Outcome {
    let endless = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    let pointer = &raw const endless;
    call(
        libc::SYS_prlimit64,
        &[0, resource.into(), pointer as c_long, 0],
    )
}
