//! The states of an asset, and the one table of what may follow what.
//!
//! | state | what a crash in it leads to |
//! |---|---|
//! | `initiated` | the client sends or asks again; the janitor expires it at its upload's end |
//! | `uploading` | the same; parts that arrived count |
//! | `uploaded` | its inspect job is in the same commit; a worker finds it |
//! | `processing` | the job's lease ends, another attempt begins |
//! | `ready` | final until deleted or withheld |
//! | `failed` | final unless tried again; the original is kept |
//! | `quarantined` | withheld until a person or a new verdict decides |
//! | `expired` | the upload's time ended; the client initiates anew |
//! | `deleted` | a tombstone |

/// The lifecycle state of an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Known to the server; nothing has been sent as far as it knows.
    Initiated,
    /// URLs were given out; bytes may be arriving.
    Uploading,
    /// The original is whole in the store.
    Uploaded,
    /// A worker is inspecting it.
    Processing,
    /// Inspected, allowed, cover stored: viewable.
    Ready,
    /// It will not become viewable; the reason says why.
    Failed,
    /// Withheld by a verdict.
    Quarantined,
    /// Its upload's time ran out, or it was given up, before the bytes were whole.
    Expired,
    /// A tombstone.
    Deleted,
}

/// What happens to an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The first URL for it was signed.
    UrlSigned,
    /// The store confirmed the whole original.
    BytesComplete,
    /// Same owner, same bytes: it points to a blob that is there.
    Attached,
    /// A worker began to inspect it.
    InspectStarted,
    /// Inspected, verdict permits, cover stored.
    InspectPassed,
    /// Inspection found that it cannot become viewable.
    InspectFailed,
    /// The verdict is to withhold it.
    Withheld,
    /// A later verdict permits it.
    Released,
    /// Its upload's time ended or the client gave it up.
    UploadEnded,
    /// It failed for good and is to be tried again.
    Retried,
    /// Somebody with the right to do so deleted it.
    DeleteRequested,
    /// Its bytes turned out to be those of another asset of its owner, which stands for it from now on.
    Merged,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Initiated,
        Self::Uploading,
        Self::Uploaded,
        Self::Processing,
        Self::Ready,
        Self::Failed,
        Self::Quarantined,
        Self::Expired,
        Self::Deleted,
    ];

    /// As in rows and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initiated => "initiated",
            Self::Uploading => "uploading",
            Self::Uploaded => "uploaded",
            Self::Processing => "processing",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Quarantined => "quarantined",
            Self::Expired => "expired",
            Self::Deleted => "deleted",
        }
    }

    /// The state of this text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }

    /// Whether nothing more happens by itself.
    #[must_use]
    pub fn is_settled(self) -> bool {
        matches!(
            self,
            Self::Ready | Self::Failed | Self::Quarantined | Self::Expired | Self::Deleted
        )
    }

    /// Whether renditions may be shown in it at all. The verdict and the grant come on top.
    #[must_use]
    pub fn is_viewable(self) -> bool {
        matches!(self, Self::Ready)
    }

    /// Whether the whole original is stored and still ours to give out by an explicit grant.
    #[must_use]
    pub fn has_original(self) -> bool {
        matches!(self, Self::Ready | Self::Failed)
    }
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 12] = [
        Self::UrlSigned,
        Self::BytesComplete,
        Self::Attached,
        Self::InspectStarted,
        Self::InspectPassed,
        Self::InspectFailed,
        Self::Withheld,
        Self::Released,
        Self::UploadEnded,
        Self::Retried,
        Self::DeleteRequested,
        Self::Merged,
    ];
}

/// The state after `event`, or `None` if it must not happen in `state`.
///
/// `Some(state)` unchanged means: allowed, and nothing to do (it happened before).
#[must_use]
pub fn next(state: State, event: Event) -> Option<State> {
    use Event as E;
    use State as S;
    match (state, event) {
        (S::Deleted, E::DeleteRequested) => Some(S::Deleted),
        (S::Deleted, _) => None,
        (_, E::DeleteRequested) => Some(S::Deleted),

        (S::Initiated | S::Uploading, E::UrlSigned) => Some(S::Uploading),
        // A client that asks for no URL after a lost answer, or a store event, may be first.
        (S::Initiated | S::Uploading, E::BytesComplete) => Some(S::Uploaded),
        (S::Initiated | S::Uploading, E::Attached) => Some(S::Uploaded),
        (S::Initiated | S::Uploading | S::Expired, E::UploadEnded) => Some(S::Expired),

        // Nobody has seen it yet. Its bytes need not have come: another device may have been quicker with them.
        (S::Initiated | S::Uploading | S::Uploaded | S::Processing, E::Merged) => Some(S::Deleted),

        (S::Uploaded | S::Processing, E::InspectStarted) => Some(S::Processing),
        (S::Processing | S::Ready, E::InspectPassed) => Some(S::Ready),
        (S::Uploaded | S::Processing | S::Failed, E::InspectFailed) => Some(S::Failed),
        (S::Processing | S::Ready | S::Failed | S::Quarantined, E::Withheld) => {
            Some(S::Quarantined)
        }
        (S::Quarantined, E::Released) => Some(S::Uploaded),
        (S::Failed, E::Retried) => Some(S::Uploaded),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_state_reads_back_and_can_be_reached() {
        let mut reached = vec![State::Initiated];
        let mut i = 0;
        while i < reached.len() {
            for event in Event::ALL {
                if let Some(to) = next(reached[i], event)
                    && !reached.contains(&to)
                {
                    reached.push(to);
                }
            }
            i += 1;
        }
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
            assert!(reached.contains(&state), "{state:?} cannot be reached");
        }
    }

    proptest! {
        /// Whatever happens in whatever order: ready only through inspection of whole bytes, never
        /// out of quarantine without a release and a new inspection, and a tombstone stays one.
        #[test]
        fn no_sequence_of_events_breaks_the_rules(events in proptest::collection::vec(0..Event::ALL.len(), 0..60)) {
            let (mut state, mut whole, mut inspected, mut withheld) = (State::Initiated, false, false, false);
            for event in events.into_iter().map(|i| Event::ALL[i]) {
                let Some(to) = next(state, event) else { continue };
                match event {
                    Event::BytesComplete | Event::Attached => whole = true,
                    Event::InspectStarted => inspected = true,
                    Event::Withheld => { withheld = true; inspected = false; }
                    Event::Released => withheld = false,
                    Event::UploadEnded => prop_assert!(!whole, "whole bytes never expire"),
                    _ => {}
                }
                if to == State::Ready { prop_assert!(whole && inspected && !withheld); }
                if state == State::Deleted { prop_assert_eq!(to, State::Deleted); }
                // The same event twice is harmless: it changes nothing or is refused.
                if let Some(again) = next(to, event) { prop_assert_eq!(again, to); }
                state = to;
            }
        }
    }
}
