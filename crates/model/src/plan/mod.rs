//! The plan of a transfer: which transport, how large the parts are and how many travel at once, in which order files
//! go, and what a client is advised to do with a file before it sends it.
//!
//! [`Policy`] is the rule: numbers that an operator may change, each with the reason for its default. It makes a
//! [`Plan`] of [`Hints`] and [`Bounds`], and nothing else comes in, so that the same hints give the same plan. Where
//! nothing is hinted the plan is the plain one: one PUT up to [`Bounds::single_max_bytes`], else parts of
//! [`Policy::part_bytes`], [`Policy::connections`] at once.

mod arithmetic;
mod choose;
mod compress;
mod hints;
mod line;
mod order;
mod policy;
#[cfg(test)]
mod properties;
mod revise;

pub use arithmetic::{fit, part_count, part_length};
pub use compress::Compress;
pub use hints::{Battery, Content, File, Hints, Link, NetworkKind};
pub use line::{Limit, Line};
pub use order::order;
pub use policy::{Policy, PolicyError, Threshold};
pub use revise::{Arrived, Revised, revise};

/// How the bytes of a resource travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// One presigned PUT.
    Single,
    /// Presigned parts.
    Multipart,
    /// From any byte on, through the gateway.
    Append,
}

impl Transport {
    /// As in rows and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Multipart => "multipart",
            Self::Append => "append",
        }
    }

    /// The transport of this text; `None` for one this version does not know.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Single, Self::Multipart, Self::Append]
            .into_iter()
            .find(|t| t.as_str() == text)
    }
}

/// The plan of one upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How the bytes travel.
    pub transport: Transport,
    /// Size of every part but the last; the whole size for `single`.
    pub part_size_bytes: i64,
    /// How many parts may be under way at once.
    pub concurrency: u32,
    /// What a client had better do with the file before it sends it, if anything.
    pub compress: Option<Compress>,
    /// What decided the transport, and then the concurrency.
    pub why: [Why; 2],
}

/// What decided something in a plan. A closed list, which grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Nothing in particular: the default.
    Default,
    /// The file is small enough for one request.
    Small,
    /// It is too large for one request, or would take too long by one.
    Large,
    /// The link is thin, or slow to answer: what is cut off must not be sent again.
    ThinLink,
    /// So much is lost that connections themselves break.
    LossyLink,
    /// The system sends it in the background, as one request.
    Background,
    /// The client speaks nothing else that carries it.
    OnlySpoken,
    /// One connection fills the link.
    Bandwidth,
    /// Loss on a long round trip holds each connection down.
    Loss,
    /// The round trip holds each connection down.
    RoundTrip,
    /// The battery is low, or being saved.
    Battery,
    /// Parts were signed or have arrived, and would be lost.
    Begun,
}

impl Why {
    /// As in rows and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Small => "small_file",
            Self::Large => "large_file",
            Self::ThinLink => "thin_link",
            Self::LossyLink => "lossy_link",
            Self::Background => "background",
            Self::OnlySpoken => "only_spoken",
            Self::Bandwidth => "bandwidth_bound",
            Self::Loss => "loss_bound",
            Self::RoundTrip => "round_trip_bound",
            Self::Battery => "low_battery",
            Self::Begun => "already_begun",
        }
    }
}

/// What a plan has to keep to, besides the file and the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Files of up to so many bytes go by one PUT ([`crate::limits::SINGLE_MAX_BYTES`] by default).
    pub single_max_bytes: i64,
    /// The store takes no smaller part but the last, in bytes.
    pub min_part_bytes: i64,
}
