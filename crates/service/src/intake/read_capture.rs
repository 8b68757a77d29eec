//! `GET /v1/captures/{id}`, and the answer to an initiation that came before.

use safelight_api::captures::{
    AssetInitiated, Capture, CaptureAsset, CaptureInitiated, InitiateAsset, InitiateResource,
    UploadPlanned,
};
use safelight_catalog::best_frames;
use safelight_catalog::captures::{self, Member};
use safelight_catalog::uploads::{self, Upload, UploadState};
use safelight_catalog::{CatalogError, Tx};
use safelight_model::codes::Code;
use safelight_model::plan::Transport;

use super::append::links;
use super::plan_hints::plan_of;
use super::sign_urls::{self, SignError};
use crate::context::{Context, Owner};

/// Why a capture cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such capture of this owner.
    #[error("there is no such capture")]
    NotFound,
    /// It was deleted.
    #[error("this capture was deleted; a new one needs a client_ref of its own")]
    Deleted,
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A URL could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl ReadError {
    /// The stable code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotFound => Code::NotFound,
            Self::Deleted => Code::CaptureDeleted,
            Self::Catalog(e) => e.code(),
            Self::Sign(e) => e.code(),
        }
    }
}

type Rows = (captures::Capture, Vec<Member>, Vec<Upload>);

async fn rows(tx: &mut Tx<'_>, owner: &Owner, capture_id: &str) -> Result<Rows, ReadError> {
    let capture = captures::find(tx, &owner.tenant_id, capture_id)
        .await?
        .filter(|c| c.owner_id == owner.owner_id)
        .ok_or(ReadError::NotFound)?;
    if capture.deleted_at.is_some() {
        return Err(ReadError::Deleted);
    }
    let members = captures::members(tx, &owner.tenant_id, capture_id).await?;
    let uploads = uploads::of_capture(tx, &owner.tenant_id, capture_id).await?;
    Ok((capture, members, uploads))
}

/// A capture with its assets.
///
/// # Errors
/// If there is none of this owner, or the catalog fails.
pub async fn read_capture(
    context: &Context,
    owner: &Owner,
    capture_id: &str,
) -> Result<Capture, ReadError> {
    let mut reader = context.catalog.reader().await?;
    let tx = &mut reader.tx();
    let (capture, members, uploads) = rows(tx, owner, capture_id).await?;
    let frames = best_frames::of_capture(tx, &owner.tenant_id, capture_id).await?;
    let assets = members
        .into_iter()
        .map(|m| CaptureAsset {
            uploads: open_uploads(&uploads, &m.asset_id)
                .map(|u| u.upload_id.clone())
                .collect(),
            scores: frames.scores.get(&m.asset_id).copied().map(Into::into),
            client_ref: m.client_ref,
            asset_id: m.asset_id,
            role: m.role,
            state: m.state,
            reason: m.reason_code,
        })
        .collect();
    Ok(Capture {
        capture_id: capture.capture_id,
        client_ref: capture.client_ref,
        mode: capture.mode,
        created_at: capture.created_at.rfc3339(),
        best_asset_id: frames.best,
        assets,
    })
}

fn open_uploads<'a>(uploads: &'a [Upload], asset_id: &'a str) -> impl Iterator<Item = &'a Upload> {
    uploads.iter().filter(move |u| {
        u.asset_id == asset_id && matches!(u.state, UploadState::Open | UploadState::Completing)
    })
}

/// Which asset of a request, if any, is of other bytes than its capture was initiated with, as far as both are known.
///
/// # Errors
/// If the catalog fails.
pub(super) async fn contradicted(
    context: &Context,
    owner: &Owner,
    capture_id: &str,
    assets: &[InitiateAsset],
) -> Result<Option<usize>, CatalogError> {
    let mut reader = context.catalog.reader().await?;
    let members = captures::members(&mut reader.tx(), &owner.tenant_id, capture_id).await?;
    let is_other = |member: &Member, told: &InitiateResource| match (&member.sha256, &told.sha256) {
        (Some(known), Some(told)) => known != told,
        // What is 0 bytes long so far is not known.
        _ => member.size_bytes > 0 && told.size_bytes > 0 && member.size_bytes != told.size_bytes,
    };
    Ok(assets.iter().position(|asset| {
        let member = members.iter().find(|m| m.client_ref == asset.client_ref);
        let primary = asset.resources.iter().find(|r| r.kind == "primary");
        member.zip(primary).is_some_and(|(m, r)| is_other(m, r))
    }))
}

/// The answer to an initiation, rendered anew: present states, fresh URLs.
///
/// # Errors
/// If there is no such capture of this owner, or the catalog fails.
pub async fn initiated(
    context: &Context,
    owner: &Owner,
    capture_id: &str,
) -> Result<CaptureInitiated, ReadError> {
    let (capture, members, uploads) =
        rows(&mut context.catalog.reader().await?.tx(), owner, capture_id).await?;
    let mut assets = Vec::with_capacity(members.len());
    for member in members {
        let mut planned = Vec::new();
        for upload in open_uploads(&uploads, &member.asset_id) {
            let urls = match (upload.transport, upload.state) {
                (Transport::Single, UploadState::Open) => {
                    sign_urls::sign_single(context, upload).await?
                }
                (Transport::Append, UploadState::Open) => links::addresses_of(context, upload),
                _ => Vec::new(),
            };
            planned.push(UploadPlanned {
                upload_id: upload.upload_id.clone(),
                kind: upload.kind.clone(),
                plan: plan_of(upload),
                urls,
            });
        }
        assets.push(AssetInitiated {
            client_ref: member.client_ref,
            asset_id: member.asset_id,
            state: member.state,
            uploads: planned,
        });
    }
    Ok(CaptureInitiated {
        capture_id: capture_id.to_owned(),
        assets,
        assets_at_once: capture.assets_at_once.and_then(|n| u32::try_from(n).ok()),
    })
}
