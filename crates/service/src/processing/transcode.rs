//! `transcode`: makes what is played of a clip, its preview and the rendition that plays everywhere, and its pictures again where the
//! store has lost them. Its failure leaves the asset ready.

use std::fs::File;
use std::sync::Arc;

use safelight_catalog::blobs::Blob;
use safelight_catalog::jobs::{self, Job};
use safelight_catalog::renditions::{self, Stored};
use safelight_catalog::{assets, blobs};
use safelight_imaging::MediaType;
use safelight_model::codes::Code;
use safelight_model::preset::{self, Preset};
use safelight_objects::{FileSlice, ObjectKey, Served, ownership};

use super::clip_pictures::clip_pictures;
use super::fetch_original::{disk_failed, fetch_kinds, store_failed};
use super::not_made::not_made;
use super::sandbox::{ClipFacts, Sandbox, SandboxError};
use super::store_rendition::{CACHE_CONTROL, store_rendition, tell_of_failure, tell_of_rendition};
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
    let known = renditions::of_blob(&mut reader.tx(), tenant_id, blob_id).await?;
    drop(reader);
    let is_wanted = |p: &Preset| {
        let version = i64::from(p.version);
        let mut all = known.iter();
        all.any(|r| r.preset == p.name && r.version == version && r.state == "pending")
    };
    let wanted = preset::ALL_OF_CLIP
        .into_iter()
        .filter(is_wanted)
        .collect::<Vec<_>>();
    let blob = blob.filter(|b| b.state == "live" && b.reason_code.is_none());
    let Some(blob) = blob.filter(|_| !wanted.is_empty()) else {
        return Ok(results(|_| Box::pin(async { Ok(()) })));
    };
    let asset_id = holders.first().map_or("", |a| a.asset_id.as_str());
    let stored = make(context, sandbox, job, &blob, asset_id, &wanted).await?;
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
            let holders = assets::of_blob(tx, &job.tenant_id, &job.subject_id).await?;
            for one in &stored {
                renditions::store(tx, &job.tenant_id, &job.subject_id, one, context.now()).await?;
                tell_of_rendition(tx, &context, &holders, &one.preset.label()).await?;
            }
            Ok(())
        })
    }))
}

async fn make(
    context: &Context,
    sandbox: &Sandbox,
    job: &Job,
    blob: &Blob,
    asset_id: &str,
    wanted: &[Preset],
) -> Result<Vec<Stored>, JobError> {
    let fetched = fetch_kinds(context, blob, MediaType::is_clip).await?;
    let (Some(clip), Some(media)) = (fetched.file, fetched.media) else {
        return Err(JobError::Cancel {
            code: Code::UnsupportedMediaType,
            detail: "the original is no clip".to_owned(),
        });
    };
    let failed = |error: SandboxError| not_made(&error, job);
    let max_pixels = context.settings.media.max_pixels.of(&job.tenant_id);
    let mut stored = Vec::with_capacity(wanted.len());
    let pictures: Vec<Preset> = wanted
        .iter()
        .filter(|p| preset::OF_CLIP.contains(p))
        .copied()
        .collect();
    let facts = if pictures.is_empty() {
        sandbox
            .probe_clip(&clip, max_pixels)
            .await
            .map_err(failed)?
    } else {
        let made = clip_pictures(sandbox, &clip, media, pictures, max_pixels).await;
        let (reply, facts) = made.map_err(failed)?;
        for picture in reply.renditions {
            let one = store_rendition(context, &job.tenant_id, &blob.blob_id, asset_id, picture);
            stored.push(one.await?);
        }
        facts
    };
    if wanted.contains(&preset::PREVIEW_CLIP) {
        let made = match sandbox.preview_clip(&clip, &facts).await {
            Ok(made) => store_clip(context, job, blob, asset_id, preset::PREVIEW_CLIP, made).await,
            Err(error) => Err(not_made(&error, job)),
        };
        tell_of_preview(context, job, made).await?;
    }
    if wanted.contains(&preset::STREAM) {
        let made = sandbox.transcode_clip(&clip, &facts).await;
        let made = made.map_err(failed)?;
        stored.push(store_clip(context, job, blob, asset_id, preset::STREAM, made).await?);
    }
    Ok(stored)
}

/// Tells what became of the preview before the stream is begun, which may take as long as the clip runs: nobody waits for the one
/// because of the other, and where there is none there may be a stream all the same.
async fn tell_of_preview(
    context: &Context,
    job: &Job,
    made: Result<Stored, JobError>,
) -> Result<(), JobError> {
    let made = match made {
        Ok(stored) => Ok(stored),
        Err(JobError::Cancel { code, detail }) => Err((code, detail)),
        Err(error) => return Err(error),
    };
    let (catalog, context, job) = (context.catalog.clone(), context.clone(), job.clone());
    catalog
        .write(move |tx| {
            Box::pin(async move {
                let (tenant_id, blob_id, now) = (&job.tenant_id, &job.subject_id, context.now());
                // Who lost his lease meanwhile finds that out when he is done.
                if !jobs::hold(tx, &job).await? {
                    return Ok(());
                }
                if blobs::hold(tx, tenant_id, blob_id).await?.is_none() {
                    return Ok(());
                }
                match made {
                    Ok(stored) => {
                        let holders = assets::of_blob(tx, tenant_id, blob_id).await?;
                        renditions::store(tx, tenant_id, blob_id, &stored, now).await?;
                        tell_of_rendition(tx, &context, &holders, &stored.preset.label()).await
                    }
                    Err((code, detail)) => {
                        let (preview, why) = (&preset::PREVIEW_CLIP, (code, detail.as_str()));
                        renditions::fail_one(tx, tenant_id, blob_id, preview, why, now).await?;
                        tell_of_failure(tx, &context, tenant_id, blob_id, code).await
                    }
                }
            })
        })
        .await?;
    Ok(())
}

/// Puts a clip into the store.
async fn store_clip(
    context: &Context,
    job: &Job,
    blob: &Blob,
    asset_id: &str,
    preset: Preset,
    (clip, facts): (File, ClipFacts),
) -> Result<Stored, JobError> {
    let key = ObjectKey::rendition(&job.tenant_id, &blob.blob_id, &preset.label());
    let key = key.map_err(|e| JobError::Cancel {
        code: Code::Internal,
        detail: e.to_string(),
    })?;
    let size_bytes = clip.metadata().map_err(|e| disk_failed(&e))?.len();
    let metadata = ownership(&context.catalog_id, &job.tenant_id, asset_id);
    let slice = FileSlice::of(Arc::new(clip), 0, size_bytes);
    let served = Served {
        content_type: Some(preset.format.mime()),
        cache_control: Some(CACHE_CONTROL),
    };
    let put = context
        .objects
        .put_slice(&key, &slice, &metadata, served)
        .await;
    Ok(Stored {
        preset,
        object_key: key.as_str().to_owned(),
        etag: put.map_err(|e| store_failed(&e))?,
        width: i64::from(facts.width),
        height: i64::from(facts.height),
        size_bytes: slice.size_bytes(),
    })
}
