//! Where the samples of a track lie (ISO/IEC 14496-12, 8.7).

use crate::boxes::{Boxes, Placed, Reader};

/// The chunks of a track: runs of samples.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    /// Where each lies.
    pub places: Vec<Chunk>,
    /// Whether it is not told how long the samples are.
    pub is_vague: bool,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Where it begins.
    pub start: u64,
    /// The lengths of its samples together, by their table.
    pub said_bytes: u64,
    /// How long it is at most, by the description of the samples.
    pub most_bytes: u64,
}

/// What sound takes: so many bytes for so many samples. QuickTime says the length 1 of samples that are longer, and their
/// description tells how long.
#[derive(Clone, Copy, Debug)]
struct Unit {
    samples: u64,
    bytes: u64,
}

impl Unit {
    fn bytes_of(self, samples: u32) -> u64 {
        let units = u64::from(samples).div_ceil(self.samples);
        units.saturating_mul(self.bytes)
    }
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
    /// How many of the next samples there are; those that the table does not have are none.
    fn take(&mut self, count: u32) -> u32 {
        let count = count.min(self.left);
        self.left -= count;
        count
    }

    /// The lengths of the next samples together.
    fn sum(&mut self, count: u32) -> Option<u64> {
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
pub(super) fn chunks(file: &[u8], tables: &Placed, is_sound: bool) -> Option<Chunks> {
    let (mut lengths, mut runs, mut offsets) = (None, None, None);
    let mut units = Vec::new();
    for found in Boxes::new(file, tables.body.clone()) {
        let reader = Reader::new(file.get(found.body.clone())?);
        match &found.kind {
            b"stsd" if is_sound => units = units_of(file, &found),
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
    // A table of lengths says all, and so does one length, but for that one of QuickTime's.
    let is_described = is_sound && lengths.one_length != 0;
    let mut chunks = Chunks {
        places: Vec::new(),
        is_vague: is_described && lengths.one_length == 1 && units.is_empty() && lengths.left > 0,
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
        let count = lengths.take(samples_per_chunk);
        let said_bytes = lengths.sum(count)?;
        let described = units.iter().map(|unit| unit.bytes_of(count));
        let described = described.max().filter(|_| is_described);
        chunks.places.push(Chunk {
            start,
            said_bytes,
            most_bytes: described.unwrap_or(0).max(said_bytes),
        });
    }
    // What is not found cannot be kept.
    (lengths.left == 0).then_some(chunks)
}

/// Most descriptions that are asked. Cameras write one.
const MAX_DESCRIPTIONS: usize = 16;

/// What the descriptions of sound say that samples take; nothing of those that do not say it.
fn units_of(file: &[u8], list: &Placed) -> Vec<Unit> {
    let entries = list.body.start.saturating_add(8)..list.body.end;
    Boxes::new(file, entries)
        .take(MAX_DESCRIPTIONS)
        .filter_map(|entry| unit_of(file, list, &entry))
        .filter(|unit| unit.samples > 0 && unit.bytes > 0)
        .collect()
}

/// How long the fields are that a description of sound begins with. QuickTime has versions of its own; in MP4 the list has a version
/// where an entry's means something else.
pub(super) fn sound_fields(file: &[u8], list: &Placed, entry: &Placed) -> usize {
    let of_list = file.get(list.body.clone()).and_then(|body| body.first());
    match (of_list, version_of(file, entry)) {
        (Some(0), Some(1)) => 44,
        (Some(0), Some(2)) => 72,
        _ => 28,
    }
}

fn version_of(file: &[u8], entry: &Placed) -> Option<u16> {
    let mut reader = Reader::new(file.get(entry.body.clone())?);
    reader.take(8)?;
    reader.u16()
}

/// What a description says (QuickTime File Format, "Sound sample descriptions").
fn unit_of(file: &[u8], list: &Placed, entry: &Placed) -> Option<Unit> {
    let mut reader = Reader::new(file.get(entry.body.clone())?);
    reader.take(16)?;
    let (channels, bits) = (u64::from(reader.u16()?), u64::from(reader.u16()?));
    // Compression, packet and rate.
    reader.take(8)?;
    match sound_fields(file, list, entry) {
        44 => {
            let samples = u64::from(reader.u32()?);
            reader.u32()?;
            let bytes = u64::from(reader.u32()?);
            return Some(Unit { samples, bytes });
        }
        72 => {
            // Its own length, rate, channels, a constant, bits and flags.
            reader.take(28)?;
            let bytes = u64::from(reader.u32()?);
            let samples = u64::from(reader.u32()?);
            return Some(Unit { samples, bytes });
        }
        _ => {}
    }
    let (samples, bytes) = match &entry.kind {
        b"twos" | b"sowt" | b"raw " | b"NONE" | b"lpcm" | b"ipcm" | b"fpcm" => {
            (1, bits.div_ceil(8))
        }
        b"ulaw" | b"alaw" => (1, 1),
        b"in24" => (1, 3),
        b"in32" | b"fl32" => (1, 4),
        b"fl64" => (1, 8),
        b"MAC3" => (6, 2),
        b"MAC6" => (6, 1),
        b"ima4" => (64, 34),
        _ => return None,
    };
    Some(Unit {
        samples,
        bytes: bytes * channels,
    })
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
