//! ListBuckets. All of them come in one page.

use s3s::dto::{Bucket, ListBucketsInput, ListBucketsOutput};
use s3s::{S3Request, S3Response, S3Result};

use crate::clock::timestamp;
use crate::fault::blocking;
use crate::record::BucketRecord;
use crate::sealed;
use crate::store::DiskStore;

pub(super) async fn list_buckets(
    store: &DiskStore,
    request: S3Request<ListBucketsInput>,
) -> S3Result<S3Response<ListBucketsOutput>> {
    let prefix = request.input.prefix.unwrap_or_default();
    let wanted = prefix.clone();
    let store = store.clone();
    let buckets = blocking(move || {
        let mut buckets = Vec::new();
        for name in store.inner.buckets() {
            if !name.starts_with(&wanted) {
                continue;
            }
            let record =
                sealed::open::<BucketRecord>(&store.inner.bucket_dir(&name).join("bucket"))?;
            buckets.push(Bucket {
                bucket_region: Some(store.inner.settings.region.clone()),
                creation_date: record.map(|sealed| timestamp(sealed.record.created_us)),
                name: Some(name),
            });
        }
        Ok(buckets)
    })
    .await?;
    Ok(S3Response::new(ListBucketsOutput {
        buckets: Some(buckets),
        prefix: (!prefix.is_empty()).then_some(prefix),
        ..ListBucketsOutput::default()
    }))
}
