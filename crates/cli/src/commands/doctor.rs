//! `safelight doctor`: what is wrong, and what to do about it.

use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use safelight_catalog::{SCHEMA_VERSION, Schema};
use safelight_imaging::{Limits, encode_jpeg};
use safelight_model::{ids, limits, preset};
use safelight_objects::{ObjectKey, PutOptions};
use safelight_service::context::Context;
use safelight_service::processing::sandbox::{RenderTask, Sandbox};
use serde::Serialize;
use tokio::net::TcpListener;

use crate::commands::serve::ServerArgs;
use crate::global::GlobalArgs;
use crate::output;
use crate::server::compose::{Shared, sandbox_settings, share};
use crate::server::settings::Resolved;
use crate::server::store::{self, Backend};

/// What `doctor` takes.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub source: ServerArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    Warning,
    Wrong,
}

#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    what_to_do: Option<&'static str>,
}

fn finding(
    check: &'static str,
    outcome: anyhow::Result<String>,
    what_to_do: &'static str,
) -> Finding {
    match outcome {
        Ok(found) => Finding {
            check,
            verdict: Verdict::Ok,
            found,
            what_to_do: None,
        },
        Err(error) => Finding {
            check,
            verdict: Verdict::Wrong,
            found: format!("{error:#}"),
            what_to_do: Some(what_to_do),
        },
    }
}

pub async fn run(args: DoctorArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
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
    let temporary = match store_at_hand(&settings).await {
        Ok(temporary) => temporary,
        Err(error) => {
            let advice = "look at store_url, and at the directory it names";
            findings.push(finding("store", Err(error), advice));
            return report(&findings, global.json);
        }
    };
    match share(&settings, schema_at_hand(&settings), temporary).await {
        Ok(Shared { context, .. }) => {
            findings.push(database(&context).await);
            findings.push(clock(&context).await);
            findings.push(finding(
                "store",
                bytes(&context).await,
                "look at store_url and its keys, and whether the store runs and the bucket exists",
            ));
        }
        Err(error) => {
            findings.push(finding(
                "database",
                Err(error),
                "look at catalog_url, and whether the database runs",
            ));
        }
    }
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

fn report(findings: &[Finding], json: bool) -> anyhow::Result<ExitCode> {
    if json {
        output::json(&findings)?;
    } else {
        let mut table = output::Table::with(&["CHECK", "", "FOUND", "WHAT TO DO"], &[]);
        for f in findings {
            let verdict = match f.verdict {
                Verdict::Ok => "ok",
                Verdict::Warning => "warning",
                Verdict::Wrong => "WRONG",
            };
            let advice = f.what_to_do.unwrap_or_default().to_owned();
            table.row([
                f.check.to_owned(),
                verdict.to_owned(),
                f.found.clone(),
                advice,
            ]);
        }
        output::write(table.render().as_bytes())?;
    }
    let wrong = findings.iter().any(|f| f.verdict == Verdict::Wrong);
    Ok(if wrong {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
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

/// Where the embedded store is not served at this moment, it is opened and served for the examination.
async fn store_at_hand(settings: &Resolved) -> anyhow::Result<Option<String>> {
    let Backend::Disk(root) = store::backend(settings) else {
        return Ok(None);
    };
    if !settings.has_role("store")
        || tokio::net::TcpStream::connect(settings.address("store_listen")?)
            .await
            .is_ok()
    {
        return Ok(None);
    }
    let source = safelight_service::system_entropy::SystemEntropy;
    let keys = crate::server::keys::open(&settings.path("keys_dir"), &source)?;
    let disk = store::open_disk(settings, &keys, root)?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    tokio::spawn(safelight_diskstore::serve(
        disk,
        listener,
        std::future::pending(),
    ));
    Ok(Some(endpoint))
}

/// A catalog that is there is looked at as it is: bringing it up to date is for `migrate` and `serve`. Where
/// there is none yet, one is made.
fn schema_at_hand(settings: &Resolved) -> Schema {
    let file = settings
        .text("catalog_url")
        .strip_prefix("sqlite:")
        .map(|path| path.trim_start_matches("//"));
    match file {
        Some(path) if !std::path::Path::new(path).exists() => Schema::BringUpToDate,
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
    let key = ObjectKey::temporary(
        &ids::fresh(ids::TENANT, context.now(), context.entropy.as_ref()),
        context.entropy.as_ref(),
    )?;
    let content: &'static [u8] = b"safelight doctor";
    let options = PutOptions {
        content_type: Some("text/plain"),
        cache_control: None,
        metadata: None,
        sha256_hex: None,
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
const SAMPLE_HEIC: &[u8] = include_bytes!("doctor/sample.heic");
const SAMPLE_AVIF: &[u8] = include_bytes!("doctor/sample.avif");

/// Has a picture of each native decoder's kind decoded in the sandbox, and encoded.
async fn codecs(settings: &Resolved) -> anyhow::Result<String> {
    let mut confined = sandbox_settings(settings)?;
    confined.processes = 1;
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
            want_thumbhash: true,
        };
        let reply = sandbox.render(OwnedFd::from(file), task).await;
        made += reply.with_context(|| format!("a {name}"))?.renditions.len();
    }
    Ok(made)
}
