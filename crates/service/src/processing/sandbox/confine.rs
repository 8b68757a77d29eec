//! How a child closes itself in before it reads anything.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};
use safelight_imaging::{Limits, encode_jpeg};
use safelight_model::{preset, variant};

use super::child::send_all;
use super::confinement::Confinement;
use super::protocol::frame;
use super::{landlock, seccomp};

/// How many bytes of address space the child may have: the one variable in its environment.
pub(super) const MEMORY_BYTES_VARIABLE: &str = "SANDBOX_MEMORY_BYTES";
/// Descriptors: the three standard ones, the original, and some that the C library may want.
const MAX_DESCRIPTORS: u64 = 8;
/// Edges of the picture that codecs are warmed up with.
const WARM_UP: (u32, u32) = (64, 48);

/// Gives up descriptors, controlling terminal, memory, files, processes, privileges, and all system
/// calls that decoding does not take, for ever; then says so on standard input, the socket to the parent.
/// The first part of [`super::child_main`]. Landlock is for the calling thread alone, so that there
/// should be no other.
///
/// # Errors
/// The first step that the kernel refused, or a memory bound missing from the environment. That the
/// kernel has no seccomp or landlock is not an error here: the parent decides what to make of it.
pub fn confine() -> io::Result<()> {
    let memory_bytes: u64 = std::env::var(MEMORY_BYTES_VARIABLE)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| io::Error::other("not started as a sandbox"))?;
    // SAFETY: nothing in this process holds a descriptor above standard error.
    if unsafe { libc::close_range(3, libc::c_uint::MAX, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    warm_up();
    // Nobody reads standard error before the child is dead: what native decoders say there must
    // not hold it up once the pipe is full.
    rustix::fs::fcntl_setfl(io::stderr(), rustix::fs::OFlags::NONBLOCK)?;
    // What a terminal sends to the server's group is not for it. In a session of its own its niceness would count for nothing where
    // the kernel schedules by sessions.
    rustix::process::setpgid(None, None)?;
    for (resource, value) in [
        (Resource::As, memory_bytes),
        (Resource::Nofile, MAX_DESCRIPTORS),
        (Resource::Nproc, 0),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
    ] {
        let limit = Rlimit {
            current: Some(value),
            maximum: Some(value),
        };
        setrlimit(resource, limit)?;
    }
    for (option, value) in [(libc::PR_SET_NO_NEW_PRIVS, 1), (libc::PR_SET_DUMPABLE, 0)] {
        let value: libc::c_ulong = value;
        let none: libc::c_ulong = 0;
        // SAFETY: these options take numbers only.
        if unsafe { libc::prctl(option, value, none, none, none) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // In this order, since the filter lets nobody ask for landlock.
    let landlock = landlock::enter(&[]);
    let seccomp = seccomp::enter();
    let confinement = Confinement {
        seccomp,
        landlock,
        memory_bytes,
    };
    send_all(&io::stdin(), &frame(&confinement)?)
}

/// Has the codecs look at the processor while they still can: on ARM, libjpeg-turbo reads a file for
/// that when it is first used.
fn warm_up() {
    let (width, height) = WARM_UP;
    let grey = vec![128; width as usize * height as usize * 3];
    // What fails here fails again with the first picture, which says so.
    if let Ok(jpeg) = encode_jpeg(width, height, &grey, 75) {
        let pictures = preset::ALL.into_iter().chain(variant::OF_PICTURES);
        let presets: Vec<_> = pictures.collect();
        let _ = safelight_imaging::render(&jpeg, &presets, &Limits::default(), true);
    }
}
