//! UploadPart.

use std::io;

use s3s::dto::{ETag, UploadPartInput, UploadPartOutput};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::checksum::{Coverage, put_checksums};
use crate::clock::now_us;
use crate::etag;
use crate::expectation::Expectation;
use crate::fault::{blocking, io_fault};
use crate::receive::{Length, receive};
use crate::record::{PartRecord, UploadRecord};
use crate::store::DiskStore;
use crate::temp::Temp;
use crate::upload::{no_such_upload, open_upload, part_number, part_path};

pub(super) async fn upload_part(
    store: &DiskStore,
    request: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    let mut expectation = Expectation::of_headers(&request.headers)?;
    let md5 = etag::trusted_md5(&expectation, &request.uri);
    let input = request.input;
    store.inner.require_bucket(&input.bucket)?;
    let number = part_number(input.part_number)?;
    let target = Target {
        store: store.clone(),
        bucket: input.bucket,
        key: input.key,
        upload_id: input.upload_id,
    };
    let (target, upload) = blocking(move || {
        let upload = target.open()?;
        Ok((target, upload))
    })
    .await?;
    check_algorithm(&expectation, &upload)?;
    expectation.also(upload.algorithm);
    let received = receive(
        store,
        input.body,
        Length::Declared(input.content_length),
        request.trailing_headers,
        expectation,
    )
    .await?;
    let settled = received.settle(move |received| {
        let mut stored = received.finish()?;
        let record = PartRecord {
            number,
            size_bytes: stored.size_bytes,
            etag: etag::of_body(&target.store.inner.ids, md5, &stored.checksums),
            modified_us: now_us(),
            checksums: stored.checksums,
        };
        stored.temp.seal(&record).map_err(io_fault)?;
        target.publish(stored.temp, number)?;
        Ok(record)
    });
    let record = settled.await?;
    let mut output = UploadPartOutput {
        e_tag: Some(ETag::Strong(record.etag)),
        ..UploadPartOutput::default()
    };
    put_checksums!(output, record.checksums);
    Ok(S3Response::new(output))
}

/// Which upload a part is for.
pub(super) struct Target {
    pub store: DiskStore,
    pub bucket: String,
    pub key: String,
    pub upload_id: String,
}

impl Target {
    pub(super) fn open(&self) -> S3Result<UploadRecord> {
        let _guard = self.store.inner.locks.read(&self.bucket, &self.key);
        open_upload(&self.store, &self.bucket, &self.key, &self.upload_id)
    }

    /// Gives a part its name and returns when that is on the disk. Parts of
    /// one upload do not wait for each other's syncs.
    pub(super) fn publish(&self, temp: Temp, number: u16) -> S3Result<()> {
        let inner = &self.store.inner;
        let dir = inner.upload_dir(&self.bucket, &self.upload_id);
        let opened = {
            let _entered = inner.enter(&self.bucket)?;
            let _guard = inner.locks.read(&self.bucket, &self.key);
            open_upload(&self.store, &self.bucket, &self.key, &self.upload_id)?;
            let moved = inner.disk.open_dir(&dir).and_then(|opened| {
                let to = part_path(&dir, number);
                inner.disk.rename(temp.path(), &to).map(|()| opened)
            });
            match moved {
                Ok(opened) => opened,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(no_such_upload());
                }
                Err(error) => return Err(io_fault(error)),
            }
        };
        temp.published();
        opened.sync().map_err(io_fault)
    }
}

/// As on Amazon S3: a part's checksum must be of the upload's algorithm, and
/// is needed where that of the object is made of those of the parts.
fn check_algorithm(expectation: &Expectation, upload: &UploadRecord) -> S3Result<()> {
    if !upload.declared {
        return Ok(());
    }
    let wanted = upload.algorithm;
    let given = expectation.algorithms();
    if given.iter().any(|algorithm| *algorithm != wanted)
        || (given.is_empty() && upload.coverage == Coverage::Composite)
    {
        let given = given.iter().next().map_or("null", |given| given.name());
        return Err(s3_error!(
            InvalidRequest,
            "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {given}",
            wanted.name()
        ));
    }
    Ok(())
}
