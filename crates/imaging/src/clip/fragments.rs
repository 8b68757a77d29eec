//! Where the fragments of an MP4 file lie, by the index at its beginning (ISO/IEC 14496-12, 8.16.3, `sidx`).

use crate::boxes::{Boxes, Reader};

/// A piece of a file that can be played with what stands before the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fragment {
    /// Where it begins.
    pub offset_bytes: u64,
    /// How long it is.
    pub size_bytes: u64,
    /// How long it plays.
    pub duration_s: f64,
}

/// A file in fragments.
#[derive(Clone, Debug, PartialEq)]
pub struct Fragments {
    /// How long the beginning is that goes before every fragment.
    pub init_bytes: u64,
    /// The fragments, one behind the other.
    pub all: Vec<Fragment>,
}

/// Reads the index of a file of `size_bytes`, of which `head` is the beginning. Nothing where there is none, where it is not all
/// in `head`, and where it names what is not in the file.
#[must_use]
pub fn fragments(head: &[u8], size_bytes: u64) -> Option<Fragments> {
    let mut init_bytes = None;
    for found in Boxes::new(head, 0..head.len()) {
        let end = u64::try_from(found.body.end).ok()?;
        match &found.kind {
            b"moov" => init_bytes = Some(end),
            b"sidx" => {
                let all = index(head.get(found.body)?, end, size_bytes)?;
                let init_bytes = init_bytes?;
                return Some(Fragments { init_bytes, all });
            }
            _ => {}
        }
    }
    None
}

/// The fragments of an index that ends at `end`.
fn index(body: &[u8], end: u64, size_bytes: u64) -> Option<Vec<Fragment>> {
    let mut reader = Reader::new(body);
    let (version, _) = reader.version_and_flags()?;
    let width_bytes = if version == 0 { 4 } else { 8 };
    let _track = reader.u32()?;
    let ticks_per_second = reader.u32().filter(|ticks| *ticks > 0)?;
    let _first_shown = reader.sized(width_bytes)?;
    let mut offset_bytes = end.checked_add(reader.sized(width_bytes)?)?;
    let _reserved = reader.u16()?;
    let count = reader.u16().filter(|count| *count > 0)?;
    let mut all = Vec::with_capacity(count.into());
    for _ in 0..count {
        let what = reader.u32()?;
        let ticks = reader.u32()?;
        let _access = reader.u32()?;
        // An index of indexes is none that is written here.
        if what >> 31 == 1 {
            return None;
        }
        let fragment = Fragment {
            offset_bytes,
            size_bytes: u64::from(what),
            duration_s: f64::from(ticks) / f64::from(ticks_per_second),
        };
        offset_bytes = offset_bytes.checked_add(fragment.size_bytes)?;
        all.push(fragment);
    }
    (offset_bytes <= size_bytes).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).unwrap();
        [&size.to_be_bytes()[..], kind, body].concat()
    }

    fn file(references: &[(u32, u32)]) -> Vec<u8> {
        let count = u16::try_from(references.len()).unwrap();
        let mut sidx = vec![0; 4];
        for field in [1_u32, 1_000, 0, 20] {
            sidx.extend(field.to_be_bytes());
        }
        sidx.extend([0, 0]);
        sidx.extend(count.to_be_bytes());
        for (what, ticks) in references {
            for field in [*what, *ticks, 0x9000_0000] {
                sidx.extend(field.to_be_bytes());
            }
        }
        [
            boxed(b"ftyp", b"iso5"),
            boxed(b"moov", b"tracks"),
            boxed(b"sidx", &sidx),
        ]
        .concat()
    }

    #[test]
    fn an_index_is_read() {
        let head = file(&[(100, 4_000), (50, 2_500)]);
        let begin = head.len() as u64 + 20;
        let found = fragments(&head, begin + 150).unwrap();
        assert_eq!(found.init_bytes, 12 + 14);
        let expected = [(begin, 100, 4.0), (begin + 100, 50, 2.5)];
        let all = found.all.iter();
        let all: Vec<_> = all
            .map(|f| (f.offset_bytes, f.size_bytes, f.duration_s))
            .collect();
        assert_eq!(all, expected);
        // What it names is not there, or not all of it.
        assert_eq!(fragments(&head, begin + 149), None);
        for end in 0..head.len() {
            assert_eq!(fragments(&head[..end], begin + 150), None, "{end}");
        }
    }

    #[test]
    fn what_is_no_plain_index_is_none() {
        assert_eq!(fragments(&file(&[]), u64::MAX), None);
        assert_eq!(fragments(&file(&[(1 << 31 | 10, 4_000)]), u64::MAX), None);
        let mut still = file(&[(10, 4_000)]);
        let ticks = still.len() - 12 - 4 - 8 - 4;
        still[ticks..ticks + 4].fill(0);
        assert_eq!(fragments(&still, u64::MAX), None);
        assert_eq!(fragments(&boxed(b"moov", b""), 8), None);
    }
}
