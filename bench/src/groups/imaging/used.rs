//! What processes used, from the kernel's own counts.

use std::ffi::OsString;
use std::mem::MaybeUninit;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};

/// What one photo took.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
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

fn usage(who: libc::c_int) -> libc::rusage {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is valid; zeros are a valid value where the call fails.
    unsafe {
        libc::getrusage(who, usage.as_mut_ptr());
        usage.assume_init()
    }
}

/// Processor time of this process and of all its children that have ended.
pub fn own_and_ended_ms() -> f64 {
    let both = [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN];
    both.map(|who| cpu_ms(&usage(who))).iter().sum()
}

/// How this program is told to run another one and to say what it used.
pub const MEASURED: &str = "measured";

/// Runs a program to its end. Answers its processor time in ms and the most memory that it had.
///
/// The kernel begins a process's peak with what its parent has when it is started, and this one may have had photos
/// in memory. So a small one starts it: this program anew.
pub fn run(program: &str, arguments: &[OsString]) -> anyhow::Result<Cost> {
    let mut command = Command::new(std::env::current_exe()?);
    let output = command
        .arg(MEASURED)
        .arg(program)
        .args(arguments)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program}: {said}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The other side of [`run`]: prints what was used.
pub fn run_and_say(command: &[String]) -> anyhow::Result<()> {
    let [program, arguments @ ..] = command else {
        bail!("nothing to run");
    };
    let status = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .status();
    let status = status.with_context(|| program.clone())?;
    ensure!(status.success(), "{program} ended with {status}");
    let usage = usage(libc::RUSAGE_CHILDREN);
    let cost = Cost {
        cpu_ms: cpu_ms(&usage),
        wall_ms: 0.0,
        peak_mb: usage.ru_maxrss as f64 / 1024.0,
    };
    println!("{}", serde_json::to_string(&cost)?);
    Ok(())
}
