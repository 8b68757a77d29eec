//! Multipart uploads on the disk.

use std::fs;
use std::path::{Path, PathBuf};

use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use crate::fault::{Fault, io_fault};
use crate::ids::Ids;
use crate::pending;
use crate::record::{PartRecord, UploadRecord};
use crate::sealed;
use crate::store::DiskStore;

/// The highest part number of S3.
pub(crate) const MAX_PARTS: i32 = 10_000;

/// The file of a part.
pub(crate) fn part_path(upload_dir: &Path, number: u16) -> PathBuf {
    upload_dir.join(format!("{number:05}"))
}

/// What an upload was begun with, whether it is completed or not.
pub(crate) fn upload_record(
    store: &DiskStore,
    bucket: &str,
    upload_id: &str,
) -> Result<Option<UploadRecord>, Fault> {
    let path = store.inner.upload_dir(bucket, upload_id).join("upload");
    Ok(sealed::open(&path)?.map(|sealed| sealed.record))
}

/// An upload of this key that is not completed; else `NoSuchUpload`. For the
/// answer to stay true, hold the key's lock.
pub(crate) fn open_upload(
    store: &DiskStore,
    bucket: &str,
    key: &str,
    upload_id: &str,
) -> S3Result<UploadRecord> {
    if !Ids::is_id(upload_id) {
        return Err(no_such_upload());
    }
    let upload = upload_record(store, bucket, upload_id)?
        .filter(|upload| upload.key == key)
        .ok_or_else(no_such_upload)?;
    if is_completed(store, bucket, key, upload_id)? {
        return Err(no_such_upload());
    }
    Ok(upload)
}

/// Whether the object of the key is made of this upload. One that cannot be read is made of none.
pub(crate) fn is_completed(
    store: &DiskStore,
    bucket: &str,
    key: &str,
    upload_id: &str,
) -> Result<bool, Fault> {
    match store.inner.object(bucket, key) {
        Ok(object) => Ok(object.is_some_and(|object| object.record.upload_id() == Some(upload_id))),
        Err(fault) if fault.is_damage() => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// Removes an upload that is open, with its parts; else `NoSuchUpload`. Blocks;
/// enters the bucket and takes the key's lock.
pub(crate) fn abort(store: &DiskStore, bucket: &str, key: &str, upload_id: &str) -> S3Result<()> {
    let aside = store.inner.tmp_path();
    let disk = &store.inner.disk;
    {
        let _entered = store.inner.enter(bucket)?;
        let _guard = store.inner.locks.write(bucket, key);
        if let Err(error) = open_upload(store, bucket, key, upload_id) {
            // Of one whose record is damaged it is known all the same that it is there, if no object is made of it.
            let is_open = || {
                let object = store.inner.object(bucket, key);
                pending::is_entered(store, bucket, key, upload_id)
                    && object.is_ok_and(|object| {
                        object.is_none_or(|object| object.record.upload_id() != Some(upload_id))
                    })
            };
            if *error.code() == S3ErrorCode::NoSuchUpload || !is_open() {
                return Err(error);
            }
        }
        let dir = store.inner.upload_dir(bucket, upload_id);
        disk.rename(&dir, &aside).map_err(io_fault)?;
        // Its new name must last, too: from there the next start goes on.
        disk.sync_dir(&store.inner.tmp_dir()).map_err(io_fault)?;
        if let Some(shard) = dir.parent() {
            disk.sync_dir(shard).map_err(io_fault)?;
        }
        pending::leave(store, bucket, key, upload_id);
    }
    disk.remove_dir_all(&aside).map_err(io_fault)
}

pub(crate) fn no_such_upload() -> S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )
}

/// The numbers of the parts that are there, in order.
pub(crate) fn part_numbers(upload_dir: &Path) -> Result<Vec<u16>, Fault> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(upload_dir)? {
        let name = entry?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.parse::<u16>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// A part, if it is there.
pub(crate) fn part(upload_dir: &Path, number: u16) -> S3Result<Option<PartRecord>> {
    let sealed = sealed::open::<PartRecord>(&part_path(upload_dir, number))?;
    Ok(sealed.map(|sealed| sealed.record))
}

/// A part number of a request.
pub(crate) fn part_number(number: i32) -> S3Result<u16> {
    u16::try_from(number)
        .ok()
        .filter(|_| (1..=MAX_PARTS).contains(&number))
        .ok_or_else(|| {
            s3_error!(
                InvalidArgument,
                "Part number must be an integer between 1 and 10000, inclusive."
            )
        })
}
