//! Taking away what a key holds.

use s3s::S3Result;

use crate::disposal::Doomed;
use crate::events::Cause;
use crate::fault::io_fault;
use crate::record::ObjectRecord;
use crate::store::DiskStore;

/// Removes the object of a key if `wanted` says so of what is there, and tells
/// whether one was removed. Returns when it is gone from the disk. Blocks;
/// takes the key's lock.
pub(crate) fn remove(
    store: &DiskStore,
    bucket: &str,
    key: &str,
    cause: Cause,
    wanted: impl FnOnce(Option<&ObjectRecord>) -> S3Result<bool>,
) -> S3Result<bool> {
    let inner = &store.inner;
    let (doomed, removed) = {
        let _guard = inner.locks.write(bucket, key);
        let (current, damage) = match inner.object(bucket, key) {
            Ok(sealed) => (sealed.map(|sealed| sealed.record), None),
            Err(fault) if fault.is_damage() => (None, Some(fault)),
            Err(fault) => return Err(fault.into()),
        };
        match (wanted(current.as_ref()), damage) {
            (Ok(true), None) => {}
            // Who asks for nothing of it can remove what is damaged. Parts of it stay; a scrub names them.
            (Ok(true), Some(fault)) => {
                tracing::warn!(error = %fault, "a damaged object is removed")
            }
            (Ok(false), _) => return Ok(false),
            (Err(_), Some(fault)) => return Err(fault.into()),
            (Err(error), None) => return Err(error),
        }
        let doomed = Doomed::announce(store, bucket, current.as_ref()).map_err(io_fault)?;
        let path = inner.object_path(bucket, key);
        let floor = inner.objects_dir(bucket);
        let removed = inner.tree.remove(&path, &floor).map_err(io_fault)?;
        if removed {
            inner.announce(bucket, key, cause, None);
        }
        if let Some(doomed) = &doomed {
            doomed.close().map_err(io_fault)?;
        }
        (doomed, removed)
    };
    if let Some(doomed) = doomed {
        doomed.carry_out(store);
    }
    Ok(removed)
}
