//! GetBucketAcl. The owner has full control, which cannot be changed.

use s3s::dto::{GetBucketAclInput, GetBucketAclOutput};
use s3s::{S3Request, S3Response, S3Result};

use crate::acl::{grants, owner};
use crate::store::DiskStore;

pub(super) async fn get_bucket_acl(
    store: &DiskStore,
    request: S3Request<GetBucketAclInput>,
) -> S3Result<S3Response<GetBucketAclOutput>> {
    store.inner.require_bucket(&request.input.bucket)?;
    Ok(S3Response::new(GetBucketAclOutput {
        grants: Some(grants()),
        owner: Some(owner()),
    }))
}
