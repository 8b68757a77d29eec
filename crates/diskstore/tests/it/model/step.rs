//! Random steps, and what they mean where they are taken.

use std::collections::BTreeMap;

use super::state::Model;
use crate::harness::noise;

/// Few keys, so that operations meet.
pub const KEYS: [&str; 6] = ["a", "a/b", "a/b/c", "a/ä", "b", "b/c"];
const PREFIXES: [&str; 4] = ["", "a", "a/", "b/"];
const DELIMITERS: [&str; 3] = ["", "/", "b"];

pub type Tags = BTreeMap<String, String>;

/// How a step names an ETag.
#[derive(Debug, Clone, Copy)]
pub enum Loose {
    None,
    /// The one that the object has.
    Current,
    /// One that no object has.
    Other,
    Any,
}

/// A step, which says `usize` for the key or upload that is the so many-th.
#[derive(Debug, Clone)]
pub enum Step {
    Put {
        key: usize,
        body: (u64, usize),
        note: bool,
        tags: Option<u8>,
        if_match: Loose,
        if_none_match: bool,
        sha256: bool,
    },
    Get {
        key: usize,
        range: Option<(u64, u64)>,
        part: Option<i32>,
        if_match: Loose,
        if_none_match: Loose,
    },
    Delete {
        key: usize,
        if_match: Loose,
    },
    DeleteMany {
        keys: Vec<(usize, Loose)>,
        quiet: bool,
    },
    Copy {
        from: usize,
        to: usize,
        note: Option<bool>,
        tags: Option<u8>,
        sha256: bool,
        if_match: Loose,
    },
    Tags {
        key: usize,
    },
    Retag {
        key: usize,
        tags: Option<u8>,
    },
    Create {
        key: usize,
        note: bool,
        tags: Option<u8>,
    },
    Part {
        upload: usize,
        number: i32,
        body: (u64, usize),
    },
    PartCopy {
        upload: usize,
        number: i32,
        from: usize,
        range: Option<(u64, u64)>,
    },
    ListParts {
        upload: usize,
    },
    /// `leave_out` parts are not named, and `wrong` spoils an ETag.
    Complete {
        upload: usize,
        leave_out: u8,
        wrong: bool,
        if_none_match: bool,
    },
    Recomplete {
        key: usize,
    },
    Abort {
        upload: usize,
    },
    List {
        prefix: usize,
        delimiter: usize,
        after: Option<usize>,
        page: i32,
        first_version: bool,
    },
    ListUploads {
        prefix: usize,
        page: i32,
    },
}

/// An operation with all that it says.
#[derive(Debug, Clone)]
pub enum Op {
    Put {
        key: String,
        body: Vec<u8>,
        note: Option<String>,
        tags: Tags,
        if_match: Option<String>,
        if_none_match: bool,
        sha256: bool,
    },
    Get {
        key: String,
        range: Option<(u64, u64)>,
        part: Option<i32>,
        if_match: Option<String>,
        if_none_match: Option<String>,
    },
    Delete {
        key: String,
        if_match: Option<String>,
    },
    DeleteMany {
        keys: Vec<(String, Option<String>)>,
        quiet: bool,
    },
    Copy {
        from: String,
        to: String,
        note: Option<Option<String>>,
        tags: Option<Tags>,
        sha256: bool,
        if_match: Option<String>,
    },
    Tags {
        key: String,
    },
    Retag {
        key: String,
        tags: Option<Tags>,
    },
    Create {
        key: String,
        note: Option<String>,
        tags: Tags,
    },
    Part {
        key: String,
        id: String,
        number: i32,
        body: Vec<u8>,
    },
    PartCopy {
        key: String,
        id: String,
        number: i32,
        from: String,
        range: Option<(u64, u64)>,
    },
    ListParts {
        key: String,
        id: String,
    },
    Complete {
        key: String,
        id: String,
        parts: Vec<(i32, String)>,
        if_none_match: bool,
    },
    Abort {
        key: String,
        id: String,
    },
    List {
        prefix: String,
        delimiter: String,
        after: Option<String>,
        page: i32,
        first_version: bool,
    },
    ListUploads {
        prefix: String,
        page: i32,
    },
}

impl Op {
    pub fn get(key: &str) -> Self {
        Self::Get {
            key: key.to_owned(),
            range: None,
            part: None,
            if_match: None,
            if_none_match: None,
        }
    }

    pub fn list() -> Self {
        Self::List {
            prefix: String::new(),
            delimiter: String::new(),
            after: None,
            page: 1000,
            first_version: false,
        }
    }
}

pub fn tags(seed: Option<u8>) -> Tags {
    let tag = |n: u8| (format!("k{}", n % 3), format!("ä {n}"));
    seed.map(|seed| (0..seed % 4).map(|n| tag(seed.wrapping_add(n))).collect())
        .unwrap_or_default()
}

fn note(given: bool) -> Option<String> {
    given.then(|| "Äpfel and plain".to_owned())
}

fn body((seed, length): (u64, usize)) -> Vec<u8> {
    noise(seed, length)
}

impl Step {
    /// What it means where things are as the model has them.
    pub fn resolve(&self, model: &Model) -> Op {
        let key = |at: &usize| KEYS[at % KEYS.len()].to_owned();
        let etag = |loose: &Loose, at: &usize| match loose {
            Loose::None => None,
            Loose::Any => Some("*".to_owned()),
            Loose::Other => Some("\"0123\"".to_owned()),
            Loose::Current => Some(model.etag(&key(at)).unwrap_or("\"0123\"".to_owned())),
        };
        let upload = |at: &usize| {
            let open = model.open_uploads();
            match open.len() {
                0 => (KEYS[0].to_owned(), "0".repeat(32)),
                count => open[at % count].clone(),
            }
        };
        match self {
            Self::Put {
                key: at,
                body: bytes,
                note: noted,
                tags: tagged,
                if_match,
                if_none_match,
                sha256,
            } => Op::Put {
                key: key(at),
                body: body(*bytes),
                note: note(*noted),
                tags: tags(*tagged),
                if_match: etag(if_match, at),
                if_none_match: *if_none_match,
                sha256: *sha256,
            },
            Self::Get {
                key: at,
                range,
                part,
                if_match,
                if_none_match,
            } => Op::Get {
                key: key(at),
                range: range.filter(|_| part.is_none()),
                part: *part,
                if_match: etag(if_match, at),
                if_none_match: etag(if_none_match, at),
            },
            Self::Delete { key: at, if_match } => Op::Delete {
                key: key(at),
                if_match: etag(if_match, at),
            },
            Self::DeleteMany { keys, quiet } => Op::DeleteMany {
                keys: keys
                    .iter()
                    .map(|(at, loose)| (key(at), etag(loose, at)))
                    .collect(),
                quiet: *quiet,
            },
            Self::Copy {
                from,
                to,
                note: noted,
                tags: tagged,
                sha256,
                if_match,
            } => Op::Copy {
                from: key(from),
                to: key(to),
                note: noted.map(note),
                tags: tagged.map(|seed| tags(Some(seed))),
                sha256: *sha256,
                if_match: etag(if_match, from),
            },
            Self::Tags { key: at } => Op::Tags { key: key(at) },
            Self::Retag {
                key: at,
                tags: tagged,
            } => Op::Retag {
                key: key(at),
                tags: tagged.map(|seed| tags(Some(seed))),
            },
            Self::Create {
                key: at,
                note: noted,
                tags: tagged,
            } => Op::Create {
                key: key(at),
                note: note(*noted),
                tags: tags(*tagged),
            },
            Self::Part {
                upload: at,
                number,
                body: bytes,
            } => {
                let (key, id) = upload(at);
                Op::Part {
                    key,
                    id,
                    number: *number,
                    body: body(*bytes),
                }
            }
            Self::PartCopy {
                upload: at,
                number,
                from,
                range,
            } => {
                let (to, id) = upload(at);
                Op::PartCopy {
                    key: to,
                    id,
                    number: *number,
                    from: key(from),
                    range: *range,
                }
            }
            Self::ListParts { upload: at } => {
                let (key, id) = upload(at);
                Op::ListParts { key, id }
            }
            Self::Complete {
                upload: at,
                leave_out,
                wrong,
                if_none_match,
            } => {
                let (key, id) = upload(at);
                let mut parts = model.parts(&id);
                parts.retain(|(number, _)| leave_out & (1 << (number % 8)) == 0);
                if let (true, Some(last)) = (*wrong, parts.last_mut()) {
                    last.1 = "\"0123\"".to_owned();
                }
                Op::Complete {
                    key,
                    id,
                    parts,
                    if_none_match: *if_none_match,
                }
            }
            Self::Recomplete { key: at } => {
                let (id, parts) = model.made_by(&key(at)).unwrap_or(("0".repeat(32), vec![]));
                Op::Complete {
                    key: key(at),
                    id,
                    parts,
                    if_none_match: false,
                }
            }
            Self::Abort { upload: at } => {
                let (key, id) = upload(at);
                Op::Abort { key, id }
            }
            Self::List {
                prefix,
                delimiter,
                after,
                page,
                first_version,
            } => Op::List {
                prefix: PREFIXES[prefix % PREFIXES.len()].to_owned(),
                delimiter: DELIMITERS[delimiter % DELIMITERS.len()].to_owned(),
                after: after.as_ref().map(key),
                page: *page,
                first_version: *first_version,
            },
            Self::ListUploads { prefix, page } => Op::ListUploads {
                prefix: PREFIXES[prefix % PREFIXES.len()].to_owned(),
                page: *page,
            },
        }
    }
}
