//! What the values of a gain map mean, as Adobe's `hdrgm` writes it into XMP.

use std::fmt::Write as _;

use super::meaning::Meaning;
use crate::metadata::property;

/// Longer than three numbers with their elements.
const MAX_LIST_BYTES: usize = 1000;
/// What is meant where nothing is said.
const OFFSET: [f64; 3] = [1.0 / 64.0; 3];

/// Reads it; nothing where it is not told, or the picture is the brighter one.
pub(super) fn read(xmp: &[u8]) -> Option<Meaning> {
    property(xmp, ":Version").filter(|_| memchr::memmem::find(xmp, b"hdr-gain-map").is_some())?;
    let is_backward = property(xmp, ":BaseRenditionIsHDR");
    if is_backward.is_some_and(|value| value.eq_ignore_ascii_case(b"true")) {
        return None;
    }
    let one = |name| numbers(xmp, name).map(|[first, ..]| first);
    Meaning {
        min: numbers(xmp, ":GainMapMin").unwrap_or([0.0; 3]),
        max: numbers(xmp, ":GainMapMax")?,
        gamma: numbers(xmp, ":Gamma").unwrap_or([1.0; 3]),
        offset_sdr: numbers(xmp, ":OffsetSDR").unwrap_or(OFFSET),
        offset_hdr: numbers(xmp, ":OffsetHDR").unwrap_or(OFFSET),
        capacity_min: one(":HDRCapacityMin").unwrap_or(0.0),
        capacity_max: one(":HDRCapacityMax")?,
    }
    .checked()
}

/// One number for all colours, or a list of three.
fn numbers(xmp: &[u8], name: &str) -> Option<[f64; 3]> {
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.trim().parse::<f64>().ok();
    let value = property(xmp, name)?;
    if let Some(one) = number(value) {
        return Some([one; 3]);
    }
    let start = memchr::memmem::find(xmp, name.as_bytes())? + name.len();
    let behind = xmp.get(start..)?;
    let behind = behind.get(..MAX_LIST_BYTES).unwrap_or(behind);
    let list = behind.get(..memchr::memmem::find(behind, name.as_bytes())?)?;
    let mut found = Vec::new();
    for at in memchr::memmem::find_iter(list, b":li>") {
        let item = list.get(at + 4..)?;
        let text = item.get(..memchr::memchr(b'<', item)?)?;
        // Behind the end of an item there is nothing but space.
        found.extend(number(text));
    }
    found.try_into().ok()
}

/// A packet of this, for the gain map itself.
pub(super) fn write(meaning: &Meaning) -> String {
    let kinds = [
        ("GainMapMin", meaning.min),
        ("GainMapMax", meaning.max),
        ("Gamma", meaning.gamma),
        ("OffsetSDR", meaning.offset_sdr),
        ("OffsetHDR", meaning.offset_hdr),
    ];
    let (mut attributes, mut elements) = (String::new(), String::new());
    for (name, values) in kinds {
        // Readers that know no lists are to find what they can.
        if values[0] == values[1] && values[1] == values[2] {
            let _ = write!(attributes, " hdrgm:{name}=\"{:.6}\"", values[0]);
        } else {
            let items = values.map(|value| format!("<rdf:li>{value:.6}</rdf:li>"));
            let _ = write!(
                elements,
                "<hdrgm:{name}><rdf:Seq>{}</rdf:Seq></hdrgm:{name}>",
                items.concat()
            );
        }
    }
    packet(&format!(
        "<rdf:Description rdf:about=\"\" xmlns:hdrgm=\"http://ns.adobe.com/hdr-gain-map/1.0/\" hdrgm:Version=\"1.0\" \
         hdrgm:BaseRenditionIsHDR=\"False\" hdrgm:HDRCapacityMin=\"{:.6}\" hdrgm:HDRCapacityMax=\"{:.6}\"{attributes}>\
         {elements}</rdf:Description>",
        meaning.capacity_min, meaning.capacity_max
    ))
}

/// A packet that says that a gain map of so many bytes follows, for the picture.
pub(super) fn announcement(gain_map_bytes: usize) -> String {
    let item = |semantic: &str, more: &str| {
        format!(
            "<rdf:li rdf:parseType=\"Resource\"><Container:Item Item:Semantic=\"{semantic}\" Item:Mime=\"image/jpeg\"{more}/></rdf:li>"
        )
    };
    packet(&format!(
        "<rdf:Description rdf:about=\"\" xmlns:Container=\"http://ns.google.com/photos/1.0/container/\" \
         xmlns:Item=\"http://ns.google.com/photos/1.0/container/item/\" \
         xmlns:hdrgm=\"http://ns.adobe.com/hdr-gain-map/1.0/\" hdrgm:Version=\"1.0\">\
         <Container:Directory><rdf:Seq>{}{}</rdf:Seq></Container:Directory></rdf:Description>",
        item("Primary", ""),
        item("GainMap", &format!(" Item:Length=\"{gain_map_bytes}\""))
    ))
}

fn packet(description: &str) -> String {
    format!(
        "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">{description}</rdf:RDF></x:xmpmeta>"
    )
}

#[cfg(test)]
mod tests {
    use super::super::meaning::plain;
    use super::*;

    #[test]
    fn is_read_as_it_was_written() {
        let gray = plain(2.18);
        assert_eq!(read(write(&gray).as_bytes()), Some(gray));
        let coloured = Meaning {
            min: [-3.835419, -1.485931, -1.444519],
            gamma: [1.114899, 0.630917, 0.610173],
            ..gray
        };
        assert_eq!(read(write(&coloured).as_bytes()), Some(coloured));
    }

    #[test]
    fn what_is_not_said_is_meant() {
        let xmp = "<a xmlns:g='http://ns.adobe.com/hdr-gain-map/1.0/' g:Version='1.0' g:GainMapMax='3' g:HDRCapacityMax='2'/>";
        let found = read(xmp.as_bytes()).unwrap();
        assert_eq!(
            (found.min, found.max, found.offset_sdr),
            ([0.0; 3], [3.0; 3], OFFSET)
        );
        let backward = xmp.replace("/>", " g:BaseRenditionIsHDR='True'/>");
        assert_eq!(read(backward.as_bytes()), None);
        assert_eq!(read(xmp.replace("GainMapMax", "Max").as_bytes()), None);
        assert_eq!(read(xmp.replace("hdr-gain-map", "map").as_bytes()), None);
    }
}
