//! What stays of the `moov` and `moof` boxes when a clip is cleaned.

use std::ops::Range;

use super::samples::{Chunk, Chunks, chunks, sound_fields};
use super::track::{child, descendant, handler, is_enabled};
use crate::ImagingError;
use crate::boxes::{Boxes, FourCc, Placed, Reader};
use crate::clean::Blanker;

/// Tracks that may stay: pictures, sound, alpha and the like, image sequences. All others (timed
/// metadata, time codes, texts, hints) can tell where and when a clip was taken.
const TRACKS: [&FourCc; 4] = [b"vide", b"soun", b"auxv", b"pict"];
/// References between tracks that say how to show one with another.
const REFERENCES: [&FourCc; 5] = [b"auxl", b"vdep", b"fall", b"folw", b"cdep"];
/// What the tables of a track may hold: where samples are, when, and what depends on them.
const TABLES: [&FourCc; 21] = [
    b"stsd", b"stts", b"ctts", b"cslg", b"stss", b"stps", b"stsh", b"stsc", b"stsz", b"stz2",
    b"stco", b"co64", b"sdtp", b"sgpd", b"sbgp", b"csgp", b"subs", b"saiz", b"saio", b"padb",
    b"stdp",
];
/// What a fragment of a track may hold.
const FRAGMENT: [&FourCc; 10] = [
    b"tfhd", b"tfdt", b"trun", b"sdtp", b"sgpd", b"sbgp", b"subs", b"saiz", b"saio", b"senc",
];
/// What tells of fragments to come.
const EXTENSION: [&FourCc; 3] = [b"mehd", b"trex", b"leva"];
/// What a sample description may hold: how to decode, shape, colours, light, loudness.
const OF_DESCRIPTION: [&FourCc; 46] = [
    b"avcC", b"avcE", b"hvcC", b"hvcE", b"lhvC", b"vvcC", b"av1C", b"vpcC", b"dvcC", b"dvvC",
    b"dvwC", b"esds", b"m4ds", b"d263", b"bitr", b"damr", b"dac3", b"dec3", b"dac4", b"dOps",
    b"dfLa", b"alac", b"wave", b"chan", b"chnl", b"srat", b"colr", b"pasp", b"clap", b"fiel",
    b"gama", b"btrt", b"mdcv", b"clli", b"SmDm", b"CoLL", b"cclv", b"amve", b"st3d", b"sv3d",
    b"vexu", b"pcmC", b"jpgC", b"chrm", b"ccst", b"auxi",
];
/// What QuickTime's `wave` may hold in a description of sound: the same once more, and an end.
const OF_WAVE: [&FourCc; 9] = [
    b"frma",
    b"enda",
    b"esds",
    b"mp4a",
    b"alac",
    b"damr",
    b"samr",
    b"chan",
    b"\0\0\0\0",
];

/// Keeps the tracks that are played, without names and times. `media` are the bodies of `mdat`, in
/// order.
///
/// # Errors
/// [`ImagingError::Unsupported`] when the movie is compressed, [`ImagingError::Corrupt`] when it
/// does not say where its samples are.
pub(crate) fn clean_movie(
    file: &[u8],
    movie: &Placed,
    media: &[Range<usize>],
    blanker: &mut Blanker,
) -> Result<(), ImagingError> {
    let found = Boxes::new(file, movie.body.clone()).any(|found| &found.kind == b"cmov");
    if found {
        return Err(ImagingError::unsupported(
            "a clip whose tables are compressed",
        ));
    }
    let stay = [b"mvhd", b"trak", b"mvex", b"iods"];
    let inner = blanker.only(file, movie.body.clone(), &stay)?;
    let is_known =
        |track: &Placed| handler(file, track).is_some_and(|handler| TRACKS.contains(&&handler));
    // Where no track says that it is played, players play all.
    let enabled = |track: &Placed| is_enabled(file, track) == Some(true);
    let mut tracks = inner.iter().filter(|found| &found.kind == b"trak");
    let some_enabled = tracks.any(|track| is_known(track) && enabled(track));
    let mut all = Vec::new();
    for found in &inner {
        match &found.kind {
            b"mvhd" => blank_times(file, found, blanker),
            b"mvex" => {
                blanker.only(file, found.body.clone(), &EXTENSION)?;
            }
            b"trak" => {
                let stays = is_known(found) && (enabled(found) || !some_enabled);
                let samples = samples_of(file, found);
                if stays {
                    let samples = samples
                        .ok_or_else(|| ImagingError::corrupt("where samples lie: cut short"))?;
                    if samples.is_vague {
                        return Err(ImagingError::unsupported(
                            "sound that does not say how long its samples are",
                        ));
                    }
                    clean_track(file, found, blanker)?;
                    all.push((samples, true));
                } else {
                    blanker.free(found);
                    blanker.removed_tracks = true;
                    all.push((samples.unwrap_or_default(), false));
                }
            }
            _ => {}
        }
    }
    keep_samples(&all, media, blanker)
}

/// Keeps what says where the samples of a fragment are.
///
/// # Errors
/// See [`Blanker::boxes`].
pub(crate) fn clean_fragment(
    file: &[u8],
    fragment: &Placed,
    blanker: &mut Blanker,
) -> Result<(), ImagingError> {
    for found in blanker.only(file, fragment.body.clone(), &[b"mfhd", b"traf"])? {
        if &found.kind == b"traf" {
            blanker.only(file, found.body, &FRAGMENT)?;
        }
    }
    Ok(())
}

fn samples_of(file: &[u8], track: &Placed) -> Option<Chunks> {
    let tables = descendant(file, track, &[b"mdia", b"minf", b"stbl"])?;
    let is_sound = handler(file, track).as_ref() == Some(b"soun");
    chunks(file, &tables, is_sound)
}

/// Keeps the chunks of the tracks that stay. Samples outside of `mdat` are an
/// error.
fn keep_samples(
    tracks: &[(Chunks, bool)],
    media: &[Range<usize>],
    blanker: &mut Blanker,
) -> Result<(), ImagingError> {
    let mut starts: Vec<u64> = tracks
        .iter()
        .flat_map(|(chunks, _)| chunks.places.iter().map(|chunk| chunk.start))
        .collect();
    starts.sort_unstable();
    for (chunks, _) in tracks.iter().filter(|(_, stays)| *stays) {
        for Chunk {
            start,
            said_bytes,
            most_bytes,
        } in &chunks.places
        {
            if *most_bytes == 0 {
                continue;
            }
            let mut end = start.saturating_add(*said_bytes);
            if most_bytes > said_bytes {
                let most = start.saturating_add(*most_bytes);
                end = end.max(most.min(next_start(*start, &starts, media)));
            }
            let place = usize::try_from(*start).ok().zip(usize::try_from(end).ok());
            let at = media.partition_point(|body| body.end as u64 <= *start);
            let body = media.get(at);
            let (start, end) = place
                .filter(|(start, end)| body.is_some_and(|b| b.start <= *start && *end <= b.end))
                .ok_or_else(|| ImagingError::corrupt("cut off: samples are missing"))?;
            blanker.kept.add(start..end);
        }
    }
    Ok(())
}

/// Where what begins at `start` ends at the latest: where a chunk of any track begins, or its box
/// ends.
fn next_start(start: u64, starts: &[u64], media: &[Range<usize>]) -> u64 {
    let at = media.partition_point(|body| body.end as u64 <= start);
    let limit = media
        .get(at)
        .filter(|body| body.start as u64 <= start)
        .map_or(start, |body| body.end as u64);
    let next = starts.partition_point(|other| *other <= start);
    starts.get(next).copied().unwrap_or(limit).min(limit)
}

fn clean_track(file: &[u8], track: &Placed, blanker: &mut Blanker) -> Result<(), ImagingError> {
    let stay = [b"tkhd", b"mdia", b"edts", b"tapt", b"tref", b"load"];
    for found in blanker.only(file, track.body.clone(), &stay)? {
        match &found.kind {
            b"tkhd" => blank_times(file, &found, blanker),
            b"tref" => {
                blanker.only(file, found.body, &REFERENCES)?;
            }
            b"edts" => {
                blanker.only(file, found.body, &[b"elst"])?;
            }
            b"mdia" => clean_media(file, &found, blanker)?,
            _ => {}
        }
    }
    Ok(())
}

fn clean_media(file: &[u8], media: &Placed, blanker: &mut Blanker) -> Result<(), ImagingError> {
    let is_sound = child(file, media, b"hdlr").is_some_and(|found| {
        file.get(found.body.clone())
            .and_then(|body| body.get(8..12))
            == Some(b"soun")
    });
    let stay = [b"mdhd", b"hdlr", b"minf", b"elng"];
    for found in blanker.only(file, media.body.clone(), &stay)? {
        match &found.kind {
            b"mdhd" => blank_times(file, &found, blanker),
            b"hdlr" => blank_handler_name(&found, blanker),
            b"minf" => clean_media_kind(file, &found, is_sound, blanker)?,
            _ => {}
        }
    }
    Ok(())
}

fn clean_media_kind(
    file: &[u8],
    kind: &Placed,
    is_sound: bool,
    blanker: &mut Blanker,
) -> Result<(), ImagingError> {
    let stay = [
        b"vmhd", b"smhd", b"nmhd", b"gmhd", b"hdlr", b"dinf", b"stbl",
    ];
    for found in blanker.only(file, kind.body.clone(), &stay)? {
        match &found.kind {
            b"hdlr" => blank_handler_name(&found, blanker),
            b"dinf" => clean_places(file, &found, blanker)?,
            b"stbl" => {
                for table in blanker.only(file, found.body, &TABLES)? {
                    if &table.kind == b"stsd" {
                        clean_descriptions(file, &table, is_sound, blanker)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Where media lie: in this very file, which is said by a flag. A name behind it is that of a file
/// on somebody's computer.
fn clean_places(file: &[u8], places: &Placed, blanker: &mut Blanker) -> Result<(), ImagingError> {
    for list in blanker.only(file, places.body.clone(), &[b"dref"])? {
        for entry in blanker.boxes(file, behind(&list.body, 8))? {
            blanker.edits.zero(behind(&entry.body, 4));
        }
    }
    Ok(())
}

/// Sample descriptions: names of makers and encoders go, and so do boxes of metadata.
fn clean_descriptions(
    file: &[u8],
    list: &Placed,
    is_sound: bool,
    blanker: &mut Blanker,
) -> Result<(), ImagingError> {
    for entry in blanker.boxes(file, behind(&list.body, 8))? {
        let field = |from: usize, to: usize| {
            let part = behind(&entry.body, from);
            part.start..(entry.body.start + to).min(part.end)
        };
        // The vendor, in QuickTime; nothing in MP4.
        blanker.edits.zero(field(12, 16));
        let fields = if is_sound {
            sound_fields(file, list, &entry)
        } else {
            // The compressor's name.
            blanker.edits.zero(field(42, 74));
            78
        };
        for inner in blanker.only(file, behind(&entry.body, fields), &OF_DESCRIPTION)? {
            if &inner.kind == b"wave" {
                blanker.only(file, inner.body, &OF_WAVE)?;
            }
        }
    }
    Ok(())
}

/// What lies in `range` behind its first bytes.
fn behind(range: &Range<usize>, bytes: usize) -> Range<usize> {
    (range.start + bytes).min(range.end)..range.end
}

/// Zeroes the times of creation and modification, with which a header begins.
fn blank_times(file: &[u8], header: &Placed, blanker: &mut Blanker) {
    let body = file.get(header.body.clone()).unwrap_or_default();
    let width = match Reader::new(body).version_and_flags() {
        Some((1, _)) => 16,
        _ => 8,
    };
    let times = behind(&header.body, 4);
    blanker
        .edits
        .zero(times.start..(times.start + width).min(times.end));
}

/// Zeroes the name of a handler, with what QuickTime says of its maker.
pub(crate) fn blank_handler_name(handler: &Placed, blanker: &mut Blanker) {
    blanker.edits.zero(behind(&handler.body, 12));
}
