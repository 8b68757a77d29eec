//! Pages of keys, for both versions of ListObjects.

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    ChecksumAlgorithm, CommonPrefix, CommonPrefixList, ETag, EncodingType, Object, ObjectList,
    ObjectStorageClass, Owner,
};
use s3s::{S3Result, s3_error};
use tokio::sync::OwnedSemaphorePermit;

use crate::clock::timestamp;
use crate::fault::io_fault;
use crate::record::Summary;
use crate::store::DiskStore;
use crate::walk::{Resume, Step, Walk};

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
pub(crate) struct Page {
    pub objects: Vec<(String, Arc<Summary>)>,
    /// Common prefixes.
    pub common: Vec<String>,
    /// Where the next one goes on, if there is more.
    pub next: Option<Resume>,
}

/// The length of a page, from what the client wants by a parameter.
pub(crate) fn page_length(name: &str, wanted: Option<i32>) -> S3Result<i32> {
    match wanted.unwrap_or(LONGEST_PAGE).min(LONGEST_PAGE) {
        ..0 => Err(s3_error!(InvalidArgument, "{name} must not be negative.")),
        length => Ok(length),
    }
}

/// Where a page goes on after a key or common prefix that was the last one of a
/// page before. A common prefix comes before all keys that it stands for, so
/// after any of these it has been.
pub(crate) fn after(marker: &str, prefix: &str, delimiter: Option<&str>) -> Resume {
    match common_prefix(marker, prefix, delimiter) {
        Some(common) => Resume::Past(common.as_bytes().to_vec()),
        None => Resume::After(marker.as_bytes().to_vec()),
    }
}

/// The part of a key up to the first delimiter behind the prefix.
pub(crate) fn common_prefix<'a>(
    key: &'a str,
    prefix: &str,
    delimiter: Option<&str>,
) -> Option<&'a str> {
    let (rest, delimiter) = (key.strip_prefix(prefix)?, delimiter?);
    let cut = prefix.len() + rest.find(delimiter)? + delimiter.len();
    key.get(..cut)
}

/// Waits for the turn of a listing, which is over when this is dropped.
pub(crate) async fn turn(store: &DiskStore) -> S3Result<OwnedSemaphorePermit> {
    let room = Arc::clone(&store.inner.listing_room);
    room.acquire_owned()
        .await
        .map_err(|_| s3_error!(SlowDown, "The store has too much to do."))
}

/// Reads a page. Blocks.
pub(crate) fn page(
    store: &DiskStore,
    bucket: &str,
    prefix: &str,
    delimiter: Option<&str>,
    resume: Resume,
    length: i32,
) -> S3Result<Page> {
    let mut page = Page::default();
    let length = usize::try_from(length).unwrap_or_default();
    if length == 0 {
        return Ok(page);
    }
    let objects = store.inner.objects_dir(bucket);
    let listings = store.inner.tree.listings();
    let mut walk = Walk::start(listings, &objects, prefix, resume).map_err(io_fault)?;
    let mut last = None;
    while let Some(step) = walk.next_or_common(listings, delimiter).map_err(io_fault)? {
        if page.objects.len() + page.common.len() == length {
            page.next = last;
            break;
        }
        let found = match step {
            Step::Key(found) => found,
            Step::Common(common) => {
                last = Some(Resume::Past(common.as_bytes().to_vec()));
                page.common.push(common);
                continue;
            }
        };
        let Ok(key) = str::from_utf8(&found.key) else {
            continue;
        };
        if let Some(common) = common_prefix(key, prefix, delimiter) {
            walk.skip_past(common.as_bytes());
            last = Some(Resume::Past(common.as_bytes().to_vec()));
            page.common.push(common.to_owned());
        } else if let Some(summary) = found.summary()? {
            let key = key.to_owned();
            last = Some(Resume::After(found.key));
            page.objects.push((key, summary));
        }
    }
    Ok(page)
}

/// How names are written in an answer.
#[derive(Clone, Copy)]
pub(crate) struct Encoding {
    url: bool,
}

impl Encoding {
    pub(crate) fn of(wanted: Option<&EncodingType>) -> S3Result<Self> {
        match wanted.map(EncodingType::as_str) {
            None => Ok(Self { url: false }),
            Some(EncodingType::URL) => Ok(Self { url: true }),
            Some(_) => Err(s3_error!(
                InvalidArgument,
                "Invalid Encoding Method specified in Request"
            )),
        }
    }

    pub(crate) fn write(self, text: String) -> String {
        if self.url {
            utf8_percent_encode(&text, PLAIN).to_string()
        } else {
            text
        }
    }

    /// Objects as both versions list them.
    pub(crate) fn objects(
        self,
        objects: Vec<(String, Arc<Summary>)>,
        owner: Option<&Owner>,
    ) -> ObjectList {
        let object = |(key, summary): (String, Arc<Summary>)| Object {
            e_tag: Some(ETag::Strong(summary.etag.clone())),
            checksum_algorithm: Some(
                summary
                    .algorithms()
                    .map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name()))
                    .collect(),
            ),
            checksum_type: Some(summary.coverage.dto()),
            last_modified: Some(timestamp(summary.modified_us)),
            owner: owner.cloned(),
            size: i64::try_from(summary.size_bytes).ok(),
            storage_class: Some(ObjectStorageClass::from_static(
                ObjectStorageClass::STANDARD,
            )),
            key: Some(self.write(key)),
            ..Object::default()
        };
        objects.into_iter().map(object).collect()
    }

    pub(crate) fn common_prefixes(self, common: Vec<String>) -> CommonPrefixList {
        common
            .into_iter()
            .map(|prefix| CommonPrefix {
                prefix: Some(self.write(prefix)),
            })
            .collect()
    }
}
