//! `POST /v1/captures`: one request for a whole burst. Touches the database only.

use std::collections::HashSet;
use std::sync::Arc;

use safelight_api::captures::{
    AssetInitiated, CaptureInitiated, InitiateAsset, InitiateCapture, InitiateResource,
    UploadPlanned,
};
use safelight_catalog::CatalogError;
use safelight_catalog::initiate::{FreshAsset, FreshCapture, Full, Initiated};
use safelight_model::clock::Micros;
use safelight_model::codes::Code;
use safelight_model::duplicates::Duplicates;
use safelight_model::lifecycle::State;
use safelight_model::metadata::Moment;
use safelight_model::plan::{self, Hints, Transport};
use safelight_model::{ids, limits, look};
use safelight_objects::ObjectKey;

use super::append::links;
use super::check_capture::{check_asset, check_capture, invalid};
use super::initiation_queue::{InitiationQueue, QueueError};
use super::plan_hints::{self, Columns};
use super::read_capture::{self, ReadError};
use super::sign_urls::{self, SignError};
use crate::context::{Context, Owner};

/// Why a capture was not initiated.
#[derive(Debug, thiserror::Error)]
pub enum InitiateError {
    /// The request is wrong.
    #[error("{1}")]
    Invalid(String, String),
    /// A file is larger than allowed.
    #[error("the file has {size_bytes} bytes; at most {max_bytes} are taken")]
    TooLarge {
        /// Where in the request.
        field: String,
        /// What was declared.
        size_bytes: i64,
        /// What is allowed.
        max_bytes: i64,
    },
    /// The key came before with another request.
    #[error(
        "this Idempotency-Key came before with another request: use a fresh key for a fresh request"
    )]
    Mismatch,
    /// The owner has too many uploads open.
    #[error("{}", full(.0))]
    Full(Full),
    /// Too many wait.
    #[error("too many initiations are waiting: try again shortly")]
    Overloaded,
    /// The catalog failed.
    #[error(transparent)]
    Catalog(Arc<CatalogError>),
    /// The answer could not be put together.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A URL could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// What has no room, and what makes some.
fn full(full: &Full) -> String {
    let Full {
        uploads,
        size_bytes,
        limit,
    } = full;
    let mut limits = Vec::new();
    if limit.uploads > 0 {
        limits.push(format!("{} uploads", limit.uploads));
    }
    if limit.size_bytes > 0 {
        limits.push(format!("{} bytes", limit.size_bytes));
    }
    format!(
        "this owner has {uploads} uploads of {size_bytes} bytes open, and may have {} open at once: finish or abort some \
         (DELETE /v1/uploads/{{upload_id}}), then initiate this again; what was refused has used up neither key nor reference",
        limits.join(" and ")
    )
}

impl From<QueueError> for InitiateError {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Full => Self::Overloaded,
            QueueError::Catalog(error) => Self::Catalog(error),
        }
    }
}

impl InitiateError {
    /// The stable code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Invalid(..) => Code::ValidationFailed,
            Self::TooLarge { .. } => Code::ByteLimitExceeded,
            Self::Mismatch => Code::IdempotencyKeyMismatch,
            Self::Full(_) => Code::QuotaExceeded,
            Self::Overloaded => Code::Overloaded,
            Self::Catalog(e) => e.code(),
            Self::Read(e) => e.code(),
            Self::Sign(e) => e.code(),
        }
    }

    /// Where in the request the fault is.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Invalid(field, _) | Self::TooLarge { field, .. } => Some(field),
            _ => None,
        }
    }
}

/// The idempotency key of a request with the hash of what it asks for.
#[derive(Clone, Debug)]
pub struct Key {
    /// Who calls.
    pub caller: String,
    /// The key.
    pub key: String,
    /// The hash of operation and body.
    pub fingerprint: String,
}

/// Initiates a capture. The flag says whether the answer is to a request that came before.
///
/// # Errors
/// If the request is wrong, the key is taken, too many wait, or the catalog fails.
pub async fn initiate_capture(
    context: &Context,
    queue: &InitiationQueue,
    owner: &Owner,
    key: Key,
    request: &InitiateCapture,
) -> Result<(CaptureInitiated, bool), InitiateError> {
    let fresh = prepare(context, owner, key, request)?;
    let answer = queue.initiate(fresh.clone()).await?;
    match answer {
        Initiated::Mismatch => Err(InitiateError::Mismatch),
        Initiated::Full(full) => Err(InitiateError::Full(full)),
        Initiated::Existing(capture_id) => {
            let initiated = read_capture::initiated(context, owner, &capture_id).await?;
            check_known(request, &initiated)?;
            check_bytes(context, owner, &capture_id, &request.assets).await?;
            Ok((initiated, true))
        }
        Initiated::Made(held) => {
            if held.iter().any(Option::is_some) {
                return Ok((
                    read_capture::initiated(context, owner, &fresh.capture_id).await?,
                    false,
                ));
            }
            Ok((render(context, &fresh)?, false))
        }
    }
}

/// Refuses assets that the capture of this reference was not initiated with: nobody would ever send them.
fn check_known(
    request: &InitiateCapture,
    initiated: &CaptureInitiated,
) -> Result<(), InitiateError> {
    let known: HashSet<&str> = initiated
        .assets
        .iter()
        .map(|a| a.client_ref.as_str())
        .collect();
    let mut assets = request.assets.iter();
    match assets.position(|a| !known.contains(a.client_ref.as_str())) {
        None => Ok(()),
        Some(i) => Err(invalid(
            format!("assets[{i}].client_ref"),
            "the capture of this client_ref was initiated without this asset: use a new client_ref for a new capture",
        )),
    }
}

/// Refuses other bytes than the capture of this reference was initiated with: they would be lost.
pub(super) async fn check_bytes(
    context: &Context,
    owner: &Owner,
    capture_id: &str,
    assets: &[InitiateAsset],
) -> Result<(), InitiateError> {
    let contradicted = read_capture::contradicted(context, owner, capture_id, assets).await;
    match contradicted.map_err(|e| InitiateError::Catalog(Arc::new(e)))? {
        None => Ok(()),
        Some(i) => Err(invalid(
            format!("assets[{i}]"),
            "the capture of this client_ref was initiated with other bytes: use a new client_ref for a new capture",
        )),
    }
}

fn json<T: serde::Serialize>(value: Option<&T>) -> Option<String> {
    value.and_then(|v| serde_json::to_string(v).ok())
}

pub(super) fn prepare(
    context: &Context,
    owner: &Owner,
    key: Key,
    request: &InitiateCapture,
) -> Result<FreshCapture, InitiateError> {
    check_capture(request)?;
    let now = context.now();
    let captured_at = match request.captured_at.as_deref() {
        None => None,
        Some(text) => Some(Moment::parse(text).ok_or_else(|| {
            invalid(
                "captured_at",
                "captured_at must be RFC 3339, as 2026-11-23T08:00:00Z",
            )
        })?),
    };
    let duplicates = match request.duplicates.as_deref() {
        None => Duplicates::default(),
        Some(text) => Duplicates::parse(text)
            .ok_or_else(|| invalid("duplicates", "duplicates must be merge or keep"))?,
    };
    let spoken = plan_hints::spoken(
        &request.accept_transports,
        &[Transport::Single, Transport::Multipart],
    );
    let hints = plan_hints::of_request(request, &spoken);
    let bounds = plan_hints::bounds(context);
    let policy = &context.settings.plan_policy;
    let mut plans = Vec::with_capacity(request.assets.len());
    let mut assets = Vec::with_capacity(request.assets.len());
    let mut references = HashSet::new();
    for (i, asset) in request.assets.iter().enumerate() {
        let resource = check_asset(context, &owner.tenant_id, asset, i)?;
        if !references.insert(asset.client_ref.as_str()) {
            return Err(invalid(
                format!("assets[{i}].client_ref"),
                "client_ref must be unique in the capture",
            ));
        }
        let carriers = plan_hints::carriers(context, resource.sha256.as_deref(), &spoken);
        let carriers = carriers.ok_or_else(|| {
            invalid(
                format!("assets[{i}].resources[0].sha256"),
                "this server signs no URL that is bound to a length alone: declare sha256, or accept append",
            )
        })?;
        let hints = Hints {
            spoken: carriers,
            ..hints
        };
        let chosen = policy.choose(&plan_hints::file(resource), &hints, bounds);
        let plan = chosen.ok_or_else(|| {
            invalid(
                "accept_transports",
                "none of the accepted transports can carry this file: accept multipart",
            )
        })?;
        let key = ObjectKey::original(&owner.tenant_id, now, context.entropy.as_ref())
            .map_err(SignError::Key)?;
        plans.push(plan);
        assets.push(fresh_asset(context, asset, resource, plan, &key, now));
    }
    number_the_order(&mut assets);
    Ok(FreshCapture {
        tenant_id: owner.tenant_id.clone(),
        owner_id: owner.owner_id.clone(),
        caller: key.caller,
        idempotency_key: key.key,
        fingerprint: key.fingerprint,
        capture_id: context.fresh_id(ids::CAPTURE),
        event_id: context.fresh_id(ids::EVENT),
        client_ref: request.client_ref.clone(),
        mode: request.mode.clone(),
        purpose: request.purpose.clone(),
        captured_at,
        device: json(request.device.as_ref()),
        network: json(request.network.as_ref()),
        battery: json(request.battery.as_ref()),
        assets_at_once: Some(policy.at_once(&plans, &hints).into()),
        duplicates,
        dedup_scope: context.settings.dedup_scope,
        open_limit: context.settings.open_limit,
        at: now,
        record_expires_at: now.plus(limits::IDEMPOTENCY_RECORD),
        assets,
    })
}

fn fresh_asset(
    context: &Context,
    asset: &InitiateAsset,
    resource: &InitiateResource,
    plan: plan::Plan,
    key: &ObjectKey,
    now: Micros,
) -> FreshAsset {
    let entropy = context.entropy.as_ref();
    let at_once = plan.transport == Transport::Single;
    let expires_at = now.plus(context.settings.upload_life);
    let has_urls = plan.transport != Transport::Multipart;
    FreshAsset {
        client_ref: asset.client_ref.clone(),
        role: asset.role.clone(),
        asset_id: ids::fresh(ids::ASSET, now, entropy),
        public_id: ids::public_id(entropy),
        // URLs of whole files leave with the answer; parts are signed when they are asked for.
        state: if has_urls {
            State::Uploading.as_str()
        } else {
            State::Initiated.as_str()
        },
        preview: resource.preview.clone(),
        resource_id: ids::fresh(ids::RESOURCE, now, entropy),
        kind: resource.kind.clone(),
        filename: resource.filename.clone(),
        mime: resource.mime.clone(),
        size_bytes: resource.size_bytes,
        sha256: resource.sha256.clone(),
        binds_hash: at_once
            && resource.sha256.is_some()
            && context.objects.capabilities().binds_put_sha256(),
        upload_id: ids::fresh(ids::UPLOAD, now, entropy),
        started_event_id: has_urls.then(|| ids::fresh(ids::EVENT, now, entropy)),
        attached_event_id: ids::fresh(ids::EVENT, now, entropy),
        object_key: key.as_str().to_owned(),
        sent_anyway: false,
        transport: plan.transport.as_str(),
        part_size_bytes: plan.part_size_bytes,
        concurrency: i64::from(plan.concurrency),
        send_order: 0,
        advice: plan_hints::advice(&plan),
        signed_until: if at_once {
            now.plus(limits::PRESIGNED_URL)
        } else {
            Micros(0)
        },
        expires_at,
        // Of what was not asked for a URL nothing can have arrived; and what comes through the gateway is known
        // when it is whole.
        look_at: if at_once {
            look::first(now, context.settings.quiet, expires_at)
        } else {
            expires_at
        },
    }
}

fn number_the_order(assets: &mut [FreshAsset]) {
    let single = Transport::Single.as_str();
    let places = plan::order(
        assets
            .iter()
            .map(|a| (a.role.as_str(), a.transport != single)),
    );
    for (asset, place) in assets.iter_mut().zip(places) {
        asset.send_order = i64::try_from(place).unwrap_or(i64::MAX);
    }
}

/// The answer to a capture that was just made, without asking the database again.
fn render(context: &Context, fresh: &FreshCapture) -> Result<CaptureInitiated, InitiateError> {
    let mut assets = Vec::with_capacity(fresh.assets.len());
    for asset in &fresh.assets {
        let urls = if asset.transport == Transport::Single.as_str() {
            vec![sign_urls::single_url(
                context,
                &sign_urls::Target {
                    tenant_id: &fresh.tenant_id,
                    asset_id: &asset.asset_id,
                    object_key: &asset.object_key,
                    size_bytes: asset.size_bytes,
                    sha256: asset.sha256.as_deref(),
                    mime: asset.mime.as_deref(),
                },
                fresh.at,
            )?]
        } else if asset.transport == Transport::Append.as_str() {
            links::addresses(
                context,
                &fresh.tenant_id,
                &asset.upload_id,
                asset.size_bytes,
                asset.expires_at,
            )
        } else {
            Vec::new()
        };
        assets.push(AssetInitiated {
            client_ref: asset.client_ref.clone(),
            asset_id: asset.asset_id.clone(),
            state: asset.state.to_owned(),
            uploads: vec![UploadPlanned {
                upload_id: asset.upload_id.clone(),
                kind: asset.kind.clone(),
                plan: plan_hints::told(&Columns {
                    transport: asset.transport,
                    part_size_bytes: asset.part_size_bytes,
                    concurrency: asset.concurrency,
                    send_order: asset.send_order,
                    advice: asset.advice.as_deref(),
                }),
                urls,
            }],
        });
    }
    Ok(CaptureInitiated {
        capture_id: fresh.capture_id.clone(),
        assets,
        assets_at_once: fresh.assets_at_once.and_then(|n| u32::try_from(n).ok()),
    })
}
