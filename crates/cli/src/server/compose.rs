//! Puts the server together from its settings, and takes it down in order.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use safelight_catalog::initiate::OpenLimit;
use safelight_catalog::{
    Catalog, CatalogSettings, SCHEMA_VERSION, Schema, catalog_mark as mark_rows,
    keys as catalog_keys,
};
use safelight_model::clock::{Clock, SystemClock};
use safelight_model::duplicates::DedupScope;
use safelight_model::file_metadata::MetadataPolicies;
use safelight_model::{entropy, ids, limits};
use safelight_objects::Objects;
use safelight_service::context::{Context, Secret, ServiceSettings, WebhookRules};
use safelight_service::governance::api_keys;
use safelight_service::http::{AppState, Roles, listen::listen, router};
use safelight_service::intake::append::Gateway;
use safelight_service::processing::AtHand;
use safelight_service::processing::sandbox::{Sandbox, SandboxSettings};
use safelight_service::queue::{Executor, ExecutorSettings};
use safelight_service::retention::{catalog_mark, keep_mark};
use safelight_service::system_entropy::SystemEntropy;
use safelight_service::worker::Worker;
use safelight_service::{insights, janitor, queue};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::clips::clip_settings;
use super::keys::{self, Keys};
use super::known_store::KnownStore;
use super::settings::Resolved;
use super::store::{self, Backend};
use super::{
    descriptors, named_tenants, plan_policy, presets, store_hearing, store_scrub, store_upkeep,
};

/// The tenant of a server's first start. The same everywhere, so that machines which start at once
/// make one.
const FIRST_TENANT: &str = "ten_00000000000000000000000000";

/// How long the gateway may take to flush what it received, once its connections are closed.
const FLUSH: Duration = Duration::from_secs(10);

/// A running server.
pub struct Server {
    stop_edge: CancellationToken,
    stop_work: CancellationToken,
    stop_store: CancellationToken,
    stop_events: CancellationToken,
    stop_mark: CancellationToken,
    edge: JoinHandle<()>,
    gateway: Gateway,
    work: Option<(Executor, Sandbox)>,
    janitor: Option<JoinHandle<()>>,
    sequencer: Option<JoinHandle<()>>,
    webhooks: Option<JoinHandle<()>>,
    mark: JoinHandle<()>,
    /// The store, and its upkeep.
    store: Option<(JoinHandle<std::io::Result<()>>, JoinHandle<()>)>,
    catalog: Catalog,
}

/// Opens the catalog of the settings.
pub async fn open_catalog(settings: &Resolved, schema: Schema) -> anyhow::Result<Catalog> {
    keys::private_dir(&settings.data_dir)?;
    let mut catalog = CatalogSettings::for_url(settings.text("catalog_url"));
    catalog.schema = schema;
    catalog.connections =
        u32::try_from(settings.number("catalog_connections", 2)?).unwrap_or(u32::MAX);
    Ok(Catalog::open(catalog).await?)
}

/// Jobs of each class done at once, the lightest first, and behind them what is done beside the light ones: covers, and what one lane has
/// while the other has all of these.
fn workers(settings: &Resolved) -> anyhow::Result<[usize; 5]> {
    let number = |key, least| anyhow::Ok(usize::try_from(settings.number(key, least)?)?);
    Ok([
        number("workers", 1)?,
        number("heavy_workers", 1)?,
        number("video_workers", 1)?,
        number("cover_workers", 0)?,
        number("display_workers", 0)?,
    ])
}

/// The settings of the sandbox.
pub fn sandbox_settings(settings: &Resolved) -> anyhow::Result<SandboxSettings> {
    let processes: usize = workers(settings)?.into_iter().sum();
    let memory_of_tenants = settings.media_limits()?.sandbox_memory_bytes;
    Ok(SandboxSettings {
        processes,
        // Half of those that may turn to another tenant at once: they do not all do so in the moment that a start takes.
        spares: processes.div_ceil(2),
        memory_bytes: memory_of_tenants.most(),
        memory_of_tenants,
        budget_bytes: match settings.number("decode_budget_bytes", 0)? {
            0 => u64::MAX,
            bytes => bytes,
        },
        wall_clock: Duration::from_secs(settings.number("sandbox_seconds", 1)?),
        faces: settings.text("face_detector") == "yes",
        may_be_open: settings.text("sandbox_allow_open") == "yes",
        clips: clip_settings(settings)?,
        ..SandboxSettings::own_program()
    })
}

/// Starts the children that decode, and finds out how tightly they are closed.
///
/// # Errors
/// They do not start, or they are open and the settings do not allow it.
async fn start_sandbox(settings: &Resolved) -> anyhow::Result<Sandbox> {
    let wanted = sandbox_settings(settings)?;
    let may_be_open = wanted.may_be_open;
    let sandbox = Sandbox::start(wanted).context("cannot start the sandbox")?;
    let found = sandbox.confinement().await;
    let confinement = found.context("cannot start the sandbox")?;
    confinement.count();
    look_at_clips(&sandbox).await;
    match (confinement.is_open(), may_be_open) {
        (false, _) => tracing::info!("decoders are confined: {confinement}"),
        (true, true) => {
            tracing::warn!("decoders are not confined, as sandbox_allow_open has it: {confinement}")
        }
        (true, false) => bail!(
            "decoders would not be confined on this kernel ({confinement}): run the role worker where seccomp is there; sandbox_allow_open = yes does without"
        ),
    }
    Ok(sandbox)
}

/// Finds out by what clips are decoded, and how tightly that is closed in. Without it they are kept, and not shown.
async fn look_at_clips(sandbox: &Sandbox) {
    match sandbox.clip_tools().await {
        Ok(tools) => {
            tools.confinement.count_of_clips();
            let (version, confinement) = (tools.version, tools.confinement);
            match confinement.lets_files_be_opened() {
                false => tracing::info!("clips are decoded by {version}: {confinement}"),
                true => tracing::warn!(
                    "clips are decoded by {version}, which is not confined, as sandbox_allow_open has it: {confinement}"
                ),
            }
        }
        Err(error) => tracing::warn!("{error}; they are kept, and cannot be shown"),
    }
}

async fn bind(settings: &Resolved, key: &str) -> anyhow::Result<TcpListener> {
    let address = settings.address(key)?;
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}: stop what listens there, or set {key}")
    })
}

/// What all roles share.
pub struct Shared {
    /// Catalog, store, time.
    pub context: Context,
    /// The keys.
    pub keys: Arc<Keys>,
    /// What is known of the object store.
    pub store: KnownStore,
}

/// Opens catalog, keys and the client of the store.
pub async fn share(
    settings: &Resolved,
    schema: Schema,
    store_endpoint: Option<String>,
) -> anyhow::Result<Shared> {
    let entropy: Arc<dyn entropy::Entropy> = Arc::new(SystemEntropy);
    let keys = Arc::new(keys::open(&settings.path("keys_dir"), entropy.as_ref())?);
    keys::private_dir(&settings.path("scratch_dir"))?;
    let number = |key: &str| settings.number(key, 0);
    let catalog = open_catalog(settings, schema).await?;
    let store = KnownStore::look_up(settings, &catalog).await?;
    let connection = store::connection(settings, &keys, store_endpoint)?;
    let clock = Arc::new(SystemClock) as Arc<dyn Clock>;
    // Before anything is signed or stored, since all that is says which catalog knows of it.
    let catalog_id = match catalog.schema_version().await {
        Ok(version) if version >= SCHEMA_VERSION && schema == Schema::BringUpToDate => {
            catalog_mark::named(&catalog, clock.as_ref(), entropy.as_ref()).await?
        }
        // Who only looks gives it no name.
        Ok(version) if version >= SCHEMA_VERSION => {
            let mark = mark_rows::find(&mut catalog.reader().await?.tx()).await?;
            mark.map(|mark| mark.catalog_id).unwrap_or_default()
        }
        Err(error) if schema == Schema::BringUpToDate => return Err(error.into()),
        _ => String::new(),
    };
    let context = Context {
        catalog,
        objects: Objects::connect(connection, store.capabilities.clone())?,
        clock,
        entropy,
        catalog_id: catalog_id.into(),
        hearing: Arc::default(),
        keyring: Arc::new(keys.keyring.clone()),
        settings: Arc::new(ServiceSettings {
            public_url: settings.text("public_url").trim_end_matches('/').to_owned(),
            gateway_public_url: settings
                .text("gateway_public_url")
                .trim_end_matches('/')
                .to_owned(),
            single_max_bytes: i64::try_from(number("single_max_bytes")?)?,
            plan_policy: plan_policy::read(settings)?,
            dedup_scope: DedupScope::parse(settings.text("dedup_scope")).unwrap_or_default(),
            rendition_copyright: settings.rendition_copyright()?,
            presets: settings.presets()?,
            avif: settings.text("avif") == "yes",
            metadata_policies: MetadataPolicies::parse(settings.text("metadata_policy"))
                .unwrap_or_default(),
            open_limit: OpenLimit {
                uploads: i64::try_from(number("open_uploads")?)?,
                size_bytes: i64::try_from(number("open_uploads_bytes")?)?,
            },
            length_only_urls: settings.text("length_only_urls") == "yes",
            media: settings.media_limits()?,
            max_clip_bytes: i64::try_from(number("max_clip_bytes")?)?,
            lanes: settings.text("lanes") == "yes",
            scratch_dir: settings.path("scratch_dir"),
            store_events_secret: Secret::of(settings.text("store_events_secret")),
            sweep_every: Some(number("sweep_hours")?)
                .filter(|hours| *hours > 0)
                .map(|hours| Duration::from_secs(hours.saturating_mul(3600))),
            sweep_removes: settings.text("sweep_removes") == "yes",
            orphan_grace: Duration::from_secs(number("orphan_grace_days")?.saturating_mul(86_400)),
            removal_wait: Duration::from_secs(number("removal_wait_seconds")?),
            mark_seen_again: catalog_mark::SEEN_AGAIN,
            quiet: Duration::from_secs(number("upload_quiet_seconds")?),
            upload_life: Duration::from_secs(number("upload_life_hours")?.saturating_mul(3600)),
            max_requests: usize::try_from(number("max_requests")?)?,
            max_waiting: usize::try_from(number("max_waiting")?)?,
            webhooks: WebhookRules {
                allow_private: settings.text("webhook_allow_private") == "yes",
                allow_http: settings.text("webhook_allow_http") == "yes",
            },
            event_retention: settings
                .days("event_retention_days")?
                .unwrap_or(limits::EVENT_RETENTION),
            event_heartbeat: Duration::from_secs(number("event_heartbeat_seconds")?),
        }),
    };
    Ok(Shared {
        context,
        keys,
        store,
    })
}

/// Makes the first tenant and its administrator's key unless they are there.
async fn first_start(context: &Context, keys: &Keys) -> anyhow::Result<()> {
    let at = context.now();
    let key = catalog_keys::ApiKey {
        tenant_id: FIRST_TENANT.to_owned(),
        key_id: context.fresh_id(ids::API_KEY),
        label: "administrator".to_owned(),
        scopes: "admin".to_owned(),
        created_at: at,
        revoked_at: None,
    };
    let hash = api_keys::secret_hash(&keys.admin);
    context
        .catalog
        .write(move |tx| {
            Box::pin(async move {
                catalog_keys::ensure_tenant(tx, FIRST_TENANT, "default", at).await?;
                catalog_keys::insert(tx, &key, &hash).await
            })
        })
        .await?;
    Ok(())
}

/// Starts every role of the settings.
pub async fn start(settings: &Resolved) -> anyhow::Result<Server> {
    descriptors::raise_limit();
    let metrics = metrics_exporter_prometheus::PrometheusBuilder::new()
        .set_buckets(&[
            0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0,
        ])?
        .install_recorder()?;
    insights::metric_help::describe();
    // Samples are folded together here; otherwise only a scrape would do it.
    let folded = metrics.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            folded.run_upkeep();
        }
    });
    let (stop_edge, stop_work, stop_events, stop_mark, stop_store) = (
        CancellationToken::new(),
        CancellationToken::new(),
        CancellationToken::new(),
        CancellationToken::new(),
        CancellationToken::new(),
    );
    // Whatever its roles, a process can be asked how it is.
    let edge_listener = bind(settings, "listen").await?;
    let Shared {
        context,
        keys,
        store: known,
    } = share(settings, Schema::BringUpToDate, None).await?;
    known.warn();
    let store = match store::backend(settings) {
        Backend::Disk(root) if settings.has_role("store") => {
            let listener = bind(settings, "store_listen").await?;
            let (tells, told) = tokio::sync::mpsc::channel(store_hearing::WAITING);
            let disk = store::open_disk(settings, &keys, root, Some(tells))?;
            let hearing = store_hearing::run(context.clone(), told, stop_work.clone());
            let lifecycle =
                store_upkeep::run(disk.clone(), context.clock.clone(), stop_work.clone());
            let (scrubbed, clock, stop) = (disk.clone(), context.clock.clone(), stop_work.clone());
            let every = settings.days("store_scrub_days")?;
            let upkeep = async move {
                match every {
                    Some(every) => {
                        let scrub = store_scrub::run(scrubbed, clock, every, stop);
                        tokio::join!(lifecycle, scrub, hearing);
                    }
                    None => {
                        tokio::join!(lifecycle, hearing);
                    }
                }
            };
            let stop = stop_store.clone();
            let serving = tokio::spawn(async move {
                safelight_diskstore::serve(disk, listener, async move { stop.cancelled().await })
                    .await
            });
            Some((serving, tokio::spawn(upkeep)))
        }
        _ => None,
    };
    presets::choose(&context).await?;
    first_start(&context, &keys).await?;
    named_tenants::warn_of_unknown(&context).await?;
    let work = if settings.has_role("worker") {
        let sandbox = start_sandbox(settings).await?;
        let [
            light,
            heavy_workers,
            video_workers,
            cover_workers,
            display_workers,
        ] = workers(settings)?;
        let executor = ExecutorSettings {
            cover_workers,
            display_workers,
            heavy_workers,
            video_workers,
            ..ExecutorSettings::for_workers(light, context.fresh_id(ids::WORKER))
        };
        let worker = Worker {
            context: context.clone(),
            sandbox: sandbox.clone(),
            at_hand: AtHand::default(),
        };
        let executor = queue::Executor::start(
            context.catalog.clone(),
            Arc::new(worker),
            context.entropy.clone(),
            executor,
            stop_work.clone(),
        );
        Some((executor, sandbox))
    } else {
        None
    };
    let webhooks = settings.has_role("worker").then(|| {
        tokio::spawn(insights::webhooks::deliver::run(
            context.clone(),
            stop_work.clone(),
        ))
    });
    let janitor = settings
        .has_role("janitor")
        .then(|| tokio::spawn(janitor::run(context.clone(), stop_work.clone())));
    // Whatever its roles: every process commits something.
    let watch = match settings.text("roles").trim() {
        "store" => keep_mark::Watch::NotKept,
        _ => keep_mark::Watch::Kept,
    };
    let mark = tokio::spawn(keep_mark::run(context.clone(), watch, stop_mark.clone()));
    let roles = Roles {
        api: settings.has_role("api"),
        delivery: settings.has_role("delivery"),
        gateway: settings.has_role("gateway"),
    };
    let gateway = Gateway::start(
        settings.number("gateway_scratch_bytes", 1)?,
        Duration::from_secs(settings.number("gateway_idle_seconds", 1)?),
        stop_edge.clone(),
    );
    // Whoever records events gives them their places.
    let records = ["api", "worker", "janitor"];
    let sequencer = records.iter().any(|r| settings.has_role(r)).then(|| {
        let (catalog, entropy) = (context.catalog.clone(), context.entropy.clone());
        tokio::spawn(insights::sequencer::run(
            catalog,
            entropy,
            stop_events.clone(),
        ))
    });
    let state = AppState::start(context.clone(), metrics, gateway.clone(), stop_edge.clone());
    let routes = router(state, roles);
    let edge = tokio::spawn(listen(edge_listener, routes, stop_edge.clone()));
    Ok(Server {
        stop_edge,
        stop_work,
        stop_store,
        stop_events,
        stop_mark,
        edge,
        gateway,
        work,
        janitor,
        sequencer,
        webhooks,
        mark,
        store,
        catalog: context.catalog,
    })
}

impl Server {
    /// Stops in order: no new requests, running ones end; running jobs end; the last events get their
    /// places; the catalog's mark is raised a last time; then store and catalog.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop_edge.cancel();
        self.edge.await?;
        // What is received for clients that went away.
        let _ = tokio::time::timeout(FLUSH, self.gateway.drained()).await;
        self.stop_work.cancel();
        if let Some((executor, sandbox)) = self.work {
            executor.drained().await;
            sandbox.shutdown().await;
        }
        if let Some(janitor) = self.janitor {
            janitor.await?;
        }
        if let Some(webhooks) = self.webhooks {
            webhooks.await?;
        }
        self.stop_events.cancel();
        if let Some(sequencer) = self.sequencer {
            sequencer.await?;
        }
        self.stop_mark.cancel();
        self.mark.await?;
        self.stop_store.cancel();
        if let Some((serving, upkeep)) = self.store {
            upkeep.await?;
            serving.await??;
        }
        self.catalog.close().await;
        Ok(())
    }
}
