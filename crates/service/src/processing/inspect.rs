//! `inspect`: reads an original once, verifies it, judges it, makes its cover. Then it is viewable.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use safelight_catalog::assets::{self, Asset, Transition};
use safelight_catalog::blobs::{self, Blob, Inspected};
use safelight_catalog::jobs::Job;
use safelight_catalog::merge_asset::{MergeEvents, merge_asset};
use safelight_catalog::renditions::{self, Stored};
use safelight_catalog::{CatalogError, Tx, alternatives, captures};
use safelight_imaging::MediaType;
use safelight_model::codes::Code;
use safelight_model::cost_class::{CostClass, most_light_pixels};
use safelight_model::duplicates::{DedupScope, Duplicates};
use safelight_model::file_metadata::FileMetadata;
use safelight_model::job::JobKind;
use safelight_model::lifecycle::{Event, State};
use safelight_model::preset::{self, Preset};
use safelight_model::{ids, limits};
use safelight_objects::ObjectKey;

use super::AtHand;
use super::clip_pictures::clip_pictures;
use super::fetch_original::{Fetched, disk_failed, fetch_kinds};
use super::file_metadata::{believed, kept, live_half, too_long};
use super::not_made::{not_made, once_more};
use super::replace_lost::replace_lost;
use super::sandbox::{RenderTask, Sandbox, SandboxError};
use super::store_rendition::{store_rendition, tell_of_rendition};
use super::tell_best_frame::tell_best_frame;
use super::tell_other_half::tell_other_half;
use crate::context::{Context, Owner};
use crate::insights::record::{Told, record};
use crate::queue::enqueue::{enqueue, enqueue_costing};
use crate::want_square::want_square;
use crate::work::{JobError, Results, results};

/// What an empty chain of scanners concludes.
const NO_SCANNER: &str = "clean";

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
    let Some(begun) = begin(context, job).await? else {
        return Ok(results(|_| Box::pin(async { Ok(()) })));
    };
    let blob = &begun.blob;
    let is_small = blob.size_bytes <= limits::MAX_READ_BYTES;
    let is_short = blob.size_bytes <= context.settings.max_clip_bytes;
    let fetched = fetch_kinds(context, blob, |kind| {
        kind.is_decodable() || (kind.is_clip() && (is_small || is_short))
    })
    .await?;
    // Nobody goes on with a clip at once.
    let is_picture = fetched.media.is_some_and(MediaType::is_decodable);
    let again = fetched.again().filter(|_| is_picture);
    let (outcome, lost) = examine(context, sandbox, job, &begun, fetched).await?;
    if let (Outcome::Cover(..), Some(again)) = (&outcome, again) {
        at_hand.keep(job, again);
    }
    let (context, job, blob) = (context.clone(), job.clone(), begun.blob);
    Ok(results(move |tx| {
        Box::pin(async move { conclude(tx, &context, &job, &blob, outcome, lost).await })
    }))
}

/// What is to be inspected.
struct Begun {
    blob: Blob,
    /// Who holds it.
    holders: Vec<Asset>,
    /// What is made of it at once.
    presets: Vec<Preset>,
}

/// The blob and who holds it, now marked as being processed. `None` when there is nothing to do.
async fn begin(context: &Context, job: &Job) -> Result<Option<Begun>, JobError> {
    let (context, job) = (context.clone(), job.clone());
    let catalog = context.catalog.clone();
    let found = catalog
        .write(move |tx| {
            Box::pin(async move {
                let Some(blob) = blobs::find(tx, &job.tenant_id, &job.subject_id).await? else {
                    return Ok(None);
                };
                if blob.state != "live" || blob.inspected_at.is_some() {
                    return Ok(None);
                }
                move_holders(
                    tx,
                    &context,
                    &job.tenant_id,
                    &blob.blob_id,
                    Event::InspectStarted,
                    None,
                )
                .await?;
                let holders = assets::of_blob(tx, &job.tenant_id, &blob.blob_id).await?;
                let mut presets = vec![preset::COVER];
                if is_for_profile(tx, &job.tenant_id, &blob.blob_id).await? {
                    presets.push(preset::SQUARE);
                }
                Ok::<_, CatalogError>(Some(Begun {
                    blob,
                    holders,
                    presets,
                }))
            })
        })
        .await?;
    Ok(found)
}

/// Whether anybody who holds a blob means it for a profile.
async fn is_for_profile(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
) -> Result<bool, CatalogError> {
    captures::is_meant_for(tx, tenant_id, blob_id, preset::PROFILE).await
}

async fn move_holders(
    tx: &mut Tx<'_>,
    context: &Context,
    tenant_id: &str,
    blob_id: &str,
    event: Event,
    reason: Option<(Code, String)>,
) -> Result<(), CatalogError> {
    for asset in assets::of_blob(tx, tenant_id, blob_id).await? {
        let event_id = context.fresh_id(ids::EVENT);
        let change = Transition {
            event,
            reason: reason.clone(),
            event_id: &event_id,
            at: context.now(),
        };
        assets::transition(tx, &asset, &change).await?;
    }
    Ok(())
}

/// What looking at the bytes led to.
enum Outcome {
    /// These bytes are in another blob, of the owner's or one that his tenant's owners share.
    Twin(String),
    /// They are what they should be, and here are the cover and what else is made at once.
    Cover(Inspected, Vec<Stored>),
    /// They cannot be shown.
    Failed(Inspected),
}

/// What the bytes are, and the blob of the same bytes that the store has lost, if there is one.
async fn examine(
    context: &Context,
    sandbox: &Sandbox,
    job: &Job,
    begun: &Begun,
    fetched: Fetched,
) -> Result<(Outcome, Option<Blob>), JobError> {
    let Begun { blob, holders, .. } = begun;
    let mut found = Inspected {
        sha256: Some(fetched.sha256.clone()),
        verdict: NO_SCANNER,
        ..Inspected::default()
    };
    if let Some(reason) = declared_otherwise(holders, blob, &fetched) {
        // What was declared and what arrived are two things: these bytes are nobody's answer.
        found.sha256 = None;
        found.reason = Some(reason);
        return Ok((Outcome::Failed(found), None));
    }
    let (of, hash) = (blob.clone(), fetched.sha256.clone());
    let (asking, of_job) = (context.clone(), job.clone());
    let twin = context
        .catalog
        .write(move |tx| Box::pin(async move { hold_twin(tx, &asking, &of_job, &of, &hash).await }))
        .await?;
    let lost = match twin {
        Some(twin) if is_there(context, &twin).await? => {
            return Ok((Outcome::Twin(fetched.sha256), None));
        }
        twin => twin,
    };
    let mut outcome = render(context, sandbox, job, begun, fetched, found).await?;
    if let Outcome::Failed(found) = &mut outcome
        && !is_of_the_content(found)
    {
        found.sha256 = None;
    }
    Ok((outcome, lost))
}

/// Whether every server ends so with these bytes, so that sending them again is in vain: where it is this one's settings or what
/// it can decode, they are inspected anew when they are sent again.
fn is_of_the_content(found: &Inspected) -> bool {
    let reason = found.reason.as_ref();
    reason.is_some_and(|(code, _)| *code == Code::MediaCorrupt)
}

/// Makes the cover, and the square of what is for a profile.
async fn render(
    context: &Context,
    sandbox: &Sandbox,
    job: &Job,
    begun: &Begun,
    fetched: Fetched,
    mut found: Inspected,
) -> Result<Outcome, JobError> {
    let Begun {
        blob,
        holders,
        presets,
    } = begun;
    let most = &context.settings.media;
    let policy = context.settings.metadata_policies.of(&job.tenant_id);
    let clip = fetched.media.filter(|media| media.is_clip());
    if clip.is_some() {
        found.mime = clip.map(|media| media.mime().to_owned());
        if let Some(said) = read_clip(sandbox, job, blob, &fetched).await? {
            found.reason = too_long(
                said.harmless.duration_ms,
                most.max_clip_seconds.of(&job.tenant_id),
            );
            found.metadata = kept(&said, policy);
            found.live = live_half(&job.tenant_id, &said, clip);
        }
        let most = context.settings.max_clip_bytes;
        if found.reason.is_none() && blob.size_bytes > most {
            let why = format!("clips of more than {most} bytes are not decoded here");
            found.reason = Some((Code::ByteLimitExceeded, why));
        }
        if found.reason.is_some() {
            return Ok(Outcome::Failed(found));
        }
    }
    let Some(file) = fetched.file else {
        found.mime = fetched.media.map(|media| media.mime().to_owned());
        let what = found
            .mime
            .clone()
            .unwrap_or_else(|| "this kind of file".to_owned());
        found.reason = Some((Code::UnsupportedMediaType, format!("cannot decode {what}")));
        return Ok(Outcome::Failed(found));
    };
    let shown = match clip {
        Some(media) => {
            let max_pixels = most.max_pixels.of(&job.tenant_id);
            let presets = preset::OF_CLIP.to_vec();
            let made = clip_pictures(sandbox, &file, media, presets, max_pixels).await;
            if let Ok((_, facts)) = &made {
                // Of one that is too large to be read for what it tells this is the first that is heard.
                found.reason = too_long(
                    facts.duration_ms(),
                    most.max_clip_seconds.of(&job.tenant_id),
                );
            }
            if found.reason.is_some() {
                return Ok(Outcome::Failed(found));
            }
            made.map(|(reply, _)| reply)
        }
        None => {
            let mut limits = most.decoding(&job.tenant_id);
            // What is small as a file may be large as a picture, which its header tells before it is decoded: those whose
            // work it is do that.
            let mime = fetched.media.map(MediaType::mime);
            let light = u64::try_from(most_light_pixels(mime)).unwrap_or(u64::MAX);
            let is_for_light = context.settings.lanes && job.class == CostClass::Light;
            let is_bounded = is_for_light && light < limits.max_pixels;
            if is_bounded {
                limits.max_pixels = light;
            }
            let task = RenderTask {
                presets: presets.clone(),
                limits,
                want_hashes: true,
                want_scores: false,
                exact: false,
            };
            let reply = sandbox.render_and_read(file, task).await;
            let is_heavy = |e: &SandboxError| e.code() == Code::PixelLimitExceeded;
            if is_bounded && reply.as_ref().is_err_and(is_heavy) {
                return Err(JobError::Reclass {
                    class: CostClass::Heavy,
                });
            }
            reply
        }
    };
    match shown {
        Ok(mut reply) => {
            found.mime = Some(reply.media.mime().to_owned());
            found.width = Some(i64::from(reply.width));
            found.height = Some(i64::from(reply.height));
            found.thumbhash = reply.thumbhash.map(|hash| BASE64_STANDARD.encode(hash));
            found.picture_hash = reply.picture_hash;
            if clip.is_none() {
                let said = reply.metadata.take().map(|said| believed(*said));
                found.metadata = said.as_ref().and_then(|said| kept(said, policy));
                let media = Some(reply.media);
                found.live = said
                    .as_ref()
                    .and_then(|said| live_half(&job.tenant_id, said, media));
            }
            let asset_id = holders.first().map_or("", |a| a.asset_id.as_str());
            let (tenant_id, blob_id) = (&job.tenant_id, &blob.blob_id);
            let mut stored = Vec::with_capacity(reply.renditions.len());
            for made in reply.renditions {
                stored.push(store_rendition(context, tenant_id, blob_id, asset_id, made).await?);
            }
            Ok(Outcome::Cover(found, stored))
        }
        Err(error) => {
            if let Some(again) = once_more(&error, job) {
                return Err(again);
            }
            found.mime = fetched.media.map(|media| media.mime().to_owned());
            found.reason = Some((error.code(), error.to_string()));
            Ok(Outcome::Failed(found))
        }
    }
}

/// What a clip tells of how it was taken; nothing where it is too long to be read for that.
async fn read_clip(
    sandbox: &Sandbox,
    job: &Job,
    blob: &Blob,
    fetched: &Fetched,
) -> Result<Option<FileMetadata>, JobError> {
    let Some(clip) = &fetched.file else {
        return Ok(None);
    };
    if blob.size_bytes > limits::MAX_READ_BYTES {
        return Ok(None);
    }
    let clip = clip.try_clone().map_err(|e| disk_failed(&e))?;
    match sandbox.read_metadata(clip).await {
        Ok(said) => Ok(Some(believed(*said))),
        Err(error) if error.retryable() => Err(not_made(&error, job)),
        Err(error) => {
            tracing::debug!(%error, blob_id = blob.blob_id, "a clip tells nothing");
            Ok(None)
        }
    }
}

/// The other blob of these bytes: one of the owner's own, before one that his tenant's owners share.
async fn hold_twin(
    tx: &mut Tx<'_>,
    context: &Context,
    job: &Job,
    blob: &Blob,
    sha256: &str,
) -> Result<Option<Blob>, CatalogError> {
    let tenant_id = &job.tenant_id;
    let own = blobs::hold_twin(tx, tenant_id, &job.owner_id, blob, sha256).await?;
    let shares = blob.scope == blobs::SHARED || context.settings.dedup_scope == DedupScope::Tenant;
    if own.is_some() || !shares {
        return Ok(own);
    }
    blobs::hold_twin(tx, tenant_id, blobs::SHARED, blob, sha256).await
}

/// Whether the store still has a blob's bytes: what came again must not be given up for what is lost.
async fn is_there(context: &Context, blob: &Blob) -> Result<bool, JobError> {
    let key = ObjectKey::parse(&blob.object_key).map_err(|e| JobError::Cancel {
        code: Code::Internal,
        detail: e.to_string(),
    })?;
    match context.objects.head(&key).await {
        Ok(head) => Ok(head.is_some_and(|object| object.size_bytes == blob.size_bytes)),
        Err(error) => Err(JobError::Retry {
            after: error.retry(),
            code: error.code(),
            detail: error.code().title().to_owned(),
        }),
    }
}

/// Why the bytes are not those that were declared.
fn declared_otherwise(holders: &[Asset], blob: &Blob, fetched: &Fetched) -> Option<(Code, String)> {
    if fetched.size_bytes != blob.size_bytes {
        let detail = format!(
            "{} bytes arrived, {} were declared",
            fetched.size_bytes, blob.size_bytes
        );
        return Some((Code::SizeMismatch, detail));
    }
    let declared = holders
        .iter()
        .filter_map(|a| a.sha256.as_ref())
        .find(|hash| **hash != fetched.sha256)?;
    let detail = format!(
        "the bytes that arrived hash to {}, {declared} was declared",
        fetched.sha256
    );
    Some((Code::ChecksumMismatch, detail))
}

async fn conclude(
    tx: &mut Tx<'_>,
    context: &Context,
    job: &Job,
    blob: &Blob,
    mut outcome: Outcome,
    lost: Option<Blob>,
) -> Result<(), JobError> {
    // Held first, as whoever deletes does: what was doomed meanwhile is nobody's, and its purge waits for this job's end.
    if blobs::hold(tx, &job.tenant_id, &blob.blob_id)
        .await?
        .is_none()
    {
        return Ok(());
    }
    let sha256 = match &outcome {
        Outcome::Twin(sha256) => Some(sha256.clone()),
        Outcome::Cover(found, _) | Outcome::Failed(found) => found.sha256.clone(),
    };
    if let Some(sha256) = sha256
        && let Some(twin) = hold_twin(tx, context, job, blob, &sha256).await?
    {
        if lost.is_none_or(|lost| lost.blob_id != twin.blob_id) {
            return Ok(join(tx, context, job, blob, &twin).await?);
        }
        if let Outcome::Cover(found, _) | Outcome::Failed(found) = &mut outcome {
            let reason = found.reason.as_ref().map(|(code, _)| code.as_str());
            // An owner's own blob does not take the place of one that others share: theirs would be lost. The other way round it
            // may, if no third is shared already.
            let is_wider = blob.scope == blobs::SHARED
                && blobs::hold_twin(tx, &job.tenant_id, blobs::SHARED, blob, &sha256)
                    .await?
                    .is_none();
            if reason == twin.reason_code.as_deref() && (blob.scope == twin.scope || is_wider) {
                let there =
                    assets::of_blob_and_owner(tx, &job.tenant_id, &twin, &job.owner_id).await?;
                become_one(tx, context, job, blob, &there).await?;
                replace_lost(tx, context, job, blob, &twin).await?;
            } else {
                // Its assets are not what these would make of them: they are kept by themselves.
                found.sha256 = None;
            }
        }
    }
    match outcome {
        Outcome::Twin(_) => Err(JobError::Retry {
            after: None,
            code: Code::Internal,
            detail: "the same bytes were removed meanwhile".into(),
        }),
        Outcome::Failed(found) => {
            let reason = found.reason.clone();
            blobs::inspected(tx, &job.tenant_id, &blob.blob_id, &found, context.now()).await?;
            move_holders(
                tx,
                context,
                &job.tenant_id,
                &blob.blob_id,
                Event::InspectFailed,
                reason,
            )
            .await?;
            Ok(())
        }
        Outcome::Cover(found, stored) => Ok(pass(tx, context, job, blob, &found, &stored).await?),
    }
}

async fn pass(
    tx: &mut Tx<'_>,
    context: &Context,
    job: &Job,
    blob: &Blob,
    found: &Inspected,
    stored: &[Stored],
) -> Result<(), CatalogError> {
    let now = context.now();
    blobs::inspected(tx, &job.tenant_id, &blob.blob_id, found, now).await?;
    for one in stored {
        renditions::store(tx, &job.tenant_id, &blob.blob_id, one, now).await?;
    }
    let media = found.mime.as_deref().and_then(MediaType::of_mime);
    let is_clip = media.is_some_and(MediaType::is_clip);
    let (kind, class) = if is_clip {
        (JobKind::Transcode, CostClass::Video)
    } else {
        let class = CostClass::of_picture(found.mime.as_deref(), found.width, found.height);
        (JobKind::Derive, class)
    };
    let awaited = match is_clip {
        true => preset::PLAYED.to_vec(),
        false => context.presets(&job.tenant_id).derived().to_vec(),
    };
    for preset in &awaited {
        renditions::expect(tx, &job.tenant_id, &blob.blob_id, preset, now).await?;
    }
    if is_clip {
        // There is none of a clip's pictures: nobody is to look for it.
        alternatives::avif_sought(tx, &job.tenant_id, &blob.blob_id, now).await?;
    }
    let owner = Owner {
        tenant_id: job.tenant_id.clone(),
        owner_id: job.owner_id.clone(),
    };
    let holders = assets::of_blob(tx, &job.tenant_id, &blob.blob_id).await?;
    for one in stored {
        tell_of_rendition(tx, context, &holders, &one.preset.label()).await?;
    }
    move_holders(
        tx,
        context,
        &job.tenant_id,
        &blob.blob_id,
        Event::InspectPassed,
        None,
    )
    .await?;
    if found.live.is_some() {
        tell_other_half(tx, context, &holders).await?;
    }
    let blob_id = &blob.blob_id;
    enqueue_costing(tx, context, class, kind, &owner, blob_id).await?;
    if is_clip {
        return Ok(());
    }
    // Who joined while it was being decoded may mean it for a profile.
    want_profile(tx, context, &owner, blob_id).await
}

/// Has the square of a blob made that was inspected, if it is for a profile and there is none.
async fn want_profile(
    tx: &mut Tx<'_>,
    context: &Context,
    owner: &Owner,
    blob_id: &str,
) -> Result<(), CatalogError> {
    if is_for_profile(tx, &owner.tenant_id, blob_id).await?
        && let Some(blob) = blobs::find(tx, &owner.tenant_id, blob_id).await?
    {
        want_square(tx, context, owner, &blob).await?;
    }
    Ok(())
}

/// These bytes are there already: what holds this blob becomes the asset of its owner that has them, or at least points to
/// their blob, and this one goes.
async fn join(
    tx: &mut Tx<'_>,
    context: &Context,
    job: &Job,
    blob: &Blob,
    twin: &Blob,
) -> Result<(), CatalogError> {
    let (event, reason) = match &twin.reason_code {
        None => (Event::InspectPassed, None),
        Some(code) => {
            let code = Code::parse(code).unwrap_or(Code::Internal);
            (
                Event::InspectFailed,
                Some((code, twin.reason_detail.clone().unwrap_or_default())),
            )
        }
    };
    let (tenant_id, owner_id) = (&job.tenant_id, &job.owner_id);
    let there = assets::of_blob_and_owner(tx, tenant_id, twin, owner_id).await?;
    become_one(tx, context, job, blob, &there).await?;
    let owner = Owner {
        tenant_id: tenant_id.clone(),
        owner_id: owner_id.clone(),
    };
    if there.is_empty() {
        // Whoever else has them is not to be told from what is told.
        let joining = assets::of_blob(tx, tenant_id, &blob.blob_id).await?;
        for made in renditions::of_blob(tx, tenant_id, &twin.blob_id).await? {
            let version = u32::try_from(made.version).unwrap_or(0);
            if made.state == "ready"
                && let Some(label) = preset::labelled(&made.preset, version)
            {
                tell_of_rendition(tx, context, &joining, &label).await?;
            }
        }
    }
    move_holders(tx, context, tenant_id, &blob.blob_id, event, reason).await?;
    let joining = assets::of_blob(tx, tenant_id, &blob.blob_id).await?;
    blobs::merge(tx, tenant_id, &blob.blob_id, &twin.blob_id).await?;
    if twin.live.is_some() {
        tell_other_half(tx, context, &joining).await?;
    }
    want_profile(tx, context, &owner, &twin.blob_id).await?;
    tell_best_frame(tx, context, tenant_id, &twin.blob_id).await?;
    for asset in there {
        let told = Told {
            kind: "asset.updated",
            owner: &owner,
            asset_id: &asset.asset_id,
        };
        record(tx, context, told).await?;
    }
    enqueue(tx, context, JobKind::Purge, &owner, &blob.blob_id).await?;
    Ok(())
}

/// The owner has an asset of these bytes: it stands for those that were made for them meanwhile, unless he wants to keep
/// another.
async fn become_one(
    tx: &mut Tx<'_>,
    context: &Context,
    job: &Job,
    blob: &Blob,
    there: &[Asset],
) -> Result<(), CatalogError> {
    let Some(first) = there.iter().find(|a| a.state != State::Deleted) else {
        return Ok(());
    };
    for asset in assets::of_blob(tx, &job.tenant_id, &blob.blob_id).await? {
        let wants = captures::duplicates_of(tx, &job.tenant_id, &asset.asset_id).await?;
        if wants == Duplicates::Keep {
            continue;
        }
        let (merged, carried_over) = (context.fresh_id(ids::EVENT), context.fresh_id(ids::EVENT));
        let event_ids = MergeEvents {
            merged: &merged,
            carried_over: &carried_over,
        };
        merge_asset(tx, &asset, first, event_ids, context.now()).await?;
    }
    Ok(())
}

/// The job is dead: its assets fail with the reason, in the same transaction.
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
    let reason = Some((code, detail.to_owned()));
    move_holders(
        tx,
        context,
        &job.tenant_id,
        &job.subject_id,
        Event::InspectFailed,
        reason,
    )
    .await
}
