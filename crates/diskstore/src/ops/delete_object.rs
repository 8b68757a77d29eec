//! DeleteObject.

use s3s::dto::{DeleteObjectInput, DeleteObjectOutput};
use s3s::{S3Request, S3Response, S3Result};

use crate::conditions::WriteConditions;
use crate::disposal::Doomed;
use crate::fault::{blocking, io_fault};
use crate::store::DiskStore;
use crate::unsupported::{not_implemented, refuse_version};

pub(super) async fn delete_object(
    store: &DiskStore,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let input = request.input;
    refuse_version(input.version_id.as_deref())?;
    if input.if_match_last_modified_time.is_some() || input.if_match_size.is_some() {
        return Err(not_implemented("this condition"));
    }
    store.inner.require_bucket(&input.bucket)?;
    let conditions = WriteConditions {
        if_match: input.if_match,
        if_none_match: None,
    };
    let (store, bucket, key) = (store.clone(), input.bucket, input.key);
    blocking(move || {
        let doomed = {
            let _guard = store.inner.locks.write(&bucket, &key);
            let current = store
                .inner
                .object(&bucket, &key)?
                .map(|sealed| sealed.record);
            conditions.check(current.as_ref())?;
            let doomed = Doomed::announce(&store, &bucket, current.as_ref()).map_err(io_fault)?;
            let path = store.inner.object_path(&bucket, &key);
            let floor = store.inner.objects_dir(&bucket);
            store.inner.tree.remove(&path, &floor).map_err(io_fault)?;
            if let Some(doomed) = &doomed {
                doomed.close().map_err(io_fault)?;
            }
            doomed
        };
        if let Some(doomed) = doomed {
            doomed.carry_out(&store);
        }
        Ok(())
    })
    .await?;
    Ok(S3Response::new(DeleteObjectOutput::default()))
}
