//! Route paths and header names, each written once.

/// Creates captures (POST).
pub const CAPTURES: &str = "/v1/captures";
/// One capture (GET, DELETE).
pub const CAPTURE: &str = "/v1/captures/{capture_id}";
/// The truth of an upload (GET), and giving it up (DELETE).
pub const UPLOAD: &str = "/v1/uploads/{upload_id}";
/// Signs part URLs (POST).
pub const UPLOAD_URLS: &str = "/v1/uploads/{upload_id}/urls";
/// Finds unfinished uploads (GET).
pub const UPLOADS: &str = "/v1/uploads";
/// Plans an unfinished upload anew (POST).
pub const UPLOAD_PLAN: &str = "/v1/uploads/{upload_id}/plan";
/// Completes an upload (POST).
pub const UPLOAD_COMPLETE: &str = "/v1/uploads/{upload_id}/complete";
/// Lists assets (GET).
pub const ASSETS: &str = "/v1/assets";
/// One asset (GET, DELETE), and what its owner says of it (PATCH).
pub const ASSET: &str = "/v1/assets/{asset_id}";
/// The owner's assets that look nearly like one (GET).
pub const ASSET_NEAR: &str = "/v1/assets/{asset_id}/near";
/// Grants access to an asset's original (POST).
pub const ASSET_GRANTS: &str = "/v1/assets/{asset_id}/grants";
/// Albums (GET, POST).
pub const ALBUMS: &str = "/v1/albums";
/// One album (GET, PATCH, DELETE).
pub const ALBUM: &str = "/v1/albums/{album_id}";
/// Adds assets to an album (POST).
pub const ALBUM_ASSETS: &str = "/v1/albums/{album_id}/assets";
/// An asset's place in an album (PUT, DELETE).
pub const ALBUM_ASSET: &str = "/v1/albums/{album_id}/assets/{asset_id}";
/// What happens to an owner's captures, as it happens (GET, server-sent events).
pub const EVENTS: &str = "/v1/events";
/// What happens to one capture, as it happens (GET, server-sent events).
pub const CAPTURE_EVENTS: &str = "/v1/captures/{capture_id}/events";
/// API keys (GET, POST).
pub const KEYS: &str = "/v1/keys";
/// One API key (DELETE).
pub const KEY: &str = "/v1/keys/{key_id}";
/// Mints device tokens (POST).
pub const TOKENS: &str = "/v1/tokens";
/// Begins an upload by IETF resumable uploads (POST, PUT).
pub const RUFH: &str = "/u/rufh";
/// One upload, by IETF resumable uploads (HEAD, PATCH, DELETE, POST, PUT).
pub const RUFH_UPLOAD: &str = "/u/rufh/{tenant_id}/{upload_id}";
/// Begins an upload by tus 1.0 (POST).
pub const TUS: &str = "/u/tus";
/// One upload, by tus 1.0 (HEAD, PATCH, DELETE).
pub const TUS_UPLOAD: &str = "/u/tus/{tenant_id}/{upload_id}";
/// A rendition or a granted original (GET, HEAD).
pub const MEDIA: &str = "/m/{public_id}/{file}";
/// Takes events of the object store (POST).
pub const STORE_EVENTS: &str = "/v1/store-events";
/// Webhooks (GET, POST).
pub const WEBHOOKS: &str = "/v1/webhooks";
/// One webhook (GET, PATCH, DELETE).
pub const WEBHOOK: &str = "/v1/webhooks/{webhook_id}";
/// Gives a webhook another secret (POST).
pub const WEBHOOK_SECRET: &str = "/v1/webhooks/{webhook_id}/secret";
/// Has events sent to a webhook again (POST).
pub const WEBHOOK_REPLAY: &str = "/v1/webhooks/{webhook_id}/replay";
/// What became of the events for a webhook (GET).
pub const WEBHOOK_DELIVERIES: &str = "/v1/webhooks/{webhook_id}/deliveries";
/// Is the process alive (GET).
pub const HEALTH: &str = "/healthz";
/// Can it serve (GET).
pub const READY: &str = "/readyz";
/// Prometheus text (GET).
pub const METRICS: &str = "/metrics";
/// The description of this API (GET).
pub const OPENAPI: &str = "/openapi.json";
/// The page of an error code (GET).
pub const ERROR_PAGE: &str = "/docs/errors/{code}";

/// Carries the idempotency key of a write.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Set to `true` on an answer that was recorded before.
pub const IDEMPOTENCY_REPLAYED: &str = "idempotency-replayed";
/// Names the request in logs and problems.
pub const REQUEST_ID: &str = "request-id";
/// The client's reference of a capture that is begun at the gateway.
pub const CLIENT_REF: &str = "safelight-client-ref";
/// What the app means a capture for that is begun at the gateway.
pub const PURPOSE: &str = "safelight-purpose";
/// When a capture was taken that is begun at the gateway, RFC 3339.
pub const CAPTURED_AT: &str = "safelight-captured-at";
/// What becomes of bytes that are there already, of a capture that is begun at the gateway: `merge` or `keep`.
pub const DUPLICATES: &str = "safelight-duplicates";
/// Names the owner on whose behalf an API key acts.
pub const OWNER: &str = "safelight-owner";

/// Fills the one `{…}` of `path` with `value`.
#[must_use]
pub fn fill(path: &str, value: &str) -> String {
    match (path.find('{'), path.find('}')) {
        (Some(from), Some(to)) if from < to => {
            format!("{}{value}{}", &path[..from], &path[to + 1..])
        }
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_path_is_filled() {
        assert_eq!(
            super::fill(super::UPLOAD_COMPLETE, "upl_1"),
            "/v1/uploads/upl_1/complete"
        );
        assert_eq!(super::fill(super::KEYS, "x"), "/v1/keys");
    }
}
