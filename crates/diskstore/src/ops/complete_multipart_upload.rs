//! CompleteMultipartUpload.

use std::collections::BTreeSet;
use std::path::Path;

use s3s::dto::{CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use crate::checksum::{Algorithm, Checksums, Coverage, given_checksums, of_parts, put_checksums};
use crate::clock::now_us;
use crate::conditions::WriteConditions;
use crate::document;
use crate::etag;
use crate::events::Cause;
use crate::fault::{blocking, io_fault};
use crate::ids::Ids;
use crate::pending;
use crate::publish::{replace, replaced};
use crate::record::{Manifest, ObjectRecord, PartRecord, UploadRecord};
use crate::store::DiskStore;
use crate::temp::Temp;
use crate::upload::{no_such_upload, open_upload, part, part_number, part_numbers, part_path};

pub(super) async fn complete_multipart_upload(
    store: &DiskStore,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    document::verify(&request)?;
    let mut input = request.input;
    store.inner.require_bucket(&input.bucket)?;
    if !Ids::is_id(&input.upload_id) {
        return Err(no_such_upload());
    }
    let listed = input
        .multipart_upload
        .take()
        .and_then(|upload| upload.parts)
        .unwrap_or_default();
    let wish = Wish {
        parts: wished_parts(listed)?,
        checksums: given_checksums!(input)
            .map(|(algorithm, value)| (algorithm, value.to_owned()))
            .collect(),
        coverage: match &input.checksum_type {
            Some(name) => Some(Coverage::parse(name)?),
            None => None,
        },
        size_bytes: input.mpu_object_size,
        conditions: WriteConditions::of_write(input.if_match, input.if_none_match)?,
    };
    let (store, bucket, key) = (store.clone(), input.bucket.clone(), input.key.clone());
    let record = blocking(move || complete(&store, &bucket, &key, &input.upload_id, &wish)).await?;
    let mut output = CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(record.e_tag()),
        checksum_type: Some(record.coverage.dto()),
        ..CompleteMultipartUploadOutput::default()
    };
    put_checksums!(output, record.checksums);
    Ok(S3Response::new(output))
}

/// What the client says that the object shall be.
struct Wish {
    parts: Vec<WishedPart>,
    checksums: Checksums,
    coverage: Option<Coverage>,
    size_bytes: Option<i64>,
    conditions: WriteConditions,
}

struct WishedPart {
    number: u16,
    etag: String,
    checksums: Checksums,
}

fn wished_parts(listed: Vec<CompletedPart>) -> S3Result<Vec<WishedPart>> {
    if listed.is_empty() {
        return Err(s3_error!(
            MalformedXML,
            "You must specify at least one part."
        ));
    }
    let mut parts: Vec<WishedPart> = Vec::with_capacity(listed.len());
    for part in listed {
        let number = part_number(part.part_number.unwrap_or(0))?;
        if parts.last().is_some_and(|before| before.number >= number) {
            return Err(out_of_order());
        }
        parts.push(WishedPart {
            number,
            etag: part
                .e_tag
                .as_ref()
                .map(|etag| etag.value().to_owned())
                .unwrap_or_default(),
            checksums: given_checksums!(part)
                .map(|(algorithm, value)| (algorithm, value.to_owned()))
                .collect(),
        });
    }
    Ok(parts)
}

fn complete(
    store: &DiskStore,
    bucket: &str,
    key: &str,
    upload_id: &str,
    wish: &Wish,
) -> S3Result<ObjectRecord> {
    let entered = store.inner.enter(bucket)?;
    let guard = store.inner.locks.write(bucket, key);
    let current = replaced(store, bucket, key, &wish.conditions)?;
    if let Some(done) = &current
        && let Some(manifest) = &done.manifest
        && manifest.upload_id == upload_id
        && manifest.uploaded
    {
        // A repeated Complete. If the first one's tidying was cut off, do it.
        let same = manifest.parts.len() == wish.parts.len()
            && manifest
                .parts
                .iter()
                .zip(&wish.parts)
                .all(|(part, wished)| part.number == wished.number && part.etag == wished.etag);
        if !same {
            return Err(no_such_upload());
        }
        tidy(
            store,
            &store.inner.upload_dir(bucket, upload_id),
            &manifest.parts,
        );
        return Ok(done.clone());
    }
    let upload = open_upload(store, bucket, key, upload_id)?;
    wish.conditions.check(current.as_ref())?;
    let dir = store.inner.upload_dir(bucket, upload_id);
    let parts = check_parts(&dir, &upload, wish, store.inner.settings.min_part_bytes)?;
    let record = assemble(store, key, upload_id, upload, parts, wish)?;
    // The names of the parts must be on the disk before that of the object.
    store.inner.disk.sync_dir(&dir).map_err(io_fault)?;
    let mut temp = Temp::create(&store.inner.disk, store.inner.tmp_path()).map_err(io_fault)?;
    temp.seal(&record).map_err(io_fault)?;
    let doomed = replace(
        store,
        &entered,
        &record,
        temp,
        current.as_ref(),
        Cause::Complete,
    )?;
    if let Some(manifest) = &record.manifest {
        tidy(store, &dir, &manifest.parts);
    }
    pending::leave(store, bucket, key, upload_id);
    drop(guard);
    drop(entered);
    if let Some(doomed) = doomed {
        doomed.carry_out(store);
    }
    Ok(record)
}

/// The parts as they are on the disk, if they are what the client means.
fn check_parts(
    dir: &Path,
    upload: &UploadRecord,
    wish: &Wish,
    min_part_bytes: u64,
) -> S3Result<Vec<PartRecord>> {
    let composite = upload.declared && upload.coverage == Coverage::Composite;
    let mut parts = Vec::with_capacity(wish.parts.len());
    for (at, wished) in wish.parts.iter().enumerate() {
        if composite && usize::from(wished.number) != at + 1 {
            return Err(out_of_order());
        }
        if composite && !wished.checksums.contains_key(&upload.algorithm) {
            return Err(s3_error!(
                InvalidRequest,
                "The upload was created using a {} checksum. The complete request must include the checksum for each part. It was missing for part {} in the request.",
                upload.algorithm.name(),
                wished.number
            ));
        }
        let part = part(dir, wished.number)?
            .filter(|part| part.etag == wished.etag)
            .ok_or_else(|| invalid_part(wished.number))?;
        for (algorithm, value) in &wished.checksums {
            if part.checksums.get(algorithm) != Some(&algorithm.canonical(value)?) {
                return Err(invalid_part(wished.number));
            }
        }
        if part.size_bytes < min_part_bytes && at + 1 < wish.parts.len() {
            return Err(s3_error!(
                EntityTooSmall,
                "Your proposed upload is smaller than the minimum allowed size: part {}.",
                wished.number
            ));
        }
        parts.push(part);
    }
    Ok(parts)
}

/// The object that the parts make, if it is what the client means.
fn assemble(
    store: &DiskStore,
    key: &str,
    upload_id: &str,
    upload: UploadRecord,
    parts: Vec<PartRecord>,
    wish: &Wish,
) -> S3Result<ObjectRecord> {
    let size_bytes: u64 = parts.iter().map(|part| part.size_bytes).sum();
    if let Some(declared) = wish.size_bytes
        && u64::try_from(declared).ok() != Some(size_bytes)
    {
        return Err(s3_error!(
            InvalidRequest,
            "The provided 'x-amz-mp-object-size' header value {declared} does not match what was computed: {size_bytes}."
        ));
    }
    if wish
        .coverage
        .is_some_and(|coverage| coverage != upload.coverage)
    {
        return Err(s3_error!(
            InvalidRequest,
            "The upload was created using the {} checksum mode. The complete request must use the same checksum mode.",
            upload.coverage.dto().as_str()
        ));
    }
    let algorithm: Algorithm = upload.algorithm;
    let sums = parts
        .iter()
        .map(|part| (part.checksums.get(&algorithm), part.size_bytes));
    let value = of_parts(algorithm, upload.coverage, sums)
        .ok_or_else(|| s3_error!(InternalError, "The store failed."))?;
    let checksums = Checksums::from([(algorithm, value)]);
    for (given, value) in &wish.checksums {
        if checksums.get(given) != Some(value) {
            return Err(s3_error!(
                BadDigest,
                "The {} you specified did not match the calculated checksum.",
                given.name()
            ));
        }
    }
    Ok(ObjectRecord {
        key: key.to_owned(),
        size_bytes,
        etag: etag::of_parts(&store.inner.ids, &parts),
        modified_us: now_us(),
        attributes: upload.attributes,
        tags: upload.tags,
        checksums,
        coverage: upload.coverage,
        manifest: Some(Manifest {
            upload_id: upload_id.to_owned(),
            parts,
            uploaded: true,
        }),
    })
}

/// Removes the parts that the object does without.
fn tidy(store: &DiskStore, dir: &Path, kept: &[PartRecord]) {
    let kept: BTreeSet<u16> = kept.iter().map(|part| part.number).collect();
    for number in part_numbers(dir).unwrap_or_default() {
        if !kept.contains(&number)
            && let Err(error) = store.inner.disk.remove_file(&part_path(dir, number))
        {
            tracing::warn!(%error, dir = %dir.display(), "a part that was left out stays");
        }
    }
}

fn out_of_order() -> S3Error {
    s3_error!(
        InvalidPartOrder,
        "The list of parts was not in ascending order, or has gaps where checksums do not allow them."
    )
}

fn invalid_part(number: u16) -> S3Error {
    s3_error!(
        InvalidPart,
        "One or more of the specified parts could not be found, or does not have the ETag or checksum given: part {number}."
    )
}

#[cfg(test)]
mod tests {
    use s3s::dto::ETag;

    use super::*;

    fn listed(numbers: &[i32]) -> Vec<CompletedPart> {
        numbers
            .iter()
            .map(|number| CompletedPart {
                part_number: Some(*number),
                e_tag: Some(ETag::Strong("x".to_owned())),
                ..CompletedPart::default()
            })
            .collect()
    }

    #[test]
    fn part_lists_ascend() {
        assert!(wished_parts(listed(&[1, 2, 7])).is_ok());
        for wrong in [&[][..], &[2, 1], &[1, 1], &[0], &[10_001]] {
            assert!(wished_parts(listed(wrong)).is_err(), "{wrong:?}");
        }
    }
}
