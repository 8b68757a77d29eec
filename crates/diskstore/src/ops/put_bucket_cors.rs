//! PutBucketCors.

use s3s::dto::{PutBucketCorsInput, PutBucketCorsOutput};
use s3s::{S3Request, S3Response, S3Result};

use crate::cors;
use crate::fault::blocking;
use crate::store::DiskStore;

pub(super) async fn put_bucket_cors(
    store: &DiskStore,
    request: S3Request<PutBucketCorsInput>,
) -> S3Result<S3Response<PutBucketCorsOutput>> {
    let input = request.input;
    store.inner.require_bucket(&input.bucket)?;
    let rules = cors::validate(input.cors_configuration)?;
    let (store, bucket) = (store.clone(), input.bucket);
    blocking(move || store.change_bucket(&bucket, |record| record.cors = Some(rules))).await?;
    Ok(S3Response::new(PutBucketCorsOutput::default()))
}
