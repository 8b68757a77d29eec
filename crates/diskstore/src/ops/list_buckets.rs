//! ListBuckets: those that the caller's key sees.

use s3s::dto::{Bucket, ListBucketsInput, ListBucketsOutput};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::acl::owner;
use crate::clock::timestamp;
use crate::keys::denied;
use crate::store::DiskStore;

/// The longest page of S3.
const LONGEST_PAGE: i32 = 10_000;

pub(super) async fn list_buckets(
    store: &DiskStore,
    request: S3Request<ListBucketsInput>,
) -> S3Result<S3Response<ListBucketsOutput>> {
    let inner = &store.inner;
    let caller = request.credentials.ok_or_else(denied)?.access_key;
    let policy = inner.keys.policy(&caller)?;
    let input = request.input;
    let limit = usize::try_from(input.max_buckets.unwrap_or(LONGEST_PAGE))
        .ok()
        .filter(|limit| (1..=LONGEST_PAGE as usize).contains(limit))
        .ok_or_else(|| {
            s3_error!(
                InvalidArgument,
                "max-buckets must be between 1 and {LONGEST_PAGE}."
            )
        })?;
    let prefix = input.prefix.unwrap_or_default();
    let here = input
        .bucket_region
        .is_none_or(|region| region == inner.settings.region);
    // The token is the last name of the page before.
    let mut names = inner
        .buckets_after(input.continuation_token.as_deref().unwrap_or_default())
        .into_iter()
        .filter(|(name, _)| here && name.starts_with(&prefix) && policy.sees(name))
        .peekable();
    let buckets: Vec<Bucket> = names
        .by_ref()
        .take(limit)
        .map(|(name, record)| Bucket {
            bucket_region: Some(inner.settings.region.clone()),
            creation_date: Some(timestamp(record.created_us)),
            name: Some(name),
        })
        .collect();
    let next = match names.peek() {
        Some(_) => buckets.last().and_then(|bucket| bucket.name.clone()),
        None => None,
    };
    Ok(S3Response::new(ListBucketsOutput {
        buckets: Some(buckets),
        continuation_token: next,
        owner: Some(owner()),
        prefix: (!prefix.is_empty()).then_some(prefix),
    }))
}
