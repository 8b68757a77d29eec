//! The kinds of work, the lane each waits in, how often it is tried, and where a job can stand.

use crate::lane::{Lane, MAX_ATTEMPTS};

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobKind {
    /// Read an original once: verify, judge, make its cover.
    Inspect,
    /// Make the square of a picture that was inspected before it was for a profile.
    Crop,
    /// Make the renditions beyond the cover.
    Derive,
    /// Make the JPEG of renditions, for who shows nothing else.
    DeriveJpeg,
    /// Make what is sent to who would rather have fewer bytes.
    DeriveLean,
    /// Make the AVIF of renditions, which is smaller.
    DeriveAvif,
    /// Make the clip in a motion photo one that plays everywhere.
    DeriveMotion,
    /// Make the rendition of a clip that plays everywhere, and what else is missing of a clip.
    Transcode,
    /// Give a picture its perceptual hash and its scores that was inspected before there were any.
    Hash,
    /// Read what a file tells of how it was taken that was inspected before that was read.
    ReadMetadata,
    /// Make the cleaned original of a file.
    Clean,
    /// Remove objects that nothing points to any more.
    Purge,
    /// Compare what the store holds with the rows, and remove what has long been nobody's.
    Sweep,
}

impl JobKind {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::Inspect,
        Self::Crop,
        Self::Derive,
        Self::DeriveJpeg,
        Self::DeriveLean,
        Self::DeriveAvif,
        Self::DeriveMotion,
        Self::Transcode,
        Self::Hash,
        Self::ReadMetadata,
        Self::Clean,
        Self::Purge,
        Self::Sweep,
    ];

    /// As in rows and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inspect => "inspect",
            Self::Crop => "crop",
            Self::Derive => "derive",
            Self::DeriveJpeg => "derive_jpeg",
            Self::DeriveLean => "derive_lean",
            Self::DeriveAvif => "derive_avif",
            Self::DeriveMotion => "derive_motion",
            Self::Transcode => "transcode",
            Self::Hash => "hash",
            Self::ReadMetadata => "read_metadata",
            Self::Clean => "clean",
            Self::Purge => "purge",
            Self::Sweep => "sweep",
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
            Self::Inspect | Self::Crop => Lane::Interactive,
            Self::Derive
            | Self::DeriveJpeg
            | Self::DeriveLean
            | Self::DeriveMotion
            | Self::Clean => Lane::Standard,
            Self::DeriveAvif
            | Self::Transcode
            | Self::Hash
            | Self::ReadMetadata
            | Self::Purge
            | Self::Sweep => Lane::Bulk,
        }
    }

    /// After so many attempts it is dead.
    #[must_use]
    pub fn max_attempts(self) -> i64 {
        MAX_ATTEMPTS
    }
}

/// Where a job stands. One that is done has no row any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobState {
    /// Its time is to come.
    Scheduled,
    /// Due: it waits for a worker.
    Queued,
    /// A worker has it.
    Leased,
    /// It failed for good; its error is kept.
    Dead,
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Scheduled, Self::Queued, Self::Leased, Self::Dead];

    /// As in rows and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Leased => "leased",
            Self::Dead => "dead",
        }
    }

    /// The state of this text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_and_state_reads_back() {
        for state in JobState::ALL {
            assert_eq!(JobState::parse(state.as_str()), Some(state));
        }
        for kind in JobKind::ALL {
            assert_eq!(JobKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(JobKind::parse("transmogrify"), None);
    }

    #[test]
    fn what_somebody_looks_at_goes_before_all_else() {
        for (lane, kinds) in [
            (Lane::Interactive, &[JobKind::Inspect, JobKind::Crop][..]),
            (
                Lane::Standard,
                &[
                    JobKind::Derive,
                    JobKind::DeriveJpeg,
                    JobKind::DeriveLean,
                    JobKind::DeriveMotion,
                    JobKind::Clean,
                ],
            ),
        ] {
            let waits = |kind: &JobKind| kind.lane() == lane;
            let found: Vec<JobKind> = JobKind::ALL.into_iter().filter(waits).collect();
            assert_eq!(found, kinds, "{lane:?}");
        }
        // What nobody waits for, however much of it there is.
        for kind in [JobKind::DeriveAvif, JobKind::Transcode, JobKind::Hash] {
            assert_eq!(kind.lane(), Lane::Bulk);
        }
    }
}
