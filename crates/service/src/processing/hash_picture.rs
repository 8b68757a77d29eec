//! `hash`: gives pictures that were inspected before there were perceptual hashes and scores theirs, so that what is near them, and
//! which frame is the best one, is found after an upgrade too.
//!
//! The janitor asks for a few at a time ([`schedule`]), in the bulk lane, so that what users wait for goes first. Whatever comes of
//! a picture is noted: one that has no hash is not looked at again.

use safelight_catalog::jobs::Job;
use safelight_catalog::{CatalogError, Tx, best_frames, blobs, captures, near};
use safelight_imaging::MediaType;
use safelight_model::best_frame::FrameScores;
use safelight_model::cost_class::CostClass;
use safelight_model::job::JobKind;
use safelight_model::near::PictureHash;

use super::backfill::{AT_ONCE, not_asked_for};
use super::fetch_original::fetch_original;
use super::not_made::once_more;
use super::sandbox::{RenderTask, Sandbox};
use super::tell_best_frame::tell_best_frame;
use crate::context::{Context, Owner};
use crate::queue::enqueue::enqueue_costing;
use crate::work::{JobError, Results, results};

/// Asks that pictures without a hash or scores be given them; how many were asked for that were not yet.
///
/// # Errors
/// What the catalog says.
pub async fn schedule(context: &Context) -> Result<usize, CatalogError> {
    let mut reader = context.catalog.reader().await?;
    let mut found = near::unhashed(&mut reader.tx(), AT_ONCE).await?;
    // What lacks both is asked for once.
    if found.is_empty() {
        found = near::unscored(&mut reader.tx(), AT_ONCE).await?;
    }
    let (tx, kind) = (&mut reader.tx(), JobKind::Hash);
    let found = not_asked_for(tx, kind, found, |f| (&f.tenant_id, &f.blob_id)).await?;
    drop(reader);
    if found.is_empty() {
        return Ok(0);
    }
    let context = context.clone();
    let catalog = context.catalog.clone();
    catalog
        .write(move |tx| {
            Box::pin(async move {
                let mut asked = 0;
                for picture in &found {
                    let owner = Owner {
                        tenant_id: picture.tenant_id.clone(),
                        owner_id: picture.owner_id.clone(),
                    };
                    let mime = picture.mime.as_deref();
                    let class = CostClass::of_picture(mime, picture.width, picture.height);
                    let (kind, blob_id) = (JobKind::Hash, &picture.blob_id);
                    let fresh = enqueue_costing(tx, &context, class, kind, &owner, blob_id).await?;
                    asked += usize::from(fresh);
                }
                Ok::<_, CatalogError>(asked)
            })
        })
        .await
}

/// Runs the job up to its results.
///
/// # Errors
/// Why it was not done.
pub async fn run(context: &Context, sandbox: &Sandbox, job: &Job) -> Result<Results, JobError> {
    let mut reader = context.catalog.reader().await?;
    let blob = blobs::find(&mut reader.tx(), &job.tenant_id, &job.subject_id).await?;
    let (tenant_id, blob_id) = (&job.tenant_id, &job.subject_id);
    let is_scored = blob.as_ref().is_some_and(|b| b.scores.is_some());
    let is_of_burst =
        !is_scored && captures::is_of_burst(&mut reader.tx(), tenant_id, blob_id).await?;
    drop(reader);
    let blob = blob.filter(|b| b.state == "live" && b.verdict == "clean");
    let Some(blob) = blob.filter(|b| b.picture_hash.is_none() || b.scores.is_none()) else {
        return Ok(results(|_| Box::pin(async { Ok(()) })));
    };
    let media = blob.mime.as_deref().and_then(MediaType::of_mime);
    if media.is_some_and(MediaType::is_clip) {
        // Inspection has compared it; it has no scores, and all of it need not be read to find that out.
        let (context, job) = (context.clone(), job.clone());
        return Ok(results(move |tx| {
            Box::pin(async move { Ok(note(tx, &context, &job, Measured::default()).await?) })
        }));
    }
    let fetched = fetch_original(context, &blob).await?;
    let task = RenderTask {
        presets: Vec::new(),
        limits: context.settings.media.decoding(&job.tenant_id),
        want_hashes: blob.picture_hash.is_none(),
        want_scores: blob.scores.is_none(),
        want_faces: is_of_burst,
        exact: false,
        credit: false,
    };
    let measured = match fetched.file {
        None => Measured::default(),
        Some(file) => match sandbox.render(file, task).await {
            Ok(reply) => Measured {
                hash: reply.picture_hash,
                scores: reply.scores,
            },
            Err(error) => {
                if let Some(again) = once_more(&error, job) {
                    return Err(again);
                }
                // What is shown of it stays; it only cannot be compared.
                tracing::debug!(%error, blob_id = blob.blob_id, "a picture has no hash");
                Measured::default()
            }
        },
    };
    let (context, job) = (context.clone(), job.clone());
    Ok(results(move |tx| {
        Box::pin(async move { Ok(note(tx, &context, &job, measured).await?) })
    }))
}

/// What came of it.
#[derive(Clone, Copy, Default)]
struct Measured {
    hash: Option<PictureHash>,
    scores: Option<FrameScores>,
}

async fn note(
    tx: &mut Tx<'_>,
    context: &Context,
    job: &Job,
    measured: Measured,
) -> Result<(), CatalogError> {
    let (tenant_id, blob_id, now) = (&job.tenant_id, &job.subject_id, context.now());
    near::hash_later(tx, tenant_id, blob_id, measured.hash, now).await?;
    best_frames::score(tx, tenant_id, blob_id, measured.scores, now).await?;
    tell_best_frame(tx, context, tenant_id, blob_id).await
}

/// The job is dead: the picture has no hash, and is not asked for again.
///
/// # Errors
/// What the catalog says.
pub async fn buried(tx: &mut Tx<'_>, context: &Context, job: &Job) -> Result<(), CatalogError> {
    note(tx, context, job, Measured::default()).await
}
