//! GetObjectAcl.

use s3s::dto::{GetObjectAclInput, GetObjectAclOutput};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::acl::{grants, owner};
use crate::fault::blocking;
use crate::store::DiskStore;
use crate::unsupported::refuse_version;

pub(super) async fn get_object_acl(
    store: &DiskStore,
    request: S3Request<GetObjectAclInput>,
) -> S3Result<S3Response<GetObjectAclOutput>> {
    let input = request.input;
    refuse_version(input.version_id.as_deref())?;
    store.inner.require_bucket(&input.bucket)?;
    let store = store.clone();
    blocking(move || {
        let _guard = store.inner.locks.read(&input.bucket, &input.key);
        match store.inner.object(&input.bucket, &input.key)? {
            Some(_) => Ok(()),
            None => Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
        }
    })
    .await?;
    Ok(S3Response::new(GetObjectAclOutput {
        grants: Some(grants()),
        owner: Some(owner()),
        request_charged: None,
    }))
}
