//! The kinds of work, the lane each waits in, and how often it is tried.

use crate::lane::{Lane, MAX_ATTEMPTS};

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobKind {
    /// Read an original once: verify, judge, make its cover.
    Inspect,
    /// Make the renditions beyond the cover.
    Derive,
    /// Remove objects that nothing points to any more.
    Purge,
}

impl JobKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Inspect, Self::Derive, Self::Purge];

    /// As in rows and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inspect => "inspect",
            Self::Derive => "derive",
            Self::Purge => "purge",
        }
    }

    /// The kind of this text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The lane it waits in unless its asker says otherwise: a purge that a user asked for waits in
    /// the standard lane.
    #[must_use]
    pub fn lane(self) -> Lane {
        match self {
            Self::Inspect => Lane::Interactive,
            Self::Derive => Lane::Standard,
            Self::Purge => Lane::Bulk,
        }
    }

    /// After so many attempts it is dead.
    #[must_use]
    pub fn max_attempts(self) -> i64 {
        MAX_ATTEMPTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back() {
        for kind in JobKind::ALL {
            assert_eq!(JobKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(JobKind::parse("transmogrify"), None);
    }
}
