//! What a cleaned original is made of: pieces of the input, and a little that is written anew.

use std::io::{self, Write};
use std::ops::Range;

/// Zeros are written in blocks of so many bytes.
const ZERO_BLOCK: [u8; 4096] = [0; 4096];

/// A stretch of a cleaned original.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Segment {
    /// These bytes of the input.
    Input(Range<u64>),
    /// These bytes, written anew.
    Bytes(Vec<u8>),
    /// So many zeros, in place of what was removed where nothing may move.
    Zeros(u64),
}

impl Segment {
    fn len_bytes(&self) -> u64 {
        match self {
            Self::Input(range) => range.end.saturating_sub(range.start),
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Zeros(count) => *count,
        }
    }
}

/// A cleaned original, as a list of segments: it costs next to nothing to keep or to send, and the
/// input need not be copied to read it. Input ranges are in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cleaned {
    segments: Vec<Segment>,
}

impl Cleaned {
    /// Its segments, in order. None is empty, and no two pieces of input touch.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// How long it is.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        self.segments.iter().map(Segment::len_bytes).sum()
    }

    /// Writes it out. `input` has to be what it was made from.
    ///
    /// # Errors
    /// What `out` fails with; [`io::ErrorKind::UnexpectedEof`] when `input` is shorter than what it
    /// was made from.
    pub fn write_to(&self, input: &[u8], out: &mut impl Write) -> io::Result<()> {
        for segment in &self.segments {
            match segment {
                Segment::Input(range) => {
                    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
                    let piece = input
                        .get(place(range.start)..place(range.end))
                        .ok_or(io::ErrorKind::UnexpectedEof)?;
                    out.write_all(piece)?;
                }
                Segment::Bytes(bytes) => out.write_all(bytes)?,
                Segment::Zeros(count) => {
                    let mut left = *count;
                    while left > 0 {
                        let block = usize::try_from(left).unwrap_or(usize::MAX);
                        let block = block.min(ZERO_BLOCK.len());
                        out.write_all(&ZERO_BLOCK[..block])?;
                        left -= block as u64;
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds a piece of the input. It must not lie before what was added last.
    pub(crate) fn keep(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        let range = range.start as u64..range.end as u64;
        match self.segments.last_mut() {
            Some(Segment::Input(last)) if last.end == range.start => last.end = range.end,
            _ => self.segments.push(Segment::Input(range)),
        }
    }

    /// Adds bytes of its own.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        match self.segments.last_mut() {
            Some(Segment::Bytes(last)) => last.extend_from_slice(bytes),
            _ if bytes.is_empty() => {}
            _ => self.segments.push(Segment::Bytes(bytes.to_vec())),
        }
    }

    /// Adds all of another one of the same input.
    pub(crate) fn append(&mut self, other: Self) {
        self.segments.extend(other.segments);
    }

    fn zeros(&mut self, count: usize) {
        match self.segments.last_mut() {
            Some(Segment::Zeros(last)) => *last += count as u64,
            _ if count == 0 => {}
            _ => self.segments.push(Segment::Zeros(count as u64)),
        }
    }
}

/// What is overwritten in a file whose bytes must stay where they are.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    /// Where, and by what; nothing stands for zeros.
    changes: Vec<(Range<usize>, Option<[u8; 4]>)>,
}

impl Edits {
    /// Overwrites with zeros.
    pub(crate) fn zero(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            self.changes.push((range, None));
        }
    }

    /// Overwrites four bytes.
    pub(crate) fn write(&mut self, range: Range<usize>, bytes: [u8; 4]) {
        self.changes.push((range, Some(bytes)));
    }

    /// The first `len` bytes of the file with all changes. Where two overlap, the later one in the
    /// file begins behind the other.
    pub(crate) fn finish(mut self, len: usize) -> Cleaned {
        self.changes.sort_by_key(|(range, _)| range.start);
        let mut cleaned = Cleaned::default();
        let mut at = 0;
        for (range, bytes) in self.changes {
            let end = range.end.min(len);
            if end <= at {
                continue;
            }
            let start = range.start.max(at);
            cleaned.keep(at..start);
            match bytes {
                Some(bytes) if start == range.start && end == range.end => cleaned.write(&bytes),
                _ => cleaned.zeros(end - start),
            }
            at = end;
        }
        cleaned.keep(at..len.max(at));
        cleaned
    }
}

/// Parts of a file that stay when all around them is overwritten.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    ranges: Vec<Range<usize>>,
}

impl Kept {
    /// Adds a part.
    pub(crate) fn add(&mut self, range: Range<usize>) {
        match self.ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ if range.is_empty() => {}
            _ => self.ranges.push(range),
        }
    }

    /// In order, none touching another.
    pub(crate) fn merged(mut self) -> Vec<Range<usize>> {
        self.ranges.sort_by_key(|range| range.start);
        let mut merged: Vec<Range<usize>> = Vec::new();
        for range in self.ranges {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        merged
    }
}

/// What of `whole` lies outside of `kept`, which is merged.
pub(crate) fn outside(whole: &Range<usize>, kept: &[Range<usize>]) -> Vec<Range<usize>> {
    let first = kept.partition_point(|range| range.end <= whole.start);
    let mut at = whole.start;
    let mut gaps = Vec::new();
    for range in kept.iter().skip(first) {
        if range.start >= whole.end {
            break;
        }
        if range.start > at {
            gaps.push(at..range.start);
        }
        at = range.end;
    }
    if at < whole.end {
        gaps.push(at..whole.end);
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_stay_in_place() {
        let mut edits = Edits::default();
        edits.zero(8..10);
        edits.write(2..6, *b"free");
        edits.zero(9..11);
        edits.zero(14..99);
        let cleaned = edits.finish(16);
        let mut out = Vec::new();
        cleaned.write_to(b"0123456789abcdefgh", &mut out).unwrap();
        assert_eq!(out, b"01free67\0\0\0bcd\0\0");
        assert_eq!(cleaned.len_bytes(), 16);
        assert!(cleaned.write_to(b"0123", &mut Vec::new()).is_err());
    }

    #[test]
    fn gaps_between_what_is_kept() {
        let mut kept = Kept::default();
        for range in [30..40, 10..12, 12..15, 35..50] {
            kept.add(range);
        }
        let kept = kept.merged();
        assert_eq!(kept, [10..15, 30..50]);
        assert_eq!(outside(&(0..60), &kept), [0..10, 15..30, 50..60]);
        assert_eq!(outside(&(12..35), &kept), [15..30; 1]);
        assert_eq!(outside(&(31..40), &kept), []);
        assert_eq!(outside(&(51..52), &kept), [51..52; 1]);
    }
}
