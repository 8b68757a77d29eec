//! CreateMultipartUpload.

use s3s::dto::{ChecksumAlgorithm, CreateMultipartUploadInput, CreateMultipartUploadOutput};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::checksum::{Algorithm, Coverage};
use crate::clock::now_us;
use crate::fault::{blocking, io_fault};
use crate::pending;
use crate::record::{UploadRecord, attributes_of};
use crate::store::DiskStore;
use crate::tags::Tags;
use crate::temp::Temp;

pub(super) async fn create_multipart_upload(
    store: &DiskStore,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let mut input = request.input;
    store.inner.require_bucket(&input.bucket)?;
    let declared = match &input.checksum_algorithm {
        Some(name) => Some(Algorithm::parse(name.as_str())?),
        None => None,
    };
    let algorithm = declared.unwrap_or(Algorithm::Crc64nvme);
    let coverage = match &input.checksum_type {
        Some(name) => Coverage::parse(name)?,
        None if algorithm == Algorithm::Crc64nvme => Coverage::FullObject,
        None => Coverage::Composite,
    };
    let exists = match coverage {
        Coverage::FullObject => algorithm.crc().is_some(),
        Coverage::Composite => algorithm != Algorithm::Crc64nvme,
    };
    if !exists {
        return Err(s3_error!(
            InvalidRequest,
            "The {} checksum type cannot be used with the {} checksum algorithm.",
            coverage.dto().as_str(),
            algorithm.name()
        ));
    }
    let record = UploadRecord {
        key: input.key.clone(),
        initiated_us: now_us(),
        attributes: attributes_of!(input)?,
        tags: Tags::of_header(input.tagging.as_deref())?,
        algorithm,
        coverage,
        declared: declared.is_some(),
    };
    let (store, bucket) = (store.clone(), input.bucket.clone());
    let upload_id = blocking(move || create(&store, &bucket, &record)).await?;
    Ok(S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(upload_id),
        checksum_algorithm: declared
            .map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: declared.map(|_| coverage.dto()),
        ..CreateMultipartUploadOutput::default()
    }))
}

/// Makes the upload's directory aside and then gives it its name.
fn create(store: &DiskStore, bucket: &str, record: &UploadRecord) -> S3Result<String> {
    let _entered = store.inner.enter(bucket)?;
    let upload_id = store.inner.ids.of_upload(record.initiated_us);
    let aside = store.inner.tmp_path();
    let disk = &store.inner.disk;
    let made = || {
        disk.make_dir(&aside)?;
        let mut file = Temp::create(disk, aside.join("upload"))?;
        file.seal(record)?;
        file.published();
        disk.sync_dir(&aside)?;
        let dir = store.inner.upload_dir(bucket, &upload_id);
        let _guard = store.inner.locks.read(bucket, &record.key);
        pending::enter(store, bucket, &record.key, &upload_id)?;
        store.inner.tree.publish(&aside, &dir)
    };
    match made() {
        Ok(()) => Ok(upload_id),
        Err(error) => {
            if let Err(error) = disk.remove_dir_all(&aside) {
                tracing::debug!(%error, "a temporary directory stays until the next start");
            }
            Err(io_fault(error))
        }
    }
}
