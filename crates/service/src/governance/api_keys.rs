//! API keys: made, listed, revoked. Only a hash of the secret is kept.

use safelight_catalog::keys::{self, ApiKey};
use safelight_catalog::{CatalogError, Tx};
use safelight_model::codes::Code;
use safelight_model::ids;

use crate::context::Context;

/// What a key may be allowed to do.
pub const SCOPES: [&str; 3] = ["media", "tokens", "admin"];

/// Why a key could not be made or revoked.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The label has no proper form.
    #[error("label must have 1 to 128 characters, none of them a control character")]
    Label,
    /// A scope is unknown, or there is none.
    #[error("scopes must name at least one of media, tokens, admin")]
    Scopes,
    /// There is no such key.
    #[error("there is no such key")]
    NotFound,
    /// Without it nobody could make keys any more.
    #[error("this is the last key with the scope admin: make another one first")]
    LastAdmin,
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl KeyError {
    /// The stable code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Label | Self::Scopes => Code::ValidationFailed,
            Self::NotFound => Code::NotFound,
            Self::LastAdmin => Code::Forbidden,
            Self::Catalog(e) => e.code(),
        }
    }
}

/// The hash under which a secret is stored. The secret has 190 bits of its own, so a fast hash will do.
#[must_use]
pub fn secret_hash(secret: &str) -> String {
    blake3::hash(secret.as_bytes()).to_hex().to_string()
}

/// A new secret: `sk_` and 32 base62 characters.
#[must_use]
pub fn fresh_secret(context: &Context) -> String {
    format!("sk_{}", ids::base62(32, context.entropy.as_ref()))
}

/// A key of a tenant, to be stored.
///
/// # Errors
/// If label or scopes are wrong.
pub fn prepare(
    context: &Context,
    tenant_id: &str,
    label: &str,
    scopes: &[String],
) -> Result<ApiKey, KeyError> {
    if !safelight_model::text::is_reference(label, 128) {
        return Err(KeyError::Label);
    }
    if scopes.is_empty() || scopes.iter().any(|s| !SCOPES.contains(&s.as_str())) {
        return Err(KeyError::Scopes);
    }
    Ok(ApiKey {
        tenant_id: tenant_id.to_owned(),
        key_id: context.fresh_id(ids::API_KEY),
        label: label.to_owned(),
        scopes: scopes.join(" "),
        created_at: context.now(),
        revoked_at: None,
    })
}

/// Stores a key under the hash of its secret; its id.
///
/// # Errors
/// If the catalog fails.
pub async fn store(tx: &mut Tx<'_>, key: &ApiKey, hash: &str) -> Result<String, CatalogError> {
    keys::insert(tx, key, hash).await?;
    Ok(key.key_id.clone())
}

/// All keys of a tenant.
///
/// # Errors
/// If the catalog fails.
pub async fn list(context: &Context, tenant_id: &str) -> Result<Vec<ApiKey>, KeyError> {
    Ok(keys::list(&mut context.catalog.reader().await?.tx(), tenant_id).await?)
}

/// Revokes a key. It stops working within seconds everywhere.
///
/// # Errors
/// If there is no such key, it is the last administrator's, or the catalog fails.
pub async fn revoke(context: &Context, tenant_id: &str, key_id: &str) -> Result<(), KeyError> {
    let (tenant_id, key_id, at) = (tenant_id.to_owned(), key_id.to_owned(), context.now());
    let outcome = context.catalog.write(move |tx| {
        Box::pin(async move {
            let administers = |k: &ApiKey| {
                k.revoked_at.is_none() && k.scopes.split(' ').any(|scope| scope == "admin")
            };
            let all = keys::list(tx, &tenant_id).await?;
            let (this, others): (Vec<_>, Vec<_>) = all.iter().partition(|k| k.key_id == key_id);
            let is_last =
                this.iter().any(|k| administers(k)) && !others.iter().any(|k| administers(k));
            if is_last {
                return Ok::<_, CatalogError>(Err(KeyError::LastAdmin));
            }
            let found = keys::revoke(tx, &tenant_id, &key_id, at).await?;
            Ok(found.ok_or(KeyError::NotFound))
        })
    });
    outcome.await?
}
