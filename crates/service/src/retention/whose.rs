//! Whose an object is that no row stands for, by what it says of itself.

use safelight_catalog::uploads::Stray;
use safelight_catalog::{CatalogError, blobs, keys, uploads};
use safelight_objects::keys::KeyKind;
use safelight_objects::{
    Metadata, ObjectHead, ObjectKey, StoreError, StoreErrorKind, catalog_of, tenant_of,
};

use crate::context::Context;

/// Whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// This catalog's, which has no more use for it.
    Ours,
    /// Another catalog's. It is never removed.
    AnotherCatalogs(String),
    /// It cannot be told to belong here. It is never removed.
    Unclear(&'static str),
}

pub(super) const NO_KEY: &str = "its key is none of Safelight's";
pub(super) const NO_TENANT: &str = "it belongs to no tenant of this catalog";
pub(super) const LOST: &str =
    "this catalog has lost its row, as after a restore from an older copy: look whose it is";
pub(super) const DAMAGED: &str =
    "the store cannot read it: restore it, or remove it by hand if it is nobody's";
pub(super) const NO_AGE: &str = "the store does not say how old it is";

/// What the store says of an object.
pub(super) enum Said {
    /// This.
    Head(ObjectHead),
    /// That it has none.
    Nothing,
    /// That it has one which it cannot read.
    Damaged,
}

/// Asks the store what it says of an object. One that is damaged is no failure of the store, which would end a sweep.
///
/// # Errors
/// If the store fails.
pub(super) async fn ask(context: &Context, key: &ObjectKey) -> Result<Said, StoreError> {
    let error = match context.objects.head(key).await {
        Ok(Some(head)) => return Ok(Said::Head(head)),
        Ok(None) => return Ok(Said::Nothing),
        Err(error) => error,
    };
    // The answer to HEAD has no body, which would say why.
    match context.objects.get(key, Some((0, Some(0))), None).await {
        Err(why) if *why.kind() == StoreErrorKind::Damaged => Ok(Said::Damaged),
        _ => Err(error),
    }
}

/// Whose the object under a key is that says this of itself. What an earlier version stored names no catalog.
pub(super) async fn whose(
    context: &Context,
    key: &ObjectKey,
    metadata: &Metadata,
) -> Result<Whose, CatalogError> {
    match catalog_of(metadata) {
        Some(catalog) if *catalog != *context.catalog_id => {
            return Ok(Whose::AnotherCatalogs(format!(
                "it says that it is another catalog's, {catalog}"
            )));
        }
        _ => {}
    }
    Ok(match tenant_of(metadata) {
        None => Whose::Unclear("it does not say whose it is"),
        Some(tenant) if tenant != key.tenant() => {
            Whose::Unclear("it says that it is another tenant's than its key does")
        }
        Some(_) if !is_tenant(context, key.tenant()).await? => Whose::Unclear(NO_TENANT),
        Some(_) if !was_known(context, key).await? => Whose::Unclear(LOST),
        Some(_) => Whose::Ours,
    })
}

/// Whether this catalog ever knew of an original or of what a rendition was made of. Those rows are committed before
/// anything is stored, and never removed: what has none is not garbage, but what a catalog from a backup has lost. So is an object of
/// an upload in parts that it never began to complete.
async fn was_known(context: &Context, key: &ObjectKey) -> Result<bool, CatalogError> {
    let mut reader = context.catalog.reader().await?;
    let tx = &mut reader.tx();
    Ok(match key.kind() {
        KeyKind::Original => {
            let known = uploads::known_keys(tx, &[key.as_str()]).await?;
            known
                .iter()
                .any(|(_, stray)| *stray != Stray::NeverCompleted)
        }
        KeyKind::Rendition => {
            let blob_id = key.blob().unwrap_or_default();
            blobs::find(tx, key.tenant(), blob_id).await?.is_some()
        }
        // What comes here was never acknowledged, or is a part by now.
        KeyKind::Temporary | KeyKind::Mark => true,
    })
}

/// Whether this catalog has a tenant.
pub(super) async fn is_tenant(context: &Context, tenant_id: &str) -> Result<bool, CatalogError> {
    keys::is_tenant(&mut context.catalog.reader().await?.tx(), tenant_id).await
}
