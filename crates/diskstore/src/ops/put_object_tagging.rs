//! PutObjectTagging. All tags are replaced.

use s3s::dto::{PutObjectTaggingInput, PutObjectTaggingOutput};
use s3s::{S3Request, S3Response, S3Result};

use crate::document;
use crate::fault::blocking;
use crate::rewrite::rewrite;
use crate::store::DiskStore;
use crate::tags::Tags;
use crate::unsupported::refuse_version;

pub(super) async fn put_object_tagging(
    store: &DiskStore,
    request: S3Request<PutObjectTaggingInput>,
) -> S3Result<S3Response<PutObjectTaggingOutput>> {
    document::verify_required(&request)?;
    let input = request.input;
    refuse_version(input.version_id.as_deref())?;
    store.inner.require_bucket(&input.bucket)?;
    let tags = Tags::of_set(input.tagging.tag_set)?;
    retag(store, input.bucket, input.key, tags).await?;
    Ok(S3Response::new(PutObjectTaggingOutput::default()))
}

/// Gives an object these tags and no others.
pub(super) async fn retag(
    store: &DiskStore,
    bucket: String,
    key: String,
    tags: Tags,
) -> S3Result<()> {
    let store = store.clone();
    blocking(move || {
        rewrite(&store, &bucket, &key, None, |record| {
            record.tags = tags;
            Ok(())
        })
    })
    .await?;
    Ok(())
}
