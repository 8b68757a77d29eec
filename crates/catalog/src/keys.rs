//! Tenants and API keys.

use safelight_model::clock::Micros;

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::values;

/// An API key as it is stored: without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// The tenant it belongs to.
    pub tenant_id: String,
    /// Names it.
    pub key_id: String,
    /// What it is for.
    pub label: String,
    /// What it may do, separated by spaces.
    pub scopes: String,
    /// When it was made.
    pub created_at: Micros,
    /// When it was revoked.
    pub revoked_at: Option<Micros>,
}

/// Makes a tenant unless it is there.
///
/// # Errors
/// What the database says.
pub async fn ensure_tenant(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    name: &str,
    at: Micros,
) -> Result<bool, CatalogError> {
    let made = tx
        .exec(
            "INSERT INTO tenants (tenant_id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            values![tenant_id, name, at],
        )
        .await?;
    Ok(made == 1)
}

/// Whether there is a tenant of this id.
///
/// # Errors
/// What the database says.
pub async fn is_tenant(tx: &mut Tx<'_>, tenant_id: &str) -> Result<bool, CatalogError> {
    let found = tx
        .row(
            "SELECT 1 FROM tenants WHERE tenant_id = $1",
            values![tenant_id],
        )
        .await?;
    Ok(found.is_some())
}

/// Every tenant's id.
///
/// # Errors
/// What the database says.
pub async fn tenants(tx: &mut Tx<'_>) -> Result<Vec<String>, CatalogError> {
    let rows = tx
        .rows("SELECT tenant_id FROM tenants ORDER BY tenant_id", &[])
        .await?;
    rows.iter().map(|row| row.text(0)).collect()
}

/// The first tenant that was made, if any.
///
/// # Errors
/// What the database says.
pub async fn first_tenant(tx: &mut Tx<'_>) -> Result<Option<String>, CatalogError> {
    let row = tx
        .row(
            "SELECT tenant_id FROM tenants ORDER BY created_at, tenant_id LIMIT 1",
            &[],
        )
        .await?;
    row.map(|r| r.text(0)).transpose()
}

/// Stores a key by the hash of its secret.
///
/// # Errors
/// What the database says.
pub async fn insert(tx: &mut Tx<'_>, key: &ApiKey, secret_hash: &str) -> Result<(), CatalogError> {
    tx.exec(
        "INSERT INTO api_keys (tenant_id, key_id, secret_hash, label, scopes, created_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        values![
            &key.tenant_id,
            &key.key_id,
            secret_hash,
            &key.label,
            &key.scopes,
            key.created_at
        ],
    )
    .await?;
    Ok(())
}

/// The live key of this secret's hash.
///
/// # Errors
/// What the database says.
pub async fn by_secret(tx: &mut Tx<'_>, secret_hash: &str) -> Result<Option<ApiKey>, CatalogError> {
    let row = tx
        .row(
            "SELECT tenant_id, key_id, label, scopes, created_at, revoked_at FROM api_keys
              WHERE secret_hash = $1 AND revoked_at IS NULL",
            values![secret_hash],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// All keys of a tenant, oldest first.
///
/// # Errors
/// What the database says.
pub async fn list(tx: &mut Tx<'_>, tenant_id: &str) -> Result<Vec<ApiKey>, CatalogError> {
    let rows = tx
        .rows(
            "SELECT tenant_id, key_id, label, scopes, created_at, revoked_at FROM api_keys
              WHERE tenant_id = $1 ORDER BY key_id",
            values![tenant_id],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Revokes a key. `None` when there is no such key; revoking twice is harmless.
///
/// # Errors
/// What the database says.
pub async fn revoke(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    key_id: &str,
    at: Micros,
) -> Result<Option<()>, CatalogError> {
    let changed = tx
        .exec(
            "UPDATE api_keys SET revoked_at = COALESCE(revoked_at, $3) WHERE tenant_id = $1 AND key_id = $2",
            values![tenant_id, key_id, at],
        )
        .await?;
    Ok((changed == 1).then_some(()))
}

fn read(r: &crate::value::Row) -> Result<ApiKey, CatalogError> {
    Ok(ApiKey {
        tenant_id: r.text(0)?,
        key_id: r.text(1)?,
        label: r.text(2)?,
        scopes: r.text(3)?,
        created_at: r.at(4)?,
        revoked_at: r.maybe_at(5)?,
    })
}
