//! `derive_motion`: makes the clip in a motion photo one that plays everywhere, when somebody asks for it first.
//!
//! A child says where in the picture's file it lies; from there on it is a clip like others, that runs for a few seconds.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use safelight_api::events::EventFacts;
use safelight_catalog::blobs::Blob;
use safelight_catalog::jobs::Job;
use safelight_catalog::renditions::{self, Stored};
use safelight_catalog::{CatalogError, Tx, alternatives, assets, blobs};
use safelight_imaging::MediaType;
use safelight_model::codes::Code;
use safelight_model::limits::MAX_MOTION_SECONDS;
use safelight_model::variant::MOTION;

use super::fetch_original::{disk_failed, fetch_kinds};
use super::file_metadata::too_long;
use super::not_made::not_made;
use super::sandbox::Sandbox;
use super::store_rendition::{store_clip, tell_who_asked};
use crate::context::Context;
use crate::work::{JobError, Results, results};

/// What is said of a picture that is no motion photo.
const NO_CLIP: &str = "there is no clip in this picture";

/// Runs the job up to its results.
///
/// # Errors
/// Why it was not done.
pub async fn run(context: &Context, sandbox: &Sandbox, job: &Job) -> Result<Results, JobError> {
    let (tenant_id, blob_id) = (job.tenant_id.as_str(), job.subject_id.as_str());
    let mut reader = context.catalog.reader().await?;
    let blob = blobs::find(&mut reader.tx(), tenant_id, blob_id).await?;
    let holders = assets::of_blob(&mut reader.tx(), tenant_id, blob_id).await?;
    let row = alternatives::find(&mut reader.tx(), tenant_id, blob_id, &MOTION).await?;
    drop(reader);
    let is_wanted = row.is_some_and(|row| row.state == "pending");
    let is_shown = |b: &Blob| b.state == "live" && b.verdict == "clean" && b.reason_code.is_none();
    let Some(blob) = blob.filter(|b| is_wanted && is_shown(b)) else {
        return Ok(results(|_| Box::pin(async { Ok(()) })));
    };
    let asset_id = holders.first().map_or("", |a| a.asset_id.as_str());
    let made = match make(context, sandbox, job, &blob, asset_id).await {
        Ok(stored) => Ok(stored),
        // What cannot be done with somebody's file is an answer, and no trouble of the operator's: the job is done.
        Err(JobError::Cancel { code, detail }) => Err((code, detail)),
        Err(error) => return Err(error),
    };
    let (context, job) = (context.clone(), job.clone());
    Ok(results(move |tx| {
        Box::pin(async move {
            let (code, detail) = match made {
                Ok(stored) => return Ok(note(tx, &context, &job, &stored).await?),
                Err(why) => why,
            };
            tracing::info!(job = job.job_id, %code, detail, "the clip of a motion photo cannot be played");
            Ok(buried(tx, &context, &job, code, &detail).await?)
        })
    }))
}

/// Notes that it is stored, and tells who asked.
async fn note(
    tx: &mut Tx<'_>,
    context: &Context,
    job: &Job,
    stored: &Stored,
) -> Result<(), CatalogError> {
    // What was doomed meanwhile is nobody's, and its purge waits for this job's end.
    let (tenant_id, blob_id) = (&job.tenant_id, &job.subject_id);
    if blobs::hold(tx, tenant_id, blob_id).await?.is_none() {
        return Ok(());
    }
    renditions::store(tx, tenant_id, blob_id, stored, context.now()).await?;
    let facts = EventFacts {
        preset: Some(MOTION.name.to_owned()),
        version: Some(MOTION.version),
        ..EventFacts::default()
    };
    tell_who_asked(tx, context, job, "rendition.ready", &facts).await
}

/// Makes it, and puts it into the store.
async fn make(
    context: &Context,
    sandbox: &Sandbox,
    job: &Job,
    blob: &Blob,
    asset_id: &str,
) -> Result<Stored, JobError> {
    let none = |code, detail: &str| JobError::Cancel {
        code,
        detail: detail.to_owned(),
    };
    let picture = fetch_kinds(context, blob, MediaType::may_hold_clip)
        .await?
        .file;
    let picture = picture.ok_or_else(|| {
        let detail = "files of this kind hold no clip beside their picture";
        none(Code::UnsupportedMediaType, detail)
    })?;
    let same = picture.try_clone().map_err(|e| disk_failed(&e))?;
    let said = sandbox.read_metadata(same).await;
    let said = said.map_err(|error| not_made(&error, job))?;
    let place = said.motion.ok_or_else(|| match said.is_motion_photo {
        true => {
            let detail = "the file says that it is a motion photo, and there is no clip in it";
            none(Code::MediaCorrupt, detail)
        }
        // Asked for before anybody had read what the file tells.
        false => none(Code::NotFound, NO_CLIP),
    })?;
    let clip = cut(picture, place, context.settings.scratch_dir.clone()).await?;
    let most = &context.settings.media;
    let max_pixels = most.max_pixels.of(&job.tenant_id);
    let probed = sandbox.probe_clip(&clip, max_pixels).await;
    let facts = probed.map_err(|error| not_made(&error, job))?;
    // Of a tenant that takes clips of any length too: it is a few seconds by what it is, and somebody waits.
    let most_seconds = match most.max_clip_seconds.of(&job.tenant_id) {
        0 => MAX_MOTION_SECONDS,
        own => own.min(MAX_MOTION_SECONDS),
    };
    if let Some((code, detail)) = too_long(facts.duration_ms(), most_seconds) {
        return Err(JobError::Cancel { code, detail });
    }
    let made = sandbox.motion_clip(&clip, &facts, most_seconds).await;
    let made = made.map_err(|error| not_made(&error, job))?;
    let of = (job.tenant_id.as_str(), blob.blob_id.as_str(), asset_id);
    store_clip(context, of, MOTION, made).await
}

/// The clip in a file without a name. Where it lies is checked, since a child said it.
async fn cut(
    picture: OwnedFd,
    place: Range<u64>,
    scratch_dir: PathBuf,
) -> Result<OwnedFd, JobError> {
    let copied = tokio::task::spawn_blocking(move || copy(picture.into(), &place, scratch_dir));
    let copied = copied
        .await
        .map_err(|e| disk_failed(&io::Error::other(e)))?;
    copied.map(OwnedFd::from).map_err(|e| match e.kind() {
        io::ErrorKind::InvalidData => JobError::Cancel {
            code: Code::DecodeCrashed,
            detail: e.to_string(),
        },
        _ => disk_failed(&e),
    })
}

fn copy(mut picture: File, place: &Range<u64>, scratch_dir: PathBuf) -> io::Result<File> {
    let whole = picture.metadata()?.len();
    if place.is_empty() || place.end > whole {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a clip that cannot be there",
        ));
    }
    let mut clip = tempfile::tempfile_in(scratch_dir)?;
    picture.seek(SeekFrom::Start(place.start))?;
    let bytes = place.end - place.start;
    if io::copy(&mut (&picture).take(bytes), &mut clip)? != bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    clip.rewind()?;
    Ok(clip)
}

/// It will not come: the picture is shown as it is, and why its clip is not played is said to who asks.
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
    if blobs::hold(tx, tenant_id, blob_id).await?.is_none() {
        return Ok(());
    }
    let why = (code, detail);
    alternatives::fail(tx, tenant_id, blob_id, &MOTION, why, context.now()).await?;
    let facts = EventFacts {
        code: Some(code.as_str().to_owned()),
        ..EventFacts::default()
    };
    tell_who_asked(tx, context, job, "asset.updated", &facts).await
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    #[allow(clippy::reversed_empty_ranges, reason = "what no child says")]
    fn a_clip_is_cut_out_where_it_can_be() {
        let cut = |place| {
            let mut picture = tempfile::tempfile().unwrap();
            picture.write_all(b"0123456789").unwrap();
            copy(picture, &place, std::env::temp_dir())
        };
        let mut clip = Vec::new();
        cut(3..10).unwrap().read_to_end(&mut clip).unwrap();
        assert_eq!(clip, b"3456789");
        for place in [0..0, 5..4, 9..11, u64::MAX - 1..u64::MAX] {
            let error = cut(place.clone()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{place:?}");
        }
    }
}
