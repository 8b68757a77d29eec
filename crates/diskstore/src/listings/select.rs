//! The first names of a directory from a place on, without ordering it.

use std::collections::BinaryHeap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::entry::Entry;
use super::names;
use super::{Batch, Place};
use crate::keypath::{Name, NameRef, decode_name_onto};

/// Looks at all names once and keeps as many as are wanted. `None` if there is no such directory.
pub(super) fn select(dir: &Path, from: &Place, most: usize) -> io::Result<Option<Batch>> {
    // The greatest of them is at the top.
    let mut kept: BinaryHeap<Name> = BinaryHeap::new();
    let mut is_last = true;
    let mut adds = Vec::new();
    let found = names::each(dir, |file_name| {
        adds.clear();
        let Some((kind, upload_id)) = decode_name_onto(file_name, &mut adds) else {
            return Ok(());
        };
        let name = NameRef {
            adds: &adds,
            kind,
            upload_id,
        };
        if !from.is_reached_by(name) {
            return Ok(());
        }
        if kept.len() == most {
            is_last = false;
            match kept.peek_mut() {
                Some(mut greatest) if name < greatest.borrow() => *greatest = name.to_name(),
                _ => {}
            }
        } else {
            kept.push(name.to_name());
        }
        Ok::<_, io::Error>(())
    })?;
    let mut names = kept.into_sorted_vec();
    names.dedup();
    let entries = names.into_iter().map(|name| Arc::new(Entry::of(name)));
    Ok(found.then(|| Batch {
        entries: entries.collect(),
        is_last,
    }))
}
