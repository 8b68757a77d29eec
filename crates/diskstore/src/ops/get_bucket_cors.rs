//! GetBucketCors: the rules that a bucket has of its own.

use s3s::dto::{GetBucketCorsInput, GetBucketCorsOutput};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::cors;
use crate::store::DiskStore;

pub(super) async fn get_bucket_cors(
    store: &DiskStore,
    request: S3Request<GetBucketCorsInput>,
) -> S3Result<S3Response<GetBucketCorsOutput>> {
    let record = store.inner.require_bucket(&request.input.bucket)?;
    let Some(rules) = &record.cors else {
        return Err(s3_error!(
            NoSuchCORSConfiguration,
            "The CORS configuration does not exist"
        ));
    };
    Ok(S3Response::new(GetBucketCorsOutput {
        cors_rules: Some(cors::to_dto(rules)),
    }))
}
