//! AbortMultipartUpload.

use s3s::dto::{AbortMultipartUploadInput, AbortMultipartUploadOutput};
use s3s::{S3Request, S3Response, S3Result};

use crate::fault::blocking;
use crate::store::DiskStore;
use crate::upload::abort;

pub(super) async fn abort_multipart_upload(
    store: &DiskStore,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    let input = request.input;
    store.inner.require_bucket(&input.bucket)?;
    let store = store.clone();
    blocking(move || abort(&store, &input.bucket, &input.key, &input.upload_id)).await?;
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}
