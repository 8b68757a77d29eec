//! `clean`: makes the cleaned original of a file, when somebody asks for it first.
//!
//! A child says which pieces of the original stay; they are put together here and stored beside the renditions. Nothing is
//! decoded or encoded anew.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use safelight_api::events::EventFacts;
use safelight_catalog::blobs::{self, Blob};
use safelight_catalog::cleaned::{self, Stored};
use safelight_catalog::jobs::Job;
use safelight_catalog::{CatalogError, Tx, assets};
use safelight_imaging::{MediaType, Segment};
use safelight_model::codes::Code;
use safelight_model::preset::{CLEANED, CLEANED_VERSION};
use safelight_objects::{FileSlice, ObjectKey, Served, ownership};

use super::fetch_original::{disk_failed, fetch_kinds, store_failed};
use super::not_made::not_made;
use super::sandbox::{Sandbox, SandboxError};
use super::store_rendition::tell_who_asked;
use crate::context::Context;
use crate::work::{JobError, Results, results};

/// What a cleaned original may have more than its original: an orientation that is written anew, an end marker.
const MAX_ADDED_BYTES: u64 = 64 * 1024;

/// Runs the job up to its results.
///
/// # Errors
/// Why it was not done.
pub async fn run(context: &Context, sandbox: &Sandbox, job: &Job) -> Result<Results, JobError> {
    let (tenant_id, blob_id) = (job.tenant_id.as_str(), job.subject_id.as_str());
    let mut reader = context.catalog.reader().await?;
    let blob = blobs::find(&mut reader.tx(), tenant_id, blob_id).await?;
    let wanted = cleaned::find(&mut reader.tx(), tenant_id, blob_id).await?;
    let holders = assets::of_blob(&mut reader.tx(), tenant_id, blob_id).await?;
    drop(reader);
    let blob = blob.filter(|b| b.state == "live" && b.verdict == "clean");
    let is_wanted = wanted.is_some_and(|w| w.state == "pending");
    let Some(blob) = blob.filter(|_| is_wanted) else {
        return Ok(results(|_| Box::pin(async { Ok(()) })));
    };
    let asset_id = holders.first().map_or("", |a| a.asset_id.as_str());
    let stored = make(context, sandbox, job, &blob, asset_id).await?;
    let (context, job) = (context.clone(), job.clone());
    Ok(results(move |tx| {
        Box::pin(async move {
            // What was doomed meanwhile is nobody's, and its purge waits for this job's end.
            if blobs::hold(tx, &job.tenant_id, &job.subject_id)
                .await?
                .is_none()
            {
                return Ok(());
            }
            let now = context.now();
            if cleaned::store(tx, &job.tenant_id, &job.subject_id, &stored, now).await? {
                let facts = EventFacts {
                    preset: Some(CLEANED.to_owned()),
                    version: Some(CLEANED_VERSION),
                    ..EventFacts::default()
                };
                tell_who_asked(tx, &context, &job, "rendition.ready", &facts).await?;
            }
            Ok(())
        })
    }))
}

/// Makes it, and puts it into the store.
async fn make(
    context: &Context,
    sandbox: &Sandbox,
    job: &Job,
    blob: &Blob,
    asset_id: &str,
) -> Result<Stored, JobError> {
    let not_cleanable = || JobError::Cancel {
        code: Code::NotCleanable,
        detail: "files of this kind cannot be cleaned".to_owned(),
    };
    let media = blob.mime.as_deref().and_then(MediaType::of_mime);
    let media = media.ok_or_else(not_cleanable)?;
    let fetched = fetch_kinds(context, blob, MediaType::is_cleanable).await?;
    let original = fetched.file.ok_or_else(not_cleanable)?;
    let again = original.try_clone().map_err(|e| disk_failed(&e))?;
    let cleaned = sandbox.clean(again).await;
    let segments = cleaned.map_err(|error| judge(&error, job))?;
    let scratch_dir = context.settings.scratch_dir.clone();
    let written =
        tokio::task::spawn_blocking(move || put_together(original, &segments, scratch_dir));
    let (file, size_bytes) = written
        .await
        .map_err(|e| disk_failed(&io::Error::other(e)))?
        .map_err(|e| match e.kind() {
            io::ErrorKind::InvalidData => JobError::Cancel {
                code: Code::DecodeCrashed,
                detail: e.to_string(),
            },
            _ => disk_failed(&e),
        })?;
    let unreadable = |e: safelight_objects::keys::KeyError| JobError::Cancel {
        code: Code::Internal,
        detail: e.to_string(),
    };
    let key = ObjectKey::cleaned(&job.tenant_id, &blob.blob_id, media.extension());
    let key = key.map_err(unreadable)?;
    let metadata = ownership(&context.catalog_id, &job.tenant_id, asset_id);
    let slice = FileSlice::of(Arc::new(file), 0, size_bytes);
    let served = Served {
        content_type: Some(media.mime()),
        cache_control: None,
    };
    let put = context
        .objects
        .put_slice(&key, &slice, &metadata, served)
        .await;
    Ok(Stored {
        object_key: key.as_str().to_owned(),
        etag: put.map_err(|e| store_failed(&e))?,
        size_bytes: slice.size_bytes(),
    })
}

/// What a failure of the child means for the job.
fn judge(error: &SandboxError, job: &Job) -> JobError {
    match not_made(error, job) {
        JobError::Cancel {
            code: Code::UnsupportedMediaType | Code::MediaCorrupt,
            detail,
        } => JobError::Cancel {
            code: Code::NotCleanable,
            detail,
        },
        other => other,
    }
}

/// Writes what the segments say into a file without a name; its length too. Their order and places are checked, since a child
/// said them.
fn put_together(
    original: OwnedFd,
    segments: &[Segment],
    scratch_dir: PathBuf,
) -> io::Result<(File, u64)> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, "pieces that cannot be");
    let mut original = File::from(original);
    let whole = original.metadata()?.len();
    let mut out = tempfile::tempfile_in(scratch_dir)?;
    let (mut at, mut length) = (0_u64, 0_u64);
    for segment in segments {
        let bytes = match segment {
            Segment::Input(range) => {
                let bytes = range.end.checked_sub(range.start).ok_or_else(wrong)?;
                if range.start < at || range.end > whole {
                    return Err(wrong());
                }
                at = range.end;
                bytes
            }
            Segment::Bytes(bytes) => bytes.len() as u64,
            Segment::Zeros(count) => *count,
        };
        length = length.checked_add(bytes).ok_or_else(wrong)?;
        if length > whole.saturating_add(MAX_ADDED_BYTES) {
            return Err(wrong());
        }
        match segment {
            Segment::Input(range) => {
                original.seek(SeekFrom::Start(range.start))?;
                let copied = io::copy(&mut (&original).take(bytes), &mut out)?;
                if copied != bytes {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Segment::Bytes(bytes) => out.write_all(bytes)?,
            Segment::Zeros(count) => {
                io::copy(&mut io::repeat(0).take(*count), &mut out)?;
            }
        }
    }
    Ok((out, length))
}

/// The job is dead: there is no cleaned original, with the reason.
///
/// # Errors
/// What the catalog says.
pub async fn buried(
    tx: &mut Tx<'_>,
    context: &Context,
    job: &Job,
    code: Code,
    detail: &str,
) -> Result<(), CatalogError> {
    let (tenant_id, blob_id) = (&job.tenant_id, &job.subject_id);
    if cleaned::fail(tx, tenant_id, blob_id, code, detail, context.now()).await? {
        let facts = EventFacts {
            code: Some(code.as_str().to_owned()),
            ..EventFacts::default()
        };
        tell_who_asked(tx, context, job, "asset.updated", &facts).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(segments: &[Segment]) -> io::Result<Vec<u8>> {
        let mut original = tempfile::tempfile().unwrap();
        original.write_all(b"0123456789").unwrap();
        let (mut out, length) = put_together(original.into(), segments, std::env::temp_dir())?;
        let mut bytes = Vec::new();
        out.rewind().unwrap();
        out.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, length);
        Ok(bytes)
    }

    #[test]
    fn pieces_are_put_together() {
        let segments = [
            Segment::Input(1..3),
            Segment::Bytes(b"ab".to_vec()),
            Segment::Zeros(2),
            Segment::Input(3..4),
            Segment::Input(9..10),
        ];
        assert_eq!(put(&segments).unwrap(), b"12ab\0\x0039");
        assert_eq!(put(&[]).unwrap(), b"");
    }

    #[test]
    #[allow(clippy::reversed_empty_ranges, reason = "what no child says")]
    fn pieces_that_cannot_be_are_refused() {
        for segments in [
            vec![Segment::Input(9..11)],
            vec![Segment::Input(3..2)],
            vec![Segment::Input(4..6), Segment::Input(5..7)],
            vec![Segment::Zeros(u64::MAX), Segment::Zeros(u64::MAX)],
            vec![Segment::Zeros(11 + MAX_ADDED_BYTES)],
        ] {
            let error = put(&segments).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{segments:?}");
        }
    }
}
