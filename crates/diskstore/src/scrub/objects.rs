//! What is to be read of an object.

use std::path::Path;

use super::check::{Check, Suspect};
use crate::fault::Fault;
use crate::record::{ObjectRecord, PartRecord};
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
            let whole = Suspect {
                path: path.to_owned(),
                size_bytes: record.size_bytes,
                checksums: record.checksums,
            };
            Check::of([whole], None)
        }
        Some(manifest) => {
            let dir = store.inner.upload_dir(bucket, &manifest.upload_id);
            let lease = store.inner.leases.hold(&manifest.upload_id);
            let parts = manifest.parts.into_iter().map(|part| suspect(&dir, part));
            Check::of(parts, Some(lease))
        }
    }))
}

/// The file of a part.
pub(super) fn suspect(dir: &Path, part: PartRecord) -> Suspect {
    Suspect {
        path: part_path(dir, part.number),
        size_bytes: part.size_bytes,
        checksums: part.checksums,
    }
}
