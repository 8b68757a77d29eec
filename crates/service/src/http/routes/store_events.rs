//! Events of the store.

use axum::Json;
use axum::extract::State;
use safelight_api::problem::Problem;
use safelight_api::store_events::StoreEventsHeard;
use serde_json::Value;

use crate::http::body::Body;
use crate::http::problem::Refused;
use crate::http::request::StoreSender;
use crate::http::router::AppState;
use crate::intake::hear_events::{Way, hear_events};
use crate::intake::read_event::read_event;

/// Hears what the store tells of its objects. For stores, not for apps: with the secret of the setting
/// `store_events_secret`, as bearer token or as password. Needs no idempotency key: hearing something twice is harmless.
#[utoipa::path(
    post, path = "/v1/store-events", tag = "operations",
    request_body(content = Value, description = "`Records` as Amazon S3, MinIO and Ceph write them, or one event of EventBridge"),
    security(("store_bearer" = []), ("store_basic" = [])),
    responses(
        (status = 200, body = StoreEventsHeard),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Not done")
    )
)]
pub(in crate::http) async fn hear(
    State(state): State<AppState>,
    _: StoreSender,
    body: Body<Value>,
) -> Result<Json<StoreEventsHeard>, Refused> {
    let created = read_event(&body.value)?;
    let heard = hear_events(&state.context, Way::Http, &created).await?;
    Ok(Json(StoreEventsHeard {
        looked_at: heard.looked_at as u64,
        ignored: heard.ignored as u64,
    }))
}
