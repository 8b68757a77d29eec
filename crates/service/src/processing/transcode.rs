//! `transcode`: makes what is played of a clip, its preview, the rendition that plays everywhere and, of a long one, the same in pieces;
//! and its pictures again where the store has lost them. Its failure leaves the asset ready.

use std::fs::File;

use safelight_catalog::blobs::Blob;
use safelight_catalog::jobs::{self, Job};
use safelight_catalog::renditions::{self, Rendition, Stored};
use safelight_catalog::{CatalogError, Tx, assets, blobs};
use safelight_imaging::MediaType;
use safelight_model::codes::Code;
use safelight_model::cost_class::CostClass;
use safelight_model::job::JobKind;
use safelight_model::limits::MAX_CLIP_PIXELS;
use safelight_model::preset::{self, HLS, HLS_FROM_S, Preset};
use safelight_model::variant::{self, HLS_MEDIA};
use safelight_objects::ObjectKey;

use super::clip_pictures::clip_pictures;
use super::fetch_original::{disk_failed, fetch_kinds, fetch_rendition, store_failed};
use super::not_made::not_made;
use super::sandbox::{ClipFacts, Sandbox, SandboxError};
use super::store_rendition::{store_clip, store_rendition, tell_of_failure, tell_of_rendition};
use super::stream_pieces;
use crate::context::{Context, Owner};
use crate::queue::enqueue::enqueue_costing;
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
    let mut wanted: Vec<Preset> = preset::OF_EVERY_CLIP
        .into_iter()
        .chain([HLS, HLS_MEDIA])
        .filter(|preset| row_of(&known, preset).is_some_and(|r| r.state == "pending"))
        .collect();
    let blob = blob.filter(|b| b.state == "live" && b.reason_code.is_none());
    let Some(blob) = blob.filter(|_| !wanted.is_empty()) else {
        let (context, job) = (context.clone(), job.clone());
        return Ok(results(move |tx| {
            Box::pin(async move {
                let (tenant_id, blob_id) = (&job.tenant_id, &job.subject_id);
                match blobs::hold(tx, tenant_id, blob_id).await? {
                    Some(_) => ask_for_the_rest(tx, &context, &job, &wanted).await,
                    None => Ok(()),
                }
            })
        }));
    };
    let asset_id = holders.first().map_or("", |a| a.asset_id.as_str());
    let is_ready = |preset: &Preset| row_of(&known, preset).is_some_and(|r| r.state == "ready");
    let mut stream = row_of(&known, &preset::STREAM).filter(|r| r.state == "ready");
    if let Some(row) = stream
        && wanted.contains(&HLS)
        && !is_stored(context, row).await?
    {
        // Pieces are cut of it, so it is made again, too.
        stream = None;
        wanted.push(preset::STREAM);
    }
    let clip = Clip {
        has_pieces: is_ready(&HLS) && is_ready(&HLS_MEDIA),
        context,
        sandbox,
        job,
        blob: &blob,
        asset_id,
    };
    let stored = clip.make(&wanted, stream).await?;
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
                // The file behind a playlist is not looked for by itself.
                if one.preset != HLS_MEDIA {
                    tell_of_rendition(tx, &context, &holders, &one.preset.label()).await?;
                }
            }
            ask_for_the_rest(tx, &context, &job, &wanted).await
        })
    }))
}

/// Asks for what was expected while this job was under way, which was asked for in vain then, as there was this job.
async fn ask_for_the_rest(
    tx: &mut Tx<'_>,
    context: &Context,
    job: &Job,
    wanted: &[Preset],
) -> Result<(), JobError> {
    let known = renditions::of_blob(tx, &job.tenant_id, &job.subject_id).await?;
    let is_new = |preset: &Preset| {
        !wanted.contains(preset) && row_of(&known, preset).is_some_and(|r| r.state == "pending")
    };
    let mut of_clips = preset::OF_EVERY_CLIP.iter().chain([&HLS, &HLS_MEDIA]);
    if of_clips.any(is_new) {
        let owner = Owner {
            tenant_id: job.tenant_id.clone(),
            owner_id: job.owner_id.clone(),
        };
        let (class, kind) = (CostClass::Video, JobKind::Transcode);
        enqueue_costing(tx, context, class, kind, &owner, &job.subject_id).await?;
    }
    Ok(())
}

/// Whether the store has what was stored.
async fn is_stored(context: &Context, row: &Rendition) -> Result<bool, JobError> {
    let key = ObjectKey::parse(row.object_key.as_deref().unwrap_or_default());
    let key = key.map_err(|e| JobError::Cancel {
        code: Code::Internal,
        detail: e.to_string(),
    })?;
    let etag = row.etag.as_deref().unwrap_or_default();
    let is_there = context.objects.is_there(&key, etag).await;
    is_there.map_err(|e| store_failed(&e))
}

/// The row of what is made by a preset, if there is one.
fn row_of<'a>(known: &'a [Rendition], preset: &Preset) -> Option<&'a Rendition> {
    let (slot, version) = (variant::slot(&preset.label()), i64::from(preset.version));
    known
        .iter()
        .find(|r| r.preset == slot && r.version == version)
}

/// A clip that something is made of.
pub(super) struct Clip<'a> {
    pub(super) context: &'a Context,
    pub(super) sandbox: &'a Sandbox,
    pub(super) job: &'a Job,
    pub(super) blob: &'a Blob,
    pub(super) asset_id: &'a str,
    /// Whether it is there in pieces, which are whole without the stream that they were cut of.
    has_pieces: bool,
}

impl Clip<'_> {
    /// Makes what is wanted; the row of its stream, if that is there already. What is not told of on the way.
    async fn make(
        &self,
        wanted: &[Preset],
        stream: Option<&Rendition>,
    ) -> Result<Vec<Stored>, JobError> {
        let is_in_pieces = |p: &&Preset| p.name == HLS.name;
        let (pieces, of_original): (Vec<&Preset>, Vec<&Preset>) =
            wanted.iter().partition(is_in_pieces);
        let mut stored = Vec::with_capacity(wanted.len());
        let mut made = None;
        if !of_original.is_empty() {
            made = self.make_of_original(wanted, &mut stored).await?;
        }
        let is_cut = |made: &(File, ClipFacts)| self.is_cut(&made.1);
        if pieces.is_empty() && !made.as_ref().is_some_and(is_cut) {
            return Ok(stored);
        }
        let stream = match (made, stream) {
            (Some(made), _) => Some(made),
            (None, Some(row)) => self.fetch_stream(row).await?,
            (None, None) => None,
        };
        let made = match stream {
            // It was not known how long it runs when they were asked for.
            Some((_, facts)) if facts.duration_s <= HLS_FROM_S => {
                self.forget_pieces().await?;
                return Ok(stored);
            }
            Some(stream) => stream_pieces::make(self, stream).await,
            None => Err(JobError::Cancel {
                code: Code::Internal,
                detail: "there is no stream that could be cut into pieces".to_owned(),
            }),
        };
        match made {
            Ok(made) => stored.extend(made),
            Err(JobError::Cancel { code, detail }) => {
                self.tell(&[], None, Some((HLS, code, detail))).await?;
            }
            Err(error) => return Err(error),
        }
        Ok(stored)
    }

    /// Whether a stream that was made is cut into pieces.
    fn is_cut(&self, stream: &ClipFacts) -> bool {
        !self.has_pieces && stream.duration_s > HLS_FROM_S
    }

    /// Makes what is wanted of the original. Its stream, if that is made.
    async fn make_of_original(
        &self,
        wanted: &[Preset],
        stored: &mut Vec<Stored>,
    ) -> Result<Option<(File, ClipFacts)>, JobError> {
        let Self {
            context,
            sandbox,
            job,
            blob,
            asset_id,
            ..
        } = *self;
        let fetched = fetch_kinds(context, blob, MediaType::is_clip).await?;
        let (Some(clip), Some(media)) = (fetched.file, fetched.media) else {
            return Err(JobError::Cancel {
                code: Code::UnsupportedMediaType,
                detail: "the original is no clip".to_owned(),
            });
        };
        let failed = |error: SandboxError| not_made(&error, job);
        let max_pixels = context.settings.media.max_pixels.of(&job.tenant_id);
        let pictures: Vec<Preset> = wanted
            .iter()
            .filter(|p| preset::OF_CLIP.contains(p))
            .copied()
            .collect();
        let facts = if pictures.is_empty() {
            let probed = sandbox.probe_clip(&clip, max_pixels).await;
            probed.map_err(failed)?
        } else {
            let made = clip_pictures(sandbox, &clip, media, pictures, max_pixels).await;
            let (reply, facts) = made.map_err(failed)?;
            for picture in reply.renditions {
                let one =
                    store_rendition(context, &job.tenant_id, &blob.blob_id, asset_id, picture);
                stored.push(one.await?);
            }
            facts
        };
        if wanted.contains(&preset::PREVIEW_CLIP) {
            let made = match sandbox.preview_clip(&clip, &facts).await {
                Ok(made) => self.store(preset::PREVIEW_CLIP, made).await,
                Err(error) => Err(not_made(&error, job)),
            };
            // Told of before the stream is begun, which may take as long as the clip runs: nobody waits for the one because of the
            // other, and where there is none there may be a stream all the same.
            match made {
                Ok(preview) => self.tell(&[preview], None, None).await?,
                Err(JobError::Cancel { code, detail }) => {
                    let preview = (preset::PREVIEW_CLIP, code, detail);
                    self.tell(&[], None, Some(preview)).await?;
                }
                Err(error) => return Err(error),
            }
        }
        if !wanted.contains(&preset::STREAM) {
            return Ok(None);
        }
        let (file, facts) = sandbox
            .transcode_clip(&clip, &facts)
            .await
            .map_err(failed)?;
        let same = file.try_clone().map_err(|e| disk_failed(&e))?;
        let made = (same, facts.clone());
        let one = self.store(preset::STREAM, made).await?;
        if self.is_cut(&facts) {
            // It can be played while it is cut into pieces.
            self.tell(&[one], Some(HLS), None).await?;
        } else {
            stored.push(one);
        }
        Ok(Some((file, facts)))
    }

    /// The stream that was made before.
    async fn fetch_stream(&self, row: &Rendition) -> Result<Option<(File, ClipFacts)>, JobError> {
        let key = row.object_key.as_deref().unwrap_or_default();
        let etag = row.etag.as_deref().unwrap_or_default();
        let Some(file) = fetch_rendition(self.context, key, etag).await? else {
            return Ok(None);
        };
        let same = file.try_clone().map_err(|e| disk_failed(&e))?;
        let probed = self.sandbox.probe_clip(&same.into(), MAX_CLIP_PIXELS).await;
        let facts = probed.map_err(|error| not_made(&error, self.job))?;
        Ok(Some((file, facts)))
    }

    /// Tells what became of a part of the work before the rest is done: what is stored, what is to come besides, and what will not.
    async fn tell(
        &self,
        stored: &[Stored],
        expected: Option<Preset>,
        failed: Option<(Preset, Code, String)>,
    ) -> Result<(), JobError> {
        let (context, job, stored) = (self.context.clone(), self.job.clone(), stored.to_vec());
        let catalog = context.catalog.clone();
        catalog
            .write(move |tx| {
                Box::pin(async move {
                    let (tenant_id, blob_id, now) =
                        (&job.tenant_id, &job.subject_id, context.now());
                    // Who lost his lease meanwhile finds that out when he is done.
                    if !jobs::hold(tx, &job).await? {
                        return Ok(());
                    }
                    if blobs::hold(tx, tenant_id, blob_id).await?.is_none() {
                        return Ok(());
                    }
                    let holders = assets::of_blob(tx, tenant_id, blob_id).await?;
                    for one in &stored {
                        renditions::store(tx, tenant_id, blob_id, one, now).await?;
                        tell_of_rendition(tx, &context, &holders, &one.preset.label()).await?;
                    }
                    if let Some(preset) = expected {
                        renditions::expect(tx, tenant_id, blob_id, &preset, now).await?;
                    }
                    if let Some((preset, code, detail)) = failed {
                        let why = (code, detail.as_str());
                        if preset == HLS {
                            renditions::fail_pieces(tx, tenant_id, blob_id, why, now).await?;
                        } else {
                            renditions::fail_one(tx, tenant_id, blob_id, &preset, why, now).await?;
                        }
                        tell_of_failure(tx, &context, tenant_id, blob_id, code).await?;
                    }
                    Ok::<_, CatalogError>(())
                })
            })
            .await?;
        Ok(())
    }

    /// Pieces were asked for of a clip that needs none.
    async fn forget_pieces(&self) -> Result<(), JobError> {
        let job = self.job.clone();
        let catalog = &self.context.catalog;
        catalog
            .write(move |tx| {
                Box::pin(async move {
                    let (tenant_id, blob_id) = (&job.tenant_id, &job.subject_id);
                    if jobs::hold(tx, &job).await? {
                        renditions::forget_pending_pieces(tx, tenant_id, blob_id).await?;
                    }
                    Ok::<_, CatalogError>(())
                })
            })
            .await?;
        Ok(())
    }

    /// Puts a clip into the store.
    pub(super) async fn store(
        &self,
        preset: Preset,
        made: (File, ClipFacts),
    ) -> Result<Stored, JobError> {
        let tenant_id = self.job.tenant_id.as_str();
        let of = (tenant_id, self.blob.blob_id.as_str(), self.asset_id);
        store_clip(self.context, of, preset, made).await
    }
}
