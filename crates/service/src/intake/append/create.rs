//! Creating an upload for who speaks an upload protocol only: a capture of one asset is initiated on the fly.

use safelight_api::captures::{InitiateAsset, InitiateCapture, InitiateResource};
use safelight_catalog::initiate::Initiated;
use safelight_catalog::{captures, uploads};
use safelight_model::ids;
use safelight_model::plan::Transport;

use super::super::check_capture::invalid;
use super::super::initiate_capture::{InitiateError, Key, check_bytes, prepare};
use super::super::initiation_queue::InitiationQueue;
use super::super::read_capture::ReadError;
use crate::context::{Context, Owner};

/// What is said of the file.
#[derive(Clone, Debug, Default)]
pub struct Creation {
    /// The client's reference of the capture; without one, each creation is a capture of its own.
    pub client_ref: Option<String>,
    /// What the app means it for.
    pub purpose: Option<String>,
    /// When it was taken, RFC 3339.
    pub captured_at: Option<String>,
    /// What becomes of bytes that are there already: `merge` or `keep`.
    pub duplicates: Option<String>,
    /// The file's name.
    pub filename: Option<String>,
    /// Its media type.
    pub mime: Option<String>,
    /// Its SHA-256, lower-case hexadecimal.
    pub sha256: Option<String>,
    /// Its length, if that is known yet.
    pub size_bytes: Option<i64>,
}

/// Creates an upload; its id. A reference that came before gives the upload of then, whatever its state.
///
/// # Errors
/// If what is said is wrong, too many wait, or the catalog fails.
pub async fn create(
    context: &Context,
    queue: &InitiationQueue,
    owner: &Owner,
    key: Key,
    creation: Creation,
) -> Result<String, InitiateError> {
    let is_length_known = creation.size_bytes.is_some();
    let request = InitiateCapture {
        client_ref: creation
            .client_ref
            .unwrap_or_else(|| ids::public_id(context.entropy.as_ref())),
        mode: "single".to_owned(),
        purpose: creation.purpose,
        captured_at: creation.captured_at,
        duplicates: creation.duplicates,
        accept_transports: vec![Transport::Append.as_str().to_owned()],
        assets: vec![InitiateAsset {
            client_ref: "file".to_owned(),
            role: "key".to_owned(),
            resources: vec![InitiateResource {
                kind: "primary".to_owned(),
                filename: creation.filename,
                mime: creation.mime,
                // Without a length, parts are planned for the longest file that is taken.
                size_bytes: creation
                    .size_bytes
                    .unwrap_or(context.settings.media.max_file_bytes.of(&owner.tenant_id)),
                sha256: creation.sha256,
                ..InitiateResource::default()
            }],
        }],
        ..InitiateCapture::default()
    };
    let mut fresh = prepare(context, owner, key, &request)?;
    for asset in &mut fresh.assets {
        asset.sent_anyway = true;
        if !is_length_known {
            asset.size_bytes = 0;
        }
    }
    let answer = queue.initiate(fresh.clone()).await?;
    match answer {
        Initiated::Mismatch => Err(InitiateError::Mismatch),
        Initiated::Full(full) => Err(InitiateError::Full(full)),
        Initiated::Made(_) => Ok(fresh
            .assets
            .into_iter()
            .map(|a| a.upload_id)
            .next()
            .unwrap_or_default()),
        Initiated::Existing(capture_id) => {
            let mut told = request.assets;
            for resource in told.iter_mut().flat_map(|asset| &mut asset.resources) {
                if !is_length_known {
                    resource.size_bytes = 0;
                }
            }
            check_bytes(context, owner, &capture_id, &told).await?;
            existing(context, owner, &capture_id).await
        }
    }
}

async fn existing(
    context: &Context,
    owner: &Owner,
    capture_id: &str,
) -> Result<String, InitiateError> {
    let caught = |e| InitiateError::Catalog(std::sync::Arc::new(e));
    let mut reader = context.catalog.reader().await.map_err(caught)?;
    let capture = captures::find(&mut reader.tx(), &owner.tenant_id, capture_id)
        .await
        .map_err(caught)?;
    if capture.is_some_and(|c| c.deleted_at.is_some()) {
        return Err(ReadError::Deleted.into());
    }
    let found = uploads::of_capture(&mut reader.tx(), &owner.tenant_id, capture_id)
        .await
        .map_err(caught)?;
    // What it left behind when it began anew is never appended to.
    let mut appended = found.iter().filter(|u| u.transport == Transport::Append);
    match (appended.next(), appended.next()) {
        (Some(one), None) => Ok(one.upload_id.clone()),
        _ => Err(invalid(
            "client_ref",
            "the capture of this client_ref was initiated in another way: send it as its plan says",
        )),
    }
}
