//! UploadPartCopy.

use std::ops::Range;

use s3s::dto::{CopyPartResult, ETag, UploadPartCopyInput, UploadPartCopyOutput};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::upload_part::Target;
use crate::checksum::put_checksums;
use crate::clock::{now_us, timestamp};
use crate::conditions::ReadConditions;
use crate::copy::{Location, Source};
use crate::etag;
use crate::fault::{blocking, io_fault};
use crate::record::PartRecord;
use crate::store::DiskStore;
use crate::upload::part_number;

pub(super) async fn upload_part_copy(
    store: &DiskStore,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let input = request.input;
    store.inner.require_bucket(&input.bucket)?;
    let number = part_number(input.part_number)?;
    let from = Location::of_source(&input.copy_source)?;
    let range = match &input.copy_source_range {
        Some(text) => Some(parse_range(text)?),
        None => None,
    };
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match,
        if_none_match: input.copy_source_if_none_match,
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    let target = Target {
        store: store.clone(),
        bucket: input.bucket,
        key: input.key,
        upload_id: input.upload_id,
    };
    let (target, upload, source) = blocking(move || {
        let upload = target.open()?;
        let source = Source::open(&target.store, &from, &conditions, |size| {
            select(range, size)
        })?;
        Ok((target, upload, source))
    })
    .await?;
    let (size_bytes, is_whole) = (source.range.end - source.range.start, source.is_whole());
    let etag = source.record.etag.clone();
    let mut copied = source.copy(store, &[upload.algorithm]).await?;
    let record = blocking(move || {
        let ids = &target.store.inner.ids;
        let record = PartRecord {
            number,
            size_bytes,
            etag: if is_whole {
                etag
            } else {
                etag::of_body(ids, None, &copied.checksums)
            },
            modified_us: now_us(),
            checksums: copied.checksums,
        };
        copied.temp.seal(&record).map_err(io_fault)?;
        target.publish(copied.temp, number)?;
        Ok(record)
    })
    .await?;
    let mut result = CopyPartResult {
        e_tag: Some(ETag::Strong(record.etag)),
        last_modified: Some(timestamp(record.modified_us)),
        ..CopyPartResult::default()
    };
    put_checksums!(result, record.checksums);
    Ok(S3Response::new(UploadPartCopyOutput {
        copy_part_result: Some(result),
        ..UploadPartCopyOutput::default()
    }))
}

/// Reads `bytes=first-last`, both of which must be there.
fn parse_range(text: &str) -> S3Result<(u64, u64)> {
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u64>().ok().filter(|_| plain)
    };
    text.strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
        .and_then(|(first, last)| Some((number(first)?, number(last)?)))
        .filter(|(first, last)| first <= last)
        .ok_or_else(|| {
            s3_error!(
                InvalidArgument,
                "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy"
            )
        })
}

/// The bytes that a range names of so many; all if there is none.
fn select(range: Option<(u64, u64)>, size_bytes: u64) -> S3Result<Range<u64>> {
    match range {
        None => Ok(0..size_bytes),
        Some((first, last)) if last < size_bytes => Ok(first..last + 1),
        Some(_) => Err(s3_error!(
            InvalidRange,
            "Range specified is not valid for source object of size: {size_bytes}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_one_form() {
        assert_eq!(parse_range("bytes=0-0").ok(), Some((0, 0)));
        assert_eq!(parse_range("bytes=5-10").ok(), Some((5, 10)));
        for wrong in [
            "0-2",
            "bytes=0",
            "bytes=hello-world",
            "bytes=0-bar",
            "bytes=hello-",
            "bytes=0-2,3-5",
            "bytes=-5",
            "bytes=5-",
            "bytes=5-4",
            "bytes=+1-2",
            "bytes=99999999999999999999-999999999999999999999",
        ] {
            assert!(parse_range(wrong).is_err(), "{wrong}");
        }
        assert_eq!(select(None, 7).ok(), Some(0..7));
        assert_eq!(select(Some((2, 6)), 7).ok(), Some(2..7));
        assert!(select(Some((2, 7)), 7).is_err());
        assert!(select(Some((0, 0)), 0).is_err());
        assert!(select(Some((0, u64::MAX)), 7).is_err());
    }
}
