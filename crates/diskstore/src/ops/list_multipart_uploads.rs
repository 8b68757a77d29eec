//! ListMultipartUploads.

use s3s::dto::{
    ChecksumAlgorithm, Initiator, ListMultipartUploadsInput, ListMultipartUploadsOutput,
    MultipartUpload, StorageClass,
};
use s3s::{S3Request, S3Response, S3Result};

use crate::acl::owner;
use crate::clock::timestamp;
use crate::fault::{blocking, io_fault};
use crate::listing::{Encoding, after, common_prefix, page_length};
use crate::pending;
use crate::record::UploadRecord;
use crate::store::DiskStore;
use crate::walk::{Resume, Walk};

/// What is listed, and from where.
struct Wish {
    bucket: String,
    prefix: String,
    delimiter: Option<String>,
    key_marker: String,
    /// Uploads to the key that is the marker follow from this id on.
    upload_id_marker: String,
    length: usize,
}

#[derive(Default)]
struct Page {
    uploads: Vec<(String, UploadRecord)>,
    common: Vec<String>,
    /// The key or common prefix and the upload id that end it, if there is more.
    next: Option<(String, String)>,
}

pub(super) async fn list_multipart_uploads(
    store: &DiskStore,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let input = request.input;
    store.inner.require_bucket(&input.bucket)?;
    let max_uploads = page_length("max-uploads", input.max_uploads)?;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let wish = Wish {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().filter(|text| !text.is_empty()),
        key_marker: input.key_marker.clone().unwrap_or_default(),
        upload_id_marker: input.upload_id_marker.clone().unwrap_or_default(),
        length: usize::try_from(max_uploads).unwrap_or_default(),
    };
    let store = store.clone();
    let page = blocking(move || page(&store, &wish)).await?;
    let is_truncated = page.next.is_some();
    let (next_key, next_upload_id) = page.next.unzip();
    let uploads = page
        .uploads
        .into_iter()
        .map(|(upload_id, record)| describe(upload_id, record, encoding));
    Ok(S3Response::new(ListMultipartUploadsOutput {
        uploads: Some(uploads.collect()),
        common_prefixes: Some(encoding.common_prefixes(page.common)),
        is_truncated: Some(is_truncated),
        next_key_marker: next_key.map(|text| encoding.write(text)),
        next_upload_id_marker: next_upload_id.filter(|id| !id.is_empty()),
        max_uploads: Some(max_uploads),
        bucket: Some(input.bucket),
        prefix: Some(encoding.write(input.prefix.unwrap_or_default())),
        delimiter: input.delimiter.map(|text| encoding.write(text)),
        key_marker: Some(encoding.write(input.key_marker.unwrap_or_default())),
        upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
        encoding_type: input.encoding_type,
        ..ListMultipartUploadsOutput::default()
    }))
}

fn describe(upload_id: String, record: UploadRecord, encoding: Encoding) -> MultipartUpload {
    let owner = owner();
    MultipartUpload {
        checksum_algorithm: record
            .declared
            .then(|| ChecksumAlgorithm::from_static(record.algorithm.name())),
        checksum_type: record.declared.then(|| record.coverage.dto()),
        initiated: Some(timestamp(record.initiated_us)),
        initiator: Some(Initiator {
            display_name: owner.display_name.clone(),
            id: owner.id.clone(),
        }),
        key: Some(encoding.write(record.key)),
        owner: Some(owner),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        upload_id: Some(upload_id),
    }
}

fn page(store: &DiskStore, wish: &Wish) -> S3Result<Page> {
    let mut page = Page::default();
    if wish.length == 0 {
        return Ok(page);
    }
    let delimiter = wish.delimiter.as_deref();
    let resume = match after(&wish.key_marker, &wish.prefix, delimiter) {
        Resume::After(_) if wish.key_marker.is_empty() => Resume::Start,
        Resume::After(key) if !wish.upload_id_marker.is_empty() => Resume::From(key),
        resume => resume,
    };
    let pending = store.inner.pending_dir(&wish.bucket);
    let listings = store.inner.tree.listings();
    let mut walk = Walk::start(listings, &pending, &wish.prefix, resume).map_err(io_fault)?;
    let mut last = (String::new(), String::new());
    while let Some(found) = walk.next(listings).map_err(io_fault)? {
        let path = found.path();
        let (Ok(key), Some(upload_id)) = (String::from_utf8(found.key), pending::upload_id(&path))
        else {
            continue;
        };
        if key == wish.key_marker && upload_id <= wish.upload_id_marker.as_str() {
            continue;
        }
        let record = match pending::resolve(store, &wish.bucket, &key, upload_id) {
            Ok(Some(record)) => record,
            Ok(None) => continue,
            Err(fault) if fault.is_damage() => {
                tracing::error!(error = %fault, "an open upload cannot be listed");
                continue;
            }
            Err(fault) => return Err(fault.into()),
        };
        if page.uploads.len() + page.common.len() == wish.length {
            page.next = Some(last);
            break;
        }
        if let Some(common) = common_prefix(&key, &wish.prefix, delimiter) {
            walk.skip_past(common.as_bytes());
            last = (common.to_owned(), String::new());
            page.common.push(common.to_owned());
        } else {
            last = (key, upload_id.to_owned());
            page.uploads.push((upload_id.to_owned(), record));
        }
    }
    for dir in walk.into_empty() {
        store.inner.tree.prune(&dir, &pending);
    }
    Ok(page)
}
