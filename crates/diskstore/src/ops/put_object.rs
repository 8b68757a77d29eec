//! PutObject.

use s3s::dto::{PutObjectInput, PutObjectOutput};
use s3s::{S3Request, S3Response, S3Result};

use crate::checksum::{Algorithm, Coverage, put_checksums};
use crate::clock::now_us;
use crate::conditions::WriteConditions;
use crate::etag;
use crate::events::Cause;
use crate::expectation::Expectation;
use crate::fault::io_fault;
use crate::publish::publish;
use crate::receive::{Length, receive};
use crate::record::{ObjectRecord, attributes_of};
use crate::store::DiskStore;
use crate::tags::Tags;

pub(super) async fn put_object(
    store: &DiskStore,
    request: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    let length = Length::Declared(request.input.content_length);
    put(store, request, length, Cause::Put).await
}

/// Stores an object that comes in one piece, by whatever operation.
pub(crate) async fn put(
    store: &DiskStore,
    request: S3Request<PutObjectInput>,
    length: Length,
    cause: Cause,
) -> S3Result<S3Response<PutObjectOutput>> {
    let mut expectation = Expectation::of_headers(&request.headers)?;
    // A form is as good as a presigned URL.
    let md5 = match cause {
        Cause::Put => etag::trusted_md5(&expectation, &request.uri),
        _ => None,
    };
    if expectation.algorithms().is_empty() {
        expectation.also(Algorithm::Crc64nvme);
    }
    let mut input = request.input;
    store.inner.require_bucket(&input.bucket)?;
    let attributes = attributes_of!(input)?;
    let tags = Tags::of_header(input.tagging.as_deref())?;
    let conditions = WriteConditions::of_write(input.if_match, input.if_none_match)?;
    let received = receive(
        store,
        input.body,
        length,
        request.trailing_headers,
        expectation,
    )
    .await?;
    let (store, bucket, key) = (store.clone(), input.bucket, input.key);
    let settled = received.settle(move |received| {
        let mut stored = received.finish()?;
        let record = ObjectRecord {
            key,
            size_bytes: stored.size_bytes,
            etag: etag::of_body(&store.inner.ids, md5, &stored.checksums),
            modified_us: now_us(),
            attributes,
            tags,
            checksums: stored.checksums,
            coverage: Coverage::FullObject,
            manifest: None,
        };
        stored.temp.seal(&record).map_err(io_fault)?;
        publish(&store, &bucket, &record, stored.temp, &conditions, cause)?;
        Ok(record)
    });
    let record = settled.await?;
    let mut output = PutObjectOutput {
        e_tag: Some(record.e_tag()),
        checksum_type: Some(record.coverage.dto()),
        ..PutObjectOutput::default()
    };
    put_checksums!(output, record.checksums);
    Ok(S3Response::new(output))
}
