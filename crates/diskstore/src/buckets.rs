//! Buckets: what is known of each, and how they come, change and go.
//!
//! A bucket's record stands in its directory and is replaced by one rename; a
//! copy of it is kept in memory. A bucket that goes is renamed into `tmp/` as a
//! whole, from where a crash lets the next start remove it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use s3s::{S3Error, S3Result, s3_error};

use crate::clock::now_us;
use crate::cors::CorsRule;
use crate::fault::{Fault, io_fault};
use crate::locks::KeyLocks;
use crate::record::BucketRecord;
use crate::sealed::{self, Sealed};
use crate::store::{DiskStore, Inner};
use crate::temp::Temp;

/// The buckets that exist.
pub(crate) struct Buckets {
    records: RwLock<BTreeMap<String, Arc<BucketRecord>>>,
    /// Held for reading by whoever puts something into a bucket, for writing
    /// by whoever changes the bucket itself. To be taken before a key's lock.
    locks: KeyLocks,
}

/// While it is held, the bucket is there and stays.
pub(crate) struct Entered<'a> {
    bucket: &'a str,
    _guard: RwLockReadGuard<'a, ()>,
}

impl Entered<'_> {
    /// Which bucket it is.
    pub(crate) fn bucket(&self) -> &str {
        self.bucket
    }
}

impl Buckets {
    pub(crate) fn none() -> Self {
        Self {
            records: RwLock::default(),
            locks: KeyLocks::build(),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Arc<BucketRecord>>> {
        self.records.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Arc<BucketRecord>>> {
        self.records.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Reads what a former process left. A record that is damaged costs its
    /// bucket the configuration, not its objects.
    pub(crate) fn read_buckets(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.buckets_dir())? {
            let Ok(name) = entry?.file_name().into_string() else {
                continue;
            };
            if !s3s::path::check_bucket_name(&name) {
                continue;
            }
            let record = match sealed::open(&self.bucket_dir(&name).join("bucket")) {
                Ok(sealed) => sealed.map(|sealed| sealed.record).unwrap_or_default(),
                Err(Fault::Io(error)) => return Err(error),
                Err(error @ Fault::Damaged { .. }) => {
                    tracing::error!(%error, bucket = name, "a bucket has lost its configuration");
                    BucketRecord::default()
                }
            };
            self.buckets.write().insert(name, Arc::new(record));
        }
        Ok(())
    }

    /// The buckets in order, from after a name on.
    pub(crate) fn buckets_after(&self, name: &str) -> Vec<(String, Arc<BucketRecord>)> {
        let records = self.buckets.read();
        let after = (std::ops::Bound::Excluded(name), std::ops::Bound::Unbounded);
        records
            .range::<str, _>(after)
            .map(|(name, record)| (name.clone(), Arc::clone(record)))
            .collect()
    }

    pub(crate) fn bucket(&self, name: &str) -> Option<Arc<BucketRecord>> {
        self.buckets.read().get(name).map(Arc::clone)
    }

    /// Refuses with `NoSuchBucket`.
    pub(crate) fn require_bucket(&self, name: &str) -> S3Result<Arc<BucketRecord>> {
        self.bucket(name).ok_or_else(no_such_bucket)
    }

    /// Holds a bucket so that something can be put into it. Blocks; may not be
    /// called when the thread has entered a bucket or holds a key's lock.
    pub(crate) fn enter<'a>(&'a self, bucket: &'a str) -> S3Result<Entered<'a>> {
        let guard = self.buckets.locks.read(bucket, "");
        self.require_bucket(bucket)?;
        Ok(Entered {
            bucket,
            _guard: guard,
        })
    }

    /// The CORS rules that hold for a bucket; `None` if it does not exist.
    pub(crate) fn cors_rules(&self, bucket: &str) -> Option<Vec<CorsRule>> {
        let record = self.bucket(bucket)?;
        Some(match &record.cors {
            Some(rules) => rules.clone(),
            None if self.settings.cors_origins.is_empty() => Vec::new(),
            None => vec![CorsRule::for_origins(&self.settings.cors_origins)],
        })
    }
}

impl DiskStore {
    /// Makes a bucket; `false` if there is one of this name.
    pub(crate) fn make_bucket(&self, bucket: &str) -> io::Result<bool> {
        let this = &self.inner;
        let _guard = this.buckets.locks.write(bucket, "");
        if this.bucket(bucket).is_some() {
            return Ok(false);
        }
        let dir = this.bucket_dir(bucket);
        // One whose name was not known to last when it was made, so that nobody was told of it.
        let found = sealed::open(&dir.join("bucket"))?;
        let record = if let Some(Sealed { record, .. }) = found {
            this.disk.sync_dir(&this.buckets_dir())?;
            record
        } else {
            let aside = this.tmp_path();
            self.write_bucket(&aside, &dir).inspect_err(|_| {
                if let Err(error) = this.disk.remove_dir_all(&aside) {
                    tracing::debug!(%error, "a temporary directory stays until the next start");
                }
            })?
        };
        let mut records = this.buckets.write();
        records.insert(bucket.to_owned(), Arc::new(record));
        Ok(true)
    }

    /// Makes a bucket's directory aside and then gives it its name.
    fn write_bucket(&self, aside: &Path, dir: &Path) -> io::Result<BucketRecord> {
        let this = &self.inner;
        this.disk.make_dir(aside)?;
        for name in ["objects", "uploads", "pending"] {
            this.disk.make_dir(&aside.join(name))?;
        }
        let record = BucketRecord {
            created_us: now_us(),
            ..BucketRecord::default()
        };
        let mut temp = Temp::create(&this.disk, aside.join("bucket"))?;
        temp.seal(&record)?;
        temp.published();
        this.disk.sync_dir(aside)?;
        this.tree.publish(aside, dir)?;
        Ok(record)
    }

    /// Changes a bucket's record and returns when that is on the disk.
    pub(crate) fn change_bucket(
        &self,
        bucket: &str,
        change: impl FnOnce(&mut BucketRecord),
    ) -> S3Result<()> {
        let this = &self.inner;
        let _guard = this.buckets.locks.write(bucket, "");
        let mut record = BucketRecord::clone(&*this.require_bucket(bucket)?);
        change(&mut record);
        let path = this.bucket_dir(bucket).join("bucket");
        let publish = || {
            let mut temp = Temp::create(&this.disk, this.tmp_path())?;
            temp.seal(&record)?;
            this.tree.publish(temp.path(), &path)?;
            temp.published();
            Ok(())
        };
        publish().map_err(io_fault)?;
        let mut records = this.buckets.write();
        records.insert(bucket.to_owned(), Arc::new(record));
        Ok(())
    }

    /// Removes a bucket that holds no object, and the uploads that are open in
    /// it. Returns when its name is gone from the disk.
    pub(crate) fn remove_bucket(&self, bucket: &str) -> S3Result<()> {
        let this = &self.inner;
        let aside = this.tmp_path();
        {
            let _guard = this.buckets.locks.write(bucket, "");
            this.require_bucket(bucket)?;
            if holds_files(&this.objects_dir(bucket)).map_err(io_fault)? {
                return Err(s3_error!(
                    BucketNotEmpty,
                    "The bucket you tried to delete is not empty."
                ));
            }
            if self.has_doomed_parts(bucket).map_err(io_fault)? {
                return Err(s3_error!(
                    OperationAborted,
                    "An object of the bucket that was deleted is still being read. Try again."
                ));
            }
            this.tree
                .withdraw(&this.bucket_dir(bucket), &aside)
                .map_err(io_fault)?;
            this.buckets.write().remove(bucket);
            // Its new name must last, too: from there the next start goes on.
            this.disk.sync_dir(&this.tmp_dir()).map_err(io_fault)?;
            this.disk.sync_dir(&this.buckets_dir()).map_err(io_fault)?;
        }
        if let Err(error) = this.disk.remove_dir_all(&aside) {
            tracing::warn!(%error, bucket, "what a removed bucket held stays until the next start");
        }
        Ok(())
    }

    /// Whether parts wait for their readers before they are removed.
    fn has_doomed_parts(&self, bucket: &str) -> io::Result<bool> {
        for entry in fs::read_dir(self.inner.tmp_dir())? {
            let name = entry?.file_name();
            let of = name
                .to_str()
                .and_then(|name| name.strip_prefix("doom."))
                .and_then(|name| name.rsplit_once('.'));
            if of.is_some_and(|(of, _)| of == bucket) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether there is anything but directories. Also what this store did not
/// write keeps a bucket.
fn holds_files(dir: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() || holds_files(&entry.path())? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn no_such_bucket() -> S3Error {
    s3_error!(NoSuchBucket, "The specified bucket does not exist.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn open(root: &Path) -> DiskStore {
        DiskStore::open(Settings {
            buckets: vec!["photos".to_owned()],
            ..Settings::new(root, "key", "secret")
        })
        .unwrap()
    }

    fn rule(origin: &str) -> Vec<CorsRule> {
        vec![CorsRule::for_origins(&[origin.to_owned()])]
    }

    #[test]
    fn what_a_bucket_is_told_outlasts_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let created_us = store.inner.bucket("photos").unwrap().created_us;
        store
            .change_bucket("photos", |record| record.cors = Some(rule("a")))
            .unwrap();
        drop(store);
        let store = open(dir.path());
        let record = store.inner.bucket("photos").unwrap();
        assert_eq!(record.created_us, created_us);
        assert_eq!(record.cors, Some(rule("a")));
    }

    #[test]
    fn a_damaged_record_costs_the_configuration_only() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        store
            .change_bucket("photos", |record| record.cors = Some(rule("a")))
            .unwrap();
        drop(store);
        let path = dir.path().join("buckets/photos/bucket");
        let mut bytes = fs::read(&path).unwrap();
        bytes[3] ^= 1;
        fs::write(&path, bytes).unwrap();
        let store = open(dir.path());
        assert_eq!(store.inner.bucket("photos").unwrap().cors, None);
    }

    #[test]
    fn whoever_is_in_a_bucket_keeps_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let entered = store.inner.enter("photos").unwrap();
        let removed = std::thread::scope(|scope| {
            let removing = scope.spawn(|| store.remove_bucket("photos"));
            for _ in 0..1000 {
                assert!(store.inner.bucket("photos").is_some());
                std::thread::yield_now();
            }
            drop(entered);
            removing.join().unwrap()
        });
        removed.unwrap();
        assert!(store.inner.enter("photos").is_err());
    }

    #[test]
    fn what_the_store_did_not_write_keeps_a_bucket() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let foreign = dir.path().join("buckets/photos/objects/a/b");
        fs::create_dir_all(&foreign).unwrap();
        fs::write(foreign.join(".keep"), b"").unwrap();
        let error = store.remove_bucket("photos").unwrap_err();
        assert_eq!(error.code().as_str(), "BucketNotEmpty");
        fs::remove_file(foreign.join(".keep")).unwrap();
        store.remove_bucket("photos").unwrap();
        assert!(store.make_bucket("photos").unwrap());
    }
}
