//! Device tokens: short-lived JWTs for one owner's device, signed with Ed25519.

use std::time::Duration;

use jsonwebtoken::{Algorithm, Header, Validation};
use safelight_model::clock::Micros;
use safelight_model::codes::Code;
use safelight_model::limits;
use serde::{Deserialize, Serialize};

use crate::context::{Context, Owner};

/// What a device token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The tenant.
    pub tid: String,
    /// The owner.
    pub sub: String,
    /// The device.
    pub did: String,
    /// What it may do.
    pub scp: String,
    /// Its end, in Unix seconds.
    pub exp: i64,
}

/// Why no token was minted.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The owner or device has no proper name.
    #[error("{0} must have 1 to 128 characters, none of them a control character")]
    Name(&'static str),
    /// The life asked for is too long.
    #[error("ttl_s must be from 1 to 86400")]
    Life,
    /// Signing failed.
    #[error("the token could not be signed")]
    Signing(#[source] jsonwebtoken::errors::Error),
}

impl MintError {
    /// The stable code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Name(_) | Self::Life => Code::ValidationFailed,
            Self::Signing(_) => Code::Internal,
        }
    }
}

/// Mints a token for `owner`'s `device`; the token and its end.
///
/// # Errors
/// If a name or the life is wrong.
pub fn mint(
    context: &Context,
    owner: &Owner,
    device: &str,
    ttl_s: Option<u32>,
) -> Result<(String, Micros), MintError> {
    for (what, name) in [("owner", owner.owner_id.as_str()), ("device", device)] {
        if !safelight_model::text::is_reference(name, limits::MAX_CLIENT_REF) {
            return Err(MintError::Name(what));
        }
    }
    let (default, most) = limits::DEVICE_TOKEN;
    let life = ttl_s.map_or(default, |s| Duration::from_secs(u64::from(s)));
    if life.is_zero() || life > most {
        return Err(MintError::Life);
    }
    let end = context.now().plus(life);
    let claims = Claims {
        tid: owner.tenant_id.clone(),
        sub: owner.owner_id.clone(),
        did: device.to_owned(),
        scp: "media".to_owned(),
        exp: end.unix_seconds(),
    };
    let token = jsonwebtoken::encode(
        &Header::new(Algorithm::EdDSA),
        &claims,
        &context.keyring.token_signing,
    )
    .map_err(MintError::Signing)?;
    Ok((token, Micros(claims.exp.saturating_mul(1_000_000))))
}

/// The claims of a token whose signature is ours. Its end is checked by the caller, by the injected clock.
#[must_use]
pub fn verify(context: &Context, token: &str) -> Option<Claims> {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    jsonwebtoken::decode::<Claims>(token, &context.keyring.token_verifying, &validation)
        .ok()
        .map(|d| d.claims)
}
