//! Names that are to be ordered, packed.

use crate::keypath::{Kind, NameRef, decode_name_onto};

/// `bytes u16 ‖ kind u8 ‖ id bytes u8 ‖ adds ‖ upload id` each, and where they begin.
#[derive(Default)]
pub(super) struct Arena {
    text: Vec<u8>,
    at: Vec<u32>,
}

const HEAD_BYTES: usize = 4;

impl Arena {
    /// Adds what a file name stands for, if it is one of this store.
    pub(super) fn push(&mut self, file_name: &str) {
        let at = self.text.len();
        let (Ok(start), head) = (u32::try_from(at), at + HEAD_BYTES) else {
            return;
        };
        self.text.resize(head, 0);
        let Some((kind, upload_id)) = decode_name_onto(file_name, &mut self.text) else {
            self.text.truncate(at);
            return;
        };
        // A file's name has 255 bytes at most, in which no byte is written with less than one.
        let adds = (self.text.len() - head) as u16;
        self.text.extend_from_slice(upload_id.as_bytes());
        self.text[at..at + 2].copy_from_slice(&adds.to_le_bytes());
        self.text[at + 2] = kind as u8;
        self.text[at + 3] = upload_id.len() as u8;
        self.at.push(start);
    }

    pub(super) fn bytes(&self) -> usize {
        self.text.len() + self.at.len() * size_of::<u32>()
    }

    pub(super) fn names(&self) -> usize {
        self.at.len()
    }

    /// Orders the names. One that came twice is there once.
    pub(super) fn sort(&mut self) {
        let text = &self.text;
        self.at
            .sort_unstable_by(|a, b| name_at(text, *a).cmp(&name_at(text, *b)));
        self.at
            .dedup_by(|a, b| name_at(text, *a) == name_at(text, *b));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = NameRef<'_>> {
        self.at.iter().map(|at| name_at(&self.text, *at))
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.at.clear();
    }
}

fn name_at(text: &[u8], at: u32) -> NameRef<'_> {
    let text = &text[at as usize..];
    let adds = usize::from(u16::from_le_bytes([text[0], text[1]]));
    let kind = match text[2] {
        0 => Kind::Leaf,
        1 => Kind::Segment,
        _ => Kind::Piece,
    };
    let rest = &text[HEAD_BYTES..];
    let id = &rest[adds..adds + usize::from(text[3])];
    NameRef {
        adds: &rest[..adds],
        kind,
        upload_id: str::from_utf8(id).unwrap_or_default(),
    }
}
