//! Giving a finished file the name of its key.

use s3s::S3Result;

use crate::conditions::WriteConditions;
use crate::disposal::Doomed;
use crate::fault::io_fault;
use crate::record::ObjectRecord;
use crate::store::DiskStore;
use crate::temp::Temp;

/// Makes a sealed and synced file the object of the key, if the conditions
/// hold. Returns when the name is on the disk; what the key held before is
/// then gone. Blocks; takes the key's lock.
pub(crate) fn publish(
    store: &DiskStore,
    bucket: &str,
    key: &str,
    temp: Temp,
    conditions: &WriteConditions,
) -> S3Result<()> {
    let doomed = {
        let _guard = store.inner.locks.write(bucket, key);
        let current = store.inner.object(bucket, key)?.map(|sealed| sealed.record);
        conditions.check(current.as_ref())?;
        replace(store, bucket, key, temp, current.as_ref())?
    };
    if let Some(doomed) = doomed {
        doomed.carry_out(store);
    }
    Ok(())
}

/// The same, when the lock is held and the conditions were checked. Returns the
/// parts of the former object, to be removed when the lock is free.
pub(crate) fn replace(
    store: &DiskStore,
    bucket: &str,
    key: &str,
    temp: Temp,
    current: Option<&ObjectRecord>,
) -> S3Result<Option<Doomed>> {
    let path = store.inner.object_path(bucket, key);
    let doomed = Doomed::announce(store, bucket, current).map_err(io_fault)?;
    store
        .inner
        .tree
        .publish(temp.path(), &path)
        .map_err(io_fault)?;
    temp.published();
    if let Some(doomed) = &doomed {
        doomed.close().map_err(io_fault)?;
    }
    Ok(doomed)
}
