//! Puts renditions into the store. Their keys say what they are made of, so doing it twice is harmless: the same bytes come there again, but
//! of a cover and a square others that show the same, since what they are scaled from goes by who waits.

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use safelight_api::events::EventFacts;
use safelight_catalog::assets::{self, Asset};
use safelight_catalog::jobs::Job;
use safelight_catalog::renditions::Stored;
use safelight_catalog::{CatalogError, Tx};
use safelight_imaging::Rendition;
use safelight_model::codes::Code;
use safelight_model::preset::{Label, Preset};
use safelight_objects::{FileSlice, ObjectKey, PutOptions, Served, ownership};

use super::fetch_original::{disk_failed, store_failed};
use super::sandbox::ClipFacts;
use crate::context::{Context, Owner};
use crate::insights::record::{Told, record_with};
use crate::work::JobError;

/// What caches may do with the object where a CDN reads the store directly.
pub(super) const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

/// Stores one rendition of a blob.
pub(super) async fn store_rendition(
    context: &Context,
    tenant_id: &str,
    blob_id: &str,
    asset_id: &str,
    made: Rendition,
) -> Result<Stored, JobError> {
    let key = rendition_key(tenant_id, blob_id, &made.preset.label())?;
    let size_bytes = i64::try_from(made.bytes.len()).unwrap_or(i64::MAX);
    let metadata = ownership(&context.catalog_id, tenant_id, asset_id);
    let options = PutOptions {
        content_type: Some(made.preset.format.mime()),
        cache_control: Some(CACHE_CONTROL),
        metadata: Some(&metadata),
        ..PutOptions::default()
    };
    let etag = context
        .objects
        .put(&key, Bytes::from(made.bytes), options)
        .await
        .map_err(|e| store_failed(&e))?;
    Ok(Stored {
        preset: made.preset,
        object_key: key.as_str().to_owned(),
        etag,
        width: i64::from(made.width),
        height: i64::from(made.height),
        size_bytes,
    })
}

/// Stores a clip that was made of a blob of a tenant, which an asset holds.
pub(super) async fn store_clip(
    context: &Context,
    (tenant_id, blob_id, asset_id): (&str, &str, &str),
    preset: Preset,
    (clip, facts): (File, ClipFacts),
) -> Result<Stored, JobError> {
    let key = rendition_key(tenant_id, blob_id, &preset.label())?;
    let size_bytes = clip.metadata().map_err(|e| disk_failed(&e))?.len();
    let metadata = ownership(&context.catalog_id, tenant_id, asset_id);
    let slice = FileSlice::of(Arc::new(clip), 0, size_bytes);
    let served = Served {
        content_type: Some(preset.format.mime()),
        cache_control: Some(CACHE_CONTROL),
    };
    let put = context
        .objects
        .put_slice(&key, &slice, &metadata, served)
        .await;
    Ok(Stored {
        preset,
        object_key: key.as_str().to_owned(),
        etag: put.map_err(|e| store_failed(&e))?,
        width: i64::from(facts.width),
        height: i64::from(facts.height),
        size_bytes: slice.size_bytes(),
    })
}

fn rendition_key(tenant_id: &str, blob_id: &str, of: &Label) -> Result<ObjectKey, JobError> {
    ObjectKey::rendition(tenant_id, blob_id, of).map_err(|e| JobError::Cancel {
        code: Code::Internal,
        detail: e.to_string(),
    })
}

/// Records, for each of these assets and its owner, that a rendition of it is stored.
pub(super) async fn tell_of_rendition(
    tx: &mut Tx<'_>,
    context: &Context,
    holders: &[Asset],
    of: &Label,
) -> Result<(), CatalogError> {
    let facts = EventFacts {
        preset: Some(of.name.to_owned()),
        version: Some(of.version),
        ..EventFacts::default()
    };
    for asset in holders {
        let owner = Owner {
            tenant_id: asset.tenant_id.clone(),
            owner_id: asset.owner_id.clone(),
        };
        let told = Told {
            kind: "rendition.ready",
            owner: &owner,
            asset_id: &asset.asset_id,
        };
        record_with(tx, context, told, &facts).await?;
    }
    Ok(())
}

/// Tells the owner who asked, and nobody that shares the bytes.
pub(super) async fn tell_who_asked(
    tx: &mut Tx<'_>,
    context: &Context,
    job: &Job,
    kind: &'static str,
    facts: &EventFacts,
) -> Result<(), CatalogError> {
    let holders = assets::of_blob(tx, &job.tenant_id, &job.subject_id).await?;
    for asset in holders.iter().filter(|a| a.owner_id == job.owner_id) {
        let owner = Owner {
            tenant_id: asset.tenant_id.clone(),
            owner_id: asset.owner_id.clone(),
        };
        let told = Told {
            kind,
            owner: &owner,
            asset_id: &asset.asset_id,
        };
        record_with(tx, context, told, facts).await?;
    }
    Ok(())
}

/// Records, for each asset that holds a blob and its owner, that something of it will not come, and why.
pub(super) async fn tell_of_failure(
    tx: &mut Tx<'_>,
    context: &Context,
    tenant_id: &str,
    blob_id: &str,
    code: Code,
) -> Result<(), CatalogError> {
    let facts = EventFacts {
        code: Some(code.as_str().to_owned()),
        ..EventFacts::default()
    };
    for asset in assets::of_blob(tx, tenant_id, blob_id).await? {
        let owner = Owner {
            tenant_id: asset.tenant_id.clone(),
            owner_id: asset.owner_id.clone(),
        };
        let told = Told {
            kind: "asset.updated",
            owner: &owner,
            asset_id: &asset.asset_id,
        };
        record_with(tx, context, told, &facts).await?;
    }
    Ok(())
}
