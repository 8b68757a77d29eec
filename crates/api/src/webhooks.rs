//! Webhooks: where a tenant's events are sent, by the Standard Webhooks specification. What is sent is a
//! [`CloudEvent`](crate::events::CloudEvent).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Asks for a webhook.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct CreateWebhook {
    /// Where events are posted: `https://…`, on the public internet.
    pub url: String,
    /// Types of events; all of them if there is none.
    #[serde(default)]
    pub events: Vec<String>,
    /// In your words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A webhook that was made. Only here its secret is shown, and in the answer to a repetition.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WebhookCreated {
    /// Names it: `whk_…`.
    pub webhook_id: String,
    /// What signs: `whsec_` and 32 bytes in base64. Absent if the webhook was removed before the repetition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// Asks for changes; what is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ChangeWebhook {
    /// Where events are posted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Types of events; an empty list for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<String>>,
    /// In your words; empty for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether events are sent. What happened while it was disabled is sent once it is enabled, as far as it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// A webhook.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Webhook {
    /// Names it.
    pub webhook_id: String,
    /// Where events are posted.
    pub url: String,
    /// Types of events; all of them if there is none.
    pub events: Vec<String>,
    /// In its owner's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether events are sent.
    pub enabled: bool,
    /// Why not: `asked`, `gone` (it answered 410) or `failing` (for days).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<String>,
    /// Since when every try has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<String>,
    /// When it was made.
    pub created_at: String,
}

/// All webhooks of the tenant.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WebhookList {
    /// The webhooks, oldest first.
    pub items: Vec<Webhook>,
}

/// A secret that took the place of another.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SecretRotated {
    /// Names the webhook.
    pub webhook_id: String,
    /// The secret in force. Absent if the webhook was removed before the repetition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Until when the one before signs along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_signs_until: Option<String>,
}

/// Asks that events be sent again.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ReplayWebhook {
    /// Those that happened at this time or later, RFC 3339.
    pub since: String,
}

/// An event on its way to a webhook, or what became of it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// The header `webhook-id`.
    pub message_id: String,
    /// The event.
    pub event_id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its place in the tenant's order of events.
    pub position: String,
    /// `pending`, `delivered` or `failed`.
    pub state: String,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried next, if nothing comes between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<String>,
    /// When it was tried last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried_at: Option<String>,
    /// The HTTP status of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i64>,
    /// Why the last try failed: one of the error codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// When it was delivered or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<String>,
}

/// Deliveries, the newest events first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeliveryPage {
    /// The deliveries.
    pub items: Vec<Delivery>,
    /// For the next page, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}
