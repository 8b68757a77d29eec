//! `derive`: makes the renditions beyond the cover, by the tenant's present versions of presets. Their failure leaves the asset ready.
//!
//! Of what was derived by other versions before, it makes those of the present ones when somebody first asks for them, or as backfill
//! ([`super::rederive`]); what is there stays.

use safelight_catalog::assets;
use safelight_catalog::blobs::{self, Blob};
use safelight_catalog::jobs::Job;
use safelight_catalog::renditions::{self, Rendition};
use safelight_catalog::{CatalogError, Tx, alternatives, best_frames, captures, near};
use safelight_model::codes::Code;
use safelight_model::cost_class::CostClass;
use safelight_model::job::JobKind;
use safelight_model::preset::{self, Preset};

use super::AtHand;
use super::fetch_original::fetch_original;
use super::not_made::not_made;
use super::sandbox::{RenderTask, Sandbox};
use super::store_rendition::{store_rendition, tell_of_failure, tell_of_rendition};
use super::tell_best_frame::tell_best_frame;
use crate::context::{Context, Owner};
use crate::queue::enqueue::enqueue_costing;
use crate::work::{JobError, Results, results};

/// Runs the job up to its results.
///
/// # Errors
/// Why it was not done.
pub async fn run(
    context: &Context,
    sandbox: &Sandbox,
    at_hand: &AtHand,
    job: &Job,
) -> Result<Results, JobError> {
    let (tenant_id, blob_id) = (job.tenant_id.as_str(), job.subject_id.as_str());
    let mut reader = context.catalog.reader().await?;
    let blob = blobs::find(&mut reader.tx(), tenant_id, blob_id).await?;
    let holders = assets::of_blob(&mut reader.tx(), tenant_id, blob_id).await?;
    let known = renditions::of_blob(&mut reader.tx(), tenant_id, blob_id).await?;
    let is_scored = blob.as_ref().is_some_and(|b| b.scores.is_some());
    let is_of_burst =
        !is_scored && captures::is_of_burst(&mut reader.tx(), tenant_id, blob_id).await?;
    drop(reader);
    let Some(blob) = blob.filter(|b| b.state == "live" && b.reason_code.is_none()) else {
        return Ok(results(|_| Box::pin(async { Ok(()) })));
    };
    let is_in = |p: &Preset, state: &str| {
        let version = i64::from(p.version);
        let mut all = known.iter();
        all.any(|r| r.preset == p.name && r.version == version && r.state == state)
    };
    let own = context.presets(tenant_id).derived();
    // All of them or none: what one is scaled from goes by what is made beside it, and a file that is made again is to be the same one.
    let mut presets: Vec<Preset> = match own.iter().all(|p| is_in(p, "ready")) {
        true => Vec::new(),
        false => own.to_vec(),
    };
    // The cover and the square, which inspection made, are to be made again if the store has lost them.
    let is_lost = |p: &Preset| is_in(p, "pending");
    presets.extend([preset::COVER, preset::SQUARE].into_iter().filter(is_lost));
    if presets.is_empty() {
        return Ok(nothing_to_make(context, job, blob));
    }
    let (fetched, picture) = match at_hand.take(job) {
        Some(at_hand) => at_hand,
        None => (fetch_original(context, &blob).await?, None),
    };
    let task = RenderTask {
        presets,
        limits: context.settings.media.decoding(tenant_id),
        // What was inspected before there were picture hashes gets its own whenever it is decoded.
        want_hashes: blob.picture_hash.is_none(),
        // Here, since a cover hides what they are about.
        want_scores: blob.scores.is_none(),
        want_faces: is_of_burst,
        exact: false,
        credit: context.settings.rendition_copyright.of(tenant_id),
    };
    let (is_hashed, is_scored) = (!task.want_hashes, !task.want_scores);
    let Some(file) = fetched.file else {
        let detail = "the original is of a kind that cannot be decoded".to_owned();
        return Err(JobError::Cancel {
            code: Code::UnsupportedMediaType,
            detail,
        });
    };
    // What is cut out may take more of the picture than was kept.
    let has_square = task.presets.contains(&preset::SQUARE);
    let reply = match picture.filter(|_| !has_square) {
        Some(picture) => sandbox.render_more(picture, file, task).await,
        None => sandbox.render(file, task).await,
    };
    let reply = reply.map_err(|error| not_made(&error, job))?;
    let asset_id = holders.first().map_or("", |a| a.asset_id.as_str());
    let mut stored = Vec::with_capacity(reply.renditions.len());
    for made in reply.renditions {
        if is_in(&made.preset, "ready") {
            continue;
        }
        stored.push(store_rendition(context, tenant_id, blob_id, asset_id, made).await?);
    }
    let class = CostClass::of_picture(blob.mime.as_deref(), blob.width, blob.height);
    let (context, job) = (context.clone(), job.clone());
    let (picture_hash, scores) = (reply.picture_hash, reply.scores);
    Ok(results(move |tx| {
        Box::pin(async move {
            // What was doomed meanwhile is nobody's, and its purge waits for this job's end.
            if blobs::hold(tx, &job.tenant_id, &job.subject_id)
                .await?
                .is_none()
            {
                return Ok(());
            }
            let holders = assets::of_blob(tx, &job.tenant_id, &job.subject_id).await?;
            for one in &stored {
                renditions::store(tx, &job.tenant_id, &job.subject_id, one, context.now()).await?;
                tell_of_rendition(tx, &context, &holders, &one.preset.label()).await?;
            }
            forget_others(tx, &context, &job).await?;
            ask_for_the_rest(tx, &context, &job, &blob).await?;
            if !is_hashed {
                let (blob_id, now) = (&job.subject_id, context.now());
                near::hash_later(tx, &job.tenant_id, blob_id, picture_hash, now).await?;
            }
            if !is_scored {
                let (tenant_id, blob_id, now) = (&job.tenant_id, &job.subject_id, context.now());
                best_frames::score(tx, tenant_id, blob_id, scores, now).await?;
                tell_best_frame(tx, &context, tenant_id, blob_id).await?;
            }
            let has_display = stored
                .iter()
                .any(|one| one.preset.name == preset::DISPLAY.name);
            if context.settings.avif && has_display {
                let owner = Owner {
                    tenant_id: job.tenant_id.clone(),
                    owner_id: job.owner_id.clone(),
                };
                let (kind, blob_id) = (JobKind::DeriveAvif, &job.subject_id);
                enqueue_costing(tx, &context, class, kind, &owner, blob_id).await?;
            }
            Ok(())
        })
    }))
}

/// Asks for what has been lost since this job looked, which was asked for in vain then, as there was this job.
async fn ask_for_the_rest(
    tx: &mut Tx<'_>,
    context: &Context,
    job: &Job,
    blob: &Blob,
) -> Result<(), CatalogError> {
    let own = context.presets(&job.tenant_id).derived();
    let of_it = |p: &Preset, r: &Rendition| r.preset == p.name && r.version == i64::from(p.version);
    let known = renditions::of_blob(tx, &job.tenant_id, &job.subject_id).await?;
    let mut pending = known.iter().filter(|r| r.state == "pending");
    if pending.any(|r| {
        own.iter()
            .chain([&preset::COVER, &preset::SQUARE])
            .any(|p| of_it(p, r))
    }) {
        let owner = Owner {
            tenant_id: job.tenant_id.clone(),
            owner_id: job.owner_id.clone(),
        };
        let class = CostClass::of_picture(blob.mime.as_deref(), blob.width, blob.height);
        let kind = JobKind::Derive;
        enqueue_costing(tx, context, class, kind, &owner, &job.subject_id).await?;
    }
    Ok(())
}

/// Another did it, or a job that goes by other settings.
fn nothing_to_make(context: &Context, job: &Job, blob: Blob) -> Results {
    let (context, job) = (context.clone(), job.clone());
    results(move |tx| {
        Box::pin(async move {
            if blobs::hold(tx, &job.tenant_id, &job.subject_id)
                .await?
                .is_some()
            {
                forget_others(tx, &context, &job).await?;
                ask_for_the_rest(tx, &context, &job, &blob).await?;
            }
            Ok(())
        })
    })
}

/// What a version that is made no more was to make, or what the store has lost of it, is not waited for.
async fn forget_others(tx: &mut Tx<'_>, context: &Context, job: &Job) -> Result<(), CatalogError> {
    let (tenant_id, blob_id) = (&job.tenant_id, &job.subject_id);
    for present in context.presets(tenant_id).derived() {
        let label = present.label();
        renditions::forget_pending_others(tx, tenant_id, blob_id, &label).await?;
    }
    Ok(())
}

/// The job is dead: what it was to make is marked as failed, with the reason. What there is of other versions is shown as before.
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
    let (tenant_id, blob_id, now) = (&job.tenant_id, &job.subject_id, context.now());
    if job.kind == JobKind::Derive && blobs::hold(tx, tenant_id, blob_id).await?.is_some() {
        // Also where nothing was announced, so that it is not asked for again and again.
        for preset in context.presets(tenant_id).derived() {
            alternatives::fail(tx, tenant_id, blob_id, &preset, (code, detail), now).await?;
        }
    }
    renditions::fail_pieces(tx, tenant_id, blob_id, (code, detail), now).await?;
    renditions::fail_pending(tx, tenant_id, blob_id, code, detail, now).await?;
    tell_of_failure(tx, context, tenant_id, blob_id, code).await
}
