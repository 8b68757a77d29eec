//! The routes of each role.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use metrics_exporter_prometheus::PrometheusHandle;
use safelight_api::paths;
use safelight_model::codes::Code;
use safelight_model::limits;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::Refused;
use super::routes::{
    albums, assets, captures, events, keys, media, operations, store_events, uploads, webhooks,
};
use super::surround::surround;
use super::{cors, gateway};
use crate::context::Context;
use crate::governance::authenticate::Remembered;
use crate::insights::tail::Tail;
use crate::intake::InitiationQueue;
use crate::intake::append::Gateway;

/// What handlers work with.
#[derive(Clone)]
pub struct AppState {
    /// Catalog, store, time.
    pub context: Context,
    /// Where initiations gather.
    pub initiations: InitiationQueue,
    /// Credentials verified a moment ago.
    pub remembered: Arc<Remembered>,
    /// What `/metrics` shows.
    pub metrics: PrometheusHandle,
    /// Room for requests.
    pub room: Arc<Semaphore>,
    /// Room for what their bodies hold, in bytes.
    pub body_room: Arc<Semaphore>,
    /// What the requests of the gateway share.
    pub gateway: Gateway,
    /// Room for requests that wait for a change, and for streams of events.
    pub waiting_room: Arc<Semaphore>,
    /// Where those hear of events.
    pub tail: Tail,
    /// Fires when those are to end.
    pub stop: CancellationToken,
}

impl AppState {
    /// The state for a context. Who waits for something is sent away when `stop` fires.
    #[must_use]
    pub fn start(
        context: Context,
        metrics: PrometheusHandle,
        gateway: Gateway,
        stop: CancellationToken,
    ) -> Self {
        Self {
            gateway,
            waiting_room: Arc::new(Semaphore::new(context.settings.max_waiting)),
            tail: Tail::start(
                context.catalog.clone(),
                context.entropy.clone(),
                stop.clone(),
            ),
            stop,
            initiations: InitiationQueue::start(context.clone()),
            remembered: Arc::default(),
            room: Arc::new(Semaphore::new(context.settings.max_requests)),
            body_room: Arc::new(Semaphore::new(limits::BODIES_AT_ONCE_BYTES)),
            metrics,
            context,
        }
    }
}

/// Which roles' routes are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// `/v1`.
    pub api: bool,
    /// `/m`.
    pub delivery: bool,
    /// `/u`.
    pub gateway: bool,
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Safelight", description = "The media backend for camera apps.", license(name = "Apache-2.0")),
    modifiers(&Bearer),
    security(("bearer" = []))
)]
struct Description;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An API key `sk_…`, or a device token"))
            .build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
        for (name, scheme) in [
            ("store_bearer", HttpAuthScheme::Bearer),
            ("store_basic", HttpAuthScheme::Basic),
        ] {
            let scheme = HttpBuilder::new()
                .scheme(scheme)
                .description(Some("The server's setting `store_events_secret`"))
                .build();
            components.add_security_scheme(name, SecurityScheme::Http(scheme));
        }
    }
}

fn api() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(captures::initiate))
        .routes(routes!(captures::read, captures::delete))
        .routes(routes!(events::of_owner))
        .routes(routes!(events::of_capture))
        .routes(routes!(uploads::read, uploads::abort))
        .routes(routes!(uploads::find))
        .routes(routes!(uploads::sign))
        .routes(routes!(uploads::plan))
        .routes(routes!(uploads::complete))
        .routes(routes!(assets::list))
        .routes(routes!(assets::read, assets::patch, assets::delete))
        .routes(routes!(assets::near))
        .routes(routes!(assets::grant))
        .routes(routes!(albums::create, albums::list))
        .routes(routes!(albums::read, albums::patch, albums::delete))
        .routes(routes!(albums::add_many))
        .routes(routes!(albums::add, albums::remove))
        .routes(routes!(keys::create, keys::list))
        .routes(routes!(keys::revoke))
        .routes(routes!(keys::mint))
        .routes(routes!(store_events::hear))
        .routes(routes!(webhooks::create, webhooks::list))
        .routes(routes!(webhooks::read, webhooks::change, webhooks::delete))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(webhooks::replay))
        .routes(routes!(webhooks::deliveries))
}

fn delivery() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(media::serve))
}

/// The description of the whole API.
#[must_use]
pub fn description() -> utoipa::openapi::OpenApi {
    let (_, openapi) = OpenApiRouter::with_openapi(Description::openapi())
        .merge(api())
        .merge(delivery())
        .split_for_parts();
    openapi
}

/// The routes of these roles. Health, metrics, description and error pages are always there.
pub fn router(state: AppState, roles: Roles) -> Router {
    let mut described = OpenApiRouter::new();
    if roles.api {
        described = described.merge(api());
    }
    if roles.delivery {
        described = described.merge(delivery());
    }
    let (routes, _) = described.split_for_parts();
    let gateway = if roles.gateway {
        gateway::routes(&state)
    } else {
        Router::new()
    };
    routes
        .route(paths::READY, get(operations::ready))
        .route(paths::METRICS, get(operations::metrics))
        .route(paths::OPENAPI, get(operations::openapi))
        .route(paths::ERROR_PAGE, get(operations::error_page))
        .fallback(|| async {
            Refused::because(Code::NotFound, "there is no such path; see /openapi.json")
        })
        .method_not_allowed_fallback(|| async {
            Refused::because(
                Code::NotFound,
                "this path does not take this method; see /openapi.json",
            )
        })
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(state.clone(), surround))
        .layer(middleware::from_fn(cors::pages))
        .merge(gateway)
        // Answers even when there is no room.
        .route(paths::HEALTH, get(operations::health))
        .with_state(state)
}

/// What is answered where a handler panicked.
#[allow(clippy::needless_pass_by_value, reason = "the layer calls it so")]
pub(super) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Refused::because(
        Code::Internal,
        "the server made a mistake; name this request_id to its operator",
    )
    .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_has_every_path_of_the_wire() {
        let described = description();
        let described: Vec<&String> = described.paths.paths.keys().collect();
        let named = [
            paths::CAPTURES,
            paths::CAPTURE,
            paths::UPLOADS,
            paths::UPLOAD,
            paths::UPLOAD_PLAN,
            paths::UPLOAD_URLS,
            paths::UPLOAD_COMPLETE,
            paths::ASSETS,
            paths::ASSET,
            paths::ASSET_NEAR,
            paths::ASSET_GRANTS,
            paths::ALBUMS,
            paths::ALBUM,
            paths::ALBUM_ASSETS,
            paths::ALBUM_ASSET,
            paths::EVENTS,
            paths::CAPTURE_EVENTS,
            paths::KEYS,
            paths::KEY,
            paths::TOKENS,
            paths::STORE_EVENTS,
            paths::WEBHOOKS,
            paths::WEBHOOK,
            paths::WEBHOOK_SECRET,
            paths::WEBHOOK_REPLAY,
            paths::WEBHOOK_DELIVERIES,
            paths::MEDIA,
        ];
        for path in named {
            assert!(
                described.iter().any(|p| p.as_str() == path),
                "{path} is not described"
            );
        }
        assert_eq!(described.len(), named.len());
    }
}
