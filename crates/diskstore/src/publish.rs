//! Giving a finished file the name of its key.

use s3s::S3Result;

use crate::buckets::Entered;
use crate::conditions::WriteConditions;
use crate::disposal::Doomed;
use crate::events::Cause;
use crate::fault::io_fault;
use crate::record::ObjectRecord;
use crate::store::DiskStore;
use crate::temp::Temp;

/// Makes a sealed and synced file the object of its record's key, if the conditions
/// hold. Returns when the name is on the disk; what the key held before is
/// then gone. Blocks; enters the bucket and takes the key's lock.
pub(crate) fn publish(
    store: &DiskStore,
    bucket: &str,
    record: &ObjectRecord,
    temp: Temp,
    conditions: &WriteConditions,
    cause: Cause,
) -> S3Result<()> {
    let doomed = {
        let entered = store.inner.enter(bucket)?;
        let key = &record.key;
        let _guard = store.inner.locks.write(bucket, key);
        let current = replaced(store, bucket, key, conditions)?;
        conditions.check(current.as_ref())?;
        replace(store, &entered, record, temp, current.as_ref(), cause)?
    };
    if let Some(doomed) = doomed {
        doomed.carry_out(store);
    }
    Ok(())
}

/// What the key holds, for who is about to take its place. What is damaged can be replaced by who asks for nothing of
/// it. Parts of it stay, since it cannot be known which they are; a scrub names them.
pub(crate) fn replaced(
    store: &DiskStore,
    bucket: &str,
    key: &str,
    conditions: &WriteConditions,
) -> S3Result<Option<ObjectRecord>> {
    match store.inner.object(bucket, key) {
        Ok(sealed) => Ok(sealed.map(|sealed| sealed.record)),
        Err(fault) if fault.is_damage() && conditions.are_none() => {
            tracing::warn!(error = %fault, "a damaged object is replaced");
            Ok(None)
        }
        Err(fault) => Err(fault.into()),
    }
}

/// The same, when the bucket is entered, the lock is held and the conditions
/// were checked. Returns the parts of the former object, to be removed when the
/// lock is free.
pub(crate) fn replace(
    store: &DiskStore,
    entered: &Entered<'_>,
    record: &ObjectRecord,
    temp: Temp,
    current: Option<&ObjectRecord>,
    cause: Cause,
) -> S3Result<Option<Doomed>> {
    let bucket = entered.bucket();
    let path = store.inner.object_path(bucket, &record.key);
    let doomed = Doomed::announce(store, bucket, current).map_err(io_fault)?;
    store
        .inner
        .tree
        .publish(temp.path(), &path)
        .map_err(io_fault)?;
    temp.published();
    store
        .inner
        .announce(bucket, &record.key, cause, Some(record));
    if let Some(doomed) = &doomed {
        doomed.close().map_err(io_fault)?;
    }
    Ok(doomed)
}
