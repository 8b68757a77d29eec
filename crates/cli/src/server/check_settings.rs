//! Refuses settings that cannot work, naming the setting and where it came from.

use safelight_model::duplicates::DedupScope;
use safelight_model::file_metadata::MetadataPolicies;
use safelight_model::limits;
use safelight_service::processing::sandbox::KEPT_BYTES;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::targets::Targets;

use super::settings::{DECODING, Resolved};

/// What S3 takes by one PUT, in bytes: 5 GiB.
const MOST_SINGLE_BYTES: u64 = 5 << 30;

/// What strangers may guess at has so many characters at least.
const LEAST_SECRET: usize = 16;

impl Resolved {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let roles = ["api", "gateway", "store", "delivery", "worker", "janitor"];
        if self
            .text("roles")
            .split(',')
            .map(str::trim)
            .any(|r| !roles.contains(&r))
        {
            let wanted = format!("a list of {}", roles.join(", "));
            return Err(self.wrong("roles", &wanted));
        }
        self.address("listen")?;
        self.address("store_listen")?;
        for key in ["public_url", "gateway_public_url", "store_public_url"] {
            let url = self.text(key);
            let is_web = url.starts_with("http://") || url.starts_with("https://");
            if !is_web || url.contains(['?', '#', ' ']) {
                return Err(self.wrong(key, "an http or https URL without ? and #"));
            }
        }
        for origin in self.list("store_cors_origins") {
            if origin != "*" && !origin.contains("://") {
                return Err(self.wrong(
                    "store_cors_origins",
                    "origins such as https://app.example, or *",
                ));
            }
        }
        let catalog = self.text("catalog_url");
        if !["sqlite:", "postgres:", "postgresql:"]
            .iter()
            .any(|s| catalog.starts_with(s))
        {
            return Err(self.wrong(
                "catalog_url",
                "sqlite:///path/catalog.db or postgres://user@host/name",
            ));
        }
        let store = self.text("store_url");
        if !["disk://", "s3://"].iter().any(|s| store.starts_with(s)) {
            return Err(self.wrong("store_url", "disk:///path or s3://bucket?endpoint=URL"));
        }
        for (key, least) in [
            ("catalog_connections", 2),
            ("workers", 1),
            ("cover_workers", 0),
            ("display_workers", 0),
            ("heavy_workers", 1),
            ("video_workers", 1),
            ("max_requests", 1),
            ("max_waiting", 0),
            ("event_retention_days", 1),
            ("event_heartbeat_seconds", 1),
            ("single_max_bytes", 0),
            ("open_uploads", 0),
            ("open_uploads_bytes", 0),
            ("decode_budget_bytes", 0),
            ("sandbox_seconds", 1),
            ("clip_memory_bytes", 512 * 1024 * 1024),
            ("max_clip_bytes", 0),
            ("transcode_seconds", 1),
            ("upload_quiet_seconds", 1),
            ("upload_life_hours", 1),
            ("sweep_hours", 0),
            ("orphan_grace_days", 1),
            ("removal_wait_seconds", 0),
            ("gateway_scratch_bytes", 1 << 20),
            ("gateway_idle_seconds", 1),
            ("store_scrub_days", 0),
        ] {
            self.number(key, least)?;
        }
        self.media_limits()?;
        if !["text", "json"].contains(&self.text("log_format")) {
            return Err(self.wrong("log_format", "text or json"));
        }
        if self.number("single_max_bytes", 0)? > MOST_SINGLE_BYTES {
            return Err(self.wrong(
                "single_max_bytes",
                "5368709120 (5 GiB, what S3 takes at once) at most",
            ));
        }
        if self.number("max_clip_bytes", 0)? > MOST_SINGLE_BYTES {
            return Err(self.wrong(
                "max_clip_bytes",
                "5368709120 (5 GiB, what S3 takes at once) at most",
            ));
        }
        // So much each decoder may keep; a budget below that would be one in name only.
        let processes = DECODING
            .into_iter()
            .map(|key| self.number(key, 0))
            .sum::<anyhow::Result<u64>>()?;
        let least = processes.saturating_mul(KEPT_BYTES);
        let budget = self.number("decode_budget_bytes", 0)?;
        if budget > 0 && budget < least {
            let wanted =
                format!("0, or {least} at least (160 MiB for each of {processes} decoders)");
            return Err(self.wrong("decode_budget_bytes", &wanted));
        }
        // What outlives that is removed by rules of buckets, as doctor recommends them.
        let longest_hours = limits::UPLOAD.as_secs() / 3600;
        if self.number("upload_life_hours", 1)? > longest_hours {
            return Err(self.wrong("upload_life_hours", "168 (7 days) at most"));
        }
        for key in [
            "avif",
            "face_detector",
            "lanes",
            "length_only_urls",
            "sandbox_allow_open",
            "sweep_removes",
            "webhook_allow_private",
            "webhook_allow_http",
        ] {
            if !["yes", "no"].contains(&self.text(key)) {
                return Err(self.wrong(key, "yes or no"));
            }
        }
        if DedupScope::parse(self.text("dedup_scope")).is_none() {
            return Err(self.wrong("dedup_scope", "owner or tenant"));
        }
        if MetadataPolicies::parse(self.text("metadata_policy")).is_none() {
            return Err(self.wrong(
                "metadata_policy",
                "strip, keep or owner-only, perhaps with others for single tenants: strip,ten_a=keep",
            ));
        }
        self.rendition_copyright()?;
        super::plan_policy::read(self)?;
        self.presets()?;
        let secret = self.text("store_events_secret");
        if !secret.is_empty() && secret.len() < LEAST_SECRET {
            return Err(anyhow::anyhow!(
                "store_events_secret must have at least {LEAST_SECRET} characters: openssl rand -hex 24 makes one"
            ));
        }
        // A word alone would be taken for the name of a target, and everything else be silent.
        let log = self.text("log");
        let is_level = |word: &str| word.parse::<LevelFilter>().is_ok();
        let is_sound = log
            .split(',')
            .all(|w| w.contains('=') || is_level(w.trim()))
            && log.parse::<Targets>().is_ok();
        if !is_sound {
            return Err(self.wrong("log", "error, warn, info, debug, or a list of target=level"));
        }
        Ok(())
    }
}
