//! How tightly a child is closed, as it says itself before it is sent anything.

use std::fmt;

/// What holds a child in. Descriptors, resource limits and privileges are not told of: a child that
/// could not give these up ends at once.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Confinement {
    /// The filter of system calls.
    pub seccomp: Seccomp,
    /// The kernel's rules about files, ports, sockets and signals, behind the filter.
    pub landlock: Landlock,
    /// Address space of the child.
    pub memory_bytes: u64,
}

/// The filter of system calls: without it, a decoder that is taken over has the whole kernel to itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seccomp {
    /// In force.
    Filtered,
    /// Not in force, and why.
    Missing(String),
}

/// Landlock, a second wall: it holds where the filter has a hole, or the kernel no filter.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Landlock {
    /// In force, with what this version of the kernel's interface knows: 1 files, 4 TCP as well, 6
    /// abstract sockets and signals, 10 UDP.
    Enforced(u32),
    /// Not in force, and why.
    Missing(String),
}

impl Confinement {
    /// Whether a decoder could do more than decode: there is no filter of system calls.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.seccomp != Seccomp::Filtered
    }

    /// Whether a decoder that may open files, as that of clips, could open others than its own.
    #[must_use]
    pub fn lets_files_be_opened(&self) -> bool {
        self.is_open() || matches!(self.landlock, Landlock::Missing(_))
    }

    /// Sets the gauges `safelight_sandbox_seccomp` (1 or 0) and `safelight_sandbox_landlock_abi` (0 where
    /// there is none).
    pub fn count(&self) {
        let (seccomp, abi) = self.gauges();
        metrics::gauge!("safelight_sandbox_seccomp").set(seccomp);
        metrics::gauge!("safelight_sandbox_landlock_abi").set(abi);
    }

    /// Sets the same gauges of the decoder of clips: `safelight_sandbox_video_seccomp` and
    /// `safelight_sandbox_video_landlock_abi`.
    pub fn count_of_clips(&self) {
        let (seccomp, abi) = self.gauges();
        metrics::gauge!("safelight_sandbox_video_seccomp").set(seccomp);
        metrics::gauge!("safelight_sandbox_video_landlock_abi").set(abi);
    }

    fn gauges(&self) -> (f64, f64) {
        let seccomp = if self.is_open() { 0.0 } else { 1.0 };
        let abi = match self.landlock {
            Landlock::Enforced(abi) => abi,
            Landlock::Missing(_) => 0,
        };
        (seccomp, f64::from(abi))
    }
}

impl fmt::Display for Confinement {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.seccomp {
            Seccomp::Filtered => write!(to, "system calls are filtered")?,
            Seccomp::Missing(why) => write!(to, "system calls are not filtered ({why})")?,
        }
        match &self.landlock {
            Landlock::Enforced(abi) => write!(to, ", landlock {abi}")?,
            Landlock::Missing(why) => write!(to, ", no landlock ({why})")?,
        }
        write!(to, ", {} MiB of memory", self.memory_bytes >> 20)
    }
}
