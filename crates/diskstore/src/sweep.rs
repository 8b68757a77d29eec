//! What opening a store removes: all that is in `tmp/`.

use std::fs;
use std::io;

use crate::disposal::Doomed;
use crate::fault::Fault;
use crate::store::DiskStore;
use crate::upload::upload_record;

/// Empties `tmp/`. To be called before anybody uses the store.
pub(crate) fn sweep(store: &DiskStore) -> io::Result<()> {
    for entry in fs::read_dir(store.inner.tmp_dir())? {
        let entry = entry?;
        let noted = entry
            .file_name()
            .to_str()
            .and_then(|name| Doomed::noted(store, name));
        if let Some((bucket, doomed)) = noted {
            match finish(store, &bucket, &doomed) {
                Ok(()) => {}
                Err(Fault::Io(error)) => return Err(error),
                Err(error @ Fault::Damaged { .. }) => {
                    tracing::error!(%error, "parts of a removed object cannot be told from a live one's and stay");
                }
            }
        } else if entry.file_type()?.is_dir() {
            store.inner.disk.remove_dir_all(&entry.path())?;
        } else {
            store.inner.disk.remove_file(&entry.path())?;
        }
    }
    Ok(())
}

/// Goes on with a removal, unless its object was not removed after all.
fn finish(store: &DiskStore, bucket: &str, doomed: &Doomed) -> Result<(), Fault> {
    let live = match upload_record(store, bucket, doomed.upload_id())? {
        Some(upload) => store
            .inner
            .object(bucket, &upload.key)?
            .is_some_and(|object| object.record.upload_id() == Some(doomed.upload_id())),
        None => false,
    };
    if live {
        doomed.revoke()?;
    } else {
        doomed.remove()?;
    }
    Ok(())
}
