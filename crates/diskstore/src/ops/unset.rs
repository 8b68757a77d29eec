//! Configurations that no bucket can have here. Tools read them, so they are
//! answered as Amazon S3 does for a bucket that never had one; setting one is
//! `NotImplemented`.

use http::StatusCode;
use s3s::dto::{
    GetBucketEncryptionInput, GetBucketEncryptionOutput, GetBucketOwnershipControlsInput,
    GetBucketOwnershipControlsOutput, GetBucketPolicyInput, GetBucketPolicyOutput,
    GetBucketReplicationInput, GetBucketReplicationOutput, GetBucketTaggingInput,
    GetBucketTaggingOutput, GetBucketWebsiteInput, GetBucketWebsiteOutput,
    GetObjectLockConfigurationInput, GetObjectLockConfigurationOutput, GetPublicAccessBlockInput,
    GetPublicAccessBlockOutput,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use crate::store::DiskStore;

macro_rules! unset {
    ($($name:ident: $input:ty => $output:ty = $code:literal, $message:literal;)*) => {
        $(pub(super) mod $name {
            use super::*;

            pub(in crate::ops) async fn $name(
                store: &DiskStore,
                request: S3Request<$input>,
            ) -> S3Result<S3Response<$output>> {
                store.inner.require_bucket(&request.input.bucket)?;
                let mut error = S3Error::with_message(S3ErrorCode::Custom($code.into()), $message);
                error.set_status_code(StatusCode::NOT_FOUND);
                Err(error)
            }
        })*
    };
}

unset! {
    get_bucket_encryption: GetBucketEncryptionInput => GetBucketEncryptionOutput =
        "ServerSideEncryptionConfigurationNotFoundError", "The server side encryption configuration was not found";
    get_bucket_ownership_controls: GetBucketOwnershipControlsInput => GetBucketOwnershipControlsOutput =
        "OwnershipControlsNotFoundError", "The bucket ownership controls were not found";
    get_bucket_policy: GetBucketPolicyInput => GetBucketPolicyOutput =
        "NoSuchBucketPolicy", "The bucket policy does not exist";
    get_bucket_replication: GetBucketReplicationInput => GetBucketReplicationOutput =
        "ReplicationConfigurationNotFoundError", "The replication configuration was not found";
    get_bucket_tagging: GetBucketTaggingInput => GetBucketTaggingOutput =
        "NoSuchTagSet", "The TagSet does not exist";
    get_bucket_website: GetBucketWebsiteInput => GetBucketWebsiteOutput =
        "NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration";
    get_object_lock_configuration: GetObjectLockConfigurationInput => GetObjectLockConfigurationOutput =
        "ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket";
    get_public_access_block: GetPublicAccessBlockInput => GetPublicAccessBlockOutput =
        "NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found";
}
