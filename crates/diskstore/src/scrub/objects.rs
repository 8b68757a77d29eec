//! What is to be read of an object.

use std::path::Path;

use super::check::{Check, Suspect};
use crate::fault::Fault;
use crate::record::ObjectRecord;
use crate::sealed;
use crate::store::DiskStore;
use crate::upload::part_path;

/// The object of a key, held against deletion; `None` if there is none (any more).
pub(super) fn of_key(
    store: &DiskStore,
    bucket: &str,
    key: &str,
    path: &Path,
) -> Result<Option<Check>, Fault> {
    let _guard = store.inner.locks.read(bucket, key);
    let Some(object) = sealed::open::<ObjectRecord>(path)? else {
        return Ok(None);
    };
    let record = object.record;
    if record.key != key {
        return Err(Fault::damaged(path, "its record is of another key"));
    }
    Ok(Some(match record.manifest {
        None => {
            if object.body.bytes() != record.size_bytes {
                let reason = "its body has another size than its record says";
                return Err(Fault::damaged(path, reason));
            }
            let whole = Suspect::Whole {
                body: object.body,
                checksums: record.checksums,
            };
            Check::of([whole], None)
        }
        Some(manifest) => {
            let dir = store.inner.upload_dir(bucket, &manifest.upload_id);
            let lease = store.inner.leases.hold(&manifest.upload_id);
            let parts = manifest.parts.into_iter().map(|part| Suspect::Part {
                path: part_path(&dir, part.number),
                part,
            });
            Check::of(parts, Some(lease))
        }
    }))
}
