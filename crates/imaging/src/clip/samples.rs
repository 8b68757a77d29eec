//! Where the samples of a track lie (ISO/IEC 14496-12, 8.7).

use crate::boxes::{Boxes, Placed, Reader};

/// The chunks of a track: runs of samples.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    /// Where each begins, and the lengths of its samples together.
    pub places: Vec<(u64, u64)>,
    /// Whether all samples have one length. QuickTime's sound has such tracks whose length is not
    /// that of the samples, so that a chunk may be longer than it seems.
    pub one_length: bool,
}

/// Lengths of samples, as tables tell them.
struct Lengths<'a> {
    one_length: u32,
    /// Bits of each length in the table.
    bits: u8,
    left: u32,
    table: Reader<'a>,
    /// The second half of a byte that holds two.
    half: Option<u8>,
}

impl Lengths<'_> {
    /// The lengths of the next samples together. Those that the table does not have are none.
    fn sum(&mut self, count: u32) -> Option<u64> {
        let count = count.min(self.left);
        self.left -= count;
        if self.one_length != 0 {
            return Some(u64::from(self.one_length) * u64::from(count));
        }
        let mut sum = 0_u64;
        for _ in 0..count {
            sum += match self.bits {
                4 => {
                    if let Some(half) = self.half.take() {
                        u64::from(half)
                    } else {
                        let byte = self.table.u8()?;
                        self.half = Some(byte & 15);
                        u64::from(byte >> 4)
                    }
                }
                8 => u64::from(self.table.u8()?),
                16 => u64::from(self.table.u16()?),
                _ => u64::from(self.table.u32()?),
            };
        }
        Some(sum)
    }
}

/// Reads the tables in the box `stbl`. Nothing where they are cut short, or there are samples but
/// no chunks: the work is bounded by the length of the tables.
pub(super) fn chunks(file: &[u8], tables: &Placed) -> Option<Chunks> {
    let (mut lengths, mut runs, mut offsets) = (None, None, None);
    for found in Boxes::new(file, tables.body.clone()) {
        let reader = Reader::new(file.get(found.body)?);
        match &found.kind {
            b"stsz" => lengths = Some(sample_lengths(reader)?),
            b"stz2" => lengths = Some(compact_lengths(reader)?),
            b"stsc" => runs = Some(table(reader)?),
            b"stco" => offsets = Some((table(reader)?, 4)),
            b"co64" => offsets = Some((table(reader)?, 8)),
            _ => {}
        }
    }
    let mut lengths = lengths?;
    let (mut run_count, mut runs) = runs?;
    let ((offset_count, mut offsets), width_bytes) = offsets?;
    let mut chunks = Chunks {
        places: Vec::new(),
        one_length: lengths.one_length != 0,
    };
    let mut samples_per_chunk = 0;
    let mut next_run = if run_count > 0 {
        Some(runs.u32()?)
    } else {
        None
    };
    for number in 1..=offset_count {
        while next_run.is_some_and(|first| first <= number) {
            samples_per_chunk = runs.u32()?;
            runs.u32()?;
            run_count -= 1;
            next_run = if run_count > 0 {
                Some(runs.u32()?)
            } else {
                None
            };
        }
        let start = offsets.sized(width_bytes)?;
        chunks.places.push((start, lengths.sum(samples_per_chunk)?));
    }
    // What is not found cannot be kept.
    (lengths.left == 0).then_some(chunks)
}

/// The count of entries, and the entries.
fn table(mut reader: Reader<'_>) -> Option<(u32, Reader<'_>)> {
    reader.version_and_flags()?;
    Some((reader.u32()?, reader))
}

fn sample_lengths(mut reader: Reader<'_>) -> Option<Lengths<'_>> {
    reader.version_and_flags()?;
    Some(Lengths {
        one_length: reader.u32()?,
        bits: 32,
        left: reader.u32()?,
        table: reader,
        half: None,
    })
}

fn compact_lengths(mut reader: Reader<'_>) -> Option<Lengths<'_>> {
    reader.version_and_flags()?;
    let bits = u8::try_from(reader.u32()? & 0xff).ok()?;
    matches!(bits, 4 | 8 | 16).then_some(())?;
    Some(Lengths {
        one_length: 0,
        bits,
        left: reader.u32()?,
        table: reader,
        half: None,
    })
}
