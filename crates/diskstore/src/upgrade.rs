//! Bringing a directory of the first format up to date.
//!
//! It had no `pending/`, and an upload's directory stood in the shard of the beginning of its id, which was
//! all random then. Everything here can be done again, so after a crash it is: the new format is written last.

use std::fs;
use std::io;
use std::path::Path;

use crate::fault::Fault;
use crate::ids::Ids;
use crate::pending;
use crate::store::DiskStore;
use crate::upload::upload_record;

/// Moves uploads to where they belong and enters those that are open. To be called when the buckets are
/// known and before anybody uses the store.
pub(crate) fn upgrade(store: &DiskStore) -> io::Result<()> {
    for (bucket, _) in store.inner.buckets_after("") {
        store.inner.tree.make(&store.inner.pending_dir(&bucket))?;
        for upload_id in move_uploads(store, &bucket)? {
            match enter_if_open(store, &bucket, &upload_id) {
                Ok(()) => {}
                Err(Fault::Io(error)) => return Err(error),
                Err(error @ Fault::Damaged { .. }) => {
                    tracing::error!(%error, "an upload that cannot be read is left as it is");
                }
            }
        }
    }
    Ok(())
}

/// The ids of all uploads of a bucket, in the shards of the ends of their ids.
fn move_uploads(store: &DiskStore, bucket: &str) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for shard in names(&store.inner.uploads_dir(bucket))? {
        let shard = store.inner.uploads_dir(bucket).join(shard);
        for upload_id in names(&shard)?.into_iter().filter(|name| Ids::is_id(name)) {
            let (from, to) = (
                shard.join(&upload_id),
                store.inner.upload_dir(bucket, &upload_id),
            );
            if from != to {
                store.inner.tree.make(to.parent().unwrap_or(&shard))?;
                store.inner.disk.rename(&from, &to)?;
            }
            found.push(upload_id);
        }
        // It may hold nothing now.
        let _ = store.inner.disk.remove_dir(&shard);
    }
    // One that was moved to a shard that came later was met twice.
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn enter_if_open(store: &DiskStore, bucket: &str, upload_id: &str) -> Result<(), Fault> {
    let Some(upload) = upload_record(store, bucket, upload_id)? else {
        return Ok(());
    };
    let object = store.inner.object(bucket, &upload.key)?;
    if object.is_some_and(|object| object.record.upload_id() == Some(upload_id)) {
        return Ok(());
    }
    match pending::enter(store, bucket, &upload.key, upload_id) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}
