//! The arithmetic of a transfer plan: which transport, how large the parts are, which is which.

use crate::limits;

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
}

/// What a plan has to keep to, besides the file and the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Files of up to so many bytes go by one PUT ([`limits::SINGLE_MAX_BYTES`] by default).
    pub single_max_bytes: i64,
    /// The store takes no smaller part but the last, in bytes.
    pub min_part_bytes: i64,
    /// The client's link is slow or slow to answer ([`is_thin`]).
    pub thin_link: bool,
}

/// Whether a link is one on which a part that must be sent again hurts: below 1 Mbit/s a part of 8 MiB
/// takes more than a minute.
#[must_use]
pub fn is_thin(downlink_kbps: Option<u32>, rtt_ms: Option<u32>) -> bool {
    downlink_kbps.is_some_and(|kbps| kbps < 1_000) || rtt_ms.is_some_and(|ms| ms >= 400)
}

/// Chooses the plan for a file of `size_bytes` from what the client speaks.
///
/// `append` where the client speaks it and its link is thin, but for files of up to 256 KiB, or where
/// it speaks nothing else that can carry the file: the gateway's machines have to carry the bytes too.
///
/// `None` when the client speaks no transport that can carry it: `single` carries files of up to
/// 5 GiB when nothing else is spoken (S3's limit for one PUT), the others any size above zero.
#[must_use]
pub fn choose(size_bytes: i64, spoken: &[Transport], bounds: Bounds) -> Option<Plan> {
    const SINGLE_PUT_LIMIT: i64 = 5 * 1024 * 1024 * 1024;
    const NOT_WORTH_RESUMING: i64 = 256 * 1024;
    let speaks = |t| spoken.contains(&t);
    if speaks(Transport::Append) && bounds.thin_link && size_bytes > NOT_WORTH_RESUMING {
        return Some(append(size_bytes, bounds.min_part_bytes));
    }
    if speaks(Transport::Single) && size_bytes <= bounds.single_max_bytes {
        return Some(Plan {
            transport: Transport::Single,
            part_size_bytes: size_bytes,
            concurrency: 1,
        });
    }
    if speaks(Transport::Multipart) {
        let part_size_bytes = part_size(size_bytes, bounds.min_part_bytes);
        let parts = part_count(size_bytes, part_size_bytes);
        return Some(Plan {
            transport: Transport::Multipart,
            part_size_bytes,
            concurrency: u32::try_from(parts.min(4)).unwrap_or(1),
        });
    }
    if speaks(Transport::Append) {
        return Some(append(size_bytes, bounds.min_part_bytes));
    }
    (speaks(Transport::Single) && size_bytes <= SINGLE_PUT_LIMIT).then_some(Plan {
        transport: Transport::Single,
        part_size_bytes: size_bytes,
        concurrency: 1,
    })
}

/// The plan of a file of at most `size_bytes` that is appended to. Its parts are the gateway's affair:
/// one that broke leaves a gap in their numbers, so that twice as many are kept free as are needed.
#[must_use]
pub fn append(size_bytes: i64, min_part_bytes: i64) -> Plan {
    let mut part_size_bytes = part_size(size_bytes, min_part_bytes);
    while part_count(size_bytes, part_size_bytes) > limits::MAX_PARTS / 2 {
        part_size_bytes = part_size_bytes.saturating_mul(2);
    }
    Plan {
        transport: Transport::Append,
        part_size_bytes,
        concurrency: 1,
    }
}

/// The part size for a file: the default, or what the store takes where that is more, doubled until
/// 10,000 parts suffice. All parts but the last have it, as some stores demand.
#[must_use]
pub fn part_size(size_bytes: i64, min_part_bytes: i64) -> i64 {
    let mut size = limits::PART_BYTES.max(min_part_bytes);
    while part_count(size_bytes, size) > limits::MAX_PARTS {
        size = size.saturating_mul(2);
    }
    size
}

/// How many parts of `part_size_bytes` a file has.
#[must_use]
pub fn part_count(size_bytes: i64, part_size_bytes: i64) -> i64 {
    let part = part_size_bytes.max(1);
    (size_bytes / part + i64::from(size_bytes % part != 0)).max(1)
}

/// The exact length of part `number` (from 1), or `None` if the file has no such part.
#[must_use]
pub fn part_length(size_bytes: i64, part_size_bytes: i64, number: i64) -> Option<i64> {
    let count = part_count(size_bytes, part_size_bytes);
    if !(1..=count).contains(&number) {
        return None;
    }
    Some(if number == count {
        size_bytes - (count - 1) * part_size_bytes
    } else {
        part_size_bytes
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_cover_the_file_exactly(
            size in 1_i64..200_000_000_000,
            least in prop_oneof![Just(1_i64), 1_i64..100_000_000],
        ) {
            let part = part_size(size, least);
            prop_assert!(part >= least && part >= limits::PART_BYTES);
            let count = part_count(size, part);
            prop_assert!(count <= limits::MAX_PARTS);
            let total: i64 = (1..=count).filter_map(|n| part_length(size, part, n)).sum();
            prop_assert_eq!(total, size);
            prop_assert!((1..=count).all(|n| part_length(size, part, n).is_some_and(|l| l > 0)));
            prop_assert_eq!(part_length(size, part, count + 1), None);
            prop_assert_eq!(part_length(size, part, 0), None);
        }
    }

    const BOUNDS: Bounds = Bounds {
        single_max_bytes: limits::SINGLE_MAX_BYTES,
        min_part_bytes: 5 << 20,
        thin_link: false,
    };

    #[test]
    fn what_is_appended_to_goes_over_thin_links_and_where_nothing_else_does() {
        use Transport::{Append, Multipart, Single};
        let thin = Bounds {
            thin_link: true,
            ..BOUNDS
        };
        let all = [Single, Multipart, Append];
        let of =
            |size, spoken: &[Transport], bounds| choose(size, spoken, bounds).unwrap().transport;
        assert_eq!(of(1 << 20, &all, BOUNDS), Single);
        assert_eq!(of(1 << 30, &all, BOUNDS), Multipart);
        assert_eq!(of(1 << 20, &all, thin), Append);
        assert_eq!(of(256 << 10, &all, thin), Single);
        assert_eq!(of(1 << 20, &[Single, Multipart], thin), Single);
        assert_eq!(of(1 << 20, &[Append], BOUNDS), Append);
        assert_eq!(of(6 << 30, &[Single, Append], BOUNDS), Append);
        assert!(is_thin(Some(999), None) && is_thin(None, Some(400)));
        assert!(!is_thin(Some(1_000), Some(399)) && !is_thin(None, None));
    }

    #[test]
    fn what_is_appended_to_has_numbers_to_spare() {
        for size in [1, 8 << 20, 41 << 30, 200 << 30] {
            let plan = append(size, 1);
            assert!(part_count(size, plan.part_size_bytes) <= limits::MAX_PARTS / 2);
        }
    }

    #[test]
    fn the_transport_follows_size_and_what_is_spoken() {
        let both = [Transport::Single, Transport::Multipart];
        let transport = |size| choose(size, &both, BOUNDS).unwrap().transport;
        assert_eq!(transport(1), Transport::Single);
        assert_eq!(transport(limits::SINGLE_MAX_BYTES), Transport::Single);
        assert_eq!(
            transport(limits::SINGLE_MAX_BYTES + 1),
            Transport::Multipart
        );
        let one = choose(100 << 20, &[Transport::Single], BOUNDS).unwrap();
        assert_eq!(one.part_size_bytes, 100 << 20);
        assert_eq!(choose(1, &[], BOUNDS), None);
    }

    #[test]
    fn parts_are_as_large_as_the_store_wants_them() {
        let wants = |min_part_bytes| Bounds {
            min_part_bytes,
            ..BOUNDS
        };
        let part = |bounds| {
            let plan = choose(100 << 20, &[Transport::Multipart], bounds).unwrap();
            (plan.part_size_bytes, plan.concurrency)
        };
        assert_eq!(part(wants(1)), (limits::PART_BYTES, 4));
        assert_eq!(part(wants(64 << 20)), (64 << 20, 2));
        // The last part may always be small, so one part that is the whole file will do.
        let short = choose(9 << 20, &[Transport::Multipart], wants(64 << 20)).unwrap();
        assert_eq!(part_count(9 << 20, short.part_size_bytes), 1);
    }
}
