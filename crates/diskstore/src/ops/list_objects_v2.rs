//! ListObjectsV2.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    ChecksumAlgorithm, CommonPrefix, EncodingType, ListObjectsV2Input, ListObjectsV2Output, Object,
    ObjectStorageClass,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::clock::timestamp;
use crate::fault::{blocking, io_fault};
use crate::record::ObjectRecord;
use crate::sealed;
use crate::store::DiskStore;
use crate::walk::{Resume, Walk};

/// The longest page of S3.
const LONGEST_PAGE: i32 = 1000;
/// What `encoding-type=url` leaves as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');

/// What a page holds.
#[derive(Default)]
struct Page {
    objects: Vec<ObjectRecord>,
    common: Vec<String>,
    next: Option<Resume>,
}

pub(super) async fn list_objects_v2(
    store: &DiskStore,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let input = request.input;
    store.inner.require_bucket(&input.bucket)?;
    let max_keys = input.max_keys.unwrap_or(LONGEST_PAGE);
    let limit = usize::try_from(max_keys.min(LONGEST_PAGE))
        .map_err(|_| s3_error!(InvalidArgument, "max-keys must not be negative."))?;
    let resume = match (&input.continuation_token, &input.start_after) {
        (Some(token), _) => read_token(token)?,
        (None, Some(key)) if !key.is_empty() => Resume::After(key.clone().into_bytes()),
        (None, _) => Resume::Start,
    };
    let prefix = input.prefix.clone().unwrap_or_default();
    let delimiter = input.delimiter.clone().filter(|text| !text.is_empty());
    let (store, bucket) = (store.clone(), input.bucket.clone());
    let page = blocking(move || {
        page(
            &store,
            &bucket,
            &prefix,
            delimiter.as_deref(),
            resume,
            limit,
        )
    })
    .await?;

    let url = input
        .encoding_type
        .as_ref()
        .is_some_and(|encoding| encoding.as_str() == EncodingType::URL);
    let text = |text: String| {
        if url {
            utf8_percent_encode(&text, PLAIN).to_string()
        } else {
            text
        }
    };
    let count = page.objects.len() + page.common.len();
    let contents = page.objects.into_iter().map(|record| Object {
        e_tag: Some(record.e_tag()),
        checksum_algorithm: Some(
            record
                .checksums
                .keys()
                .map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name()))
                .collect(),
        ),
        checksum_type: Some(record.coverage.dto()),
        last_modified: Some(timestamp(record.modified_us)),
        size: i64::try_from(record.size_bytes).ok(),
        storage_class: Some(ObjectStorageClass::from_static(
            ObjectStorageClass::STANDARD,
        )),
        key: Some(text(record.key)),
        ..Object::default()
    });
    let common = page.common.into_iter().map(|prefix| CommonPrefix {
        prefix: Some(text(prefix)),
    });
    Ok(S3Response::new(ListObjectsV2Output {
        contents: Some(contents.collect()),
        common_prefixes: Some(common.collect()),
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.as_ref().map(write_token),
        key_count: i32::try_from(count).ok(),
        max_keys: Some(max_keys.min(LONGEST_PAGE)),
        name: Some(input.bucket),
        prefix: Some(text(input.prefix.unwrap_or_default())),
        delimiter: input.delimiter.map(text),
        start_after: input.start_after.map(text),
        continuation_token: input.continuation_token,
        encoding_type: input.encoding_type,
        ..ListObjectsV2Output::default()
    }))
}

fn page(
    store: &DiskStore,
    bucket: &str,
    prefix: &str,
    delimiter: Option<&str>,
    resume: Resume,
    limit: usize,
) -> S3Result<Page> {
    let mut page = Page::default();
    if limit == 0 {
        return Ok(page);
    }
    let objects = store.inner.objects_dir(bucket);
    let mut walk = Walk::start(&objects, prefix, resume).map_err(io_fault)?;
    let mut last = None;
    while let Some((key, path)) = walk.next().map_err(io_fault)? {
        if page.objects.len() + page.common.len() == limit {
            page.next = last;
            break;
        }
        let Ok(key) = String::from_utf8(key) else {
            continue;
        };
        let rest = key.get(prefix.len()..).unwrap_or_default();
        let cut = delimiter.and_then(|text| Some(rest.find(text)? + text.len()));
        if let Some(cut) = cut {
            let common = &key[..prefix.len() + cut];
            walk.skip_past(common.as_bytes());
            last = Some(Resume::Past(common.as_bytes().to_vec()));
            page.common.push(common.to_owned());
        } else if let Some(object) = sealed::open::<ObjectRecord>(&path)? {
            last = Some(Resume::After(key.into_bytes()));
            page.objects.push(object.record);
        }
    }
    Ok(page)
}

fn write_token(resume: &Resume) -> String {
    let (kind, bytes) = match resume {
        Resume::Start => (b's', [].as_slice()),
        Resume::After(key) => (b'k', key.as_slice()),
        Resume::Past(prefix) => (b'p', prefix.as_slice()),
    };
    BASE64.encode([&[kind], bytes].concat())
}

fn read_token(token: &str) -> S3Result<Resume> {
    let bytes = BASE64.decode(token).unwrap_or_default();
    match bytes.split_first() {
        Some((b'k', key)) => Ok(Resume::After(key.to_vec())),
        Some((b'p', prefix)) => Ok(Resume::Past(prefix.to_vec())),
        _ => Err(s3_error!(
            InvalidArgument,
            "The continuation token provided is incorrect."
        )),
    }
}
