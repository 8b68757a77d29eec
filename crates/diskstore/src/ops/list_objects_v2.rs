//! ListObjectsV2.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use s3s::dto::{ListObjectsV2Input, ListObjectsV2Output};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::acl::owner;
use crate::fault::blocking;
use crate::listing::{Encoding, page, page_length, turn};
use crate::store::DiskStore;
use crate::walk::Resume;

pub(super) async fn list_objects_v2(
    store: &DiskStore,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let input = request.input;
    store.inner.require_bucket(&input.bucket)?;
    let max_keys = page_length("max-keys", input.max_keys)?;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let resume = match (&input.continuation_token, &input.start_after) {
        (Some(token), _) => read_token(token)?,
        (None, Some(key)) if !key.is_empty() => Resume::After(key.clone().into_bytes()),
        (None, _) => Resume::Start,
    };
    let prefix = input.prefix.clone().unwrap_or_default();
    let delimiter = input.delimiter.clone().filter(|text| !text.is_empty());
    let (store, bucket) = (store.clone(), input.bucket.clone());
    let turn = turn(&store).await?;
    let page = blocking(move || {
        let _turn = turn;
        let delimiter = delimiter.as_deref();
        page(&store, &bucket, &prefix, delimiter, resume, max_keys)
    })
    .await?;
    let count = page.objects.len() + page.common.len();
    let owner = (input.fetch_owner == Some(true)).then(owner);
    Ok(S3Response::new(ListObjectsV2Output {
        contents: Some(encoding.objects(page.objects, owner.as_ref())),
        common_prefixes: Some(encoding.common_prefixes(page.common)),
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.as_ref().map(write_token),
        key_count: i32::try_from(count).ok(),
        max_keys: Some(max_keys),
        name: Some(input.bucket),
        prefix: Some(encoding.write(input.prefix.unwrap_or_default())),
        delimiter: input.delimiter.map(|text| encoding.write(text)),
        start_after: input.start_after.map(|text| encoding.write(text)),
        continuation_token: input.continuation_token,
        encoding_type: input.encoding_type,
        ..ListObjectsV2Output::default()
    }))
}

fn write_token(resume: &Resume) -> String {
    let (kind, bytes) = match resume {
        Resume::Start => (b's', [].as_slice()),
        Resume::From(key) => (b'f', key.as_slice()),
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
