//! CreateBucket.

use s3s::dto::{CreateBucketConfiguration, CreateBucketInput, CreateBucketOutput, ObjectOwnership};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::fault::{blocking, io_fault};
use crate::store::DiskStore;
use crate::unsupported::not_implemented;

/// Amazon S3's first region, which is more patient than the others with those
/// who make a bucket that they have.
const FIRST_REGION: &str = "us-east-1";

pub(super) async fn create_bucket(
    store: &DiskStore,
    request: S3Request<CreateBucketInput>,
) -> S3Result<S3Response<CreateBucketOutput>> {
    let input = request.input;
    if input.object_lock_enabled_for_bucket == Some(true) {
        return Err(not_implemented("object locks"));
    }
    if let Some(ownership) = &input.object_ownership
        && ownership.as_str() != ObjectOwnership::BUCKET_OWNER_ENFORCED
    {
        return Err(not_implemented("ACLs"));
    }
    let region = store.inner.settings.region.clone();
    check_place(input.create_bucket_configuration.as_ref(), &region)?;
    let (store, bucket) = (store.clone(), input.bucket);
    let location = format!("/{bucket}");
    let made = blocking(move || store.make_bucket(&bucket).map_err(io_fault)).await?;
    if !made && region != FIRST_REGION {
        return Err(s3_error!(
            BucketAlreadyOwnedByYou,
            "Your previous request to create the named bucket succeeded and you already own it."
        ));
    }
    Ok(S3Response::new(CreateBucketOutput {
        location: Some(location),
    }))
}

/// Refuses a bucket that is to be elsewhere.
fn check_place(place: Option<&CreateBucketConfiguration>, region: &str) -> S3Result<()> {
    let Some(place) = place else {
        return Ok(());
    };
    if place.bucket.is_some() || place.location.is_some() {
        return Err(not_implemented("directory buckets"));
    }
    match &place.location_constraint {
        Some(wanted) if !wanted.as_str().is_empty() && wanted.as_str() != region => Err(s3_error!(
            IllegalLocationConstraintException,
            "The {} location constraint is incompatible with this store, whose region is {region}.",
            wanted.as_str()
        )),
        _ => Ok(()),
    }
}
