//! GetObjectAcl. The owner has full control, which cannot be changed.

use s3s::dto::{GetObjectAclInput, GetObjectAclOutput};
use s3s::{S3Request, S3Response, S3Result};

use super::head_object::read_record;
use crate::acl::{grants, owner};
use crate::store::DiskStore;
use crate::unsupported::refuse_version;

pub(super) async fn get_object_acl(
    store: &DiskStore,
    request: S3Request<GetObjectAclInput>,
) -> S3Result<S3Response<GetObjectAclOutput>> {
    let input = request.input;
    refuse_version(input.version_id.as_deref())?;
    read_record(store, input.bucket, input.key).await?;
    Ok(S3Response::new(GetObjectAclOutput {
        grants: Some(grants()),
        owner: Some(owner()),
        ..GetObjectAclOutput::default()
    }))
}
