//! How much of the processors a task gets where others want them too.

use rustix::process::{Pid, setpriority_process};

/// The niceness of what nobody waits for: beside a process that has none it gets a thirtieth of a processor
/// (`sched_prio_to_weight` in Linux' `kernel/sched/core.c`: 36 against 1024), and all that is left over.
const LEISURELY: i32 = 15;
/// The niceness of what a clip's picture is taken by, where somebody waits for that: to find one in a clip of 4K takes both processors of a small
/// machine for a second, in which the covers of a dozen photos are made. Beside one of these it gets a tenth of a processor.
const BEHIND_PHOTOS: i32 = 10;

/// Who waits for a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// Somebody looks at a screen.
    #[default]
    Brisk,
    /// Nobody does. A process that was made so cannot be made brisk again without privileges, and stays so.
    Leisurely,
}

impl Pace {
    /// The niceness of a process that goes at this pace.
    pub(super) const fn nice(self) -> i32 {
        match self {
            Self::Brisk => 0,
            Self::Leisurely => LEISURELY,
        }
    }

    /// The same of one that decodes clips.
    pub(super) const fn nice_for_clips(self) -> i32 {
        match self {
            Self::Brisk => BEHIND_PHOTOS,
            Self::Leisurely => LEISURELY,
        }
    }

    /// Has a process go at this pace.
    pub(super) fn set_for(self, process_id: Option<u32>) {
        let pid = process_id.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let (Self::Leisurely, Some(pid)) = (self, pid) {
            // Whoever started a process may have it step back. Where it fails all the same, it only goes too fast.
            if let Err(error) = setpriority_process(Some(pid), self.nice()) {
                tracing::debug!(%error, "a decoding process goes at full pace");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_go_behind_photos_and_before_what_nobody_waits_for() {
        assert!(Pace::Brisk.nice() < Pace::Brisk.nice_for_clips());
        assert!(Pace::Brisk.nice_for_clips() < Pace::Leisurely.nice());
        assert_eq!(Pace::Leisurely.nice_for_clips(), Pace::Leisurely.nice());
    }
}
