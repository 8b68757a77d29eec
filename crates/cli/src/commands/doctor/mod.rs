//! `safelight doctor`: what is wrong, and what to do about it.

mod clips;
mod confinement;
mod finding;
mod memory;
mod scrub;
mod store;
mod upkeep;

use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use safelight_catalog::{SCHEMA_VERSION, Schema, keys};
use safelight_imaging::{Limits, encode_jpeg};
use safelight_model::{ids, limits, preset};
use safelight_objects::{ObjectKey, PutOptions, Verdict, ownership};
use safelight_service::context::Context;
use safelight_service::processing::sandbox::{RenderTask, Sandbox};

use crate::commands::open_present::sqlite_file;
use crate::commands::serve::ServerArgs;
use crate::global::GlobalArgs;
use crate::output;
use crate::server::compose::{Shared, sandbox_settings, share};
use crate::server::known_store::{self, KnownStore, Origin};
use crate::server::settings::Resolved;
use finding::{Finding, finding, report};
pub use store::at_hand;

/// What `doctor` takes.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    #[command(subcommand)]
    subject: Option<Subject>,
    #[command(flatten)]
    pub source: ServerArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Subject {
    /// Find out what an object store can do, and record it for the servers
    Store(store::StoreArgs),
}

pub async fn run(args: DoctorArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    if let Some(Subject::Store(store)) = args.subject {
        return store::run(store, args.source, global).await;
    }
    let settings = args.source.resolve(global)?;
    let mut findings = vec![finding(
        "settings",
        Ok("every value is understood".into()),
        "",
    )];
    findings.push(finding(
        "disk",
        disk(&settings),
        "make the data directory writable by this user, and make room on its disk",
    ));
    let (temporary, at_hand) = match store::at_hand(&settings).await {
        Ok(temporary) => (temporary, true),
        Err(error) => {
            let advice = "if a server runs on this directory, name its store_listen as the server has it; else look at store_url";
            findings.push(finding("store", Err(error), advice));
            (None, false)
        }
    };
    match share(&settings, schema_at_hand(&settings), temporary).await {
        Ok(Shared { context, store, .. }) => {
            findings.push(database(&context).await);
            findings.push(clock(&context).await);
            if at_hand {
                findings.push(finding(
                    "store",
                    bytes(&context).await,
                    "look at store_url and its keys, and whether the store runs and the bucket exists",
                ));
            }
            findings.push(capabilities(&store));
            findings.extend(upkeep::upkeep(&context).await);
        }
        Err(error) => {
            findings.push(finding(
                "database",
                Err(error),
                "look at catalog_url, and whether the database runs",
            ));
        }
    }
    findings.extend(scrub::damage(&settings));
    findings.push(confinement::confinement(&settings).await);
    findings.push(clips::clips(&settings).await);
    findings.push(memory::memory(&settings));
    findings.push(finding(
        "codecs",
        codecs(&settings).await,
        "raise sandbox_memory_bytes, and see that this user may start processes",
    ));
    findings.push(Finding {
        check: "scanner",
        verdict: Verdict::Warning,
        found: "no scanner is configured: every file counts as clean".into(),
        what_to_do: Some("do not let strangers upload until one is"),
    });
    report(&findings, global.json)
}

fn disk(settings: &Resolved) -> anyhow::Result<String> {
    let dir = &settings.data_dir;
    crate::server::keys::private_dir(dir)?;
    let file =
        tempfile::tempfile_in(dir).with_context(|| format!("cannot write in {}", dir.display()))?;
    file.sync_all()?;
    let free_bytes = free_bytes(dir)?;
    let free = output::size(i64::try_from(free_bytes).unwrap_or(i64::MAX));
    if free_bytes < 1 << 30 {
        anyhow::bail!("only {free} are free in {}", dir.display());
    }
    Ok(format!("{} can be written, {free} free", dir.display()))
}

fn free_bytes(dir: &std::path::Path) -> anyhow::Result<u64> {
    let stat = rustix::fs::statvfs(dir)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// A catalog that is there is looked at as it is: bringing it up to date is for `migrate` and `serve`. Where
/// there is none yet, one is made.
fn schema_at_hand(settings: &Resolved) -> Schema {
    match sqlite_file(settings) {
        Some(path) if !path.exists() => Schema::BringUpToDate,
        _ => Schema::LeaveAsItIs,
    }
}

async fn database(context: &Context) -> Finding {
    let outcome: anyhow::Result<(i64, String)> = async {
        context.catalog.ping().await?;
        let version = context.catalog.schema_version().await?;
        let began = Instant::now();
        context
            .catalog
            .write(|tx| Box::pin(async move { tx.now().await }))
            .await?;
        let found = format!(
            "{:?} answers, schema version {version}, an empty commit takes {:.1} ms",
            context.catalog.backend(),
            began.elapsed().as_secs_f64() * 1e3
        );
        Ok((version, found))
    }
    .await;
    match outcome {
        Ok((version, found)) if version < SCHEMA_VERSION => Finding {
            check: "database",
            verdict: Verdict::Warning,
            found: format!("{found}; this program works with {SCHEMA_VERSION}"),
            what_to_do: Some("run safelight migrate; serve does so by itself"),
        },
        Ok((version, found)) if version > SCHEMA_VERSION => Finding {
            check: "database",
            verdict: Verdict::Wrong,
            found: format!("{found}; this program knows versions up to {SCHEMA_VERSION}"),
            what_to_do: Some("use the version of Safelight that made it, or a later one"),
        },
        other => finding(
            "database",
            other.map(|(_, found)| found),
            "look at catalog_url, and whether the database runs",
        ),
    }
}

/// Leases go by the database's clock, links and presigned URLs by this machine's.
async fn clock(context: &Context) -> Finding {
    let outcome: anyhow::Result<Duration> = async {
        let theirs = context
            .catalog
            .write(|tx| Box::pin(async move { tx.now().await }))
            .await?;
        let ours = context.now();
        Ok(theirs.since(ours).max(ours.since(theirs)))
    }
    .await;
    let advice = "let this machine and the database set their clocks by NTP";
    match outcome {
        Ok(apart) if apart > Duration::from_secs(5) => {
            let found = format!("this machine and the database are {apart:.1?} apart");
            Finding {
                check: "clock",
                verdict: Verdict::Wrong,
                found,
                what_to_do: Some(advice),
            }
        }
        other => finding(
            "clock",
            other.map(|_| "this machine and the database agree".into()),
            advice,
        ),
    }
}

/// Writes, reads and removes an object as the server does.
async fn bytes(context: &Context) -> anyhow::Result<String> {
    let began = Instant::now();
    context.objects.probe().await?;
    // As everything that stands in the store: so that it is not kept for ever if this is interrupted.
    let tenant_id = keys::first_tenant(&mut context.catalog.reader().await?.tx())
        .await?
        .unwrap_or_else(|| ids::fresh(ids::TENANT, context.now(), context.entropy.as_ref()));
    let key = ObjectKey::temporary(&tenant_id, context.entropy.as_ref())?;
    let metadata = ownership(&context.catalog_id, &tenant_id, "doctor");
    let content: &'static [u8] = b"safelight doctor";
    let options = PutOptions {
        content_type: Some("text/plain"),
        cache_control: None,
        metadata: Some(&metadata),
        ..PutOptions::default()
    };
    let etag = context.objects.put(&key, content.into(), options).await?;
    let read = context
        .objects
        .get(&key, None, Some(&etag))
        .await?
        .context("what was written is not there")?;
    let same = read.bytes().await? == content;
    context.objects.presign_put(
        &key,
        safelight_objects::PutBinding {
            size_bytes: 1,
            sha256_hex: None,
            content_type: None,
            metadata: None,
        },
        context.now(),
        limits::PRESIGNED_URL,
    )?;
    context.objects.delete(&key).await?;
    anyhow::ensure!(same, "what was written reads otherwise");
    Ok(format!(
        "wrote, read and removed an object in {:.0} ms",
        began.elapsed().as_secs_f64() * 1e3
    ))
}

/// A picture of 96 by 64 in four colours, coded by x265 and by libaom (`heif-enc -q 60`, `-A`).
const SAMPLE_HEIC: &[u8] = include_bytes!("sample.heic");
const SAMPLE_AVIF: &[u8] = include_bytes!("sample.avif");

/// Whether it is known what the store can do, and whether that is enough.
fn capabilities(store: &KnownStore) -> Finding {
    let found = match &store.origin {
        Origin::Embedded => "those of the embedded store".to_owned(),
        Origin::Recorded(at) => format!("probed at {}", at.rfc3339()),
        Origin::Unreadable(error) => format!("the record is not understood: {error}"),
        Origin::Never => "nobody has looked what this store can do".to_owned(),
    };
    let wrong: Vec<&str> = store.wrong().iter().map(|a| a.capability).collect();
    let (verdict, found, what_to_do) = match &store.origin {
        _ if !wrong.is_empty() => (
            Verdict::Wrong,
            format!("{found}: {}", wrong.join(", ")),
            Some("`safelight doctor store` says why, and what to do"),
        ),
        Origin::Embedded | Origin::Recorded(_) => (Verdict::Ok, found, None),
        Origin::Unreadable(_) | Origin::Never => {
            (Verdict::Warning, found, Some(known_store::ADVICE))
        }
    };
    Finding {
        check: "capabilities",
        verdict,
        found,
        what_to_do,
    }
}

/// Has a picture of each native decoder's kind decoded in the sandbox, and encoded.
async fn codecs(settings: &Resolved) -> anyhow::Result<String> {
    let mut confined = sandbox_settings(settings)?;
    (confined.processes, confined.spares) = (1, 0);
    let sandbox = Sandbox::start(confined)?;
    let jpeg = encode_jpeg(64, 48, &[128; 64 * 48 * 3], 90)?;
    let samples = [
        ("JPEG", jpeg.as_slice()),
        ("HEIC", SAMPLE_HEIC),
        ("AVIF", SAMPLE_AVIF),
    ];
    let outcome = decode(&sandbox, settings, &samples).await;
    sandbox.shutdown().await;
    Ok(format!(
        "{} decoded and {} renditions made in a child process",
        samples.map(|(name, _)| name).join(", "),
        outcome?
    ))
}

/// Renders each sample; returns how many renditions came of it.
async fn decode(
    sandbox: &Sandbox,
    settings: &Resolved,
    samples: &[(&str, &[u8])],
) -> anyhow::Result<usize> {
    let mut made = 0;
    for (name, picture) in samples {
        let mut file = tempfile::tempfile_in(&settings.data_dir)?;
        std::io::Write::write_all(&mut file, picture)?;
        std::io::Seek::rewind(&mut file)?;
        let task = RenderTask {
            presets: preset::ALL.to_vec(),
            limits: Limits::default(),
            want_hashes: true,
            want_scores: false,
            want_faces: false,
            exact: false,
            credit: false,
        };
        let reply = sandbox.render(OwnedFd::from(file), task).await;
        made += reply.with_context(|| format!("a {name}"))?.renditions.len();
    }
    Ok(made)
}
