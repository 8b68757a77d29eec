//! A clock that is wrong, as phones have them: set by hand, without a battery, in the wrong zone.
//!
//! The process is given `libfaketime`, which shifts what its system tells of the time of day. What only measures how long
//! something takes goes on as it is.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

/// How far a clock is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    /// Seconds ahead of the true time; behind it where negative.
    pub ahead_seconds: i64,
}

impl Skew {
    /// The clocks of phones: right, in another zone, days behind, reset to long ago, and in a time to come.
    pub const PHONES: [Self; 5] = [
        Self::of(0),
        Self::of(9 * 3600),
        Self::of(-3 * 86_400),
        Self::of(-20 * 365 * 86_400),
        Self::of(10 * 365 * 86_400),
    ];

    const fn of(ahead_seconds: i64) -> Self {
        Self { ahead_seconds }
    }

    /// Has a process that is started by this command live by the wrong clock; called after its environment was cleared.
    ///
    /// # Errors
    /// `libfaketime` is not installed.
    pub fn apply(self, command: &mut Command) -> anyhow::Result<()> {
        if self.ahead_seconds == 0 {
            return Ok(());
        }
        command
            .env("LD_PRELOAD", library()?)
            .env("FAKETIME", format!("{:+}", self.ahead_seconds))
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1");
        Ok(())
    }
}

/// Where Debian and Ubuntu put it: below the directory of the machine's architecture.
fn library() -> anyhow::Result<PathBuf> {
    let arch = std::fs::read_dir("/usr/lib")?.flatten();
    let places = arch.map(|dir| dir.path().join("faketime/libfaketimeMT.so.1"));
    let mut found = places.filter(|path: &PathBuf| Path::is_file(path));
    found
        .next()
        .context("libfaketime is not installed: `make deps-test` installs it")
}

#[cfg(test)]
mod tests {
    use safelight_model::clock::{Clock as _, SystemClock};

    use super::*;

    #[test]
    fn a_process_lives_by_the_wrong_clock() {
        for skew in Skew::PHONES {
            let mut command = Command::new("date");
            command.arg("+%s");
            skew.apply(&mut command).unwrap();
            let said = command.output().unwrap().stdout;
            let said: i64 = String::from_utf8(said).unwrap().trim().parse().unwrap();
            let off = said - SystemClock.now().0 / 1_000_000 - skew.ahead_seconds;
            assert!((-60..=60).contains(&off), "{skew:?}: {off} s beside it");
        }
    }
}
