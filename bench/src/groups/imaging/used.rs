//! What processes used, from the kernel's own counts.

use std::io;
use std::mem::MaybeUninit;
use std::process::Command;

use anyhow::{Context as _, bail};
use serde::Deserialize;

/// What one photo took.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Cost {
    /// Processor time, user and system.
    pub cpu_ms: f64,
    /// Time from the first photo to the end of the last, divided by the photos.
    pub wall_ms: f64,
    /// The most memory that one process had resident, in units of 1,048,576 bytes.
    pub peak_mb: f64,
}

fn cpu_ms(usage: &libc::rusage) -> f64 {
    let ms = |t: libc::timeval| t.tv_sec as f64 * 1e3 + t.tv_usec as f64 / 1e3;
    ms(usage.ru_utime) + ms(usage.ru_stime)
}

/// Processor time of this process and of all its children that have ended.
pub fn own_and_ended_ms() -> f64 {
    [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN]
        .into_iter()
        .map(|who| {
            let mut usage = MaybeUninit::<libc::rusage>::zeroed();
            // SAFETY: the pointer is valid; zeros are a valid value where the call fails.
            let usage = unsafe {
                libc::getrusage(who, usage.as_mut_ptr());
                usage.assume_init()
            };
            cpu_ms(&usage)
        })
        .sum()
}

/// Runs a program to its end. Answers its processor time in ms and the most memory that it had.
// It is waited for below, where the kernel says what it used.
#[allow(clippy::zombie_processes)]
pub fn run(command: &mut Command) -> anyhow::Result<(f64, f64)> {
    let name = command.get_program().to_string_lossy().into_owned();
    let child = command.spawn().with_context(|| name.clone())?;
    let pid = libc::pid_t::try_from(child.id())?;
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are valid, and nothing else waits for this child.
    let usage = unsafe {
        if libc::wait4(pid, &mut status, 0, usage.as_mut_ptr()) != pid {
            return Err(io::Error::last_os_error()).context(name);
        }
        usage.assume_init()
    };
    if status != 0 {
        bail!("{name} ended with {status}");
    }
    Ok((cpu_ms(&usage), usage.ru_maxrss as f64 / 1024.0))
}
