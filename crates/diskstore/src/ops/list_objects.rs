//! ListObjects, the first version.

use s3s::dto::{ListObjectsInput, ListObjectsOutput};
use s3s::{S3Request, S3Response, S3Result};

use crate::acl::owner;
use crate::fault::blocking;
use crate::listing::{Encoding, after, page, page_length, turn};
use crate::store::DiskStore;
use crate::walk::Resume;

pub(super) async fn list_objects(
    store: &DiskStore,
    request: S3Request<ListObjectsInput>,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let input = request.input;
    store.inner.require_bucket(&input.bucket)?;
    let max_keys = page_length("max-keys", input.max_keys)?;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let delimiter = input.delimiter.clone().filter(|text| !text.is_empty());
    let resume = match input.marker.as_deref() {
        None | Some("") => Resume::Start,
        Some(marker) => after(marker, &prefix, delimiter.as_deref()),
    };
    let (store, bucket) = (store.clone(), input.bucket.clone());
    let by_delimiter = delimiter.is_some();
    let turn = turn(&store).await?;
    let page = blocking(move || {
        let _turn = turn;
        let delimiter = delimiter.as_deref();
        page(&store, &bucket, &prefix, delimiter, resume, max_keys)
    })
    .await?;
    // Without a delimiter a client goes on from the last key.
    let next_marker = match &page.next {
        Some(Resume::After(last) | Resume::Past(last)) if by_delimiter => {
            String::from_utf8(last.clone()).ok()
        }
        _ => None,
    };
    Ok(S3Response::new(ListObjectsOutput {
        contents: Some(encoding.objects(page.objects, Some(&owner()))),
        common_prefixes: Some(encoding.common_prefixes(page.common)),
        is_truncated: Some(page.next.is_some()),
        next_marker: next_marker.map(|text| encoding.write(text)),
        max_keys: Some(max_keys),
        name: Some(input.bucket),
        prefix: Some(encoding.write(input.prefix.unwrap_or_default())),
        delimiter: input.delimiter.map(|text| encoding.write(text)),
        marker: Some(encoding.write(input.marker.unwrap_or_default())),
        encoding_type: input.encoding_type,
        ..ListObjectsOutput::default()
    }))
}
