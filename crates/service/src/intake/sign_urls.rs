//! `POST /v1/uploads/{id}/urls`: URLs, just in time.
//!
//! How long bytes may still arrive is committed before a URL leaves (`signed_until`), so that nothing
//! can be stored that nobody knows of.

use safelight_api::uploads::{PartToSign, SignedUrl};
use safelight_catalog::uploads::{self, PartChecksum, Upload, UploadState};
use safelight_catalog::{CatalogError, assets};
use safelight_model::clock::Micros;
use safelight_model::codes::Code;
use safelight_model::lifecycle::State;
use safelight_model::plan::{self, Transport};
use safelight_model::{limits, look, text};
use safelight_objects::keys::KeyError;
use safelight_objects::{ObjectKey, PresignError, Presigned, PutBinding, StoreError, ownership};

use super::append::links;
use super::may_be_sent::may_be_sent;
use super::merge_upload::merge_if_there;
use crate::context::{Context, Owner};

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// There is no such upload of this owner.
    #[error("there is no such upload")]
    NotFound,
    /// Its time is over, or it was given up.
    #[error("this upload has ended: initiate a new capture")]
    Ended,
    /// Its bytes are all there.
    #[error("this upload is already {0}: nothing more is to be sent")]
    Whole(&'static str),
    /// Its asset was deleted.
    #[error("the asset that this upload was for was deleted: nothing more is to be sent")]
    Deleted,
    /// Its owner has its bytes in this asset.
    #[error("asset {0} has these bytes already: nothing more is to be sent")]
    Merged(String),
    /// Others change it at this moment.
    #[error("this upload changes at this moment: ask again")]
    Contended,
    /// The request is wrong.
    #[error("{1}")]
    Invalid(String, String),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The signature could not be made.
    #[error(transparent)]
    Presign(#[from] PresignError),
    /// A row holds an object key that this version did not make.
    #[error("the catalog holds an object key that is none: {0}")]
    Key(#[from] KeyError),
}

impl SignError {
    /// The stable code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotFound => Code::NotFound,
            Self::Ended => Code::UploadExpired,
            Self::Deleted => Code::AssetDeleted,
            Self::Merged(_) => Code::UploadMerged,
            Self::Contended => Code::Overloaded,
            Self::Whole(_) | Self::Invalid(..) => Code::ValidationFailed,
            Self::Catalog(e) => e.code(),
            Self::Store(e) => e.code(),
            Self::Presign(e) => e.code(),
            Self::Key(_) => Code::Internal,
        }
    }

    /// Where in the request the fault is.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Invalid(field, _) => Some(field),
            _ => None,
        }
    }

    /// The asset that has the bytes.
    #[must_use]
    pub fn asset_id(&self) -> Option<&str> {
        match self {
            Self::Merged(asset_id) => Some(asset_id),
            _ => None,
        }
    }

    /// Why nothing more can be sent to an upload that is not open any more.
    pub(super) async fn closed(context: &Context, upload: &Upload) -> Self {
        match is_deleted(context, upload).await {
            Ok(false) => {}
            Ok(true) => return Self::Deleted,
            Err(error) => return Self::Catalog(error),
        }
        match (upload.state, &upload.merged_into) {
            (UploadState::Merged, Some(asset_id)) => Self::Merged(asset_id.clone()),
            (UploadState::Completing | UploadState::Completed, _) => {
                Self::Whole(upload.state.as_str())
            }
            (UploadState::Open, _) if upload.expires_at > context.now() => Self::Invalid(
                "parts".to_owned(),
                "this upload was planned anew at this moment: read it, and go on by its plan"
                    .to_owned(),
            ),
            _ => Self::Ended,
        }
    }
}

/// Whether the asset that an upload was for, or that which stands for it, was deleted.
pub(super) async fn is_deleted(context: &Context, upload: &Upload) -> Result<bool, CatalogError> {
    let mut reader = context.catalog.reader().await?;
    let asset = assets::standing_for(&mut reader.tx(), &upload.tenant_id, &upload.asset_id).await?;
    Ok(asset.is_some_and(|asset| asset.state == State::Deleted))
}

/// What the URL of a single PUT is bound to.
pub(super) struct Target<'a> {
    pub(super) tenant_id: &'a str,
    pub(super) asset_id: &'a str,
    pub(super) object_key: &'a str,
    pub(super) size_bytes: i64,
    pub(super) sha256: Option<&'a str>,
    pub(super) mime: Option<&'a str>,
}

/// The URL of a single PUT. The caller has committed `signed_until` before.
pub(super) fn single_url(
    context: &Context,
    target: &Target<'_>,
    now: Micros,
) -> Result<SignedUrl, SignError> {
    let key = ObjectKey::parse(target.object_key)?;
    let presigned = context.objects.presign_put(
        &key,
        PutBinding {
            size_bytes: target.size_bytes,
            sha256_hex: target.sha256,
            content_type: target.mime,
            metadata: Some(&ownership(
                &context.catalog_id,
                target.tenant_id,
                target.asset_id,
            )),
        },
        now,
        limits::PRESIGNED_URL,
    )?;
    Ok(signed(1, target.size_bytes, presigned))
}

fn signed(number: i64, size_bytes: i64, presigned: Presigned) -> SignedUrl {
    SignedUrl {
        number,
        url: presigned.url,
        protocol: None,
        headers: presigned.headers,
        size_bytes,
        expires_at: presigned.expires_at.rfc3339(),
    }
}

/// A fresh URL for an open `single` upload; none if it has ended meanwhile.
pub(super) async fn sign_single(
    context: &Context,
    upload: &Upload,
) -> Result<Vec<SignedUrl>, SignError> {
    let now = context.now();
    if upload.part_checksum.is_some() && !context.objects.capabilities().binds_put_sha256() {
        let as_read = upload.clone();
        let noted = context
            .catalog
            .write(move |tx| Box::pin(async move { uploads::no_longer_bound(tx, &as_read).await }));
        noted.await?;
    }
    if !extend(context, upload, now).await? {
        return Ok(Vec::new());
    }
    let url = single_url(
        context,
        &Target {
            tenant_id: &upload.tenant_id,
            asset_id: &upload.asset_id,
            object_key: &upload.object_key,
            size_bytes: upload.size_bytes,
            sha256: upload.sha256.as_deref(),
            mime: upload.mime.as_deref(),
        },
        now,
    )?;
    Ok(vec![url])
}

async fn extend(context: &Context, upload: &Upload, now: Micros) -> Result<bool, CatalogError> {
    let (upload, context) = (upload.clone(), context.clone());
    let catalog = context.catalog.clone();
    catalog
        .write(move |tx| {
            Box::pin(async move {
                let until = now.plus(limits::PRESIGNED_URL);
                let look_at = look::first(now, context.settings.quiet, upload.expires_at);
                if !uploads::extend_signed(tx, &upload, until, look_at).await? {
                    return Ok(false);
                }
                may_be_sent(tx, &context, &upload).await?;
                Ok(true)
            })
        })
        .await
}

/// Signs part URLs, or the one URL of `single`.
///
/// # Errors
/// If the upload is not open or the request does not fit it; if catalog or store fail.
pub async fn sign_urls(
    context: &Context,
    owner: &Owner,
    upload_id: &str,
    parts: &[PartToSign],
) -> Result<Vec<SignedUrl>, SignError> {
    let upload = find(context, owner, upload_id).await?;
    let upload = merge_if_there(context, upload).await?;
    if upload.state != UploadState::Open || upload.expires_at <= context.now() {
        return Err(SignError::closed(context, &upload).await);
    }
    if upload.transport == Transport::Single {
        let urls = sign_single(context, &upload).await?;
        return if urls.is_empty() {
            let now = find(context, owner, upload_id).await?;
            Err(SignError::closed(context, &now).await)
        } else {
            Ok(urls)
        };
    }
    if upload.transport == Transport::Append {
        return Ok(links::addresses_of(context, &upload));
    }
    let lengths = check(&upload, parts)?;
    // What was begun without hashes is sent to its end so.
    let may_lack_them = context.settings.length_only_urls
        || upload.sha256.is_none()
        || Begun::of(&upload).is_some_and(|begun| !begun.binds_hashes);
    let hashed = check_hashes(parts, may_lack_them)?;
    let begun = begin_at_store(context, &upload, hashed).await?;
    if begun.binds_hashes && !hashed {
        return Err(SignError::Invalid(
            "parts[0].sha256".to_owned(),
            "this upload's first parts were signed with their sha256: give it for every part"
                .to_owned(),
        ));
    }
    let now = context.now();
    if !extend(context, &upload, now).await? {
        let now = find(context, owner, upload_id).await?;
        return Err(SignError::closed(context, &now).await);
    }
    let key = ObjectKey::parse(&upload.object_key)?;
    parts
        .iter()
        .zip(lengths)
        .map(|(part, length)| {
            let presigned = context.objects.presign_part(
                &key,
                &begun.store_upload_id,
                part.number,
                length,
                part.sha256.as_deref().filter(|_| begun.binds_hashes),
                now,
                limits::PRESIGNED_URL,
            )?;
            Ok(signed(part.number, length, presigned))
        })
        .collect()
}

fn check(upload: &Upload, parts: &[PartToSign]) -> Result<Vec<i64>, SignError> {
    let invalid = |field: String, why: &str| SignError::Invalid(field, why.to_owned());
    if parts.is_empty() || parts.len() > limits::SIGN_WINDOW {
        return Err(invalid("parts".into(), "name 1 to 16 parts"));
    }
    let mut lengths = Vec::with_capacity(parts.len());
    for (i, part) in parts.iter().enumerate() {
        let length = plan::part_length(upload.size_bytes, upload.part_size_bytes, part.number)
            .ok_or_else(|| invalid(format!("parts[{i}].number"), "the plan has no such part"))?;
        if part
            .sha256
            .as_ref()
            .is_some_and(|h| !text::is_sha256_hex(h))
        {
            return Err(invalid(
                format!("parts[{i}].sha256"),
                "sha256 must be 64 lower-case hexadecimal digits",
            ));
        }
        lengths.push(length);
    }
    Ok(lengths)
}

/// Whether these parts carry their hashes: all, or none. Who can give none gets URLs that are bound to a length alone,
/// where the operator allows that; the file's hash is verified when it is inspected, if it was declared.
fn check_hashes(parts: &[PartToSign], may_lack_them: bool) -> Result<bool, SignError> {
    let lacking = parts.iter().position(|p| p.sha256.is_none());
    let Some(i) = lacking else {
        return Ok(true);
    };
    let why = if !may_lack_them {
        "this server signs no URL that is bound to a length alone: give sha256 for every part"
    } else if parts.iter().any(|p| p.sha256.is_some()) {
        "give sha256 for every part of an upload, or for none"
    } else {
        return Ok(false);
    };
    Err(SignError::Invalid(
        format!("parts[{i}].sha256"),
        why.to_owned(),
    ))
}

pub(super) async fn find(
    context: &Context,
    owner: &Owner,
    upload_id: &str,
) -> Result<Upload, SignError> {
    uploads::find(
        &mut context.catalog.reader().await?.tx(),
        &owner.tenant_id,
        upload_id,
    )
    .await?
    .filter(|u| u.owner_id == owner.owner_id)
    .ok_or(SignError::NotFound)
}

/// An upload as the store knows it.
pub(super) struct Begun {
    pub(super) store_upload_id: String,
    /// Whether its parts carry their hashes: all, or none.
    binds_hashes: bool,
}

impl Begun {
    fn of(upload: &Upload) -> Option<Self> {
        Some(Self {
            store_upload_id: upload.store_upload_id.clone()?,
            binds_hashes: match upload.part_checksum {
                Some(checksum) => checksum == PartChecksum::Sha256,
                None => upload.sha256.is_some(),
            },
        })
    }
}

/// The store hears of the upload when its first part is signed. Of two that come at once one wins; the
/// other takes its own back.
///
/// Whether its first parts are `hashed` decides for all: the store is told at the beginning. Parts that are appended
/// never are: their numbers may have gaps, and a hash of hashes wants none.
pub(super) async fn begin_at_store(
    context: &Context,
    upload: &Upload,
    hashed: bool,
) -> Result<Begun, SignError> {
    if let Some(begun) = Begun::of(upload) {
        return Ok(begun);
    }
    let binds_hashes = hashed && context.objects.capabilities().binds_part_sha256();
    let checksum = if binds_hashes {
        PartChecksum::Sha256
    } else {
        PartChecksum::None
    };
    let key = ObjectKey::parse(&upload.object_key)?;
    let made = context
        .objects
        .create_multipart(
            &key,
            upload.mime.as_deref(),
            &ownership(&context.catalog_id, &upload.tenant_id, &upload.asset_id),
            binds_hashes,
        )
        .await?;
    let (as_read, id) = (upload.clone(), made.clone());
    let bound = context
        .catalog
        .write(move |tx| {
            Box::pin(async move { uploads::bind_store_upload(tx, &as_read, &id, checksum).await })
        })
        .await?;
    if bound {
        return Ok(Begun {
            store_upload_id: made,
            binds_hashes,
        });
    }
    context.objects.abort(&key, &made).await?;
    let owner = Owner {
        tenant_id: upload.tenant_id.clone(),
        owner_id: upload.owner_id.clone(),
    };
    let now = find(context, &owner, &upload.upload_id).await?;
    if (now.transport, now.part_size_bytes) != (upload.transport, upload.part_size_bytes) {
        return Err(SignError::Invalid(
            "parts".to_owned(),
            "this upload was planned anew meanwhile: read it and go by its plan".to_owned(),
        ));
    }
    match (now.state, Begun::of(&now)) {
        (UploadState::Merged, _) | (_, None) => Err(SignError::closed(context, &now).await),
        (_, Some(begun)) => Ok(begun),
    }
}
