//! Removing the parts of an object that is gone.
//!
//! A note in `tmp/` is on the disk before the object's record goes and is
//! removed after its parts are. So a crash leaves either the whole object or
//! the note, from which the next start goes on.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::ids::Ids;
use crate::record::ObjectRecord;
use crate::store::DiskStore;
use crate::temp::Temp;

/// Parts that are to be removed.
pub(crate) struct Doomed {
    disk: Disk,
    upload_id: String,
    dir: PathBuf,
    note: PathBuf,
}

impl Doomed {
    /// Writes the note, if the object has parts. Hold the key's lock.
    pub(crate) fn announce(
        store: &DiskStore,
        bucket: &str,
        current: Option<&ObjectRecord>,
    ) -> io::Result<Option<Self>> {
        let Some(upload_id) = current.and_then(ObjectRecord::upload_id) else {
            return Ok(None);
        };
        Self::note(store, bucket, upload_id).map(Some)
    }

    /// Writes the note for parts that no record names yet: unless one will, they
    /// are removed at the next start.
    pub(crate) fn note(store: &DiskStore, bucket: &str, upload_id: &str) -> io::Result<Self> {
        let doomed = Self::of(store, bucket, upload_id);
        if !doomed.note.exists() {
            Temp::create(&doomed.disk, doomed.note.clone())?.published();
        }
        doomed.disk.sync_dir(&store.inner.tmp_dir())?;
        Ok(doomed)
    }

    /// The doomed parts that a file in `tmp/` is the note of.
    pub(crate) fn noted(store: &DiskStore, file_name: &str) -> Option<(String, Self)> {
        let (bucket, upload_id) = file_name.strip_prefix("doom.")?.rsplit_once('.')?;
        (store.inner.bucket(bucket).is_some() && Ids::is_id(upload_id))
            .then(|| (bucket.to_owned(), Self::of(store, bucket, upload_id)))
    }

    /// Whether there is a note that says that these parts are to be removed.
    pub(crate) fn is_noted(store: &DiskStore, bucket: &str, upload_id: &str) -> bool {
        Self::of(store, bucket, upload_id).note.exists()
    }

    fn of(store: &DiskStore, bucket: &str, upload_id: &str) -> Self {
        Self {
            disk: store.inner.disk.clone(),
            upload_id: upload_id.to_owned(),
            dir: store.inner.upload_dir(bucket, upload_id),
            note: store
                .inner
                .tmp_dir()
                .join(format!("doom.{bucket}.{upload_id}")),
        }
    }

    pub(crate) fn upload_id(&self) -> &str {
        &self.upload_id
    }

    /// Ends the upload that brought the parts, so that no UploadPart or Complete
    /// can touch them any more. The object's record must be gone from the disk
    /// and the key's lock still be held.
    pub(crate) fn close(&self) -> io::Result<()> {
        match self.disk.remove_file(&self.dir.join("upload")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes the parts once nobody reads them. They must have been closed; no
    /// lock is needed.
    pub(crate) fn carry_out(self, store: &DiskStore) {
        let upload_id = self.upload_id.clone();
        store.inner.leases.when_free(&upload_id, move || {
            if let Err(error) = self.remove() {
                tracing::warn!(%error, dir = %self.dir.display(), "parts of a removed object stay until the next start");
            }
        });
    }

    /// Removes the parts and then the note.
    pub(crate) fn remove(&self) -> io::Result<()> {
        remove_dir(&self.disk, &self.dir)?;
        self.disk.remove_file(&self.note)
    }

    /// Removes only the note.
    pub(crate) fn revoke(&self) -> io::Result<()> {
        self.disk.remove_file(&self.note)
    }
}

/// Removes a directory with all in it and returns when its name is gone from
/// the disk. None is fine.
pub(crate) fn remove_dir(disk: &Disk, dir: &Path) -> io::Result<()> {
    match disk.remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match dir.parent() {
        Some(above) if above.is_dir() => disk.sync_dir(above),
        _ => Ok(()),
    }
}
