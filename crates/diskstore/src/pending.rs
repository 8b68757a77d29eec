//! The uploads that are not completed, in the order of their keys.
//!
//! Each has an empty file whose path is that of its key, with its id appended.
//! The file is on the disk before the upload is and goes after it, so none is
//! missing. It only says where to look: whether an upload is open stands in the
//! upload's directory and in the record of the key's object, as ever, and a file
//! that is there for no open upload is removed when a listing comes upon it.

use std::io;
use std::path::Path;

use crate::fault::Fault;
use crate::keypath::pending_path;
use crate::record::UploadRecord;
use crate::store::DiskStore;
use crate::upload::{is_completed, upload_record};

/// Makes the file of an upload that is about to begin. Until that is there, hold
/// the key's lock, or the file could be taken for one that was left over.
pub(crate) fn enter(store: &DiskStore, bucket: &str, key: &str, upload_id: &str) -> io::Result<()> {
    let inner = &store.inner;
    inner
        .tree
        .touch(&pending_path(&inner.pending_dir(bucket), key, upload_id))
}

/// Removes the file of an upload that was completed or aborted. If the name
/// comes back after a loss of power, it is a left-over like others.
pub(crate) fn leave(store: &DiskStore, bucket: &str, key: &str, upload_id: &str) {
    let path = pending_path(&store.inner.pending_dir(bucket), key, upload_id);
    match store.inner.tree.drop_name(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, path = %path.display(), "the entry of an ended upload stays until it is listed");
        }
        _ => {}
    }
}

/// Whether an upload has such a file.
pub(crate) fn is_entered(store: &DiskStore, bucket: &str, key: &str, upload_id: &str) -> bool {
    pending_path(&store.inner.pending_dir(bucket), key, upload_id).exists()
}

/// The id in the name of such a file.
pub(crate) fn upload_id(path: &Path) -> Option<&str> {
    let (_, upload_id) = path.file_name()?.to_str()?.split_once('=')?;
    (!upload_id.is_empty()).then_some(upload_id)
}

/// The upload that a file is about, if it is open. If not, the file goes.
pub(crate) fn resolve(
    store: &DiskStore,
    bucket: &str,
    key: &str,
    upload_id: &str,
) -> Result<Option<UploadRecord>, Fault> {
    let found = open(store, bucket, key, upload_id)?;
    if found.is_some() {
        return Ok(found);
    }
    // It may only just have begun. Whoever begins one holds the key's lock.
    let _guard = store.inner.locks.write(bucket, key);
    let found = open(store, bucket, key, upload_id)?;
    if found.is_none() {
        leave(store, bucket, key, upload_id);
    }
    Ok(found)
}

fn open(
    store: &DiskStore,
    bucket: &str,
    key: &str,
    upload_id: &str,
) -> Result<Option<UploadRecord>, Fault> {
    let Some(upload) = upload_record(store, bucket, upload_id)? else {
        return Ok(None);
    };
    let completed = is_completed(store, bucket, key, upload_id)?;
    Ok((!completed).then_some(upload))
}
