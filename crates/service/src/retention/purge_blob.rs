//! `purge`: removes the bytes of a doomed blob that nothing points to any more, and its renditions.
//!
//! Bytes that came by one PUT can come again for as long as their URL works: they are removed at once, and once more when
//! nothing can arrive any more. Only then is the blob gone. Bytes that came again in place of lost ones are looked for first: where the
//! store does not have them, it is not the one that they went to, and the lost ones may be all there is. A worker that has the
//! blob already may still store a rendition of it: what is there is removed at once, and all again when no worker has it.

use std::collections::HashSet;

use safelight_catalog::jobs::{self, Job};
use safelight_catalog::renditions::{self, Rendition};
use safelight_catalog::{assets, blobs, preset_versions, uploads};
use safelight_imaging::MediaType;
use safelight_model::codes::Code;
use safelight_model::job::JobKind;
use safelight_model::plan::Transport;
use safelight_model::preset::Label;
use safelight_model::{limits, preset, variant};
use safelight_objects::{ObjectKey, StoreError};

use super::catalog_mark::MarkError;
use super::complete_deletions;
use super::held_back::{Goes, LOOKED_AT_AGAIN, held_back_for};
use crate::context::Context;
use crate::work::{JobError, Results, results};

/// After so long it is looked again whether a worker still has the blob.
const WORKED_ON: std::time::Duration = std::time::Duration::from_secs(5);
/// How long a purge waits at least for a store that is away.
const STORE_AWAY: std::time::Duration = std::time::Duration::from_secs(60);

fn not_yet(error: &StoreError) -> JobError {
    JobError::of_store(error, STORE_AWAY)
}

/// Whatever may have been made of a blob, whether a row tells of its object or not.
fn labels(chosen: &[(String, i64)], made: &[Rendition]) -> Vec<Label> {
    let in_formats = |(name, version): &(String, i64)| {
        let version = u32::try_from(*version).ok();
        let label = |extension| variant::in_format(name, version?, extension);
        ["webp", "jpg", "avif"]
            .into_iter()
            .filter_map(label)
            .collect::<Vec<Label>>()
    };
    let mut labels: Vec<Label> = preset::every()
        .chain(variant::all())
        .map(|preset| preset.label())
        .chain(chosen.iter().flat_map(in_formats))
        .chain(made.iter().filter_map(|row| {
            let version = u32::try_from(row.version).ok()?;
            variant::of_slot(&row.preset, version)
        }))
        .collect();
    let mut seen = HashSet::new();
    labels.retain(|label| seen.insert(*label));
    labels
}

/// Runs the job up to its results.
///
/// # Errors
/// Why it was not done.
pub async fn run(context: &Context, job: &Job) -> Result<Results, JobError> {
    let (tenant_id, blob_id) = (job.tenant_id.as_str(), job.subject_id.as_str());
    let mut reader = context.catalog.reader().await?;
    let blob = blobs::find(&mut reader.tx(), tenant_id, blob_id).await?;
    let holders = assets::of_blob(&mut reader.tx(), tenant_id, blob_id).await?;
    let made = renditions::of_blob(&mut reader.tx(), tenant_id, blob_id).await?;
    let chosen = preset_versions::all(&mut reader.tx()).await?;
    let upload = match &blob {
        Some(blob) => uploads::of_key(&mut reader.tx(), &blob.object_key).await?,
        None => None,
    };
    let in_place = match &blob {
        Some(blob) => blobs::in_place_of(&mut reader.tx(), tenant_id, &job.owner_id, blob).await?,
        None => Vec::new(),
    };
    // Whoever takes it from now on finds it doomed, and stores nothing.
    let makes = [
        JobKind::Inspect,
        JobKind::Crop,
        JobKind::Derive,
        JobKind::DeriveJpeg,
        JobKind::DeriveLean,
        JobKind::DeriveAvif,
        JobKind::DeriveMotion,
        JobKind::Transcode,
        JobKind::Clean,
    ];
    let is_worked_on = jobs::is_leased(&mut reader.tx(), tenant_id, blob_id, &makes).await?;
    drop(reader);
    // Asked before the store is: what is removed then stays so.
    let now = context.now();
    if let Some(blob) = blob.filter(|b| b.state == "doomed" && holders.is_empty()) {
        let unreadable = |e: safelight_objects::keys::KeyError| JobError::Cancel {
            code: Code::Internal,
            detail: e.to_string(),
        };
        let mut keys = vec![ObjectKey::parse(&blob.object_key).map_err(unreadable)?];
        for label in labels(&chosen, &made) {
            keys.push(ObjectKey::rendition(tenant_id, blob_id, &label).map_err(unreadable)?);
        }
        // Of one that was asked for only the row tells, and not of what kind it was to be.
        let is_half_made = |r: &Rendition| r.preset == preset::CLEANED && r.object_key.is_none();
        if made.iter().any(is_half_made) {
            for media in MediaType::ALL.into_iter().filter(|m| m.is_cleanable()) {
                let key = ObjectKey::cleaned(tenant_id, blob_id, media.extension());
                keys.push(key.map_err(unreadable)?);
            }
        }
        // Also those of presets that this version does not know.
        for key in made.iter().filter_map(|r| r.object_key.as_deref()) {
            let key = ObjectKey::parse(key).map_err(unreadable)?;
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        match held_back_for(context, Goes::Blob).await {
            Ok(None) => {}
            Ok(Some(after)) => return Err(JobError::Snooze { after }),
            Err(MarkError::Catalog(error)) => return Err(error.into()),
            Err(MarkError::Store(error)) => return Err(not_yet(&error)),
        }
        for other in in_place {
            let key = ObjectKey::parse(&other.object_key).map_err(unreadable)?;
            let there = context.objects.head(&key).await;
            if there.map_err(|error| not_yet(&error))?.is_none() {
                tracing::error!(
                    blob_id,
                    in_its_place = other.object_key,
                    "a doomed blob is kept: the store has not what took its place"
                );
                return Err(JobError::Snooze {
                    after: LOOKED_AT_AGAIN,
                });
            }
        }
        for key in &keys {
            let gone = context.objects.delete(key).await;
            gone.map_err(|error| not_yet(&error))?;
        }
        if is_worked_on {
            return Err(JobError::Snooze { after: WORKED_ON });
        }
        let again_at = upload
            .filter(|upload| upload.transport == Transport::Single)
            .map(|upload| upload.signed_until.plus(limits::LATE_BYTES));
        if let Some(at) = again_at.filter(|at| *at > now) {
            return Err(JobError::Snooze {
                after: at.since(now),
            });
        }
    }
    let (job, context) = (job.clone(), context.clone());
    Ok(results(move |tx| {
        Box::pin(async move {
            if blobs::gone(tx, &job.tenant_id, &job.subject_id).await? {
                complete_deletions::of_blob(tx, &context, &job.tenant_id, &job.subject_id).await?;
            }
            Ok(())
        })
    }))
}
