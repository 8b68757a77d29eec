//! An object in the model, and what is read of it.

use super::drive::{Answer, Got};
use super::step::Tags;
use crate::tags::decode_2047;

#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    pub body: Vec<u8>,
    pub etag: String,
    pub note: Option<String>,
    pub tags: Tags,
    /// The upload that made it, and its parts.
    pub parts: Option<(String, Vec<Part>)>,
    /// Whether its bytes are in a file of their own.
    pub detached: bool,
}

/// Nothing, or what is wrong with an answer.
pub type Checked = Result<(), String>;

/// Number, size and ETag.
pub type Part = (i32, usize, String);

/// Why an operation must fail.
#[derive(Debug, Clone, Copy)]
pub struct Failure(pub u16, pub &'static str);

/// What is read of an object.
pub fn select(
    object: &Object,
    range: Option<(u64, u64)>,
    part: Option<i32>,
) -> Result<Got, Failure> {
    let size = object.body.len();
    let (from, to) = match (range, part, &object.parts) {
        (Some((first, last)), _, _) => {
            if first as usize >= size {
                return Err(Failure(416, "InvalidRange"));
            }
            (first as usize, (last as usize + 1).min(size))
        }
        (None, Some(number), Some((_, parts))) => {
            let at = parts.iter().position(|(n, _, _)| *n == number);
            let at = at.ok_or(Failure(416, "InvalidPartNumber"))?;
            let from = parts[..at].iter().map(|(_, size, _)| size).sum();
            (from, from + parts[at].1)
        }
        (None, Some(1), None) | (None, None, _) => (0, size),
        (None, Some(_), None) => return Err(Failure(416, "InvalidPartNumber")),
    };
    let named = range.is_some() || part.is_some();
    Ok(Got {
        body: object.body[from..to].to_vec(),
        etag: object.etag.clone(),
        note: object.note.clone(),
        tag_count: object.tags.len(),
        parts_count: part
            .and(object.parts.as_ref())
            .map(|(_, parts)| parts.len() as i32),
        content_range: (named && from < to).then(|| format!("bytes {from}-{}/{size}", to - 1)),
    })
}

pub fn same(found: &Answer, expected: &Answer) -> Checked {
    let mut found = found.clone();
    if let Answer::Got(got) = &mut found {
        got.note = got.note.take().map(|note| decode_2047(&note));
    }
    if found == *expected {
        Ok(())
    } else {
        Err(format!("expected {}", brief(expected)))
    }
}

/// A readable account of an answer whatever the length of its body.
fn brief(answer: &Answer) -> String {
    match answer {
        Answer::Got(got) => format!(
            "{} bytes, {:?}",
            got.body.len(),
            Got {
                body: vec![],
                ..(**got).clone()
            }
        ),
        other => format!("{other:?}"),
    }
}
