//! `sweep`: compares what the store holds with the rows, and reports what is on one side only.
//!
//! The store's list and the rows are walked side by side in the order of keys, a page at a time, and how far that is stands in
//! the catalog: whoever goes on does so from there. What seems to be on one side only is looked at once more by itself, since
//! list and rows are read one after the other. What is found is written down with when it was first found so; only what
//! was for all of the grace is removed, by [`super::remove_orphans`]. Nothing is removed on a hunch.

use std::time::Duration;

use safelight_catalog::sweeps::{self, Finding, FindingKind, Sweep};
use safelight_catalog::{CatalogError, failed_removals};
use safelight_model::codes::Code;
use safelight_model::job::JobKind;
use safelight_objects::StoreError;
use safelight_objects::keys::KeyKind;

use super::catalog_mark::MarkError;
use super::find_orphans::{Found, objects, store_uploads};
use super::remove_orphans;
pub use super::remove_orphans::due_at;
use crate::context::{Context, Owner};
use crate::make_again::make_again;
use crate::queue::enqueue::enqueue;
use crate::work::{JobError, Results, results};

/// Pages in one go of the job: then others have their turn.
const PAGES_AT_ONCE: usize = 20;
/// How long the job waits at least for a store that is away.
const STORE_AWAY: Duration = Duration::from_secs(60);

/// Why a sweep stopped. It goes on from where it was.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The row of the sweep names a phase that this version does not know.
    #[error("the sweep is at {0}, which this version does not know")]
    Phase(String),
}

impl From<MarkError> for SweepError {
    fn from(error: MarkError) -> Self {
        match error {
            MarkError::Catalog(e) => Self::Catalog(e),
            MarkError::Store(e) => Self::Store(e),
        }
    }
}

impl SweepError {
    /// The stable code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Catalog(e) => e.code(),
            Self::Store(e) => e.code(),
            Self::Phase(_) => Code::Internal,
        }
    }
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Originals,
    Renditions,
    Temporary,
    Uploads,
    Removals,
}

impl Phase {
    const ALL: [Self; 5] = [
        Self::Originals,
        Self::Renditions,
        Self::Temporary,
        Self::Uploads,
        Self::Removals,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Originals => "originals",
            Self::Renditions => "renditions",
            Self::Temporary => "temporary",
            Self::Uploads => "uploads",
            Self::Removals => "removals",
        }
    }

    fn next(self) -> Option<Self> {
        let place = Self::ALL.into_iter().position(|phase| phase == self)?;
        Self::ALL.get(place + 1).copied()
    }
}

/// Whether a sweep goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more.
    More,
    /// It has ended.
    Ended,
}

/// Runs the job: a number of pages, and then it is queued again.
///
/// # Errors
/// Why it was not done.
pub async fn run(context: &Context) -> Result<Results, JobError> {
    for _ in 0..PAGES_AT_ONCE {
        match step(context, context.settings.sweep_removes).await {
            Ok(Progress::Ended) => return Ok(results(|_| Box::pin(async { Ok(()) }))),
            Ok(Progress::More) => {}
            Err(SweepError::Catalog(error)) => return Err(error.into()),
            // It goes on from where it was.
            Err(SweepError::Store(error)) => return Err(JobError::of_store(&error, STORE_AWAY)),
            Err(error @ SweepError::Phase(_)) => {
                tracing::warn!(%error, "a sweep stopped");
                return Err(JobError::Retry {
                    after: None,
                    code: error.code(),
                    detail: error.code().title().to_owned(),
                });
            }
        }
    }
    Err(JobError::Snooze {
        after: Duration::ZERO,
    })
}

/// Sweeps from the beginning to the end, whatever is under way.
///
/// # Errors
/// [`SweepError`].
pub async fn sweep_all(context: &Context, removes: bool) -> Result<(), SweepError> {
    let under_way = sweeps::find(&mut context.catalog.reader().await?.tx())
        .await?
        .is_some_and(|sweep| sweep.ended_at.is_none());
    for _ in 0..=usize::from(under_way) {
        while step(context, removes).await? == Progress::More {}
    }
    Ok(())
}

/// What a sweep would find, and nothing else: neither catalog nor store hear of it. How much was looked at, and what is found, in
/// the order of kinds and keys; with the time that it was first found where that is recorded.
///
/// # Errors
/// [`SweepError`].
pub async fn look_only(context: &Context) -> Result<(i64, Vec<Finding>), SweepError> {
    let (mut examined, mut all) = (0, Vec::new());
    for phase in Phase::ALL {
        let mut sweep = Sweep {
            number: 0,
            phase: phase.as_str().to_owned(),
            cursor: String::new(),
            version: 0,
            examined: 0,
            began_at: context.now(),
            ended_at: None,
        };
        loop {
            let found = compare(context, &sweep, phase).await?;
            examined += i64::try_from(found.examined).unwrap_or(i64::MAX);
            all.extend(found.findings);
            match found.cursor {
                Some(cursor) if cursor != sweep.cursor => sweep.cursor = cursor,
                _ => break,
            }
        }
    }
    let mut reader = context.catalog.reader().await?;
    for found in &mut all {
        if let Some(before) = sweeps::recorded(&mut reader.tx(), found).await? {
            found.first_seen_at = before.first_seen_at;
        }
    }
    all.sort_by(|a, b| {
        let of = |f: &Finding| (f.tenant_id.clone(), f.kind, f.object_key.clone());
        of(a).cmp(&of(b))
    });
    Ok((examined, all))
}

/// What a page of a phase has on one side only.
async fn compare(context: &Context, sweep: &Sweep, phase: Phase) -> Result<Found, SweepError> {
    match phase {
        Phase::Originals => objects(context, sweep, KeyKind::Original).await,
        Phase::Renditions => objects(context, sweep, KeyKind::Rendition).await,
        Phase::Temporary => objects(context, sweep, KeyKind::Temporary).await,
        Phase::Uploads => store_uploads(context, sweep).await,
        Phase::Removals => Ok(Found::default()),
    }
}

/// Asks for a sweep if one is due.
///
/// # Errors
/// If the catalog fails.
pub async fn schedule(context: &Context) -> Result<bool, CatalogError> {
    let Some(every) = context.settings.sweep_every else {
        return Ok(false);
    };
    let mut reader = context.catalog.reader().await?;
    // By the one clock that all janitors share, so that those whose own differ do not take turns in asking.
    let now = reader.tx().now().await?;
    let last = sweeps::find(&mut reader.tx()).await?;
    let ended_at = last.and_then(|sweep| sweep.ended_at);
    // One that ended in the future did so by a clock that was wrong.
    if ended_at.is_some_and(|at| at <= now && now < at.plus(every)) {
        return Ok(false);
    }
    // A store serves all tenants; a job has to belong to one.
    let Some(tenant_id) = safelight_catalog::keys::first_tenant(&mut reader.tx()).await? else {
        return Ok(false);
    };
    drop(reader);
    let (context, catalog) = (context.clone(), context.catalog.clone());
    catalog
        .write(move |tx| {
            Box::pin(async move {
                let owner = Owner {
                    tenant_id,
                    owner_id: "safelight".to_owned(),
                };
                enqueue(tx, &context, JobKind::Sweep, &owner, "store").await
            })
        })
        .await
}

/// Takes the sweep a page further.
///
/// # Errors
/// [`SweepError`].
pub async fn step(context: &Context, removes: bool) -> Result<Progress, SweepError> {
    let now = context.now();
    let sweep = context
        .catalog
        .write::<_, CatalogError, _>(move |tx| {
            Box::pin(async move { sweeps::begin(tx, Phase::Originals.as_str(), now).await })
        })
        .await?;
    let phase = Phase::ALL
        .into_iter()
        .find(|phase| phase.as_str() == sweep.phase)
        .ok_or_else(|| SweepError::Phase(sweep.phase.clone()))?;
    let mut found = match phase {
        Phase::Removals if removes => Found {
            cursor: remove_orphans::step(context, &sweep).await?,
            ..Found::default()
        },
        _ => compare(context, &sweep, phase).await?,
    };
    if found.cursor.as_deref() == Some(sweep.cursor.as_str()) {
        tracing::error!(
            phase = sweep.phase,
            cursor = sweep.cursor,
            "a sweep does not get on here, and goes on with what comes behind"
        );
        found.cursor = None;
    }
    for finding in &found.findings {
        if finding.kind == FindingKind::MissingOriginal {
            tracing::error!(
                key = finding.object_key,
                tenant_id = finding.tenant_id,
                "the store has lost an original: restore it from a backup of the store"
            );
        }
    }
    let ended = write_down(context, sweep, phase, found).await?;
    if ended {
        show(context).await?;
    }
    Ok(if ended {
        Progress::Ended
    } else {
        Progress::More
    })
}

/// Writes down what was found, and how far the sweep is, in one transaction. Nothing, if another moved it.
async fn write_down(
    context: &Context,
    sweep: Sweep,
    phase: Phase,
    found: Found,
) -> Result<bool, CatalogError> {
    let (context, catalog) = (context.clone(), context.catalog.clone());
    catalog
        .write(move |tx| {
            Box::pin(async move {
                let examined = i64::try_from(found.examined).unwrap_or(i64::MAX);
                let next = match &found.cursor {
                    Some(cursor) => Some((phase, cursor.as_str())),
                    None => phase.next().map(|phase| (phase, "")),
                };
                let moved = match next {
                    Some((phase, cursor)) => {
                        sweeps::advance(tx, &sweep, phase.as_str(), cursor, examined).await?
                    }
                    None => {
                        let now = tx.now().await?;
                        sweeps::finish(tx, &sweep, now).await?
                    }
                };
                if moved {
                    for finding in &found.findings {
                        sweeps::report(tx, &sweep, finding, found.by_two_clocks).await?;
                    }
                    for (row, owner) in &found.lost {
                        make_again(tx, &context, owner, &row.blob_id, &row.object_key).await?;
                    }
                }
                // One that another has ended meanwhile has ended.
                let now = sweeps::find(tx).await?;
                Ok(now.is_none_or(|now| now.number > sweep.number || now.ended_at.is_some()))
            })
        })
        .await
}

/// Shows what the sweep that has just ended found.
async fn show(context: &Context) -> Result<(), CatalogError> {
    let mut reader = context.catalog.reader().await?;
    let counts = sweeps::counts(&mut reader.tx()).await?;
    let failed = failed_removals::count(&mut reader.tx()).await?;
    drop(reader);
    #[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
    metrics::gauge!("safelight_removals_failed").set(failed as f64);
    if failed > 0 {
        tracing::error!(
            failed,
            "doomed blobs could not be removed; `safelight sweep` says why, and --retry-removals has them tried again"
        );
    }
    for (kind, count, bytes) in counts {
        #[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
        metrics::gauge!("safelight_sweep_findings", "kind" => kind.as_str()).set(count as f64);
        if count > 0 {
            tracing::warn!(
                kind = kind.as_str(),
                count,
                bytes,
                "a sweep found what is on one side only; `safelight sweep` names it"
            );
        }
    }
    Ok(())
}
