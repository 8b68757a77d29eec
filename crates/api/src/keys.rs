//! API keys and device tokens.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Asks for an API key of the caller's tenant.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct CreateKey {
    /// What it is for, in the operator's words.
    pub label: String,
    /// What it may do: `media` (captures, uploads, assets), `tokens` (mint device tokens), `admin` (keys, all else).
    pub scopes: Vec<String>,
}

/// An API key that was made. The only time its secret is shown.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct KeyCreated {
    /// Names the key.
    pub key_id: String,
    /// The key itself: `sk_` and 32 characters. Only its hash is kept. Absent in a replayed answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// An API key as it is listed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Key {
    /// Names the key.
    pub key_id: String,
    /// What it is for.
    pub label: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: String,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<String>,
}

/// All keys of the tenant.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct KeyList {
    /// The keys, oldest first.
    pub items: Vec<Key>,
}

/// Asks for a short-lived token for one owner's device.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct MintToken {
    /// The app's user.
    pub owner: String,
    /// The phone.
    pub device: String,
    /// Life in seconds: 3,600 by default, 86,400 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u32>,
}

/// A device token.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TokenMinted {
    /// Send it as `Authorization: Bearer …`.
    pub token: String,
    /// Until when it works.
    pub expires_at: String,
}
