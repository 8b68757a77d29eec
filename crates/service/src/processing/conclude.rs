//! What the inspection of a blob leads to, in one commit: it is shown, or has failed, or is joined to the bytes that were there.

use std::time::Duration;

use safelight_catalog::assets::{self, Asset, Transition};
use safelight_catalog::blobs::{self, Blob, Inspected};
use safelight_catalog::jobs::Job;
use safelight_catalog::merge_asset::{MergeEvents, merge_asset};
use safelight_catalog::renditions::{self, Stored};
use safelight_catalog::{CatalogError, Tx, alternatives, captures};
use safelight_imaging::MediaType;
use safelight_model::codes::Code;
use safelight_model::cost_class::CostClass;
use safelight_model::duplicates::{DedupScope, Duplicates};
use safelight_model::ids;
use safelight_model::job::JobKind;
use safelight_model::lifecycle::{Event, State};
use safelight_model::preset;

use super::replace_lost::replace_lost;
use super::store_rendition::tell_of_rendition;
use super::tell_best_frame::tell_best_frame;
use super::tell_other_half::tell_other_half;
use crate::context::{Context, Owner};
use crate::insights::record::{Told, record};
use crate::queue::enqueue::{enqueue, enqueue_costing, is_asked_for};
use crate::want_square::want_square;
use crate::work::JobError;

/// What looking at the bytes led to.
pub(super) enum Outcome {
    /// These bytes are in another blob, of the owner's or one that his tenant's owners share.
    Twin(String),
    /// They are what they should be, and here are the cover and what else is made at once.
    Cover(Inspected, Vec<Stored>),
    /// They cannot be shown.
    Failed(Inspected),
}

/// Where another blob of the same bytes stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    /// It was inspected.
    Inspected,
    /// Its store has checked its hash, nobody has read it yet, and whoever inspects these waits for that: what was read is not given up
    /// for what was not.
    First,
    /// The same, and it is that one which waits.
    Behind,
}

/// How long a job waits in line for the inspection of the same bytes in another blob, at first, and at most.
const LEAST_WAIT: Duration = Duration::from_secs(3);
const MOST_WAIT: Duration = Duration::from_secs(300);

/// How a job waits in line for that: the longer it has waited the more seldom it looks, since it reads the whole file each time.
pub(super) fn in_line(context: &Context, job: &Job) -> JobError {
    let waited_us = context.now().0.saturating_sub(job.enqueued_at.0);
    let waited = Duration::from_micros(u64::try_from(waited_us).unwrap_or(0));
    JobError::Snooze {
        after: (waited / 4).clamp(LEAST_WAIT, MOST_WAIT),
    }
}

/// Where `twin` stands beside `blob`, which is being inspected. In one scope only one blob can have the hash; of two in different scopes
/// the older goes first, so that they do not wait for each other.
pub(super) fn stands(twin: &Blob, blob: &Blob) -> Stands {
    match twin.inspected_at {
        Some(_) => Stands::Inspected,
        None if twin.scope == blob.scope || twin.blob_id < blob.blob_id => Stands::First,
        None => Stands::Behind,
    }
}

/// Writes down what came of it.
pub(super) async fn conclude(
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
        let is_lost = lost.is_some_and(|lost| lost.blob_id == twin.blob_id);
        match stands(&twin, blob) {
            Stands::Inspected if !is_lost => {
                return Ok(join(tx, context, job, blob, &twin).await?);
            }
            Stands::First if !is_lost => return Err(in_line(context, job)),
            Stands::Inspected | Stands::First | Stands::Behind => {}
        }
        if is_lost && let Outcome::Cover(found, _) | Outcome::Failed(found) = &mut outcome {
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
                // What held the lost one may still have waited for its inspection.
                let (tenant_id, blob_id) = (&job.tenant_id, &blob.blob_id);
                let begun = Event::InspectStarted;
                move_holders(tx, context, tenant_id, blob_id, begun, None).await?;
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

/// The other blob of these bytes: one of the owner's own, before one that his tenant's owners share. One that is shared itself looks
/// among those first where it goes before the owner's own, since it may not have a hash that another of them has.
pub(super) async fn hold_twin(
    tx: &mut Tx<'_>,
    context: &Context,
    job: &Job,
    blob: &Blob,
    sha256: &str,
) -> Result<Option<Blob>, CatalogError> {
    let own = hold_in(tx, job, &job.owner_id, blob, sha256).await?;
    let own =
        own.filter(|twin| blob.scope != blobs::SHARED || stands(twin, blob) != Stands::Behind);
    let shares = blob.scope == blobs::SHARED || context.settings.dedup_scope == DedupScope::Tenant;
    if own.is_some() || !shares {
        return Ok(own);
    }
    hold_in(tx, job, blobs::SHARED, blob, sha256).await
}

/// The same in one scope. What nobody is going to inspect any more is nobody's twin.
async fn hold_in(
    tx: &mut Tx<'_>,
    job: &Job,
    scope: &str,
    blob: &Blob,
    sha256: &str,
) -> Result<Option<Blob>, CatalogError> {
    let tenant_id = &job.tenant_id;
    let found = blobs::hold_twin(tx, tenant_id, scope, blob, sha256).await?;
    if let Some(twin) = &found
        && twin.inspected_at.is_none()
        && !is_asked_for(tx, tenant_id, JobKind::Inspect, &twin.blob_id).await?
    {
        blobs::forget_hash(tx, tenant_id, &twin.blob_id).await?;
        return Ok(None);
    }
    Ok(found)
}

pub(super) async fn move_holders(
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

/// Whether anybody who holds a blob means it for a profile.
pub(super) async fn is_for_profile(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
) -> Result<bool, CatalogError> {
    captures::is_meant_for(tx, tenant_id, blob_id, preset::PROFILE).await
}

#[cfg(test)]
mod tests {
    use safelight_model::clock::Micros;

    use super::*;

    fn blob(blob_id: &str, scope: &str, inspected_at: Option<Micros>) -> Blob {
        Blob {
            blob_id: blob_id.into(),
            scope: scope.into(),
            inspected_at,
            ..Blob::default()
        }
    }

    #[test]
    fn of_two_that_nobody_has_read_one_waits() {
        let (own, shared) = (
            blob("blb_1", "ann", None),
            blob("blb_2", blobs::SHARED, None),
        );
        assert_eq!(stands(&own, &shared), Stands::First);
        assert_eq!(stands(&shared, &own), Stands::Behind);
        // In one scope the one that has the hash goes first, whichever came first: the other does not see itself.
        let same = blob("blb_3", "ann", None);
        assert_eq!(stands(&same, &own), Stands::First);
        let read = blob("blb_3", "ann", Some(Micros(1)));
        assert_eq!(stands(&read, &own), Stands::Inspected);
    }
}
