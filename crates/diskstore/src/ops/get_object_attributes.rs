//! GetObjectAttributes.

use s3s::dto::{
    Checksum, GetObjectAttributesInput, GetObjectAttributesOutput, GetObjectAttributesParts,
    ObjectAttributes, ObjectPart, StorageClass,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::head_object::read_record;
use crate::checksum::put_checksums;
use crate::clock::timestamp;
use crate::listing::page_length;
use crate::record::PartRecord;
use crate::store::DiskStore;
use crate::unsupported::refuse_version;

const KNOWN: [&str; 5] = [
    ObjectAttributes::CHECKSUM,
    ObjectAttributes::ETAG,
    ObjectAttributes::OBJECT_PARTS,
    ObjectAttributes::OBJECT_SIZE,
    ObjectAttributes::STORAGE_CLASS,
];

pub(super) async fn get_object_attributes(
    store: &DiskStore,
    request: S3Request<GetObjectAttributesInput>,
) -> S3Result<S3Response<GetObjectAttributesOutput>> {
    let input = request.input;
    refuse_version(input.version_id.as_deref())?;
    // They may stand in one header or in several.
    let wanted: Vec<&str> = input
        .object_attributes
        .iter()
        .flat_map(|names| names.as_str().split(','))
        .map(str::trim)
        .collect();
    if !wanted.iter().all(|name| KNOWN.contains(name)) {
        return Err(s3_error!(
            InvalidArgument,
            "Invalid attribute name specified."
        ));
    }
    let max_parts = page_length("x-amz-max-parts", input.max_parts)?;
    let marker = input.part_number_marker.unwrap_or(0);
    let record = read_record(store, input.bucket, input.key).await?;
    let mut output = GetObjectAttributesOutput {
        last_modified: Some(timestamp(record.modified_us)),
        ..GetObjectAttributesOutput::default()
    };
    for name in wanted {
        match name {
            ObjectAttributes::CHECKSUM => {
                let mut checksum = Checksum {
                    checksum_type: Some(record.coverage.dto()),
                    ..Checksum::default()
                };
                put_checksums!(checksum, record.checksums);
                output.checksum = Some(checksum);
            }
            ObjectAttributes::ETAG => output.e_tag = Some(record.e_tag()),
            ObjectAttributes::OBJECT_SIZE => {
                output.object_size = i64::try_from(record.size_bytes).ok();
            }
            ObjectAttributes::STORAGE_CLASS => {
                output.storage_class = Some(StorageClass::from_static(StorageClass::STANDARD));
            }
            _ => {
                output.object_parts = record
                    .uploaded_parts()
                    .map(|parts| page(parts, marker, max_parts));
            }
        }
    }
    Ok(S3Response::new(output))
}

/// So many parts after a number.
fn page(parts: &[PartRecord], marker: i32, max_parts: i32) -> GetObjectAttributesParts {
    let length = usize::try_from(max_parts).unwrap_or_default();
    let after = || parts.iter().filter(|part| i32::from(part.number) > marker);
    let listed: Vec<ObjectPart> = after().take(length).map(describe).collect();
    GetObjectAttributesParts {
        is_truncated: Some(after().count() > listed.len()),
        max_parts: Some(max_parts),
        next_part_number_marker: listed.last().map_or(Some(marker), |part| part.part_number),
        part_number_marker: Some(marker),
        parts: Some(listed),
        total_parts_count: i32::try_from(parts.len()).ok(),
    }
}

fn describe(record: &PartRecord) -> ObjectPart {
    let mut part = ObjectPart {
        part_number: Some(i32::from(record.number)),
        size: i64::try_from(record.size_bytes).ok(),
        ..ObjectPart::default()
    };
    put_checksums!(part, record.checksums);
    part
}
