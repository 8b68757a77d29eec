//! `POST /v1/uploads/{id}/complete`: intent, store, commit.
//!
//! 1. What the store holds is compared with the plan, and the part list is committed (`completing`).
//! 2. The store makes the object. If its answer is lost or uncertain, a look at the object settles it.
//! 3. One transaction pins the ETag, moves the asset to `uploaded`, and inserts its first job and its events.
//!
//! Each step can be repeated by anybody at any time: the client, its second request, or the reconciler.

use std::time::Duration;

use safelight_api::uploads::UploadCompleted;
use safelight_catalog::uploads::{self, PartChecksum, Upload, UploadState};
use safelight_catalog::{CatalogError, appends, assets, blobs, captures};
use safelight_model::codes::Code;
use safelight_model::cost_class::CostClass;
use safelight_model::duplicates::DedupScope;
use safelight_model::ids;
use safelight_model::job::JobKind;
use safelight_model::lifecycle::{Event, State};
use safelight_model::look;
use safelight_model::plan::{self, Transport};
use safelight_model::preset;
use safelight_objects::{CompleteError, ObjectKey, Part, StoreError};
use serde::{Deserialize, Serialize};

use super::abort_upload::end;
use super::merge_upload::merge_if_there;
use super::read_upload::arrived;
use super::sign_urls::{SignError, find, is_deleted};
use super::tell_of_upload::tell_of_upload;
use crate::context::{Context, Owner};
use crate::queue::enqueue::{enqueue_costing, enqueue_first};

/// Why an asset is expired whose bytes the store lost.
pub(super) const LOST: &str = "the store lost the bytes that it had of this upload";

/// Why an upload was not completed.
#[derive(Debug, thiserror::Error)]
pub enum CompleteUploadError {
    /// It cannot be read.
    #[error(transparent)]
    Upload(#[from] SignError),
    /// It has ended.
    #[error("this upload has ended: initiate a new capture")]
    Ended,
    /// Bytes are missing.
    #[error("{received_bytes} of {size_bytes} bytes have arrived; missing parts: {missing}")]
    Incomplete {
        /// What the store holds.
        received_bytes: i64,
        /// What was declared.
        size_bytes: i64,
        /// The first missing parts, as text.
        missing: String,
    },
    /// What arrived has another size than declared.
    #[error(
        "the store holds {received_bytes} bytes where {size_bytes} were declared: send it again"
    )]
    Size {
        /// What the store holds.
        received_bytes: i64,
        /// What was declared.
        size_bytes: i64,
    },
    /// The store does not answer; the completion goes on by itself.
    #[error("the object store does not answer; the completion goes on by itself, or ask again")]
    Store(#[source] StoreError),
    /// Others complete it at this moment, and neither has ended.
    #[error("this upload changes at this moment: ask again")]
    Contended,
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl CompleteUploadError {
    /// The stable code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Upload(e) => e.code(),
            Self::Ended => Code::UploadExpired,
            Self::Incomplete { .. } => Code::UploadIncomplete,
            Self::Size { .. } => Code::SizeMismatch,
            Self::Store(e) => e.code(),
            Self::Contended => Code::Overloaded,
            Self::Catalog(e) => e.code(),
        }
    }
}

/// What a completion goes by. Stored as JSON in `uploads.intent`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Intent {
    parts: Vec<IntendedPart>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct IntendedPart {
    number: i64,
    size_bytes: i64,
    etag: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

/// A completion that is under way for longer than this is taken up by the janitor. Longer than a client's request
/// may take, so that the two do not compete; if they do, no harm is done.
const SILENCE: Duration = Duration::from_secs(45);

/// Completes an upload of `owner`.
///
/// # Errors
/// If bytes are missing, the upload has ended, or catalog or store fail.
pub async fn complete_upload(
    context: &Context,
    owner: &Owner,
    upload_id: &str,
) -> Result<UploadCompleted, CompleteUploadError> {
    let mut upload = find(context, owner, upload_id).await?;
    // Every round either ends or finds that another changed the row; a handful is plenty.
    for _ in 0..8 {
        upload = merge_if_there(context, upload).await?;
        match upload.state {
            UploadState::Open => intend(context, &upload).await?,
            UploadState::Completing => match settle(context, &upload).await {
                // Taken back, since another changed something in this instant: the next round sees what.
                Err(CompleteUploadError::Contended) => {}
                Err(CompleteUploadError::Catalog(error)) if error.is_contended() => {}
                settled => settled?,
            },
            // What is missing of one that ended so is in another asset.
            UploadState::Completed | UploadState::Merged => return answer(context, &upload).await,
            UploadState::Aborted | UploadState::Expired if is_deleted(context, &upload).await? => {
                return Err(SignError::Deleted.into());
            }
            UploadState::Aborted | UploadState::Expired => return Err(CompleteUploadError::Ended),
        }
        upload = find(context, owner, upload_id).await?;
    }
    Err(CompleteUploadError::Contended)
}

async fn answer(
    context: &Context,
    upload: &Upload,
) -> Result<UploadCompleted, CompleteUploadError> {
    let asset = assets::standing_for(
        &mut context.catalog.reader().await?.tx(),
        &upload.tenant_id,
        &upload.asset_id,
    )
    .await?
    .ok_or(SignError::NotFound)?;
    if asset.state == State::Deleted {
        return Err(SignError::Deleted.into());
    }
    Ok(UploadCompleted {
        upload_id: upload.upload_id.clone(),
        asset_id: asset.asset_id,
        state: asset.state.as_str().to_owned(),
    })
}

/// Step 1: compares what arrived with the plan and fixes the part list.
async fn intend(context: &Context, upload: &Upload) -> Result<(), CompleteUploadError> {
    let listed = arrived(context, upload).await?;
    // What was appended is gone from the store's list of parts, but not from the rows of an older copy.
    let is_gone = match upload.transport {
        Transport::Single => false,
        Transport::Multipart => listed.is_empty(),
        Transport::Append => upload.size_bytes > 0 && check(upload, &listed).is_err(),
    };
    let before = if is_gone {
        made_before(context, upload).await?
    } else {
        None
    };
    let parts = match before {
        Some(parts) => parts,
        None => {
            check(upload, &listed)?;
            listed
        }
    };
    let intent = Intent {
        parts: parts
            .into_iter()
            .map(|p| IntendedPart {
                number: p.number,
                size_bytes: p.size_bytes,
                etag: p.etag,
                sha256: p.sha256_hex,
            })
            .collect(),
    };
    let intent = serde_json::to_string(&intent).map_err(|e| unreadable(&e))?;
    let (upload, now) = (upload.clone(), context.now());
    context
        .catalog
        .write(move |tx| {
            Box::pin(async move {
                uploads::begin_complete(tx, &upload, &intent, now, now.plus(SILENCE)).await
            })
        })
        .await?;
    Ok(())
}

/// The object as its only part, where the store knows no parts and has an object of the declared size under the key: it was
/// completed before, and this catalog does not know it, since it was restored from an older copy.
async fn made_before(
    context: &Context,
    upload: &Upload,
) -> Result<Option<Vec<Part>>, CompleteUploadError> {
    let key = ObjectKey::parse(&upload.object_key).map_err(SignError::Key)?;
    let head = context.objects.head(&key).await;
    let head = head.map_err(CompleteUploadError::Store)?;
    let whole = head.filter(|object| object.size_bytes == upload.size_bytes);
    Ok(whole.map(|object| {
        vec![Part {
            number: 1,
            size_bytes: object.size_bytes,
            etag: object.etag,
            sha256_hex: None,
        }]
    }))
}

fn check(upload: &Upload, parts: &[Part]) -> Result<(), CompleteUploadError> {
    let received_bytes: i64 = parts.iter().map(|p| p.size_bytes).sum();
    if upload.transport == Transport::Append {
        // The catalog has its parts without a gap; a length of 0 is one that nobody has told yet.
        let all_but_last = parts.split_last().map_or(&[][..], |(_, before)| before);
        let is_whole = upload.size_bytes > 0
            && received_bytes == upload.size_bytes
            && all_but_last
                .iter()
                .all(|p| p.size_bytes == upload.part_size_bytes);
        return if is_whole {
            Ok(())
        } else {
            Err(CompleteUploadError::Incomplete {
                received_bytes,
                size_bytes: upload.size_bytes,
                missing: "ask the gateway for the offset".to_owned(),
            })
        };
    }
    let count = plan::part_count(upload.size_bytes, upload.part_size_bytes);
    let mut missing = Vec::new();
    for number in 1..=count {
        let length = plan::part_length(upload.size_bytes, upload.part_size_bytes, number);
        let there = parts.iter().find(|p| p.number == number);
        match upload.transport {
            Transport::Single if there.is_some_and(|p| Some(p.size_bytes) != length) => {
                return Err(CompleteUploadError::Size {
                    received_bytes,
                    size_bytes: upload.size_bytes,
                });
            }
            _ if there.is_none_or(|p| Some(p.size_bytes) != length) => {
                missing.push(number.to_string())
            }
            _ => {}
        }
    }
    if missing.is_empty() && parts.len() == usize::try_from(count).unwrap_or(0) {
        return Ok(());
    }
    let more = missing.len().saturating_sub(16);
    missing.truncate(16);
    let mut missing = missing.join(", ");
    if more > 0 {
        missing.push_str(&format!(" and {more} more"));
    }
    Err(CompleteUploadError::Incomplete {
        received_bytes,
        size_bytes: upload.size_bytes,
        missing,
    })
}

fn unreadable(error: &serde_json::Error) -> CompleteUploadError {
    CompleteUploadError::Catalog(CatalogError::Unknown {
        column: "uploads.intent",
        value: error.to_string(),
    })
}

/// Steps 2 and 3, from the intent on.
async fn settle(context: &Context, upload: &Upload) -> Result<(), CompleteUploadError> {
    let intent: Intent = serde_json::from_str(upload.intent.as_deref().unwrap_or_default())
        .map_err(|e| unreadable(&e))?;
    let parts: Vec<Part> = intent
        .parts
        .into_iter()
        .map(|p| Part {
            number: p.number,
            size_bytes: p.size_bytes,
            etag: p.etag,
            sha256_hex: p.sha256,
        })
        .collect();
    let key = ObjectKey::parse(&upload.object_key).map_err(SignError::Key)?;
    let etag = match (upload.transport, &upload.store_upload_id) {
        (Transport::Multipart | Transport::Append, Some(id)) => {
            match context.objects.complete(&key, id, &parts).await {
                Ok(completed) => Some(completed.etag),
                Err(CompleteError::Refused { reason }) => {
                    tracing::warn!(
                        upload_id = upload.upload_id,
                        reason,
                        "the store refused a part list"
                    );
                    look(context, &key, &parts).await?
                }
                Err(CompleteError::Gone) => look(context, &key, &parts).await?,
                // The object may have been made all the same: look before calling it a failure.
                Err(CompleteError::Store(error)) => match look(context, &key, &parts).await {
                    Ok(Some(etag)) => Some(etag),
                    Ok(None) | Err(_) => return Err(CompleteUploadError::Store(error)),
                },
            }
        }
        // A single PUT is an object already; that it still is the one that was looked at is asked again.
        _ => look(context, &key, &parts).await?,
    };
    match etag {
        Some(etag) => commit(context, upload, etag).await,
        None if upload.transport == Transport::Append => lose(context, upload).await,
        None => reopen(context, upload).await,
    }
}

/// The ETag of the object, if it is there and is what the intent says.
async fn look(
    context: &Context,
    key: &ObjectKey,
    parts: &[Part],
) -> Result<Option<String>, CompleteUploadError> {
    let head = context
        .objects
        .head(key)
        .await
        .map_err(CompleteUploadError::Store)?;
    Ok(head
        .filter(|object| object.holds(parts))
        .map(|object| object.etag))
}

/// The store has neither the object nor, as they were listed, its parts: the client is to look again.
async fn reopen(context: &Context, upload: &Upload) -> Result<(), CompleteUploadError> {
    let upload = upload.clone();
    let look_at = look::first(context.now(), context.settings.quiet, upload.expires_at);
    context
        .catalog
        .write(move |tx| {
            Box::pin(async move {
                let (from, to) = (UploadState::Completing, UploadState::Open);
                uploads::change(tx, &upload, from, to, Some(look_at)).await
            })
        })
        .await?;
    Ok(())
}

/// The store has lost what was acknowledged. An offset cannot go back, so the upload ends.
async fn lose(context: &Context, upload: &Upload) -> Result<(), CompleteUploadError> {
    reopen(context, upload).await?;
    let again = uploads::find(
        &mut context.catalog.reader().await?.tx(),
        &upload.tenant_id,
        &upload.upload_id,
    )
    .await?;
    if let Some(upload) = again.filter(|u| u.state == UploadState::Open) {
        tracing::error!(
            upload_id = upload.upload_id,
            "the store lost an upload's parts"
        );
        end(context, &upload, UploadState::Expired, LOST).await?;
    }
    Ok(())
}

/// The hash that the store has checked the bytes against: every URL that was signed for them takes no others.
fn checked_by_store(upload: &Upload) -> Option<&str> {
    let is_checked =
        upload.transport == Transport::Single && upload.part_checksum == Some(PartChecksum::Sha256);
    upload.sha256.as_deref().filter(|_| is_checked)
}

/// Step 3. If another was quicker nothing is changed.
async fn commit(
    context: &Context,
    upload: &Upload,
    etag: String,
) -> Result<(), CompleteUploadError> {
    let (context, upload) = (context.clone(), upload.clone());
    let catalog = context.catalog.clone();
    catalog
        .write(move |tx| {
            Box::pin(async move {
                let (from, to) = (UploadState::Completing, UploadState::Completed);
                if !uploads::change(tx, &upload, from, to, None).await? {
                    return Ok(());
                }
                let now = context.now();
                let blob_id = context.fresh_id(ids::BLOB);
                let is_shared = context.settings.dedup_scope == DedupScope::Tenant;
                let fresh = blobs::FreshBlob {
                    tenant_id: &upload.tenant_id,
                    blob_id: &blob_id,
                    scope: if is_shared {
                        blobs::SHARED
                    } else {
                        &upload.owner_id
                    },
                    object_key: &upload.object_key,
                    etag: &etag,
                    size_bytes: upload.size_bytes,
                    sha256: checked_by_store(&upload),
                    resource_id: &upload.resource_id,
                    sharer: is_shared.then_some(&upload.owner_id),
                    at: now,
                };
                blobs::insert(tx, &fresh).await?;
                if upload.transport == Transport::Append {
                    appends::forget(tx, &upload).await?;
                }
                let mut class = CostClass::declared(None, upload.size_bytes);
                if let Some(asset) = assets::find(tx, &upload.tenant_id, &upload.asset_id).await? {
                    class = CostClass::declared(asset.mime.as_deref(), upload.size_bytes);
                    let event_id = context.fresh_id(ids::EVENT);
                    let change = assets::Transition {
                        event: Event::BytesComplete,
                        reason: None,
                        event_id: &event_id,
                        at: now,
                    };
                    if assets::transition(tx, &asset, &change).await?.is_none() {
                        // Somebody changed the asset in this instant: take it all back and look again.
                        return Err(CompleteUploadError::Contended);
                    }
                }
                let owner = Owner {
                    tenant_id: upload.tenant_id.clone(),
                    owner_id: upload.owner_id.clone(),
                };
                tell_of_upload(tx, &context, &upload, "upload.completed", None).await?;
                let (tenant_id, kind) = (&upload.tenant_id, JobKind::Inspect);
                // What stands beside a name everywhere is waited for by all who see the name.
                if captures::is_meant_for(tx, tenant_id, &blob_id, preset::PROFILE).await? {
                    enqueue_first(tx, &context, class, kind, &owner, &blob_id).await?;
                } else {
                    enqueue_costing(tx, &context, class, kind, &owner, &blob_id).await?;
                }
                Ok(())
            })
        })
        .await
}

#[cfg(test)]
mod tests {
    use safelight_model::clock::Micros;

    use super::*;

    fn upload(transport: Transport, size_bytes: i64, part_size_bytes: i64) -> Upload {
        Upload {
            tenant_id: "ten_1".into(),
            upload_id: "upl_1".into(),
            owner_id: "me".into(),
            asset_id: "ast_1".into(),
            resource_id: "res_1".into(),
            object_key: "o/t/k".into(),
            store_upload_id: None,
            part_checksum: None,
            transport,
            part_size_bytes,
            concurrency: 1,
            send_order: 0,
            size_bytes,
            state: UploadState::Open,
            version: 1,
            intent: None,
            intent_at: None,
            signed_until: Micros(0),
            expires_at: Micros(0),
            look_at: None,
            looks: 0,
            cleared_at: None,
            kind: "primary".into(),
            mime: None,
            sha256: None,
            advice: None,
            merged_into: None,
        }
    }

    fn part(number: i64, size_bytes: i64) -> Part {
        Part {
            number,
            size_bytes,
            etag: format!("e{number}"),
            sha256_hex: None,
        }
    }

    #[test]
    fn every_part_must_be_there_with_its_length() {
        let upload = upload(Transport::Multipart, 25, 10);
        assert!(check(&upload, &[part(1, 10), part(2, 10), part(3, 5)]).is_ok());
        for wrong in [
            vec![part(1, 10), part(3, 5)],
            vec![part(1, 10), part(2, 9), part(3, 5)],
            vec![],
        ] {
            let Err(CompleteUploadError::Incomplete { missing, .. }) = check(&upload, &wrong)
            else {
                panic!("accepted {wrong:?}");
            };
            assert!(missing.contains('2'));
        }
        let too_many = [part(1, 10), part(2, 10), part(3, 5), part(4, 1)];
        assert!(check(&upload, &too_many).is_err());
    }

    #[test]
    fn what_was_appended_must_be_as_long_as_declared() {
        let upload = upload(Transport::Append, 25, 10);
        assert!(check(&upload, &[part(2, 10), part(3, 10), part(7, 5)]).is_ok());
        for wrong in [
            vec![],
            vec![part(1, 10), part(2, 10)],
            vec![part(1, 5), part(2, 10), part(3, 10)],
        ] {
            assert!(check(&upload, &wrong).is_err(), "{wrong:?}");
        }
        let unknown = Upload {
            size_bytes: 0,
            ..upload
        };
        assert!(check(&unknown, &[]).is_err());
    }

    #[test]
    fn a_single_object_of_another_size_is_named_so() {
        let upload = upload(Transport::Single, 25, 25);
        assert!(check(&upload, &[part(1, 25)]).is_ok());
        assert!(matches!(
            check(&upload, &[part(1, 24)]),
            Err(CompleteUploadError::Size { .. })
        ));
        assert!(matches!(
            check(&upload, &[]),
            Err(CompleteUploadError::Incomplete { .. })
        ));
    }
}
