//! Changing what is known of an object while its bytes stay where they are.
//!
//! A new record takes the place of the old one by one rename. If the old one
//! stands behind the body, in one file, that file first gets a second name, as
//! the only part in an upload's directory of its own, and the new record lists
//! it like the parts of a completed upload. From then on only records are
//! written. A note in `tmp/` is on the disk before the second name is, so a
//! crash leaves either the old record, and the next start removes the name, or
//! the new one, which needs it.

use std::fs::File;
use std::io;
use std::path::Path;

use s3s::{S3Result, s3_error};

use crate::disk::Disk;
use crate::disposal::{Doomed, remove_dir};
use crate::events::Cause;
use crate::fault::io_fault;
use crate::record::{Manifest, ObjectRecord, PartRecord, UploadRecord};
use crate::store::DiskStore;
use crate::temp::Temp;
use crate::upload::part_path;

/// Changes the record of an object; `cause` says what that looks like to those
/// who are told of new objects, if it does. Returns when the new one is on the disk.
/// Blocks; enters the bucket and takes the key's lock.
pub(crate) fn rewrite(
    store: &DiskStore,
    bucket: &str,
    key: &str,
    cause: Option<Cause>,
    change: impl FnOnce(&mut ObjectRecord) -> S3Result<()>,
) -> S3Result<ObjectRecord> {
    let inner = &store.inner;
    let _entered = inner.enter(bucket)?;
    let _guard = inner.locks.write(bucket, key);
    let Some(current) = inner.object(bucket, key)? else {
        return Err(s3_error!(NoSuchKey, "The specified key does not exist."));
    };
    let mut record = current.record;
    change(&mut record)?;
    let path = inner.object_path(bucket, key);
    let detached = if record.manifest.is_none() && record.size_bytes > 0 {
        Some(detach(store, bucket, &path, &mut record).map_err(io_fault)?)
    } else {
        None
    };
    let published = Temp::create(&inner.disk, inner.tmp_path()).and_then(|mut temp| {
        temp.seal(&record)?;
        inner.tree.publish(temp.path(), &path)?;
        temp.published();
        Ok(())
    });
    if let Some(note) = detached {
        let settled = match &published {
            Ok(()) => note.revoke(),
            Err(_) if is_named(store, bucket, key, &note) => Ok(()),
            Err(_) => note.remove(),
        };
        if let Err(error) = settled {
            tracing::warn!(%error, "a note stays until the next start");
        }
    }
    published.map_err(io_fault)?;
    if let Some(cause) = cause {
        inner.announce(bucket, key, cause, Some(&record));
    }
    Ok(record)
}

/// Whether a record that could not be published is there nevertheless. Then only
/// the next start can tell whether it lasts.
fn is_named(store: &DiskStore, bucket: &str, key: &str, note: &Doomed) -> bool {
    let object = store.inner.object(bucket, key).ok().flatten();
    object.is_none_or(|object| object.record.upload_id() == Some(note.upload_id()))
}

/// Gives the body of an object a second name, and names it in the record. The
/// note says that it is to go again.
fn detach(
    store: &DiskStore,
    bucket: &str,
    path: &Path,
    record: &mut ObjectRecord,
) -> io::Result<Doomed> {
    let inner = &store.inner;
    let upload_id = inner.ids.of_upload(record.modified_us);
    let note = Doomed::note(store, bucket, &upload_id)?;
    let part = PartRecord {
        number: 1,
        size_bytes: record.size_bytes,
        etag: record.etag.clone(),
        modified_us: record.modified_us,
        checksums: record.checksums.clone(),
    };
    let aside = inner.tmp_path();
    let made = || {
        inner.disk.make_dir(&aside)?;
        let mut upload = Temp::create(&inner.disk, aside.join("upload"))?;
        upload.seal(&UploadRecord::of_object(record))?;
        upload.published();
        link(&inner.disk, path, &part_path(&aside, part.number))?;
        inner.disk.sync_dir(&aside)?;
        inner
            .tree
            .publish(&aside, &inner.upload_dir(bucket, &upload_id))
    };
    if let Err(error) = made() {
        remove_dir(&inner.disk, &aside)?;
        note.remove()?;
        return Err(error);
    }
    record.manifest = Some(Manifest {
        upload_id,
        parts: vec![part],
        uploaded: false,
    });
    Ok(note)
}

/// Gives a file a second name or, where the file system has no such thing or
/// the file too many already, copies it.
fn link(disk: &Disk, from: &Path, to: &Path) -> io::Result<()> {
    if disk.link(from, to).is_ok() {
        return Ok(());
    }
    let mut file = disk.create(to)?;
    file.take_from(&mut File::open(from)?, u64::MAX)?;
    file.sync()
}
