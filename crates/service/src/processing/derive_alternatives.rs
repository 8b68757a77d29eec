//! `derive_avif`, `derive_jpeg` and `derive_lean`: renditions in other formats than their preset's own, or at a lower quality, by the
//! tenant's present versions of presets.
//!
//! AVIF is made of every picture, in the bulk lane once its visible renditions are there, and by the janitor of those that were
//! inspected before there was any ([`schedule`]). JPEG is made of what somebody asked for who shows nothing else, in the standard lane, and
//! what is lean for who would rather have fewer bytes. All decode the original anew: what is made of a rendition would show what two encoders do to it.

use safelight_catalog::alternatives::{self, WithoutAvif};
use safelight_catalog::blobs::{self, Blob};
use safelight_catalog::jobs::Job;
use safelight_catalog::renditions::{self, Rendition};
use safelight_catalog::{CatalogError, Tx, assets};
use safelight_imaging::MediaType;
use safelight_model::codes::Code;
use safelight_model::cost_class::CostClass;
use safelight_model::job::JobKind;
use safelight_model::preset::Preset;
use safelight_model::{preset, variant};

use super::backfill::{AT_ONCE, not_asked_for};
use super::fetch_original::fetch_original;
use super::not_made::not_made;
use super::sandbox::{RenderTask, Sandbox};
use super::store_rendition::store_rendition;
use crate::context::{Context, Owner};
use crate::queue::enqueue::enqueue_costing;
use crate::work::{JobError, Results, results};

/// After so long it is looked again whether the visible renditions are there.
const NOT_YET: std::time::Duration = std::time::Duration::from_secs(30);

/// What a job makes.
fn made_by(context: &Context, job: &Job) -> Vec<Preset> {
    let presets = context.presets(&job.tenant_id);
    match job.kind {
        JobKind::DeriveAvif => presets.in_bulk().to_vec(),
        JobKind::DeriveLean => vec![presets.lean()],
        _ => presets.on_request().to_vec(),
    }
}

/// Asks for the AVIF of pictures that nobody has sought it of; how many were asked for that were not yet.
///
/// # Errors
/// What the catalog says.
pub async fn schedule(context: &Context) -> Result<usize, CatalogError> {
    if !context.settings.avif {
        return Ok(0);
    }
    let mut reader = context.catalog.reader().await?;
    let found = alternatives::without_avif(&mut reader.tx(), AT_ONCE).await?;
    let (tx, kind) = (&mut reader.tx(), JobKind::DeriveAvif);
    let found = not_asked_for(tx, kind, found, |f| (&f.tenant_id, &f.blob_id)).await?;
    drop(reader);
    if found.is_empty() {
        return Ok(0);
    }
    let context = context.clone();
    let catalog = context.catalog.clone();
    catalog
        .write(move |tx| Box::pin(async move { ask(tx, &context, &found).await }))
        .await
}

async fn ask(
    tx: &mut Tx<'_>,
    context: &Context,
    found: &[WithoutAvif],
) -> Result<usize, CatalogError> {
    let mut asked = 0;
    for picture in found {
        let media = picture.mime.as_deref().and_then(MediaType::of_mime);
        if media.is_some_and(MediaType::is_clip) {
            // Inspected before it was noted that there is none.
            let (tenant_id, blob_id) = (&picture.tenant_id, &picture.blob_id);
            alternatives::avif_sought(tx, tenant_id, blob_id, context.now()).await?;
            continue;
        }
        let owner = Owner {
            tenant_id: picture.tenant_id.clone(),
            owner_id: picture.owner_id.clone(),
        };
        let class = CostClass::of_picture(picture.mime.as_deref(), picture.width, picture.height);
        let (kind, blob_id) = (JobKind::DeriveAvif, &picture.blob_id);
        asked += usize::from(enqueue_costing(tx, context, class, kind, &owner, blob_id).await?);
    }
    Ok(asked)
}

/// Runs the job up to its results.
///
/// # Errors
/// Why it was not done.
pub async fn run(context: &Context, sandbox: &Sandbox, job: &Job) -> Result<Results, JobError> {
    let (tenant_id, blob_id) = (job.tenant_id.as_str(), job.subject_id.as_str());
    let mut reader = context.catalog.reader().await?;
    let blob = blobs::find(&mut reader.tx(), tenant_id, blob_id).await?;
    let holders = assets::of_blob(&mut reader.tx(), tenant_id, blob_id).await?;
    let known = renditions::of_blob(&mut reader.tx(), tenant_id, blob_id).await?;
    drop(reader);
    let is_shown = |b: &Blob| b.state == "live" && b.verdict == "clean" && b.reason_code.is_none();
    let Some(blob) = blob.filter(is_shown) else {
        return Ok(nothing(context, job));
    };
    let media = blob.mime.as_deref().and_then(MediaType::of_mime);
    let is_there = |slot: &str, version: u32| {
        known
            .iter()
            .any(|r| is_row(r, slot, version) && r.state == "ready")
    };
    let own = context.presets(tenant_id);
    // Of what is not there by the present version in its preset's own format there is nothing to be an alternative to.
    let is_known = |p: &Preset| {
        let own = variant::beside(&p.label());
        known.iter().any(|r| is_row(r, own, p.version))
    };
    let wanted: Vec<Preset> = made_by(context, job)
        .into_iter()
        .filter(|p| is_known(p) && !is_there(variant::slot(&p.label()), p.version))
        .collect();
    if job.kind == JobKind::DeriveJpeg && media.is_some_and(MediaType::is_clip) {
        // Marked as failed, so that what there is is sent to who asks.
        return Err(JobError::Cancel {
            code: Code::UnsupportedMediaType,
            detail: "pictures of clips are made in one format".to_owned(),
        });
    }
    if wanted.is_empty() || !media.is_some_and(MediaType::is_decodable) {
        return Ok(nothing(context, job));
    }
    let is_pending = |p: &Preset| {
        let mut rows = known.iter().filter(|r| is_row(r, p.name, p.version));
        rows.any(|r| r.state == "pending")
    };
    if job.kind == JobKind::DeriveAvif && own.derived().iter().any(is_pending) {
        return Err(JobError::Snooze { after: NOT_YET });
    }
    let fetched = fetch_original(context, &blob).await?;
    let Some(file) = fetched.file else {
        return Ok(nothing(context, job));
    };
    // In its own format the smaller one was made of the larger, and is as long as it should be.
    let exact = !wanted.iter().any(|p| p.name == preset::LARGE.name);
    let task = RenderTask {
        presets: wanted,
        limits: context.settings.media.decoding(tenant_id),
        want_hashes: false,
        want_scores: false,
        want_faces: false,
        exact,
        credit: context.settings.rendition_copyright.of(tenant_id),
    };
    let reply = sandbox.render(file, task).await;
    let reply = reply.map_err(|error| not_made(&error, job))?;
    let asset_id = holders.first().map_or("", |a| a.asset_id.as_str());
    let (mut stored, mut not_worth) = (Vec::new(), Vec::new());
    for made in reply.renditions {
        if is_worth(&made.preset, made.bytes.len(), &known) {
            stored.push(store_rendition(context, tenant_id, blob_id, asset_id, made).await?);
        } else {
            not_worth.push(made.preset);
        }
    }
    let (context, job) = (context.clone(), job.clone());
    Ok(results(move |tx| {
        Box::pin(async move {
            // What was doomed meanwhile is nobody's, and its purge waits for this job's end.
            let (tenant_id, blob_id) = (&job.tenant_id, &job.subject_id);
            if blobs::hold(tx, tenant_id, blob_id).await?.is_none() {
                return Ok(());
            }
            for one in &stored {
                renditions::store(tx, tenant_id, blob_id, one, context.now()).await?;
            }
            for preset in &not_worth {
                renditions::forget_pending(tx, tenant_id, blob_id, &preset.label()).await?;
            }
            Ok(note(tx, &context, &job).await?)
        })
    }))
}

fn is_row(row: &Rendition, slot: &str, version: u32) -> bool {
    row.preset == slot && row.version == i64::from(version)
}

/// AVIF is there to be smaller: of drawings and screenshots it need not be.
fn is_worth(made: &Preset, bytes: usize, known: &[Rendition]) -> bool {
    let own = known
        .iter()
        .find(|r| is_row(r, made.name, made.version))
        .and_then(|r| r.size_bytes);
    made.format != preset::Format::Avif
        || own.is_none_or(|own| i64::try_from(bytes).unwrap_or(i64::MAX) < own)
}

/// There is nothing to make.
fn nothing(context: &Context, job: &Job) -> Results {
    let (context, job) = (context.clone(), job.clone());
    results(move |tx| {
        Box::pin(async move {
            if blobs::hold(tx, &job.tenant_id, &job.subject_id)
                .await?
                .is_some()
            {
                note(tx, &context, &job).await?;
            }
            Ok(())
        })
    })
}

/// What the store has lost of other versions is not waited for, and the janitor asks for AVIF no more.
async fn note(tx: &mut Tx<'_>, context: &Context, job: &Job) -> Result<(), CatalogError> {
    for alternative in made_by(context, job) {
        let (tenant_id, blob_id) = (&job.tenant_id, &job.subject_id);
        let label = alternative.label();
        renditions::forget_pending_others(tx, tenant_id, blob_id, &label).await?;
    }
    if job.kind != JobKind::DeriveAvif {
        return Ok(());
    }
    alternatives::avif_sought(tx, &job.tenant_id, &job.subject_id, context.now()).await
}

/// The job is dead: what it was to make is marked as failed, so that nobody asks for it again. What is shown stays as it is.
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
    for alternative in made_by(context, job) {
        let why = (code, detail);
        alternatives::fail(tx, tenant_id, blob_id, &alternative, why, context.now()).await?;
    }
    note(tx, context, job).await
}
