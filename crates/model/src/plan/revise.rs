//! Another plan in the midst of an upload, that loses nothing of what has arrived.

use super::{Plan, Transport, Why};

/// How far an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// No URL for a part was given out and no byte was taken: nothing can be lost.
    Nothing,
    /// Something was signed or stored.
    Something,
}

/// A plan that takes the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revised {
    /// The plan.
    pub plan: Plan,
    /// What was wanted instead, if it had lost what has arrived.
    pub kept_from: Option<Transport>,
}

/// The plan that follows `current` when `wanted` would be chosen now. What has begun keeps its transport and its part
/// size: parts are equal and lie where they are, in the store or the gateway. How many go at once, and the advice,
/// follow always.
#[must_use]
pub fn revise(current: (Transport, i64), wanted: Plan, arrived: Arrived) -> Revised {
    let (transport, part_size_bytes) = current;
    if arrived == Arrived::Nothing || (wanted.transport, wanted.part_size_bytes) == current {
        return Revised {
            plan: wanted,
            kept_from: None,
        };
    }
    let is_other = wanted.transport != transport;
    Revised {
        plan: Plan {
            transport,
            part_size_bytes,
            why: [Why::Begun, wanted.why[1]],
            ..wanted
        },
        kept_from: is_other.then_some(wanted.transport),
    }
}
