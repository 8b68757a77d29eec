//! The arithmetic of a transfer plan: which transport, how large the parts are, which is which.

use crate::limits;

/// How the bytes of a resource travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// One presigned PUT.
    Single,
    /// Presigned parts.
    Multipart,
}

impl Transport {
    /// As in rows and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Multipart => "multipart",
        }
    }

    /// The transport of this text; `None` for one this version does not know.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Single, Self::Multipart]
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

/// Chooses the plan for a file of `size_bytes` from what the client speaks. Files of up to
/// `single_max_bytes` go by one PUT ([`limits::SINGLE_MAX_BYTES`] by default).
///
/// `None` when the client speaks no transport that can carry it: `single` carries files of up to
/// 5 GiB when nothing else is spoken (S3's limit for one PUT), `multipart` any size above zero.
#[must_use]
pub fn choose(size_bytes: i64, spoken: &[Transport], single_max_bytes: i64) -> Option<Plan> {
    const SINGLE_PUT_LIMIT: i64 = 5 * 1024 * 1024 * 1024;
    let speaks = |t| spoken.contains(&t);
    if speaks(Transport::Single) && size_bytes <= single_max_bytes {
        return Some(Plan {
            transport: Transport::Single,
            part_size_bytes: size_bytes,
            concurrency: 1,
        });
    }
    if speaks(Transport::Multipart) {
        let part_size_bytes = part_size(size_bytes);
        let parts = part_count(size_bytes, part_size_bytes);
        return Some(Plan {
            transport: Transport::Multipart,
            part_size_bytes,
            concurrency: u32::try_from(parts.min(4)).unwrap_or(1),
        });
    }
    (speaks(Transport::Single) && size_bytes <= SINGLE_PUT_LIMIT).then_some(Plan {
        transport: Transport::Single,
        part_size_bytes: size_bytes,
        concurrency: 1,
    })
}

/// The part size for a file: the default, doubled until 10,000 parts suffice.
#[must_use]
pub fn part_size(size_bytes: i64) -> i64 {
    let mut size = limits::PART_BYTES;
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
        fn parts_cover_the_file_exactly(size in 1_i64..200_000_000_000) {
            let part = part_size(size);
            let count = part_count(size, part);
            prop_assert!(count <= limits::MAX_PARTS);
            let total: i64 = (1..=count).filter_map(|n| part_length(size, part, n)).sum();
            prop_assert_eq!(total, size);
            prop_assert!((1..=count).all(|n| part_length(size, part, n).is_some_and(|l| l > 0)));
            prop_assert_eq!(part_length(size, part, count + 1), None);
            prop_assert_eq!(part_length(size, part, 0), None);
        }
    }

    #[test]
    fn the_transport_follows_size_and_what_is_spoken() {
        let both = [Transport::Single, Transport::Multipart];
        assert_eq!(
            choose(1, &both, limits::SINGLE_MAX_BYTES)
                .unwrap()
                .transport,
            Transport::Single
        );
        assert_eq!(
            choose(limits::SINGLE_MAX_BYTES, &both, limits::SINGLE_MAX_BYTES)
                .unwrap()
                .transport,
            Transport::Single
        );
        assert_eq!(
            choose(
                limits::SINGLE_MAX_BYTES + 1,
                &both,
                limits::SINGLE_MAX_BYTES
            )
            .unwrap()
            .transport,
            Transport::Multipart
        );
        assert_eq!(
            choose(100 << 20, &[Transport::Single], limits::SINGLE_MAX_BYTES)
                .unwrap()
                .part_size_bytes,
            100 << 20
        );
        assert_eq!(choose(1, &[], limits::SINGLE_MAX_BYTES), None);
    }
}
