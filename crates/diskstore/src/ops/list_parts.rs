//! ListParts.

use s3s::dto::{ChecksumAlgorithm, ETag, ListPartsInput, ListPartsOutput, Part, StorageClass};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::checksum::put_checksums;
use crate::clock::timestamp;
use crate::fault::{blocking, io_fault};
use crate::record::{PartRecord, UploadRecord};
use crate::store::DiskStore;
use crate::upload::{open_upload, part, part_numbers};

/// The longest page of S3.
const LONGEST_PAGE: i32 = 1000;

/// A page of parts and whether more follow.
struct Page {
    upload: UploadRecord,
    parts: Vec<PartRecord>,
    truncated: bool,
}

pub(super) async fn list_parts(
    store: &DiskStore,
    request: S3Request<ListPartsInput>,
) -> S3Result<S3Response<ListPartsOutput>> {
    let input = request.input;
    store.inner.require_bucket(&input.bucket)?;
    let max_parts = input.max_parts.unwrap_or(LONGEST_PAGE).min(LONGEST_PAGE);
    let limit = usize::try_from(max_parts)
        .map_err(|_| s3_error!(InvalidArgument, "max-parts must not be negative."))?;
    let marker = input.part_number_marker.unwrap_or(0);
    let (store, bucket, key, upload_id) = (
        store.clone(),
        input.bucket.clone(),
        input.key.clone(),
        input.upload_id.clone(),
    );
    let page = blocking(move || page(&store, &bucket, &key, &upload_id, marker, limit)).await?;
    let last = page.parts.last().map(|part| i32::from(part.number));
    let parts = page.parts.into_iter().map(|record| {
        let mut part = Part {
            e_tag: Some(ETag::Strong(record.etag)),
            last_modified: Some(timestamp(record.modified_us)),
            part_number: Some(i32::from(record.number)),
            size: i64::try_from(record.size_bytes).ok(),
            ..Part::default()
        };
        put_checksums!(part, record.checksums);
        part
    });
    let declared = page.upload.declared;
    Ok(S3Response::new(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        parts: Some(parts.collect()),
        is_truncated: Some(page.truncated),
        max_parts: Some(max_parts),
        part_number_marker: Some(marker),
        next_part_number_marker: Some(last.unwrap_or(marker)),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        checksum_algorithm: declared
            .then(|| ChecksumAlgorithm::from_static(page.upload.algorithm.name())),
        checksum_type: declared.then(|| page.upload.coverage.dto()),
        ..ListPartsOutput::default()
    }))
}

fn page(
    store: &DiskStore,
    bucket: &str,
    key: &str,
    upload_id: &str,
    marker: i32,
    limit: usize,
) -> S3Result<Page> {
    let _guard = store.inner.locks.read(bucket, key);
    let upload = open_upload(store, bucket, key, upload_id)?;
    let dir = store.inner.upload_dir(bucket, upload_id);
    let mut numbers = part_numbers(&dir)?;
    // What is told to be here must survive a loss of power.
    store.inner.disk.sync_dir(&dir).map_err(io_fault)?;
    numbers.retain(|number| i32::from(*number) > marker);
    let truncated = numbers.len() > limit;
    numbers.truncate(limit);
    let mut parts = Vec::with_capacity(numbers.len());
    for number in numbers {
        parts.extend(part(&dir, number)?);
    }
    Ok(Page {
        upload,
        parts,
        truncated,
    })
}
