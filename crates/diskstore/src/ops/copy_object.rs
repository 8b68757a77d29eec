//! CopyObject.

use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, MetadataDirective, TaggingDirective,
};
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use crate::checksum::{Algorithm, Coverage, put_checksums};
use crate::clock::{now_us, timestamp};
use crate::conditions::{ReadConditions, WriteConditions};
use crate::copy::{Location, Source};
use crate::events::Cause;
use crate::fault::{blocking, io_fault};
use crate::publish::publish;
use crate::record::{Attributes, ObjectRecord, attributes_of};
use crate::rewrite::rewrite;
use crate::store::DiskStore;
use crate::tags::Tags;
use crate::unsupported::not_implemented;

/// How often a copy over itself begins anew when the object changes under it.
const ATTEMPTS: usize = 5;

/// What a copy takes on that its source does not have.
#[derive(Clone)]
struct Change {
    attributes: Option<Attributes>,
    tags: Option<Tags>,
    algorithm: Option<Algorithm>,
}

pub(super) async fn copy_object(
    store: &DiskStore,
    request: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    if request.headers.contains_key("x-amz-copy-source-range") {
        return Err(not_implemented("ranges in CopyObject"));
    }
    let conditions = WriteConditions::of_headers(&request.headers)?;
    let mut input = request.input;
    store.inner.require_bucket(&input.bucket)?;
    let change = Change::of(&mut input)?;
    let source_conditions = ReadConditions {
        if_match: input.copy_source_if_match,
        if_none_match: input.copy_source_if_none_match,
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    let from = Location::of_source(&input.copy_source)?;
    let target = Location {
        bucket: input.bucket,
        key: input.key,
    };
    let onto_itself = from == target;
    if onto_itself && change.is_nothing() {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."
        ));
    }
    let store = store.clone();
    let record = if !onto_itself {
        let source = open(&store, from, source_conditions).await?;
        copy(store, target, source, change, conditions).await?
    } else if change.algorithm.is_none() {
        change_record(store, target, change, source_conditions, conditions).await?
    } else {
        copy_onto_itself(store, target, change, source_conditions, conditions).await?
    };
    let mut result = CopyObjectResult {
        checksum_type: Some(record.coverage.dto()),
        e_tag: Some(record.e_tag()),
        last_modified: Some(timestamp(record.modified_us)),
        ..CopyObjectResult::default()
    };
    put_checksums!(result, record.checksums);
    Ok(S3Response::new(CopyObjectOutput {
        copy_object_result: Some(result),
        ..CopyObjectOutput::default()
    }))
}

async fn open(store: &DiskStore, from: Location, conditions: ReadConditions) -> S3Result<Source> {
    let store = store.clone();
    blocking(move || Source::open(&store, &from, &conditions, |size| Ok(0..size))).await
}

/// Changes an object where it is; its bytes need not be touched.
async fn change_record(
    store: DiskStore,
    target: Location,
    change: Change,
    source_conditions: ReadConditions,
    conditions: WriteConditions,
) -> S3Result<ObjectRecord> {
    blocking(move || {
        rewrite(
            &store,
            &target.bucket,
            &target.key,
            Some(Cause::Copy),
            |record| {
                source_conditions.check_source(record)?;
                conditions.check(Some(record))?;
                change.apply(record);
                Ok(())
            },
        )
    })
    .await
}

/// Copies an object over itself. What others make of it meanwhile is not undone:
/// then that is copied.
async fn copy_onto_itself(
    store: DiskStore,
    target: Location,
    change: Change,
    source_conditions: ReadConditions,
    mut conditions: WriteConditions,
) -> S3Result<ObjectRecord> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let source = open(&store, target.clone(), source_conditions.clone()).await?;
        conditions.unchanged = Some(Box::new(source.record.clone()));
        let (store, target) = (store.clone(), target.clone());
        match copy(store, target, source, change.clone(), conditions.clone()).await {
            Err(error) if *error.code() == S3ErrorCode::OperationAborted && attempts < ATTEMPTS => {
            }
            copied => return copied,
        }
    }
}

/// Makes an object in one piece of what the source holds. It has the ETag of the
/// source, as it has its bytes.
async fn copy(
    store: DiskStore,
    target: Location,
    source: Source,
    change: Change,
    conditions: WriteConditions,
) -> S3Result<ObjectRecord> {
    let mut record = ObjectRecord {
        key: target.key,
        coverage: Coverage::FullObject,
        manifest: None,
        ..source.record.clone()
    };
    let mut copied = source.copy(&store, change.algorithm.as_slice()).await?;
    blocking(move || {
        record.checksums = copied.checksums;
        change.apply(&mut record);
        copied.temp.seal(&record).map_err(io_fault)?;
        publish(
            &store,
            &target.bucket,
            &record,
            copied.temp,
            &conditions,
            Cause::Copy,
        )?;
        Ok(record)
    })
    .await
}

impl Change {
    fn of(input: &mut CopyObjectInput) -> S3Result<Self> {
        let attributes = match input.metadata_directive.as_ref().map(|d| d.as_str()) {
            None | Some(MetadataDirective::COPY) => None,
            Some(MetadataDirective::REPLACE) => Some(attributes_of!(input)?),
            Some(_) => return Err(s3_error!(InvalidArgument, "Unknown metadata directive.")),
        };
        let tags = match input.tagging_directive.as_ref().map(|d| d.as_str()) {
            None | Some(TaggingDirective::COPY) => None,
            Some(TaggingDirective::REPLACE) => Some(Tags::of_header(input.tagging.as_deref())?),
            Some(_) => return Err(s3_error!(InvalidArgument, "Unknown tagging directive.")),
        };
        let algorithm = match &input.checksum_algorithm {
            Some(name) => Some(Algorithm::parse(name.as_str())?),
            None => None,
        };
        Ok(Self {
            attributes,
            tags,
            algorithm,
        })
    }

    fn is_nothing(&self) -> bool {
        self.attributes.is_none() && self.tags.is_none() && self.algorithm.is_none()
    }

    fn apply(self, record: &mut ObjectRecord) {
        record.modified_us = now_us();
        if let Some(attributes) = self.attributes {
            record.attributes = attributes;
        }
        if let Some(tags) = self.tags {
            record.tags = tags;
        }
    }
}
