//! The server's settings: flags, then the environment, then one TOML file, then defaults.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use safelight_model::limits;
use safelight_model::per_tenant::PerTenant;
use safelight_service::processing::sandbox::KEPT_BYTES;
use safelight_service::retention::hear_others;

use super::media_limits::SANDBOX_BYTES;

/// A default that may depend on settings before it.
type DefaultOf = fn(&dyn Fn(&str) -> String) -> String;

/// One setting: its name in the file, what it means, its default.
struct Setting {
    key: &'static str,
    meaning: &'static str,
    default: DefaultOf,
}

macro_rules! settings {
    ($($key:ident: $meaning:literal = $default:expr;)*) => {
        const SETTINGS: &[Setting] = &[$(Setting { key: stringify!($key), meaning: $meaning, default: $default },)*];

        /// Flags of the server's settings. Each is also `SAFELIGHT_…` in the environment and a key of
        /// the file.
        #[derive(Clone, Debug, Default, clap::Args)]
        pub struct SettingArgs {
            $(
                #[doc = $meaning]
                #[arg(long, global = true, value_name = "VALUE")]
                pub $key: Option<String>,
            )*
        }

        impl SettingArgs {
            fn given(&self) -> BTreeMap<&'static str, String> {
                let mut given = BTreeMap::new();
                $(if let Some(value) = &self.$key { given.insert(stringify!($key), value.clone()); })*
                given
            }
        }
    };
}

settings! {
    roles: "Which roles run here: api, gateway, store, delivery, worker, janitor, separated by commas" =
        |_| "api,gateway,store,delivery,worker,janitor".into();
    listen: "Where API, gateway and delivery listen" = |_| "127.0.0.1:7600".into();
    store_listen: "Where the embedded store listens" = |_| "127.0.0.1:7601".into();
    public_url: "The base of the URLs that phones are given for renditions" =
        |of| format!("http://{}", of("listen"));
    gateway_public_url: "The base of the URLs that phones are given for resumable uploads through the gateway" =
        |of| of("public_url");
    store_public_url: "The base of the URLs that phones are given for uploads" =
        |of| format!("http://{}", of("store_listen"));
    catalog_url: "The database: sqlite:///path/catalog.db or postgres://user@host/name" =
        |of| format!("sqlite://{}/catalog.db", of("data_dir"));
    catalog_connections: "Connections to the database at most" = |_| "8".into();
    store_url: "The object store: disk:///path, or s3://bucket with an optional ?endpoint=URL" =
        |of| format!("disk://{}/store", of("data_dir"));
    store_bucket: "The bucket of the embedded store" = |_| "safelight".into();
    store_region: "The region that requests to the store are signed for" = |_| "us-east-1".into();
    store_hosts: "Names of the embedded store's host, separated by commas: bucket.NAME is a bucket" =
        |of| host_name(&of("store_public_url"));
    store_cors_origins: "Origins whose web pages may use the embedded store, separated by commas; empty for none" =
        |_| "*".into();
    keys_dir: "Where the keys are that sign tokens and links" = |of| format!("{}/keys", of("data_dir"));
    store_access_file: "Further keys of the embedded store, and webhooks for its events; may be missing" =
        |of| format!("{}/store.toml", of("keys_dir"));
    store_scrub_days: "Days after which the embedded store is read from end to end again, to find damage; 0 for never" =
        |_| "30".into();
    store_access_key: "The store's access key; the embedded store makes its own" = |_| String::new();
    store_secret_key: "The store's secret key; the embedded store makes its own" = |_| String::new();
    store_events_secret: "What an S3 store sends with its events, as bearer token or password; empty to take none" =
        |_| String::new();
    scratch_dir: "Where originals are put while they are read, and uploads through the gateway while they are less than a part" =
        |of| format!("{}/scratch", of("data_dir"));
    gateway_scratch_bytes: "What uploads through the gateway may take of the scratch directory; further ones are answered 503" =
        |_| (2_u64 * 1024 * 1024 * 1024).to_string();
    gateway_idle_seconds: "How long a client of the gateway may send nothing in the midst of a request" = |_| "30".into();
    workers: "Light jobs done at once: most photos, and what decodes nothing" = |_| std::thread::available_parallelism().map_or(2, usize::from).max(2).to_string();
    cover_workers: "Light jobs done at once beside these that somebody waits for: covers wait for nothing else" = |_| "1".into();
    display_workers: "Light jobs done at once beside these where backfill has all of them: larger pictures do not wait for AVIF of others" = |_| "1".into();
    heavy_workers: "Heavy jobs done at once beside these: pictures of 50 megapixels and more" = |of| half(&of("workers"));
    video_workers: "Clips that something is done to at once beside these; of two and more, one does nothing but make what somebody waits for" =
        |of| half(&of("workers")).parse::<usize>().map_or(2, |number| number.max(2)).to_string();
    lanes: "Whether what somebody looks at goes before what can wait: yes or no; no has all jobs wait in one lane, which is there to measure what lanes are worth" =
        |_| "yes".into();
    max_requests: "API requests under way at once; further ones are answered 503" = |_| "256".into();
    max_waiting: "Requests that wait for a change, and open streams of events, at once" = |_| "4096".into();
    event_retention_days: "Days that events are kept, for those who come back and go on where they were" = |_| "7".into();
    event_heartbeat_seconds: "Seconds without an event after which a stream of events says that it is still there" =
        |_| "15".into();
    webhook_allow_private: "Whether webhooks may lead to private addresses, of this machine and its network: yes or no" =
        |_| "no".into();
    webhook_allow_http: "Whether webhooks may do without TLS: yes or no" = |_| "no".into();
    single_max_bytes: "Files up to this size go by one presigned PUT" = |_| limits::SINGLE_MAX_BYTES.to_string();
    plan_policy: "A TOML file with numbers of the plan policy that are other here than by default; empty for none" =
        |_| String::new();
    dedup_scope: "Among whose bytes the same ones are stored once: owner, or tenant for all owners of a tenant" =
        |_| "owner".into();
    metadata_policy: "What becomes of what files tell of places: strip (not kept), keep, or owner-only (not shown to API keys); for single tenants: strip,TENANT=keep" =
        |_| "strip".into();
    rendition_copyright: "Whether what is made of a picture names its copyright, where the original does: yes or no; for single tenants: no,TENANT=yes" =
        |_| "no".into();
    presets: "Versions of the pictures display and large with numbers of your own, NAME@VERSION:LONG_EDGE/QUALITY: display@2:1440/78,large@2:2560/82; for single tenants: TENANT=display@3:1600/80; empty for those that are built in" =
        |_| String::new();
    avif: "Whether AVIF is made of renditions, for browsers that show it: yes or no; it is smaller, and takes more processor time than all else that is made of a photo" =
        |_| "yes".into();
    face_detector: "Whether faces are looked for, in profile pictures, which are cut there, and in frames of bursts, where they are counted: yes or no" =
        |_| "yes".into();
    length_only_urls: "Whether clients that give no SHA-256 get URLs that are bound to a length alone: yes or no" =
        |_| "yes".into();
    open_uploads: "Uploads that one owner may have open at once; further ones are refused until some have ended; 0 for any number" =
        |_| limits::OPEN_UPLOADS.to_string();
    open_uploads_bytes: "What the open uploads of one owner may declare together, in bytes; 0 for any number" =
        |_| limits::OPEN_UPLOADS_BYTES.to_string();
    max_file_bytes: "Largest file taken, in bytes; this and the four below for single tenants: 10737418240,TENANT=1073741824" = |_| limits::MAX_FILE_BYTES.to_string();
    max_pixels: "Largest picture taken, in pixels" = |_| limits::MAX_PIXELS.to_string();
    max_frames: "Most pictures of an animation that is taken" = |_| limits::MAX_FRAMES.to_string();
    max_clip_seconds: "Longest clip taken, in seconds; 0 for any" = |_| limits::MAX_CLIP_SECONDS.to_string();
    sandbox_memory_bytes: "Address space of a decoding process" = |_| SANDBOX_BYTES.to_string();
    sweep_hours: "Hours from one comparison of store and catalog to the next; 0 for none" = |_| "24".into();
    sweep_removes: "Whether sweeps remove orphans once their grace is over: yes or no; what the catalog has lost the row of, or another catalog has, is never removed" = |_| "yes".into();
    orphan_grace_days: "Days that an orphan is kept from when it was first found; more than backups of the catalog live" =
        |_| (limits::ORPHAN_GRACE.as_secs() / 86_400).to_string();
    removal_wait_seconds: "Seconds after a start or a confirmation before anything is removed by what rows say, so that another server on a copy of the catalog is heard first; 0 asks nobody" =
        |_| hear_others::LISTENED_FOR.as_secs().to_string();
    upload_life_hours: "Hours that an upload lives, from its initiation on; 168 (7 days) at most" =
        |_| (limits::UPLOAD.as_secs() / 3600).to_string();
    upload_quiet_seconds: "Seconds of a client's silence after which the store is asked whether its bytes are there" =
        |_| limits::QUIET.as_secs().to_string();
    decode_budget_bytes: "What all decoding processes together may hold in memory; 0 for no bound" = |of| {
        let each = |key: &str| of(key).parse::<u64>().unwrap_or(1);
        let processes: u64 = DECODING.into_iter().map(each).fold(0, u64::saturating_add);
        let one = PerTenant::read(&of("sandbox_memory_bytes"), 0_u64, |n| n.parse().ok());
        (processes.saturating_mul(KEPT_BYTES).saturating_add(one.map_or(0, |of| of.most()))).to_string()
    };
    sandbox_seconds: "Longest time to decode one picture" = |_| "20".into();
    ffmpeg: "The ffmpeg that decodes clips, with ffprobe beside it: a path, or a name that is looked for in PATH; empty to decode none" =
        |_| "ffmpeg".into();
    clip_memory_bytes: "Address space of ffmpeg" = |_| (2_u64 * 1024 * 1024 * 1024).to_string();
    max_clip_bytes: "Longest clip that is decoded, in bytes, and longest that is made of one; each job may take twice that of the scratch directory" =
        |_| (4_u64 * 1024 * 1024 * 1024).to_string();
    transcode_seconds: "Longest time to make the rendition of a clip that plays everywhere" = |_| "1800".into();
    sandbox_allow_open: "Whether pictures may be decoded where the kernel does not confine the decoders: yes or no" = |_| "no".into();
    log: "What is logged: error, warn, info, debug, or a filter such as safelight_service=debug" = |_| "info".into();
    log_format: "How it is logged: text or json" = |_| "text".into();
}

/// The settings that say how many jobs are done at once: there is a decoding process for each.
pub(super) const DECODING: [&str; 5] = [
    "workers",
    "cover_workers",
    "display_workers",
    "heavy_workers",
    "video_workers",
];
/// Whence a setting comes that nobody has set.
const DEFAULT: &str = "default";

/// The settings, with where each came from.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The data directory.
    pub data_dir: PathBuf,
    values: BTreeMap<&'static str, (String, String)>,
}

/// Whence settings come.
pub struct Sources<'a> {
    /// Flags.
    pub flags: &'a SettingArgs,
    /// The data directory as given, by flag or environment.
    pub data_dir: Option<PathBuf>,
    /// `--config`, or `safelight.toml` where it exists.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
}

pub(super) fn variable(key: &str) -> String {
    format!("SAFELIGHT_{}", key.to_uppercase())
}

/// Finds every setting. A wrong value or an unknown key is an error that names its source.
pub fn resolve(sources: &Sources<'_>) -> anyhow::Result<Resolved> {
    let file = read_file(sources.file.as_deref())?;
    let flags = sources.flags.given();
    let (data_dir, data_dir_from) = match (&sources.data_dir, file.get("data_dir")) {
        (Some(dir), _)
            if (sources.environment)("SAFELIGHT_DATA_DIR").as_deref() == dir.to_str() =>
        {
            (dir.clone(), "environment SAFELIGHT_DATA_DIR".to_owned())
        }
        (Some(dir), _) => (dir.clone(), "flag --data-dir".to_owned()),
        (None, Some((dir, from))) => (PathBuf::from(dir), from.clone()),
        (None, None) => (PathBuf::from("safelight-data"), DEFAULT.to_owned()),
    };
    let data_dir = std::path::absolute(&data_dir).context("data_dir is not a path")?;
    let mut values: BTreeMap<&'static str, (String, String)> = BTreeMap::new();
    values.insert("data_dir", (data_dir.display().to_string(), data_dir_from));
    for setting in SETTINGS {
        let key = setting.key;
        let found = match (
            flags.get(key),
            (sources.environment)(&variable(key)),
            file.get(key),
        ) {
            (Some(value), _, _) => (value.clone(), format!("flag --{}", key.replace('_', "-"))),
            (None, Some(value), _) => (value, format!("environment {}", variable(key))),
            (None, None, Some((value, from))) => (value.clone(), from.clone()),
            (None, None, None) => {
                let of = |other: &str| {
                    values
                        .get(other)
                        .map(|(v, _)| v.clone())
                        .unwrap_or_default()
                };
                ((setting.default)(&of), DEFAULT.to_owned())
            }
        };
        values.insert(key, found);
    }
    let resolved = Resolved { data_dir, values };
    resolved.check()?;
    Ok(resolved)
}

fn read_file(path: Option<&Path>) -> anyhow::Result<BTreeMap<String, (String, String)>> {
    let Some(path) = path else {
        return Ok(BTreeMap::new());
    };
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let table: toml::Table = text
        .parse()
        .map_err(|e: toml::de::Error| anyhow!("{}: {}", path.display(), e.message()))?;
    let from = format!("file {}", path.display());
    table
        .into_iter()
        .map(|(key, value)| {
            if key != "data_dir" && !SETTINGS.iter().any(|s| s.key == key) {
                bail!(
                    "{}: {key} is not a setting; `safelight serve --explain-config` lists them",
                    path.display()
                );
            }
            let value = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Array(items) => items
                    .iter()
                    .map(|i| i.as_str().map(str::to_owned))
                    .collect::<Option<Vec<_>>>()
                    .ok_or_else(|| anyhow!("{}: {key} must be a list of texts", path.display()))?
                    .join(","),
                _ => bail!("{}: {key} must be a text or a number", path.display()),
            };
            Ok((key, (value, from.clone())))
        })
        .collect()
}

impl Resolved {
    /// The text of a setting.
    pub fn text(&self, key: &str) -> &str {
        self.values.get(key).map_or("", |(value, _)| value.as_str())
    }

    pub(super) fn wrong(&self, key: &str, wanted: &str) -> anyhow::Error {
        let from = self.values.get(key).map_or("", |(_, from)| from.as_str());
        anyhow!(
            "{key} must be {wanted}, not {:?} (from {from})",
            self.text(key)
        )
    }

    /// The number of a setting; at least `least`.
    pub fn number(&self, key: &str, least: u64) -> anyhow::Result<u64> {
        let value: u64 = self
            .text(key)
            .parse()
            .map_err(|_| self.wrong(key, "a whole number"))?;
        if value < least {
            Err(self.wrong(key, &format!("at least {least}")))
        } else {
            Ok(value)
        }
    }

    /// The time that a setting gives in days; `None` if it is 0.
    pub fn days(&self, key: &str) -> anyhow::Result<Option<Duration>> {
        let days = self.number(key, 0)?;
        Ok((days > 0).then(|| Duration::from_secs(days.saturating_mul(24 * 60 * 60))))
    }

    /// The address of a setting.
    pub fn address(&self, key: &str) -> anyhow::Result<SocketAddr> {
        self.text(key)
            .parse()
            .map_err(|_| self.wrong(key, "an address and port such as 127.0.0.1:7600"))
    }

    /// The texts of a setting that is a list.
    pub fn list(&self, key: &str) -> Vec<String> {
        self.text(key)
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// Whether nobody has set a setting.
    pub fn is_default(&self, key: &str) -> bool {
        self.values
            .get(key)
            .is_some_and(|(_, from)| from == DEFAULT)
    }

    /// The path of a setting.
    pub fn path(&self, key: &str) -> PathBuf {
        PathBuf::from(self.text(key))
    }

    /// Whether a role runs here.
    pub fn has_role(&self, role: &str) -> bool {
        self.text("roles")
            .split(',')
            .map(str::trim)
            .any(|r| r == role)
    }

    /// Every setting: key, value (secrets hidden), source, meaning.
    pub fn explain(&self) -> Vec<(String, String, String, String)> {
        let mut rows = vec![("data_dir", "Where everything is kept")];
        rows.extend(SETTINGS.iter().map(|s| (s.key, s.meaning)));
        rows.into_iter()
            .map(|(key, meaning)| {
                let (value, from) = self.values.get(key).cloned().unwrap_or_default();
                let secret = ["_secret_key", "_secret"]
                    .iter()
                    .any(|end| key.ends_with(end));
                let secret = secret && !value.is_empty();
                let value = if secret {
                    "(hidden)".to_owned()
                } else {
                    hide_password(&value)
                };
                (key.to_owned(), value, from, meaning.to_owned())
            })
            .collect()
    }
}

/// Half of a number, rounded up.
fn half(number: &str) -> String {
    number.parse::<usize>().unwrap_or(1).div_ceil(2).to_string()
}

/// The name of a URL's host; `localhost` where that is an address, before which no bucket can stand.
fn host_name(url: &str) -> String {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => authority,
    };
    if name.starts_with('[') || name.parse::<std::net::IpAddr>().is_ok() {
        "localhost".to_owned()
    } else {
        name.to_owned()
    }
}

/// A URL without the password in it.
fn hide_password(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else {
        return value.to_owned();
    };
    let Some((login, host)) = rest.split_once('@') else {
        return value.to_owned();
    };
    match login.split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:(hidden)@{host}"),
        None => value.to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::server) fn resolved(
        flags: SettingArgs,
        env: &[(&str, &str)],
        file: Option<&str>,
    ) -> anyhow::Result<Resolved> {
        let dir = tempfile::tempdir()?;
        let path = file.map(|text| {
            let path = dir.path().join("safelight.toml");
            std::fs::write(&path, text).unwrap();
            path
        });
        let environment = |name: &str| {
            env.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        resolve(&Sources {
            flags: &flags,
            data_dir: None,
            file: path,
            environment: &environment,
        })
    }

    #[test]
    fn flags_win_over_the_environment_over_the_file_over_defaults() {
        let file = Some("workers = 5\nlisten = \"127.0.0.1:1\"\nmax_requests = 9");
        let env = [
            ("SAFELIGHT_WORKERS", "6"),
            ("SAFELIGHT_LISTEN", "127.0.0.1:2"),
        ];
        let flags = SettingArgs {
            listen: Some("127.0.0.1:3".into()),
            ..SettingArgs::default()
        };
        let found = resolved(flags, &env, file).unwrap();
        assert_eq!(found.text("listen"), "127.0.0.1:3");
        assert_eq!(found.text("public_url"), "http://127.0.0.1:3");
        assert_eq!(found.text("workers"), "6");
        assert_eq!(found.text("max_requests"), "9");
        let from: BTreeMap<_, _> = found
            .explain()
            .into_iter()
            .map(|(k, _, from, _)| (k, from))
            .collect();
        assert!(from["listen"].starts_with("flag") && from["workers"].starts_with("environment"));
        assert!(from["max_requests"].starts_with("file") && from["log"] == "default");
    }

    #[test]
    fn a_wrong_value_names_itself_and_its_source() {
        let none = SettingArgs::default;
        let error = resolved(none(), &[("SAFELIGHT_WORKERS", "many")], None)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("workers")
                && error.contains("SAFELIGHT_WORKERS")
                && !error.contains('\n'),
            "{error}"
        );
        let error = resolved(none(), &[], Some("worker = 1"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("worker is not a setting"), "{error}");
        let error = resolved(none(), &[], Some("workers = = 1"))
            .unwrap_err()
            .to_string();
        assert!(!error.contains('\n'), "{error}");
        let flags = SettingArgs {
            roles: Some("api,cook".into()),
            ..none()
        };
        assert!(
            resolved(flags, &[], None)
                .unwrap_err()
                .to_string()
                .contains("roles")
        );
    }

    #[test]
    fn buckets_stand_before_a_name() {
        for (url, name) in [
            ("http://127.0.0.1:7601", "localhost"),
            ("http://[::1]:7601/", "localhost"),
            ("https://store.example", "store.example"),
            ("https://store.example:8443/", "store.example"),
        ] {
            assert_eq!(host_name(url), name);
        }
        let found = resolved(SettingArgs::default(), &[], None).unwrap();
        assert_eq!(found.list("store_hosts"), ["localhost"]);
        assert_eq!(found.list("store_cors_origins"), ["*"]);
        assert!(
            found
                .text("store_access_file")
                .ends_with("/keys/store.toml")
        );
        let none = [("SAFELIGHT_STORE_CORS_ORIGINS", "")];
        let found = resolved(SettingArgs::default(), &none, None).unwrap();
        assert!(found.list("store_cors_origins").is_empty());
        assert!(!found.is_default("store_cors_origins"));
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(
            hide_password("postgres://a:secret@h/d"),
            "postgres://a:(hidden)@h/d"
        );
        assert_eq!(hide_password("sqlite:///a/b"), "sqlite:///a/b");
    }
}
