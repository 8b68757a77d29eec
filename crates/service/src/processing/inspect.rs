//! `inspect`: reads an original once, verifies it, judges it, makes its cover. Then it is viewable.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use safelight_catalog::assets::{self, Asset};
use safelight_catalog::blobs::{self, Blob, Inspected};
use safelight_catalog::jobs::{self, Job};
use safelight_catalog::{CatalogError, Tx};
use safelight_imaging::MediaType;
use safelight_model::codes::Code;
use safelight_model::cost_class::{CostClass, most_light_pixels};
use safelight_model::file_metadata::FileMetadata;
use safelight_model::lifecycle::Event;
use safelight_model::limits;
use safelight_model::preset::{self, Preset};
use safelight_objects::ObjectKey;

use super::AtHand;
use super::clip_pictures::clip_pictures;
use super::conclude::{
    Outcome, Stands, conclude, hold_twin, in_line, is_for_profile, move_holders, stands,
};
use super::fetch_original::{Fetched, disk_failed, fetch_kinds, store_failed};
use super::file_metadata::{believed, kept, live_half, too_long};
use super::not_made::{not_made, once_more};
use super::sandbox::{KeptPicture, RenderTask, Sandbox, SandboxError};
use super::store_rendition::store_rendition;
use crate::context::Context;
use crate::work::{JobError, Lease, Results, results};

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
    lease: &Lease,
) -> Result<Results, JobError> {
    let job = &lease.job;
    let Some(begun) = begin(context, lease).await? else {
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
    let Examined {
        outcome,
        picture,
        lost,
    } = examine(context, sandbox, lease, &begun, fetched).await?;
    if let (Outcome::Cover(..), Some(again)) = (&outcome, again) {
        at_hand.keep(job, again, picture);
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

/// What the bytes are.
struct Examined {
    outcome: Outcome,
    /// The decoded picture, if something is made of it next.
    picture: Option<KeptPicture>,
    /// The blob of the same bytes that the store has lost, if there is one.
    lost: Option<Blob>,
}

impl From<Outcome> for Examined {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            picture: None,
            lost: None,
        }
    }
}

/// The blob and who holds it, now marked as being processed. `None` when there is nothing to do.
async fn begin(context: &Context, lease: &Lease) -> Result<Option<Begun>, JobError> {
    let (context, job) = (context.clone(), lease.job.clone());
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

async fn examine(
    context: &Context,
    sandbox: &Sandbox,
    lease: &Lease,
    begun: &Begun,
    fetched: Fetched,
) -> Result<Examined, JobError> {
    let Begun { blob, holders, .. } = begun;
    let job = &lease.job;
    let mut found = Inspected {
        sha256: Some(fetched.sha256.clone()),
        verdict: NO_SCANNER,
        ..Inspected::default()
    };
    if let Some(reason) = declared_otherwise(holders, blob, &fetched) {
        // What was declared and what arrived are two things: these bytes are nobody's answer.
        found.sha256 = None;
        found.reason = Some(reason);
        return Ok(Outcome::Failed(found).into());
    }
    let (of, hash) = (blob.clone(), fetched.sha256.clone());
    let (asking, of_job) = (context.clone(), job.clone());
    let (twin, is_waited_for) = context
        .catalog
        .write(move |tx| {
            Box::pin(async move {
                let twin = hold_twin(tx, &asking, &of_job, &of, &hash).await?;
                Ok::<_, CatalogError>((twin, jobs::is_waited_for(tx, of_job.class).await?))
            })
        })
        .await?;
    let lost = match twin {
        Some(twin) if is_there(context, &twin).await? => match stands(&twin, blob) {
            Stands::Inspected => return Ok(Outcome::Twin(fetched.sha256).into()),
            Stands::First => return Err(in_line(context, job)),
            Stands::Behind => None,
        },
        twin => twin,
    };
    // Where somebody waits, decoding for more than what is seen first would keep him; a second attempt has to do with less; and in one
    // lane what is derived waits in line as all else.
    let goes_on =
        !is_waited_for && job.attempts <= 1 && context.settings.lanes && (lease.may_go_on.0)();
    let later = match goes_on {
        true => context.presets(&job.tenant_id).derived().to_vec(),
        false => Vec::new(),
    };
    let mut examined = render(context, sandbox, job, begun, &later, fetched, found).await?;
    if let Outcome::Failed(found) = &mut examined.outcome
        && !is_of_the_content(found)
    {
        found.sha256 = None;
    }
    Ok(Examined { lost, ..examined })
}

/// Whether every server ends so with these bytes, so that sending them again is in vain: where it is this one's settings or what
/// it can decode, they are inspected anew when they are sent again.
fn is_of_the_content(found: &Inspected) -> bool {
    let reason = found.reason.as_ref();
    reason.is_some_and(|(code, _)| *code == Code::MediaCorrupt)
}

/// Makes the cover, and the square of what is for a profile, of a picture that is kept for `later` if there is something.
async fn render(
    context: &Context,
    sandbox: &Sandbox,
    job: &Job,
    begun: &Begun,
    later: &[Preset],
    fetched: Fetched,
    mut found: Inspected,
) -> Result<Examined, JobError> {
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
            return Ok(Outcome::Failed(found).into());
        }
    }
    let Some(file) = fetched.file else {
        found.mime = fetched.media.map(|media| media.mime().to_owned());
        let what = found
            .mime
            .clone()
            .unwrap_or_else(|| "this kind of file".to_owned());
        found.reason = Some((Code::UnsupportedMediaType, format!("cannot decode {what}")));
        return Ok(Outcome::Failed(found).into());
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
                return Ok(Outcome::Failed(found).into());
            }
            made.map(|(reply, _)| (reply, None))
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
                want_faces: false,
                exact: false,
                credit: context.settings.rendition_copyright.of(&job.tenant_id),
            };
            let reply = sandbox.render_first(file, task, later).await;
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
        Ok((mut reply, picture)) => {
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
            Ok(Examined {
                outcome: Outcome::Cover(found, stored),
                picture,
                lost: None,
            })
        }
        Err(error) => {
            if let Some(again) = once_more(&error, job) {
                return Err(again);
            }
            let is_refused = matches!(error, SandboxError::Refused { .. });
            if clip.is_none() && !later.is_empty() && !is_refused {
                // What killed a decoder may have been that it decoded for more than is seen first.
                return Err(JobError::Retry {
                    after: Some(Duration::ZERO),
                    code: error.code(),
                    detail: error.to_string(),
                });
            }
            found.mime = fetched.media.map(|media| media.mime().to_owned());
            found.reason = Some((error.code(), error.to_string()));
            Ok(Outcome::Failed(found).into())
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

/// Whether the store still has a blob's bytes: what came again must not be given up for what is lost.
async fn is_there(context: &Context, blob: &Blob) -> Result<bool, JobError> {
    let key = ObjectKey::parse(&blob.object_key).map_err(|e| JobError::Cancel {
        code: Code::Internal,
        detail: e.to_string(),
    })?;
    match context.objects.head(&key).await {
        Ok(head) => Ok(head.is_some_and(|object| object.size_bytes == blob.size_bytes)),
        Err(error) => Err(store_failed(&error)),
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
        // Whoever declared what the store checked may have gone.
        .chain(&blob.sha256)
        .find(|hash| **hash != fetched.sha256)?;
    let detail = format!(
        "the bytes that arrived hash to {}, {declared} was declared",
        fetched.sha256
    );
    Some((Code::ChecksumMismatch, detail))
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
    blobs::forget_hash(tx, &job.tenant_id, &job.subject_id).await?;
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
