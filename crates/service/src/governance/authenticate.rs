//! Who calls.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use safelight_catalog::{CatalogError, keys};
use safelight_model::clock::Micros;
use safelight_model::codes::Code;

use super::api_keys::secret_hash;
use super::decide::Viewer;
use super::tokens;
use crate::context::{Context, Owner};

/// How long a verified credential is remembered: so long may a revoked key still work.
const REMEMBERED: Duration = Duration::from_secs(5);
/// Credentials remembered at most.
const MOST_REMEMBERED: usize = 10_000;

/// A caller whose credential was good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The tenant.
    pub tenant_id: String,
    /// The owner: the token's, or the one that an API key names.
    pub owner_id: Option<String>,
    /// Whether it came with the owner's own device token.
    pub is_device: bool,
    /// What it may do, separated by spaces.
    pub scopes: String,
    /// Scopes idempotency keys.
    pub caller: String,
}

/// Why a caller is refused.
#[derive(Debug, thiserror::Error)]
pub enum Unauthenticated {
    /// No credential came.
    #[error("send `Authorization: Bearer` with an API key or a device token")]
    Missing,
    /// The credential is not one of ours.
    #[error("this credential is unknown or was revoked")]
    Unknown,
    /// The token's time is over.
    #[error("this device token has expired: mint another")]
    Expired,
    /// It may not do this.
    #[error("this credential lacks the scope `{0}`")]
    Scope(&'static str),
    /// No owner is named.
    #[error("name the owner with the header `Safelight-Owner`, or use a device token")]
    Owner,
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl Unauthenticated {
    /// The stable code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Missing | Self::Unknown | Self::Expired => Code::Unauthorized,
            Self::Scope(_) => Code::Forbidden,
            Self::Owner => Code::ValidationFailed,
            Self::Catalog(e) => e.code(),
        }
    }
}

impl Caller {
    /// Whether it is the owner himself, by a device token, or a key of the tenant's that names him.
    #[must_use]
    pub fn viewer(&self) -> Viewer {
        match self.is_device {
            true => Viewer::Owner,
            false => Viewer::Tenant,
        }
    }

    /// Refuses a caller without this scope. `admin` has every scope.
    ///
    /// # Errors
    /// If it lacks it.
    pub fn require(&self, scope: &'static str) -> Result<(), Unauthenticated> {
        let has = self.scopes.split(' ').any(|s| s == scope || s == "admin");
        has.then_some(()).ok_or(Unauthenticated::Scope(scope))
    }

    /// The owner whose things this request is about.
    ///
    /// # Errors
    /// If none is named.
    pub fn owner(&self) -> Result<Owner, Unauthenticated> {
        let owner_id = self.owner_id.clone().ok_or(Unauthenticated::Owner)?;
        Ok(Owner {
            tenant_id: self.tenant_id.clone(),
            owner_id,
        })
    }
}

/// Credentials that were verified a moment ago.
#[derive(Debug, Default)]
pub struct Remembered(Mutex<HashMap<[u8; 32], (Caller, Micros)>>);

impl Remembered {
    /// Has every credential verified anew: one may have been revoked.
    pub fn forget(&self) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.clear();
    }

    fn find(&self, hash: &[u8; 32], now: Micros) -> Option<Caller> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(hash)
            .filter(|(_, until)| *until > now)
            .map(|(caller, _)| caller.clone())
    }

    fn keep(&self, hash: [u8; 32], caller: Caller, until: Micros) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_REMEMBERED {
            known.clear();
        }
        known.insert(hash, (caller, until));
    }
}

/// Finds out who calls, from the bearer credential and, for API keys, the owner that is named.
///
/// # Errors
/// If the credential is missing, unknown or expired, or the catalog fails.
pub async fn authenticate(
    context: &Context,
    remembered: &Remembered,
    bearer: Option<&str>,
    named_owner: Option<&str>,
) -> Result<Caller, Unauthenticated> {
    let bearer = bearer.ok_or(Unauthenticated::Missing)?;
    let (hash, now) = (*blake3::hash(bearer.as_bytes()).as_bytes(), context.now());
    let mut caller = match remembered.find(&hash, now) {
        Some(caller) => caller,
        None => {
            let (caller, end) = verify(context, bearer, now).await?;
            remembered.keep(hash, caller.clone(), now.plus(REMEMBERED).min(end));
            caller
        }
    };
    if caller.owner_id.is_none()
        && let Some(owner) = named_owner
    {
        if !safelight_model::text::is_reference(owner, safelight_model::limits::MAX_CLIENT_REF) {
            return Err(Unauthenticated::Owner);
        }
        caller.caller = format!("{} {owner}", caller.caller);
        caller.owner_id = Some(owner.to_owned());
    }
    Ok(caller)
}

async fn verify(
    context: &Context,
    bearer: &str,
    now: Micros,
) -> Result<(Caller, Micros), Unauthenticated> {
    if bearer.starts_with("sk_") {
        let hash = secret_hash(bearer);
        let key = keys::by_secret(&mut context.catalog.reader().await?.tx(), &hash)
            .await?
            .ok_or(Unauthenticated::Unknown)?;
        let caller = Caller {
            tenant_id: key.tenant_id,
            owner_id: None,
            is_device: false,
            scopes: key.scopes,
            caller: key.key_id,
        };
        return Ok((caller, Micros(i64::MAX)));
    }
    let claims = tokens::verify(context, bearer).ok_or(Unauthenticated::Unknown)?;
    let end = Micros(claims.exp.saturating_mul(1_000_000));
    if end <= now {
        return Err(Unauthenticated::Expired);
    }
    let caller = Caller {
        tenant_id: claims.tid,
        caller: format!("owner {}", claims.sub),
        owner_id: Some(claims.sub),
        is_device: true,
        scopes: claims.scp,
    };
    Ok((caller, end))
}
