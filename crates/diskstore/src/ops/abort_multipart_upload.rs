//! AbortMultipartUpload.

use std::fs;

use s3s::dto::{AbortMultipartUploadInput, AbortMultipartUploadOutput};
use s3s::{S3Request, S3Response, S3Result};

use crate::fault::{blocking, io_fault};
use crate::store::DiskStore;
use crate::tree::sync_dir;
use crate::unsupported::not_implemented;
use crate::upload::open_upload;

pub(super) async fn abort_multipart_upload(
    store: &DiskStore,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    let input = request.input;
    if input.if_match_initiated_time.is_some() {
        return Err(not_implemented("this condition"));
    }
    store.inner.require_bucket(&input.bucket)?;
    let store = store.clone();
    blocking(move || {
        let aside = store.inner.tmp_path();
        {
            let _guard = store.inner.locks.write(&input.bucket, &input.key);
            open_upload(&store, &input.bucket, &input.key, &input.upload_id)?;
            let dir = store.inner.upload_dir(&input.bucket, &input.upload_id);
            fs::rename(&dir, &aside).map_err(io_fault)?;
            // Its new name must last, too: from there the next start goes on.
            sync_dir(&store.inner.tmp_dir()).map_err(io_fault)?;
            if let Some(shard) = dir.parent() {
                sync_dir(shard).map_err(io_fault)?;
            }
        }
        fs::remove_dir_all(&aside).map_err(io_fault)
    })
    .await?;
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}
