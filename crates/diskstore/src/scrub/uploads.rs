//! What is to be read, and what has been left over, of an upload.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::check::{Check, Suspect};
use crate::disposal::Doomed;
use crate::fault::Fault;
use crate::ids::Ids;
use crate::pending;
use crate::store::DiskStore;
use crate::upload::{part_numbers, part_path, upload_record};

/// An upload that was looked at.
pub(super) enum Found {
    /// It is open; its parts are to be read.
    Open(String, Box<Check>),
    /// Its object needs it. So many files of it were in nobody's list and are gone now.
    Completed(u64),
    /// It ended meanwhile.
    Nothing,
    /// It is neither open nor an object's. It is left alone: these may be the bytes of an object whose file is lost.
    Stray,
}

/// The ids in one directory of uploads.
pub(super) fn ids(store: &DiskStore, bucket: &str, shard: u8) -> io::Result<Vec<String>> {
    let dir = store.inner.uploads_dir(bucket).join(format!("{shard:02x}"));
    let listing = match std::fs::read_dir(dir) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut ids = Vec::new();
    for entry in listing {
        let name = entry?.file_name().into_string();
        ids.extend(name.ok().filter(|name| Ids::is_id(name)));
    }
    Ok(ids)
}

/// Looks at an upload, and removes what a crash has left of it that no record lists.
pub(super) fn of_id(store: &DiskStore, bucket: &str, upload_id: &str) -> Result<Found, Fault> {
    // A bucket that goes takes them along.
    let Ok(_entered) = store.inner.enter(bucket) else {
        return Ok(Found::Nothing);
    };
    let dir = store.inner.upload_dir(bucket, upload_id);
    let Some(upload) = upload_record(store, bucket, upload_id)? else {
        // Whoever removes one has left a note, and takes the record first.
        let being_removed = Doomed::is_noted(store, bucket, upload_id) || !dir.is_dir();
        return Ok(if being_removed {
            Found::Nothing
        } else {
            Found::Stray
        });
    };
    let _guard = store.inner.locks.write(bucket, &upload.key);
    if upload_record(store, bucket, upload_id)?.is_none() {
        return Ok(Found::Nothing);
    }
    let object = match store.inner.object(bucket, &upload.key) {
        Ok(object) => object,
        // It was counted already, and this may be what it is made of.
        Err(fault) if fault.is_damage() => return Ok(Found::Nothing),
        Err(fault) => return Err(fault),
    };
    let manifest = object
        .and_then(|object| object.record.manifest)
        .filter(|manifest| manifest.upload_id == upload_id);
    let Some(manifest) = manifest else {
        if Doomed::is_noted(store, bucket, upload_id) {
            return Ok(Found::Nothing);
        }
        if !pending::is_entered(store, bucket, &upload.key, upload_id) {
            // Its object was damaged and replaced, or somebody took the object's file away, who may bring it back.
            return Ok(Found::Stray);
        }
        let parts = numbers(&dir)?.into_iter().map(|number| Suspect::Passing {
            path: part_path(&dir, number),
        });
        let check = Check::of(parts, None);
        return Ok(Found::Open(upload.key, Box::new(check)));
    };
    let kept: BTreeSet<u16> = manifest.parts.iter().map(|part| part.number).collect();
    let mut removed = 0;
    for number in numbers(&dir)?.into_iter().filter(|n| !kept.contains(n)) {
        store.inner.disk.remove_file(&part_path(&dir, number))?;
        removed += 1;
    }
    pending::leave(store, bucket, &upload.key, upload_id);
    Ok(Found::Completed(removed))
}

fn numbers(dir: &Path) -> Result<Vec<u16>, Fault> {
    match part_numbers(dir) {
        Err(Fault::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        numbers => numbers,
    }
}
