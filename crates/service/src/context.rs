//! What every stage is handed: the catalog, the store, time, randomness, keys and settings.

use std::sync::Arc;
use std::time::Duration;

use safelight_catalog::Catalog;
use safelight_imaging::Limits;
use safelight_model::clock::{Clock, Micros};
use safelight_model::entropy::Entropy;
use safelight_model::ids;
use safelight_model::per_tenant::PerTenant;
use safelight_model::tenant_presets::TenantPresets;
use safelight_objects::Objects;

use crate::governance::keyring::Keyring;
use crate::retention::hear_others::Hearing;

/// Settings of the service that no single stage owns.
#[derive(Clone, Debug)]
pub struct ServiceSettings {
    /// The base of the URLs that phones are given for renditions: `http://127.0.0.1:7600`.
    pub public_url: String,
    /// The base of the URLs that phones are given for uploads through the gateway.
    pub gateway_public_url: String,
    /// Files up to this size go by one presigned PUT.
    pub single_max_bytes: i64,
    /// The rule by which plans are made.
    pub plan_policy: safelight_model::plan::Policy,
    /// Among whose bytes the same ones are stored once.
    pub dedup_scope: safelight_model::duplicates::DedupScope,
    /// What becomes of what is private in the metadata of files.
    pub metadata_policies: safelight_model::file_metadata::MetadataPolicies,
    /// Whether renditions say whose a picture is, where its original does.
    pub rendition_copyright: PerTenant<bool>,
    /// By which versions of presets pictures are made.
    pub presets: PerTenant<TenantPresets>,
    /// Whether AVIF is made of renditions.
    pub avif: bool,
    /// How much one owner may have open at once.
    pub open_limit: safelight_catalog::initiate::OpenLimit,
    /// Whether clients that give no SHA-256 get URLs that are bound to a length alone.
    pub length_only_urls: bool,
    /// What files may be at most.
    pub media: MediaLimits,
    /// Longest clip that is decoded, in bytes: so much of the scratch directory each may take, and what is made of it.
    pub max_clip_bytes: i64,
    /// Whether jobs wait in lanes; in one, where not, owners in turn.
    pub lanes: bool,
    /// Where originals are put while they are read, in files without a name.
    pub scratch_dir: std::path::PathBuf,
    /// What the store sends with its events; they are refused where there is none.
    pub store_events_secret: Option<Secret>,
    /// How long an upload lives.
    pub upload_life: std::time::Duration,
    /// How long a client is silent before the store is asked whether its bytes are there.
    pub quiet: std::time::Duration,
    /// How often store and catalog are compared; never if there is no time.
    pub sweep_every: Option<std::time::Duration>,
    /// Whether what has long been nobody's is removed then.
    pub sweep_removes: bool,
    /// How long others have to contest this catalog after a start, before anything is removed by what rows say; zero asks nobody.
    pub removal_wait: std::time::Duration,
    /// How much later what speaks against this catalog must still be there, to be believed.
    pub mark_seen_again: std::time::Duration,
    /// How long an orphan is kept from when it was first found.
    pub orphan_grace: std::time::Duration,
    /// Requests to the API under way at once; further ones are answered 503.
    pub max_requests: usize,
    /// Requests that wait for a change, and open streams of events, at once.
    pub max_waiting: usize,
    /// Where webhooks may lead.
    pub webhooks: WebhookRules,
    /// How long events are kept.
    pub event_retention: Duration,
    /// After so long without an event a stream says that it is still there.
    pub event_heartbeat: Duration,
}

/// What the address space of a decoding process holds beside what decoding takes: the program, and the original.
const BESIDE_DECODING_BYTES: u64 = 128 * 1024 * 1024;

/// What files may be at most, by tenant.
#[derive(Clone, Debug)]
pub struct MediaLimits {
    /// Largest file taken.
    pub max_file_bytes: PerTenant<i64>,
    /// Largest picture taken, in pixels.
    pub max_pixels: PerTenant<u64>,
    /// Most pictures of an animation that is taken.
    pub max_frames: PerTenant<u32>,
    /// Longest clip taken, in seconds; 0 takes every one.
    pub max_clip_seconds: PerTenant<u64>,
    /// What a decoding process may take of memory.
    pub sandbox_memory_bytes: PerTenant<u64>,
}

impl MediaLimits {
    /// What a picture of this tenant's may cost. What would take more than his decoding process has, by its header, is refused before
    /// it is begun.
    #[must_use]
    pub fn decoding(&self, tenant_id: &str) -> Limits {
        let usual = Limits::default();
        let has_bytes = self.sandbox_memory_bytes.of(tenant_id);
        let for_decoding = has_bytes.saturating_sub(BESIDE_DECODING_BYTES);
        Limits {
            max_pixels: self.max_pixels.of(tenant_id),
            max_frames: self.max_frames.of(tenant_id),
            max_decode_bytes: usual.max_decode_bytes.min(for_decoding),
            ..usual
        }
    }
}

/// Where webhooks may lead: by default to the public internet, over TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebhookRules {
    /// To private addresses too: of this machine, of its network.
    pub allow_private: bool,
    /// Without TLS too.
    pub allow_http: bool,
}

/// A secret that others send. Only a hash of it is kept.
#[derive(Clone, Debug)]
pub struct Secret(blake3::Hash);

impl Secret {
    /// The secret of this text; none if that is empty.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(blake3::hash(text.as_bytes())))
    }

    /// Whether this is it. In constant time, as hashes are compared.
    #[must_use]
    pub fn is(&self, sent: &str) -> bool {
        self.0 == blake3::hash(sent.as_bytes())
    }
}

/// What a stage works with. Clones share everything.
#[derive(Clone)]
pub struct Context {
    /// Rows.
    pub catalog: Catalog,
    /// Bytes.
    pub objects: Objects,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// What signs tokens and links.
    pub keyring: Arc<Keyring>,
    /// Settings.
    pub settings: Arc<ServiceSettings>,
    /// Which catalog this is: what is stored says so ([`crate::retention::catalog_mark::named`]). Empty in programs that only
    /// look at a catalog of another version.
    pub catalog_id: Arc<str>,
    /// Whether others that use the store had time to say so ([`crate::retention::hear_others`]). Of this process alone.
    pub hearing: Arc<Hearing>,
}

impl Context {
    /// Now.
    #[must_use]
    pub fn now(&self) -> Micros {
        self.clock.now()
    }

    /// By what this tenant's pictures are made.
    #[must_use]
    pub fn presets(&self, tenant_id: &str) -> TenantPresets {
        self.settings.presets.of(tenant_id)
    }

    /// A fresh id.
    #[must_use]
    pub fn fresh_id(&self, prefix: &str) -> String {
        ids::fresh(prefix, self.clock.now(), self.entropy.as_ref())
    }
}

/// Whose things a request is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The tenant.
    pub tenant_id: String,
    /// The app's user.
    pub owner_id: String,
}
