//! Copying the bytes of an object to a file of their own.
//!
//! The source is held like one that is being read: overwriting or deleting it
//! meanwhile does not disturb the copy. No lock is held while bytes move, and
//! memory does not grow with them.

use std::ops::Range;
use std::path::PathBuf;

use s3s::dto::CopySource;
use s3s::{S3Result, s3_error};

use crate::at_hand::How;
use crate::checksum::{Algorithm, Checksums, Coverage};
use crate::conditions::ReadConditions;
use crate::expectation::{Expectation, Hasher};
use crate::fault::{Fault, blocking, io_fault};
use crate::read::Reading;
use crate::record::ObjectRecord;
use crate::store::DiskStore;
use crate::temp::Temp;
use crate::unsupported::{not_implemented, refuse_version};

/// Bytes of an object that will be copied.
pub(crate) struct Source {
    pub record: ObjectRecord,
    pub range: Range<u64>,
    path: PathBuf,
    reading: Reading,
}

/// Bytes that were copied.
pub(crate) struct Copied {
    pub temp: Temp,
    /// The checksums that are of these bytes and no others.
    pub checksums: Checksums,
}

/// A key of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    pub bucket: String,
    pub key: String,
}

impl Location {
    /// What `x-amz-copy-source` names.
    pub(crate) fn of_source(source: &CopySource) -> S3Result<Self> {
        let CopySource::Bucket {
            bucket,
            key,
            version_id,
        } = source
        else {
            return Err(not_implemented("access points"));
        };
        refuse_version(version_id.as_deref())?;
        if key.is_empty() {
            return Err(s3_error!(
                InvalidArgument,
                "You must specify a valid source key."
            ));
        }
        Ok(Self {
            bucket: bucket.to_string(),
            key: key.to_string(),
        })
    }
}

impl Source {
    /// Holds a source, if the conditions hold of it. `select` chooses the range
    /// from the size. Blocks; takes the key's lock.
    pub(crate) fn open(
        store: &DiskStore,
        Location { bucket, key }: &Location,
        conditions: &ReadConditions,
        select: impl FnOnce(u64) -> S3Result<Range<u64>>,
    ) -> S3Result<Self> {
        store.inner.require_bucket(bucket)?;
        let _guard = store.inner.locks.read(bucket, key);
        let Some(object) = store.inner.object(bucket, key)? else {
            return Err(s3_error!(NoSuchKey, "The specified key does not exist."));
        };
        conditions.check_source(&object.record)?;
        let range = select(object.record.size_bytes)?;
        if range.end - range.start > store.inner.settings.max_put_bytes {
            return Err(s3_error!(
                InvalidRequest,
                "The specified copy source is larger than the maximum allowable size for a copy source: {}",
                store.inner.settings.max_put_bytes
            ));
        }
        let path = store.inner.object_path(bucket, key);
        let (record, reading) =
            Reading::begin(store, bucket, &path, object, range.clone(), How::Waiting)?;
        Ok(Self {
            record,
            range,
            path,
            reading,
        })
    }

    /// Whether it is all of the object.
    pub(crate) fn is_whole(&self) -> bool {
        self.range == (0..self.record.size_bytes)
    }

    /// The checksums of these bytes that are known already.
    fn known(&self) -> Checksums {
        if self.is_whole() && self.record.coverage == Coverage::FullObject {
            self.record.checksums.clone()
        } else {
            Checksums::new()
        }
    }

    /// Copies the bytes, and has checksums of these algorithms; of the ones that
    /// the source has if none is named. Only what is not known is computed, and
    /// then what is known is compared. Nothing stays if this fails or is dropped.
    pub(crate) async fn copy(self, store: &DiskStore, wanted: &[Algorithm]) -> S3Result<Copied> {
        let mut known = self.known();
        let wanted: Vec<Algorithm> = match wanted {
            [] => self.record.checksums.keys().copied().collect(),
            wanted => wanted.to_vec(),
        };
        let mut expectation = Expectation::default();
        if wanted
            .iter()
            .any(|algorithm| !known.contains_key(algorithm))
        {
            for algorithm in wanted.iter().chain(known.keys()) {
                expectation.also(*algorithm);
            }
        }
        let hasher = expectation.computes().then(|| expectation.hasher());
        let (disk, path) = (store.inner.disk.clone(), store.inner.tmp_path());
        let temp = blocking(move || Temp::create(&disk, path).map_err(io_fault)).await?;
        let mut copying = Copying {
            reading: self.reading,
            temp,
            hasher,
        };
        loop {
            let (more, then) = blocking(move || copying.step()).await?;
            copying = then;
            if !more {
                break;
            }
        }
        if let Some(hasher) = copying.hasher {
            let computed = expectation.verify(hasher)?;
            if known
                .iter()
                .any(|(algorithm, value)| computed.get(algorithm) != Some(value))
            {
                let reason = "its bytes have other checksums than its record says";
                return Err(Fault::damaged(&self.path, reason).into());
            }
            known.extend(computed);
        }
        known.retain(|algorithm, _| wanted.contains(algorithm));
        Ok(Copied {
            temp: copying.temp,
            checksums: known,
        })
    }
}

struct Copying {
    reading: Reading,
    temp: Temp,
    hasher: Option<Hasher>,
}

impl Copying {
    /// Copies some bytes, and hashes them while they are at hand if they are to be.
    fn step(mut self) -> S3Result<(bool, Self)> {
        let hasher = &mut self.hasher;
        let copied = self.reading.copy_some(&mut self.temp, |bytes| {
            if let Some(hasher) = hasher {
                hasher.update(bytes);
            }
        })?;
        Ok((copied > 0, self))
    }
}
