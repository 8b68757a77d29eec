//! The S3 operations, one a file. What is not here answers `NotImplemented`.

mod abort_multipart_upload;
mod complete_multipart_upload;
mod create_bucket;
mod create_multipart_upload;
mod delete_object;
mod get_object;
mod head_bucket;
mod head_object;
mod list_buckets;
mod list_objects_v2;
mod list_parts;
mod put_object;
mod upload_part;

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};

use crate::store::DiskStore;
use crate::unsupported::not_implemented;

macro_rules! operations {
    ($($name:ident: $input:ty => $output:ty,)*) => {
        #[async_trait::async_trait]
        impl S3 for DiskStore {
            $(async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                $name::$name(self, request).await
            })*

            // By default s3s would make this a PutObject.
            async fn post_object(
                &self,
                _: S3Request<PostObjectInput>,
            ) -> S3Result<S3Response<PostObjectOutput>> {
                Err(not_implemented("POST policies"))
            }
        }
    };
}

operations! {
    abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput,
    complete_multipart_upload: CompleteMultipartUploadInput => CompleteMultipartUploadOutput,
    create_bucket: CreateBucketInput => CreateBucketOutput,
    create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput,
    delete_object: DeleteObjectInput => DeleteObjectOutput,
    get_object: GetObjectInput => GetObjectOutput,
    head_bucket: HeadBucketInput => HeadBucketOutput,
    head_object: HeadObjectInput => HeadObjectOutput,
    list_buckets: ListBucketsInput => ListBucketsOutput,
    list_objects_v2: ListObjectsV2Input => ListObjectsV2Output,
    list_parts: ListPartsInput => ListPartsOutput,
    put_object: PutObjectInput => PutObjectOutput,
    upload_part: UploadPartInput => UploadPartOutput,
}
