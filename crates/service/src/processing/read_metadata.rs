//! `read_metadata`: reads what files tell of how they were taken that were inspected before that was read.
//!
//! The janitor asks for a few at a time ([`schedule`]), in the bulk lane, so that what users wait for goes first. Nothing is
//! decoded. Whatever comes of a file is noted: one that tells nothing is not looked at again.

use safelight_catalog::file_metadata::Kept;
use safelight_catalog::jobs::Job;
use safelight_catalog::live_halves::LiveHalf;
use safelight_catalog::{CatalogError, Tx, assets, blobs, file_metadata};
use safelight_imaging::MediaType;
use safelight_model::cost_class::CostClass;
use safelight_model::job::JobKind;
use safelight_model::limits;

use super::backfill::{AT_ONCE, not_asked_for};
use super::fetch_original::fetch_kinds;
use super::file_metadata::{believed, kept, live_half};
use super::not_made::once_more;
use super::sandbox::Sandbox;
use super::tell_other_half::tell_other_half;
use crate::context::{Context, Owner};
use crate::queue::enqueue::enqueue_costing;
use crate::work::{JobError, Results, results};

/// Asks that files which nobody has read be read; how many were asked for that were not yet.
///
/// # Errors
/// What the catalog says.
pub async fn schedule(context: &Context) -> Result<usize, CatalogError> {
    let mut reader = context.catalog.reader().await?;
    let found = file_metadata::unread(&mut reader.tx(), AT_ONCE).await?;
    let (tx, kind) = (&mut reader.tx(), JobKind::ReadMetadata);
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
                for file in &found {
                    let owner = Owner {
                        tenant_id: file.tenant_id.clone(),
                        owner_id: file.owner_id.clone(),
                    };
                    let kind = JobKind::ReadMetadata;
                    let class = CostClass::declared(Some(&file.mime), file.size_bytes);
                    let blob_id = &file.blob_id;
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
    drop(reader);
    let Some(blob) = blob.filter(|b| b.state == "live" && b.verdict == "clean") else {
        return Ok(results(|_| Box::pin(async { Ok(()) })));
    };
    let media = blob.mime.as_deref().and_then(MediaType::of_mime);
    let has_metadata = media.is_some_and(MediaType::has_metadata);
    let (mut found, mut half) = (None, None);
    // What would tell nothing is not fetched.
    if has_metadata && blob.size_bytes <= limits::MAX_READ_BYTES {
        let fetched = fetch_kinds(context, &blob, MediaType::has_metadata).await?;
        if let Some(file) = fetched.file {
            found = match sandbox.read_metadata(file).await {
                Ok(said) => {
                    let policy = context.settings.metadata_policies.of(&job.tenant_id);
                    let said = believed(*said);
                    half = live_half(&job.tenant_id, &said, media);
                    kept(&said, policy)
                }
                Err(error) => {
                    if let Some(again) = once_more(&error, job) {
                        return Err(again);
                    }
                    tracing::debug!(%error, blob_id = blob.blob_id, "a file tells nothing");
                    None
                }
            };
        }
    }
    let (context, job) = (context.clone(), job.clone());
    Ok(results(move |tx| {
        Box::pin(async move {
            let (found, half) = (found.as_ref(), half.as_ref());
            Ok(note(tx, &context, &job, found, half).await?)
        })
    }))
}

async fn note(
    tx: &mut Tx<'_>,
    context: &Context,
    job: &Job,
    found: Option<&Kept>,
    half: Option<&LiveHalf>,
) -> Result<(), CatalogError> {
    let (tenant_id, blob_id, now) = (&job.tenant_id, &job.subject_id, context.now());
    file_metadata::write_later(tx, tenant_id, blob_id, found, half, now).await?;
    if half.is_some() {
        let holders = assets::of_blob(tx, tenant_id, blob_id).await?;
        tell_other_half(tx, context, &holders).await?;
    }
    Ok(())
}

/// The job is dead: the file tells nothing, and is not asked for again.
///
/// # Errors
/// What the catalog says.
pub async fn buried(tx: &mut Tx<'_>, context: &Context, job: &Job) -> Result<(), CatalogError> {
    note(tx, context, job, None, None).await
}
