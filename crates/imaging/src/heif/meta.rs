//! The `meta` box: which items there are, where their bytes lie, what belongs to them
//! (ISO/IEC 14496-12, 8.11, and ISO/IEC 23008-12, 9.3).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use crate::ImagingError;
use crate::boxes::{Boxes, FourCc, Placed, Reader};

/// Most items. A picture of 200 megapixels in tiles of 512 by 512 has about 800.
const MAX_ITEMS: usize = 8192;
/// Most properties in the file, and most of one item. A camera writes about ten.
const MAX_PROPERTIES: usize = 1024;
const MAX_PROPERTIES_OF_ITEM: usize = 32;
/// Most pieces that the bytes of an item may lie in. Cameras write one.
const MAX_EXTENTS: u16 = 64;

/// Where an item's extents count from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Source {
    /// The start of the file.
    #[default]
    File,
    /// The start of the `idat` box.
    ItemBox,
    /// Another item, or another file.
    Elsewhere,
}

/// A property that belongs to an item.
#[derive(Clone, Copy, Debug)]
pub(super) struct Association {
    /// Counted from 1; 0 is none.
    index: u16,
    /// Whether who does not know the property must not show the item.
    pub essential: bool,
}

/// What the file says about one item.
#[derive(Debug, Default)]
pub(super) struct Item {
    /// `hvc1`, `av01`, `grid`, …
    pub kind: FourCc,
    source: Source,
    /// Offset and length of each piece; the length 0 means up to the end.
    extents: Vec<(u64, u64)>,
    pub properties: Vec<Association>,
    /// What it is put together from, in order.
    pub derived_from: Vec<u32>,
    /// The item that it adds something to.
    pub auxiliary_of: Option<u32>,
    /// The alpha item that its colours have been multiplied with.
    pub premultiplied_by: Option<u32>,
}

/// All of it.
pub(super) struct Meta<'a> {
    file: &'a [u8],
    /// Where the body of the `idat` box lies.
    item_box: Range<usize>,
    /// The item to show.
    pub primary: u32,
    pub items: BTreeMap<u32, Item>,
    properties: Vec<(FourCc, &'a [u8])>,
}

impl<'a> Meta<'a> {
    /// Reads the first `meta` box of a file.
    ///
    /// # Errors
    /// [`ImagingError::Corrupt`] when there is none, or it is not whole, or too much is in it.
    pub(super) fn read(file: &'a [u8]) -> Result<Self, ImagingError> {
        let place = Boxes::new(file, 0..file.len())
            .find(|found| &found.kind == b"meta")
            .ok_or_else(|| ImagingError::corrupt("no whole `meta` box"))?;
        // Behind version and flags.
        let inner = || Boxes::new(file, place.body.start + 4..place.body.end);
        let body_of = |found: &Placed| file.get(found.body.clone()).unwrap_or_default();
        let mut meta = Self {
            file,
            item_box: 0..0,
            primary: 0,
            items: BTreeMap::new(),
            properties: Vec::new(),
        };
        let mut primary = None;
        for found in inner() {
            let reader = Reader::new(body_of(&found));
            match &found.kind {
                b"pitm" => primary = item_reference(reader),
                b"iinf" => whole(meta.list_items(reader), "the list of items")?,
                b"idat" => meta.item_box = found.body,
                _ => {}
            }
        }
        meta.primary = primary.ok_or_else(|| ImagingError::corrupt("no primary item"))?;
        // Once more: what says more about items may stand before what lists them.
        for found in inner() {
            let reader = Reader::new(body_of(&found));
            match &found.kind {
                b"iloc" => whole(meta.locate_items(reader), "where items lie")?,
                b"iref" => whole(meta.relate_items(reader), "how items belong together")?,
                b"iprp" => meta.describe_items(reader)?,
                _ => {}
            }
        }
        Ok(meta)
    }

    fn list_items(&mut self, mut reader: Reader<'_>) -> Option<()> {
        let (version, _) = reader.version_and_flags()?;
        reader.sized(if version == 0 { 2 } else { 4 })?;
        while let Some((kind, body)) = reader.next_box() {
            let mut entry = Reader::new(body);
            let (version, _) = entry.version_and_flags()?;
            if &kind != b"infe" || !(2..=3).contains(&version) {
                continue;
            }
            let id = id(&mut entry, version == 3)?;
            let _protection = entry.u16()?;
            let kind = entry.four_cc()?;
            let item = Item {
                kind,
                ..Item::default()
            };
            self.items.insert(id, item);
            (self.items.len() <= MAX_ITEMS).then_some(())?;
        }
        Some(())
    }

    fn locate_items(&mut self, mut reader: Reader<'_>) -> Option<()> {
        let (version, _) = reader.version_and_flags()?;
        let [offsets, bases] = [reader.u8()?, reader.u8()?];
        let (offset_bytes, length_bytes) = (offsets >> 4, offsets & 15);
        let (base_bytes, index_bytes) = (bases >> 4, if version == 0 { 0 } else { bases & 15 });
        let count = reader.sized(if version < 2 { 2 } else { 4 })?;
        for _ in 0..count {
            let id = id(&mut reader, version >= 2)?;
            let construction = if version == 0 { 0 } else { reader.u16()? & 15 };
            let other_file = reader.u16()? != 0;
            let source = match construction {
                0 if !other_file => Source::File,
                1 if !other_file => Source::ItemBox,
                _ => Source::Elsewhere,
            };
            let base = reader.sized(base_bytes)?;
            let extent_count = reader.u16()?;
            (extent_count <= MAX_EXTENTS).then_some(())?;
            let mut extents = Vec::new();
            for _ in 0..extent_count {
                reader.sized(index_bytes)?;
                let offset = reader.sized(offset_bytes)?.checked_add(base)?;
                extents.push((offset, reader.sized(length_bytes)?));
            }
            if let Some(item) = self.items.get_mut(&id) {
                (item.source, item.extents) = (source, extents);
            }
        }
        Some(())
    }

    fn relate_items(&mut self, mut reader: Reader<'_>) -> Option<()> {
        let (version, _) = reader.version_and_flags()?;
        let wide = version != 0;
        while let Some((kind, body)) = reader.next_box() {
            let mut entry = Reader::new(body);
            let from = id(&mut entry, wide)?;
            let count = usize::from(entry.u16()?);
            let first = id(&mut entry, wide);
            let Some(item) = self.items.get_mut(&from) else {
                continue;
            };
            match &kind {
                b"auxl" => item.auxiliary_of = first,
                b"prem" => item.premultiplied_by = first,
                b"dimg" => {
                    let others = (1..count).map_while(|_| id(&mut entry, wide));
                    item.derived_from = first.into_iter().chain(others).collect();
                    let whole = item.derived_from.len() == count && count <= MAX_ITEMS;
                    whole.then_some(())?;
                }
                _ => {}
            }
        }
        Some(())
    }

    fn describe_items(&mut self, mut reader: Reader<'a>) -> Result<(), ImagingError> {
        while let Some((kind, body)) = reader.next_box() {
            let mut reader = Reader::new(body);
            match &kind {
                b"ipco" => {
                    while let Some(property) = reader.next_box() {
                        self.properties.push(property);
                        if self.properties.len() > MAX_PROPERTIES {
                            return Err(ImagingError::corrupt("too many properties"));
                        }
                    }
                }
                b"ipma" => whole(self.associate(reader), "which properties items have")?,
                _ => {}
            }
        }
        Ok(())
    }

    fn associate(&mut self, mut reader: Reader<'_>) -> Option<()> {
        let (version, flags) = reader.version_and_flags()?;
        let count = reader.u32()?;
        for _ in 0..count {
            let id = id(&mut reader, version != 0)?;
            let mut found = Vec::new();
            for _ in 0..reader.u8()? {
                let (word, top) = if flags & 1 == 0 {
                    (u16::from(reader.u8()?), 0x80)
                } else {
                    (reader.u16()?, 0x8000)
                };
                found.push(Association {
                    index: word & (top - 1),
                    essential: word & top != 0,
                });
            }
            (found.len() <= MAX_PROPERTIES_OF_ITEM).then_some(())?;
            if let Some(item) = self.items.get_mut(&id) {
                item.properties = found;
            }
        }
        Some(())
    }

    /// The item of this number.
    ///
    /// # Errors
    /// [`ImagingError::Corrupt`] when there is none.
    pub(super) fn item(&self, id: u32) -> Result<&Item, ImagingError> {
        self.items
            .get(&id)
            .ok_or_else(|| ImagingError::corrupt(format!("no item {id}")))
    }

    /// The property that an association points to.
    pub(super) fn property(&self, association: Association) -> Option<(FourCc, &'a [u8])> {
        let at = usize::from(association.index).checked_sub(1)?;
        self.properties.get(at).copied()
    }

    /// What an item's extents count in.
    fn source_of(&self, item: &Item) -> Result<Range<usize>, ImagingError> {
        match item.source {
            Source::File => Ok(0..self.file.len()),
            Source::ItemBox => Ok(self.item_box.clone()),
            Source::Elsewhere => Err(ImagingError::unsupported(
                "a picture whose bytes lie elsewhere",
            )),
        }
    }

    /// Whether a piece of the item is said to go on to the end of what it lies in.
    pub(super) fn is_open(&self, item: &Item) -> bool {
        item.extents.iter().any(|(_, bytes)| *bytes == 0)
    }

    /// Where in the file the bytes of an item lie, piece by piece.
    ///
    /// # Errors
    /// [`ImagingError::Corrupt`] when some of them are not there.
    pub(super) fn places(&self, item: &Item) -> Result<Vec<Range<usize>>, ImagingError> {
        let source = self.source_of(item)?;
        let place = |extent: &(u64, u64)| {
            let piece = piece_of(source.len(), *extent)
                .ok_or_else(|| ImagingError::corrupt("cut off: an item lies beyond the end"))?;
            Ok(source.start + piece.start..source.start + piece.end)
        };
        item.extents.iter().map(place).collect()
    }

    /// The bytes of an item, copied only where they lie in pieces.
    ///
    /// # Errors
    /// [`ImagingError::Corrupt`] when some of them are not there.
    pub(super) fn payload(&self, item: &Item) -> Result<Cow<'a, [u8]>, ImagingError> {
        let source = self.source_of(item)?;
        let source = self.file.get(source).unwrap_or_default();
        let piece = |extent| source.get(piece_of(source.len(), extent)?);
        let cut = || ImagingError::corrupt("cut off: an item lies beyond the end");
        match item.extents.as_slice() {
            [] => Err(ImagingError::corrupt("an item without bytes")),
            [only] => Ok(Cow::Borrowed(piece(*only).ok_or_else(cut)?)),
            several => {
                let mut joined = Vec::new();
                for extent in several {
                    let next = piece(*extent).ok_or_else(cut)?;
                    if joined.len() + next.len() > source.len() {
                        return Err(ImagingError::corrupt("pieces of an item overlap"));
                    }
                    joined.extend_from_slice(next);
                }
                Ok(Cow::Owned(joined))
            }
        }
    }
}

/// Where in a source of `length` bytes an extent lies.
fn piece_of(length: usize, extent: (u64, u64)) -> Option<Range<usize>> {
    let start = usize::try_from(extent.0).ok()?;
    let end = match usize::try_from(extent.1).ok()? {
        0 => length,
        bytes => start.checked_add(bytes)?,
    };
    (start <= end && end <= length).then_some(start..end)
}

/// An item's number: 32 bits in the wide form of a box, else 16.
fn id(reader: &mut Reader<'_>, wide: bool) -> Option<u32> {
    let number = reader.sized(if wide { 4 } else { 2 })?;
    u32::try_from(number).ok()
}

fn item_reference(mut reader: Reader<'_>) -> Option<u32> {
    let (version, _) = reader.version_and_flags()?;
    id(&mut reader, version != 0)
}

fn whole(read: Option<()>, what: &str) -> Result<(), ImagingError> {
    read.ok_or_else(|| ImagingError::corrupt(format!("{what}: cut short, or too many")))
}
