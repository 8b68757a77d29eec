//! What stays of the items of a HEIF file when it is cleaned: those that the primary picture is
//! made of. No byte moves; all other items have none left, and are of a kind that nobody knows.

use std::collections::BTreeSet;
use std::ops::Range;

use super::meta::Meta;
use super::properties::Properties;
use crate::ImagingError;
use crate::boxes::{Boxes, FourCc, Placed, Reader};
use crate::clean::Blanker;
use crate::clip::blank_handler_name;

/// How items that stay belong together: derived from, alpha of, multiplied with.
const REFERENCES: [&FourCc; 3] = [b"dimg", b"auxl", b"prem"];
/// Properties that say how to decode and show an item. Names, descriptions, times, places and what
/// is not known are others.
const PROPERTIES: [&FourCc; 20] = [
    b"ispe", b"hvcC", b"lhvC", b"av1C", b"colr", b"pixi", b"pasp", b"clap", b"irot", b"imir",
    b"auxC", b"lsel", b"a1op", b"a1lx", b"tols", b"clli", b"mdcv", b"cclv", b"amve", b"iscl",
];

/// Cleans the body of `meta`, the first box of its kind. Answers where bytes lie that only what is
/// kept may use.
///
/// # Errors
/// [`ImagingError::Corrupt`] when it is not whole, or bytes of the picture are not there;
/// [`ImagingError::Unsupported`] when they lie elsewhere.
pub(crate) fn clean_items(
    file: &[u8],
    meta: &Placed,
    blanker: &mut Blanker,
) -> Result<Vec<Range<usize>>, ImagingError> {
    let read = Meta::read(file)?;
    let shown = shown_items(&read)?;
    for id in &shown {
        let item = read.item(*id)?;
        for place in read.places(item)? {
            if read.is_open(item) && !is_alone(file, &read, &shown, &place) {
                return Err(ImagingError::unsupported(
                    "a picture that is said to go on to the end, with other things before that",
                ));
            }
            blanker.kept.add(place);
        }
    }
    let stay = [
        b"hdlr", b"pitm", b"iloc", b"iinf", b"iref", b"iprp", b"idat",
    ];
    let inner = meta.body.start.saturating_add(4)..meta.body.end;
    let mut around = Vec::new();
    for found in blanker.only(file, inner, &stay)? {
        match &found.kind {
            b"hdlr" => blank_handler_name(&found, blanker),
            b"iinf" => clean_list(file, &found, &shown, blanker)?,
            b"iref" => clean_references(file, &found, &shown, blanker)?,
            b"iprp" => {
                for part in blanker.only(file, found.body, &[b"ipco", b"ipma"])? {
                    if &part.kind == b"ipco" {
                        blanker.only(file, part.body, &PROPERTIES)?;
                    }
                }
            }
            b"idat" => around.push(found.body),
            _ => {}
        }
    }
    Ok(around)
}

/// Whether nothing but what is shown lies in a piece that goes on to the end: neither another box nor another item.
fn is_alone(file: &[u8], meta: &Meta<'_>, shown: &BTreeSet<u32>, place: &Range<usize>) -> bool {
    // The box that it begins in is one of media, or `meta` itself, whose `idat` has an end.
    let around = Boxes::new(file, 0..file.len()).find(|found| place.start < found.body.end);
    let is_whole = around.is_some_and(|around| {
        around.body.start <= place.start
            && place.end <= around.body.end
            && [b"mdat", b"meta"].contains(&&around.kind)
    });
    let others = meta.items.iter().filter(|(id, _)| !shown.contains(id));
    let mut places = others.flat_map(|(_, item)| meta.places(item).unwrap_or_default());
    is_whole && !places.any(|other| other.start < place.end && place.start < other.end)
}

/// The primary item, its alpha, and what they are put together from.
fn shown_items(meta: &Meta<'_>) -> Result<BTreeSet<u32>, ImagingError> {
    meta.item(meta.primary)?;
    let mut waiting = vec![meta.primary];
    for (id, item) in &meta.items {
        if item.auxiliary_of == Some(meta.primary) && Properties::of(meta, item)?.is_alpha {
            waiting.push(*id);
        }
    }
    let mut shown = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        // What is not listed cannot be decoded either, which is for the decoder to say.
        if let Some(item) = meta.items.get(&id)
            && shown.insert(id)
        {
            waiting.extend(&item.derived_from);
        }
    }
    Ok(shown)
}

/// The list of items: what goes loses its kind and its name.
fn clean_list(
    file: &[u8],
    list: &Placed,
    shown: &BTreeSet<u32>,
    blanker: &mut Blanker,
) -> Result<(), ImagingError> {
    let entries = behind_count(file, list);
    for entry in blanker.boxes(file, entries)? {
        let body = entry.body.clone();
        let mut reader = Reader::new(file.get(body.clone()).unwrap_or_default());
        let version = reader.version_and_flags().map_or(0, |(version, _)| version);
        let id_bytes = if version == 3 { 4 } else { 2 };
        let id = reader.sized(id_bytes).and_then(|id| u32::try_from(id).ok());
        let stays = id.is_some_and(|id| shown.contains(&id));
        let kind_at = body.start + 4 + usize::from(id_bytes) + 2;
        if version >= 2 && kind_at + 4 <= body.end {
            if !stays {
                blanker.edits.write(kind_at..kind_at + 4, *b"free");
            }
            // Also of what stays: the name is for people.
            blanker.edits.zero(kind_at + 4..body.end);
        } else {
            blanker.edits.zero(kind_at.min(body.end)..body.end);
        }
    }
    Ok(())
}

/// The entries of the list of items: behind their count.
fn behind_count(file: &[u8], list: &Placed) -> Range<usize> {
    let body = file.get(list.body.clone()).unwrap_or_default();
    let wide = Reader::new(body)
        .version_and_flags()
        .is_some_and(|(version, _)| version != 0);
    let start = list.body.start + if wide { 8 } else { 6 };
    start.min(list.body.end)..list.body.end
}

fn clean_references(
    file: &[u8],
    list: &Placed,
    shown: &BTreeSet<u32>,
    blanker: &mut Blanker,
) -> Result<(), ImagingError> {
    let mut reader = Reader::new(file.get(list.body.clone()).unwrap_or_default());
    let wide = reader
        .version_and_flags()
        .is_some_and(|(version, _)| version != 0);
    let entries = (list.body.start + 4).min(list.body.end)..list.body.end;
    for entry in blanker.boxes(file, entries)? {
        let mut reader = Reader::new(file.get(entry.body.clone()).unwrap_or_default());
        let from = reader.sized(if wide { 4 } else { 2 });
        let from = from.and_then(|id| u32::try_from(id).ok());
        let stays = from.is_some_and(|id| shown.contains(&id));
        if !stays || !REFERENCES.contains(&&entry.kind) {
            blanker.edits.write(entry.kind_place(), *b"free");
        }
    }
    Ok(())
}
