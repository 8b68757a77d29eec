//! `POST /v1/uploads/{id}/plan`: another plan in the midst of an upload. Touches the database only, but for an upload that is to
//! begin anew.

use safelight_api::uploads::{Replan as Asked, Replanned};
use safelight_catalog::uploads::{self, Replan, Upload, UploadState};
use safelight_catalog::{CatalogError, assets, captures};
use safelight_model::plan::{Arrived, File, Hints, Revised, Transport, revise};

use super::append::links;
use super::begin_anew::{begin_anew, may_begin_anew};
use super::may_be_sent::may_be_sent;
use super::plan_hints;
use super::sign_urls::{SignError, find};
use crate::context::{Context, Owner};

/// How often it is tried again when the upload changes meanwhile: what changes ends, or begins, once.
const TRIES: u32 = 3;

/// Plans an unfinished upload anew, by what the client says now and the policy in force. Asking again is harmless.
///
/// # Errors
/// If there is no such upload of this owner, or it has ended or is whole; if the catalog fails.
pub async fn replan_upload(
    context: &Context,
    owner: &Owner,
    upload_id: &str,
    asked: &Asked,
) -> Result<Replanned, SignError> {
    for nth in 0..TRIES {
        let upload = find(context, owner, upload_id).await?;
        if upload.state != UploadState::Open || upload.expires_at <= context.now() {
            return Err(SignError::closed(context, &upload).await);
        }
        // It is begun anew by what was known when that was asked for: who does something for it meanwhile is not overtaken.
        let may_restart = asked.restart && nth == 0;
        if let Some(answer) = once(context, upload, asked, may_restart).await? {
            return Ok(answer);
        }
    }
    Err(SignError::Contended)
}

/// One try; none if the upload is no longer as it was read.
async fn once(
    context: &Context,
    upload: Upload,
    asked: &Asked,
    may_restart: bool,
) -> Result<Option<Replanned>, SignError> {
    let purpose = purpose(context, &upload).await?;
    let spoken = plan_hints::spoken(&asked.accept_transports, &[upload.transport]);
    let carriers = plan_hints::carriers(context, upload.sha256.as_deref(), &spoken);
    let carriers = carriers.ok_or_else(|| {
        SignError::Invalid(
            "accept_transports".to_owned(),
            "this server signs no URL that is bound to a length alone: accept append".to_owned(),
        )
    })?;
    let hints = Hints {
        spoken: carriers,
        link: plan_hints::link(asked.network.as_ref()),
        battery: plan_hints::battery(asked.battery.as_ref()),
        background: asked.background,
        purpose: purpose.as_deref(),
    };
    let policy = &context.settings.plan_policy;
    // Of what is appended to, the length may not be known yet.
    let size_bytes = match upload.size_bytes {
        0 => context.settings.media.max_file_bytes.of(&upload.tenant_id),
        known => known,
    };
    let file = File {
        size_bytes,
        mime: upload.mime.as_deref(),
        ..File::default()
    };
    let bounds = plan_hints::bounds(context);
    let chosen = policy.choose(&file, &hints, bounds);
    let wanted = chosen.ok_or_else(|| {
        SignError::Invalid(
            "accept_transports".to_owned(),
            "none of the accepted transports can carry this file: accept multipart".to_owned(),
        )
    })?;
    let Revised { plan, kept_from } = revise(
        (upload.transport, upload.part_size_bytes),
        wanted,
        arrived(&upload),
    );
    let restarts = may_restart
        && kept_from == Some(Transport::Append)
        && may_begin_anew(context, &upload).await?;
    let (plan, kept_from) = if restarts {
        (wanted, None)
    } else {
        (plan, kept_from)
    };
    let to = Replan {
        transport: plan.transport,
        part_size_bytes: plan.part_size_bytes,
        concurrency: plan.concurrency.into(),
        advice: plan_hints::advice(&plan),
    };
    let written = if restarts {
        begin_anew(context, upload, to).await?
    } else {
        write(context, upload, to).await?
    };
    let Some(upload) = written else {
        return Ok(None);
    };
    Ok(Some(Replanned {
        plan: plan_hints::plan_of(&upload),
        would_be: kept_from.map(|t| t.as_str().to_owned()),
        assets_at_once: policy.at_once(&[plan], &hints),
        urls: if upload.transport == Transport::Append {
            links::addresses_of(context, &upload)
        } else {
            Vec::new()
        },
        upload_id: upload.upload_id,
    }))
}

/// A URL was given out from the time on that it is signed until; what is appended to is marked so when it is taken.
/// The one URL of `single` leaves with the first answer, so that nothing of it can change.
fn arrived(upload: &Upload) -> Arrived {
    if upload.store_upload_id.is_none() && upload.signed_until.0 == 0 {
        Arrived::Nothing
    } else {
        Arrived::Something
    }
}

async fn purpose(context: &Context, upload: &Upload) -> Result<Option<String>, SignError> {
    let mut reader = context.catalog.reader().await?;
    let tx = &mut reader.tx();
    let Some(asset) = assets::find(tx, &upload.tenant_id, &upload.asset_id).await? else {
        return Ok(None);
    };
    let capture = captures::find(tx, &upload.tenant_id, &asset.capture_id).await?;
    Ok(capture.and_then(|c| c.purpose))
}

async fn write(
    context: &Context,
    mut upload: Upload,
    to: Replan,
) -> Result<Option<Upload>, SignError> {
    let (as_read, context, changes) = (upload.clone(), context.clone(), to.clone());
    let catalog = context.catalog.clone();
    let written = catalog
        .write(move |tx| {
            Box::pin(async move {
                if !uploads::replan(tx, &as_read, &changes).await? {
                    return Ok(false);
                }
                if changes.transport == Transport::Append && as_read.transport != Transport::Append
                {
                    may_be_sent(tx, &context, &as_read).await?;
                }
                Ok::<_, CatalogError>(true)
            })
        })
        .await?;
    if !written {
        return Ok(None);
    }
    upload.transport = to.transport;
    upload.part_size_bytes = to.part_size_bytes;
    upload.concurrency = to.concurrency;
    upload.advice = to.advice;
    Ok(Some(upload))
}
