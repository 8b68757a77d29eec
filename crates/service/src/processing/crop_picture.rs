//! `crop`: makes the square of a picture that was inspected before it was for a profile. Somebody looks at it, so it waits with covers.

use safelight_catalog::jobs::Job;
use safelight_catalog::{CatalogError, Tx, assets, blobs, renditions};
use safelight_model::codes::Code;
use safelight_model::preset;

use super::fetch_original::fetch_original;
use super::not_made::not_made;
use super::sandbox::{RenderTask, Sandbox};
use super::store_rendition::{store_rendition, tell_of_failure, tell_of_rendition};
use crate::context::Context;
use crate::work::{JobError, Results, results};

/// Runs the job up to its results.
///
/// # Errors
/// Why it was not done.
pub async fn run(context: &Context, sandbox: &Sandbox, job: &Job) -> Result<Results, JobError> {
    let (tenant_id, blob_id) = (job.tenant_id.as_str(), job.subject_id.as_str());
    let mut reader = context.catalog.reader().await?;
    let blob = blobs::find(&mut reader.tx(), tenant_id, blob_id).await?;
    let holders = assets::of_blob(&mut reader.tx(), tenant_id, blob_id).await?;
    drop(reader);
    let Some(blob) = blob.filter(|b| b.state == "live" && b.reason_code.is_none()) else {
        return Ok(results(|_| Box::pin(async { Ok(()) })));
    };
    let task = RenderTask {
        presets: vec![preset::SQUARE],
        limits: context.settings.media.decoding(&job.tenant_id),
        want_hashes: false,
        want_scores: false,
        want_faces: false,
        exact: false,
        credit: context.settings.rendition_copyright.of(tenant_id),
    };
    let Some(file) = fetch_original(context, &blob).await?.file else {
        return Err(JobError::Cancel {
            code: Code::UnsupportedMediaType,
            detail: "the original is of a kind that cannot be decoded".to_owned(),
        });
    };
    let reply = sandbox.render(file, task).await;
    let reply = reply.map_err(|error| not_made(&error, job))?;
    let asset_id = holders.first().map_or("", |a| a.asset_id.as_str());
    let mut stored = Vec::with_capacity(1);
    for made in reply.renditions {
        stored.push(store_rendition(context, tenant_id, blob_id, asset_id, made).await?);
    }
    let (context, job) = (context.clone(), job.clone());
    Ok(results(move |tx| {
        Box::pin(async move {
            let (tenant_id, blob_id) = (&job.tenant_id, &job.subject_id);
            // What was doomed meanwhile is nobody's, and its purge waits for this job's end.
            if blobs::hold(tx, tenant_id, blob_id).await?.is_none() {
                return Ok(());
            }
            let holders = assets::of_blob(tx, tenant_id, blob_id).await?;
            for one in &stored {
                renditions::store(tx, tenant_id, blob_id, one, context.now()).await?;
                tell_of_rendition(tx, &context, &holders, &one.preset.label()).await?;
            }
            Ok(())
        })
    }))
}

/// The job is dead: there will be no square, and the reason is shown.
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
    let why = (code, detail);
    if renditions::fail_one(tx, tenant_id, blob_id, &preset::SQUARE, why, now).await? {
        tell_of_failure(tx, context, tenant_id, blob_id, code).await?;
    }
    Ok(())
}
