//! DeleteObject.

use s3s::dto::{DeleteObjectInput, DeleteObjectOutput};
use s3s::{S3Request, S3Response, S3Result};

use crate::conditions::WriteConditions;
use crate::events::Cause;
use crate::fault::blocking;
use crate::remove::remove;
use crate::store::DiskStore;
use crate::unsupported::refuse_version;

pub(super) async fn delete_object(
    store: &DiskStore,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let input = request.input;
    refuse_version(input.version_id.as_deref())?;
    store.inner.require_bucket(&input.bucket)?;
    let conditions = WriteConditions {
        if_match: input.if_match,
        ..WriteConditions::default()
    };
    let (store, bucket, key) = (store.clone(), input.bucket, input.key);
    blocking(move || {
        remove(&store, &bucket, &key, Cause::Delete, |current| {
            conditions.check(current).map(|()| true)
        })
    })
    .await?;
    Ok(S3Response::new(DeleteObjectOutput::default()))
}
