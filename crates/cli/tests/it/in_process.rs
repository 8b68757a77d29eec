//! The service in this process, over real sockets, a real database and a store, with a clock that is moved by hand:
//! for what takes days. Nothing happens in it by itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use safelight_catalog::{Catalog, CatalogSettings, keys};
use safelight_diskstore::{DiskStore, Settings as DiskSettings};
use safelight_model::clock::{Clock as _, ManualClock, SystemClock};
use safelight_model::per_tenant::PerTenant;
use safelight_model::tenant_presets::TenantPresets;
use safelight_model::{ids, limits};
use safelight_objects::{Capabilities, Objects, StoreSettings};
use safelight_service::context::{Context, ServiceSettings};
use safelight_service::governance::api_keys;
use safelight_service::governance::keyring::Keyring;
use safelight_service::http::{AppState, Roles, listen::listen, router};
use safelight_service::intake::append::Gateway;
use safelight_service::look_after;
use safelight_service::retention::catalog_mark;
use safelight_service::system_entropy::SystemEntropy;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::http_rig::{Caller, Database, http};

/// The one tenant.
pub const TENANT: &str = "ten_00000000000000000000000000";
const SECRET: &str = "sk_00000000000000000000000000000000";
const STORE_KEY: &str = "store-key";
const STORE_SECRET: &str = "store-secret";

/// A service without workers and janitors.
pub struct InProcess {
    pub context: Context,
    /// What appends in this process; no routes lead to it.
    pub gateway: Gateway,
    pub clock: Arc<ManualClock>,
    /// The URL of its database.
    pub catalog_url: String,
    base: String,
    dir: tempfile::TempDir,
}

impl InProcess {
    /// Over the embedded store.
    pub async fn start(database: Database) -> Self {
        Self::behind(database, async |endpoint| endpoint).await
    }

    /// Over the embedded store, reached by the URL that is made of its own.
    pub async fn behind(database: Database, way: impl AsyncFnOnce(String) -> String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = DiskSettings::new(dir.path().join("store"), STORE_KEY, STORE_SECRET);
        settings.buckets = vec!["safelight".to_owned()];
        let disk = DiskStore::open(settings).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(safelight_diskstore::serve(
            disk,
            listener,
            std::future::pending(),
        ));
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let settings = settings_for(&way(endpoint).await);
        let objects = Objects::connect(settings, Capabilities::embedded()).unwrap();
        Self::over(objects, database, dir, clock).await
    }

    /// Over some other store.
    pub async fn around(objects: Objects, database: Database) -> Self {
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        Self::over(objects, database, tempfile::tempdir().unwrap(), clock).await
    }

    /// Another service with a catalog of its own, over the same store and by the same clock.
    pub async fn beside(&self, database: Database) -> Self {
        let (objects, dir) = (self.context.objects.clone(), tempfile::tempdir().unwrap());
        Self::over(objects, database, dir, self.clock.clone()).await
    }

    async fn over(
        objects: Objects,
        database: Database,
        dir: tempfile::TempDir,
        clock: Arc<ManualClock>,
    ) -> Self {
        let file = format!("sqlite://{}/catalog.db", dir.path().display());
        let catalog_url = database.fresh().unwrap_or(file);
        let context = context(objects, &catalog_url, &clock).await;
        let now = context.now();
        let key = keys::ApiKey {
            tenant_id: TENANT.to_owned(),
            key_id: context.fresh_id(ids::API_KEY),
            label: "test".to_owned(),
            scopes: "admin".to_owned(),
            created_at: now,
            revoked_at: None,
        };
        let written = context.catalog.write(move |tx| {
            Box::pin(async move {
                keys::ensure_tenant(tx, TENANT, "test", now).await?;
                keys::insert(tx, &key, &api_keys::secret_hash(SECRET)).await
            })
        });
        written.await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let roles = Roles {
            api: true,
            delivery: true,
            gateway: false,
        };
        let stop = CancellationToken::new();
        let gateway = Gateway::start(64 << 20, Duration::from_secs(60), stop.clone());
        let state = AppState::start(context.clone(), metrics.handle(), gateway.clone(), stop);
        let routes = router(state, roles);
        tokio::spawn(listen(listener, routes, CancellationToken::new()));
        Self {
            context,
            gateway,
            clock,
            catalog_url,
            base,
            dir,
        }
    }

    /// The tenant on behalf of an owner.
    pub fn owner(&self, owner: &str) -> Caller {
        Caller {
            base: self.base.clone(),
            http: http(),
            token: Some(SECRET.to_owned()),
            owner: Some(owner.to_owned()),
        }
    }

    /// Where its embedded store keeps things.
    pub fn store_dir(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// As another janitor would be: with the same store, over another handle on the same catalog.
    pub async fn second(&self) -> Context {
        Context {
            catalog: open(&self.catalog_url, &self.clock).await,
            hearing: Arc::default(),
            ..self.context.clone()
        }
    }

    /// Lets time pass and has everything looked at that is due then; how many looks that took.
    pub async fn pass(&self, time: Duration) -> usize {
        self.clock.advance(time);
        look_after::round(&self.context).await.unwrap()
    }
}

/// A process of the service with a catalog and a store that others work with too, and with a clock of its own.
pub async fn context(objects: Objects, catalog_url: &str, clock: &Arc<ManualClock>) -> Context {
    let catalog = open(catalog_url, clock).await;
    let named = catalog_mark::named(&catalog, clock.as_ref(), &SystemEntropy).await;
    Context {
        catalog,
        // Whose time passes by the same clock.
        objects: objects.with_time_of(clock.clone()),
        clock: clock.clone(),
        entropy: Arc::new(SystemEntropy),
        catalog_id: named.unwrap().into(),
        hearing: Arc::default(),
        keyring: Arc::new(Keyring::of(&[1; 32], [2; 32])),
        settings: Arc::new(ServiceSettings {
            public_url: "http://127.0.0.1:1".to_owned(),
            gateway_public_url: "http://127.0.0.1:1".to_owned(),
            single_max_bytes: 8 << 20,
            plan_policy: safelight_model::plan::Policy::default(),
            dedup_scope: safelight_model::duplicates::DedupScope::default(),
            rendition_copyright: PerTenant::all(false),
            presets: PerTenant::all(TenantPresets::default()),
            avif: false,
            metadata_policies: safelight_model::file_metadata::MetadataPolicies::default(),
            open_limit: safelight_catalog::initiate::OpenLimit::default(),
            length_only_urls: true,
            media: safelight_service::context::MediaLimits {
                max_file_bytes: PerTenant::all(1 << 30),
                max_pixels: PerTenant::all(200_000_000),
                max_frames: PerTenant::all(10_000),
                max_clip_seconds: PerTenant::all(0),
                sandbox_memory_bytes: PerTenant::all(1 << 30),
            },
            max_clip_bytes: 1 << 30,
            lanes: true,
            scratch_dir: std::env::temp_dir(),
            store_events_secret: None,
            quiet: Duration::from_secs(60),
            upload_life: limits::UPLOAD,
            sweep_every: None,
            sweep_removes: true,
            removal_wait: Duration::ZERO,
            mark_seen_again: Duration::ZERO,
            orphan_grace: limits::ORPHAN_GRACE,
            max_requests: 64,
            max_waiting: 64,
            webhooks: safelight_service::context::WebhookRules::default(),
            event_retention: Duration::from_secs(7 * 24 * 3600),
            event_heartbeat: Duration::from_secs(15),
        }),
    }
}

async fn open(url: &str, clock: &Arc<ManualClock>) -> Catalog {
    let settings = CatalogSettings {
        clock: Some(clock.clone()),
        ..CatalogSettings::for_url(url)
    };
    Catalog::open(settings).await.unwrap()
}

fn settings_for(endpoint: &str) -> StoreSettings {
    StoreSettings {
        endpoint: Some(endpoint.to_owned()),
        public_endpoint: None,
        region: "us-east-1".to_owned(),
        bucket: "safelight".to_owned(),
        access_key: STORE_KEY.to_owned(),
        secret_key: STORE_SECRET.to_owned(),
        path_style: true,
        request_timeout: StoreSettings::REQUEST_TIMEOUT,
        complete_timeout: StoreSettings::COMPLETE_TIMEOUT,
    }
}
