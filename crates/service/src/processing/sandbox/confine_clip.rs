//! How a process closes itself in before it becomes the program that decodes a clip.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use landlock::{AccessFs, BitFlags};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::clip_filter;
use super::confinement::Confinement;
use super::exec_once::Permission;
use super::landlock::{self as walls, Reach};
use super::protocol::frame;

/// What to run: the one variable in the environment of such a process.
pub(super) const CLIP_RUN_VARIABLE: &str = "SANDBOX_CLIP_RUN";
/// Ends of the process, for the parent.
pub(super) const NOT_CONFINED: i32 = 70;
pub(super) const NOT_STARTED: i32 = 71;
/// Descriptors: the three standard ones, libraries one after another, the clip and its output.
const MAX_DESCRIPTORS: u64 = 32;
/// Where libraries are, and the list of them.
const LIBRARIES: [&str; 6] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
];
/// What links a program to its libraries, which counts as started with it.
const LINKERS: [&str; 4] = [
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
];

/// A program to run on a clip, which is its standard input, and what it may take.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct ClipRun {
    pub program: PathBuf,
    pub args: Vec<String>,
    /// Address space.
    pub memory_bytes: u64,
    /// Processor time, of all threads.
    pub cpu_seconds: u64,
    /// How long a file it may write.
    pub output_bytes: u64,
    /// Whether its standard output is a file that it opens again, to put its index first.
    pub reopens_output: bool,
    /// How much it yields to others, 0 to 19.
    pub nice: i32,
    /// Whether to run it where it cannot be confined.
    pub may_be_open: bool,
}

/// Closes this process in, says how tightly on standard error, and becomes the program. Returns only if that cannot be.
pub(super) fn clip_main(run: &str) -> i32 {
    match become_program(run) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cannot start the decoder of clips: {error}");
            NOT_STARTED
        }
    }
}

fn become_program(run: &str) -> io::Result<i32> {
    let run: ClipRun = serde_json::from_str(run)?;
    // SAFETY: nothing in this process holds a descriptor above standard error.
    if unsafe { libc::close_range(3, libc::c_uint::MAX, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // What a terminal sends to the server's group is not for it. In a session of its own its niceness would count for nothing where
    // the kernel schedules by sessions.
    rustix::process::setpgid(None, None)?;
    // SAFETY: takes a number. What it answers may be -1 without an error, and is of no matter.
    unsafe { libc::nice(run.nice) };
    let permission = Permission::prepare()?;
    let places = places(&run)?;
    for (resource, value) in [
        (Resource::As, run.memory_bytes),
        (Resource::Cpu, run.cpu_seconds),
        (Resource::Fsize, run.output_bytes),
        (Resource::Nofile, MAX_DESCRIPTORS),
        (Resource::Core, 0),
    ] {
        let limit = Rlimit {
            current: Some(value),
            maximum: Some(value),
        };
        setrlimit(resource, limit)?;
    }
    let none: libc::c_ulong = 0;
    let one: libc::c_ulong = 1;
    // SAFETY: this option takes numbers only.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, one, none, none, none) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut command = Command::new(&run.program);
    command
        .args(&run.args)
        .env_clear()
        // Each further arena of the allocator takes 64 MiB of address space.
        .env("MALLOC_ARENA_MAX", "2")
        .env("LC_ALL", "C");
    let landlock = walls::enter(&reaches(&places));
    drop(places);
    let seccomp = clip_filter::enter(permission);
    let confinement = Confinement {
        seccomp,
        landlock,
        memory_bytes: run.memory_bytes,
    };
    let said = frame(&confinement)?;
    io::Write::write_all(&mut io::stderr(), &said)?;
    if confinement.lets_files_be_opened() && !run.may_be_open {
        return Ok(NOT_CONFINED);
    }
    Err(command.exec())
}

/// What the program may reach, open.
fn places(run: &ClipRun) -> io::Result<Vec<(OwnedFd, BitFlags<AccessFs>)>> {
    let read = BitFlags::from(AccessFs::ReadFile);
    let mut places = vec![
        (open(&run.program)?, read | AccessFs::Execute),
        (io::stdin().as_fd().try_clone_to_owned()?, read),
    ];
    if run.reopens_output {
        let write = read | AccessFs::WriteFile | AccessFs::Truncate;
        places.push((io::stdout().as_fd().try_clone_to_owned()?, write));
    }
    let linkers = LINKERS.map(|path| (path, read | AccessFs::Execute));
    let libraries = LIBRARIES.map(|path| (path, read));
    for (path, access) in libraries.into_iter().chain(linkers) {
        // Not every system has all of them.
        if let Ok(place) = open(Path::new(path)) {
            places.push((place, access));
        }
    }
    Ok(places)
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    let place = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH)
        .open(path)?;
    Ok(place.into())
}

fn reaches(places: &[(OwnedFd, BitFlags<AccessFs>)]) -> Vec<Reach<'_>> {
    places
        .iter()
        .map(|(place, access)| Reach {
            place: place.as_fd(),
            access: *access,
        })
        .collect()
}
