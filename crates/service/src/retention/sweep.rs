//! `sweep`: compares what the store holds with the rows, and reports what is on one side only.
//!
//! The store's list and the rows are walked side by side in the order of keys, a page at a time, and how far that is stands in
//! the catalog: whoever goes on does so from there. What seems to be on one side only is looked at once more by itself, since
//! list and rows are read one after the other. What is found is written down with when it was first found so; only what
//! was for all of the grace is removed, by [`super::remove_orphans`]. Nothing is removed on a hunch.

use std::collections::HashMap;
use std::time::Duration;

use safelight_catalog::sweeps::{self, Finding, FindingKind, KeyRow, Sweep};
use safelight_catalog::uploads::{self, Stray, UploadState};
use safelight_catalog::{CatalogError, Tx, appends, blobs};
use safelight_model::codes::Code;
use safelight_model::job::JobKind;
use safelight_objects::keys::{KeyKind, letter};
use safelight_objects::{Listed, ObjectKey, StoreError};

use super::catalog_mark::MarkError;
use super::compare::{Page, compare};
use super::remove_orphans;
use crate::context::{Context, Owner};
use crate::queue::enqueue::enqueue;
use crate::work::{JobError, Results, results};

/// Objects and rows of a page.
const PAGE: u16 = 1000;
/// Pages in one go of the job: then others have their turn.
const PAGES_AT_ONCE: usize = 20;
/// What is younger may be about to get its row.
const YOUNG: Duration = Duration::from_secs(3600);
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

/// What a step led to.
#[derive(Clone, Debug, Default)]
struct Found {
    findings: Vec<Finding>,
    /// Renditions to be made again.
    lost: Vec<(KeyRow, Owner)>,
    /// Where the next step of this phase begins; `None` at its end.
    cursor: Option<String>,
    examined: usize,
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
            Err(error) => {
                tracing::warn!(%error, "a sweep stopped; it goes on from where it was");
                let retry = match &error {
                    SweepError::Store(e) => e.retry(),
                    SweepError::Catalog(_) | SweepError::Phase(_) => None,
                };
                return Err(match retry {
                    Some(wait) => JobError::Snooze {
                        after: wait.max(STORE_AWAY),
                    },
                    None => JobError::Retry {
                        after: None,
                        code: error.code(),
                        detail: error.code().title().to_owned(),
                    },
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

/// Asks for a sweep if one is due.
///
/// # Errors
/// If the catalog fails.
pub async fn schedule(context: &Context) -> Result<bool, CatalogError> {
    let Some(every) = context.settings.sweep_every else {
        return Ok(false);
    };
    let now = context.now();
    let mut reader = context.catalog.reader().await?;
    let last = sweeps::find(&mut reader.tx()).await?;
    let ended_at = last.and_then(|sweep| sweep.ended_at);
    if ended_at.is_some_and(|at| now < at.plus(every)) {
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
    let found = match phase {
        Phase::Originals => objects(context, &sweep, KeyKind::Original).await?,
        Phase::Renditions => objects(context, &sweep, KeyKind::Rendition).await?,
        Phase::Temporary => objects(context, &sweep, KeyKind::Temporary).await?,
        Phase::Uploads => store_uploads(context, &sweep).await?,
        Phase::Removals if removes => Found {
            cursor: remove_orphans::step(context, &sweep).await?,
            ..Found::default()
        },
        Phase::Removals => Found::default(),
    };
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
    let now = context.now();
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
                    None => sweeps::finish(tx, &sweep, now).await?,
                };
                if moved {
                    for finding in &found.findings {
                        sweeps::report(tx, &sweep, finding).await?;
                    }
                    for (row, owner) in &found.lost {
                        make_again(tx, &context, row, owner).await?;
                    }
                }
                // One that another has ended meanwhile has ended.
                let now = sweeps::find(tx).await?;
                Ok(now.is_none_or(|now| now.number > sweep.number || now.ended_at.is_some()))
            })
        })
        .await
}

async fn make_again(
    tx: &mut Tx<'_>,
    context: &Context,
    row: &KeyRow,
    owner: &Owner,
) -> Result<(), CatalogError> {
    if sweeps::rendition_lost(tx, row, context.now()).await? {
        enqueue(tx, context, JobKind::Derive, owner, &row.blob_id).await?;
    }
    Ok(())
}

/// Shows what the sweep that has just ended found.
async fn show(context: &Context) -> Result<(), CatalogError> {
    let counts = sweeps::counts(&mut context.catalog.reader().await?.tx()).await?;
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

fn finding(context: &Context, kind: FindingKind, key: &str, tenant_id: &str) -> Finding {
    let now = context.now();
    Finding {
        tenant_id: tenant_id.to_owned(),
        kind,
        object_key: key.to_owned(),
        store_upload_id: String::new(),
        size_bytes: None,
        modified_at: None,
        first_seen_at: now,
        last_seen_at: now,
        kept_because: None,
    }
}

/// The tenant that a key names, also where it is none of ours.
fn tenant_of(key: &str) -> &str {
    key.split('/').nth(1).unwrap_or_default()
}

/// Compares a page of objects of one kind with its rows.
async fn objects(context: &Context, sweep: &Sweep, kind: KeyKind) -> Result<Found, SweepError> {
    let prefix = format!("{}/", letter(kind));
    let listed = context
        .objects
        .list_after(&prefix, &sweep.cursor, PAGE)
        .await?;
    // Rows are read after the list: what it has by then has its row.
    let limit = i64::from(PAGE);
    let mut reader = context.catalog.reader().await?;
    let rows = match kind {
        KeyKind::Original => sweeps::blob_keys(&mut reader.tx(), &sweep.cursor, limit).await?,
        KeyKind::Rendition => {
            sweeps::rendition_keys(&mut reader.tx(), &sweep.cursor, limit).await?
        }
        KeyKind::Temporary | KeyKind::Mark => Vec::new(),
    };
    drop(reader);
    let examined = listed.objects.len() + rows.len();
    let is_last = rows.len() < usize::from(PAGE);
    let found = compare(
        Page {
            items: listed.objects,
            is_last: listed.continuation.is_none(),
        },
        Page {
            items: rows,
            is_last,
        },
        |object| object.key.as_str(),
        |row| row.object_key.as_str(),
    );
    let mut out = Found {
        cursor: found.until,
        examined,
        ..Found::default()
    };
    let strays: Vec<&str> = found.listed.iter().map(|o| o.key.as_str()).collect();
    let known: HashMap<String, Stray> = match kind {
        KeyKind::Original => {
            let mut reader = context.catalog.reader().await?;
            let known = uploads::known_keys(&mut reader.tx(), &strays).await?;
            known.into_iter().collect()
        }
        KeyKind::Temporary => {
            let mut reader = context.catalog.reader().await?;
            let known = appends::known_segments(&mut reader.tx(), &strays).await?;
            known
                .into_iter()
                .map(|key| (key, Stray::Expected))
                .collect()
        }
        KeyKind::Rendition | KeyKind::Mark => HashMap::new(),
    };
    for object in &found.listed {
        let expected = known.get(&object.key) == Some(&Stray::Expected);
        if !expected && is_orphan(context, object).await? {
            out.findings.push(Finding {
                size_bytes: Some(object.size_bytes),
                modified_at: Some(object.modified_at),
                ..finding(
                    context,
                    FindingKind::OrphanObject,
                    &object.key,
                    tenant_of(&object.key),
                )
            });
        }
    }
    for row in found.rows {
        missing(context, kind, row, &mut out).await?;
    }
    Ok(out)
}

/// Whether no row stands for an object: asked of the rows as they are now.
pub(super) async fn is_orphan(context: &Context, object: &Listed) -> Result<bool, CatalogError> {
    let Ok(key) = ObjectKey::parse(&object.key) else {
        return Ok(true);
    };
    let is_young = context.now() < object.modified_at.plus(YOUNG);
    let mut reader = context.catalog.reader().await?;
    Ok(match key.kind() {
        KeyKind::Original => {
            // The upload first: one that is completed meanwhile has its blob then.
            let known = uploads::known_keys(&mut reader.tx(), &[key.as_str()]).await?;
            let expected = known.iter().any(|(_, stray)| *stray == Stray::Expected);
            !expected
                && sweeps::blob_of_key(&mut reader.tx(), key.as_str())
                    .await?
                    .is_none()
        }
        KeyKind::Rendition => {
            let blob_id = key.blob().unwrap_or_default();
            let blob = blobs::find(&mut reader.tx(), key.tenant(), blob_id).await?;
            match blob.map(|blob| blob.state).as_deref() {
                None | Some("gone") => true,
                // It is stored before its row is.
                Some("live") => {
                    let stored = safelight_catalog::renditions::of_blob(
                        &mut reader.tx(),
                        key.tenant(),
                        blob_id,
                    )
                    .await?;
                    let has_row = stored
                        .iter()
                        .any(|r| r.object_key.as_deref() == Some(key.as_str()));
                    !has_row && !is_young
                }
                Some(_) => false,
            }
        }
        KeyKind::Temporary => {
            !is_young
                && appends::known_segments(&mut reader.tx(), &[key.as_str()])
                    .await?
                    .is_empty()
        }
        KeyKind::Mark => false,
    })
}

/// A row whose object was not listed: asked of the store by itself, and of the rows again.
async fn missing(
    context: &Context,
    kind: KeyKind,
    row: KeyRow,
    out: &mut Found,
) -> Result<(), SweepError> {
    // What is doomed may have gone already.
    if row.blob_state != "live" {
        return Ok(());
    }
    let Ok(key) = ObjectKey::parse(&row.object_key) else {
        return Ok(());
    };
    if context.objects.head(&key).await?.is_some() {
        return Ok(());
    }
    let mut reader = context.catalog.reader().await?;
    let blob = blobs::find(&mut reader.tx(), &row.tenant_id, &row.blob_id).await?;
    drop(reader);
    let Some(blob) = blob.filter(|blob| blob.state == "live") else {
        return Ok(());
    };
    let kind = match kind {
        KeyKind::Original => FindingKind::MissingOriginal,
        KeyKind::Rendition | KeyKind::Temporary | KeyKind::Mark => FindingKind::MissingRendition,
    };
    out.findings.push(Finding {
        size_bytes: row.size_bytes,
        ..finding(context, kind, &row.object_key, &row.tenant_id)
    });
    // Where the original is gone as well nothing can be made of it; and it may be the wrong bucket.
    if kind == FindingKind::MissingRendition
        && let Ok(original) = ObjectKey::parse(&blob.object_key)
        && context.objects.head(&original).await?.is_some()
    {
        let owner = Owner {
            tenant_id: row.tenant_id.clone(),
            owner_id: blob.scope,
        };
        out.lost.push((row, owner));
    }
    Ok(())
}

/// Compares a page of the store's open multipart uploads with ours.
async fn store_uploads(context: &Context, sweep: &Sweep) -> Result<Found, SweepError> {
    let after = sweep.cursor.split_once('\n');
    let page = context.objects.list_uploads(after, PAGE).await?;
    let mut out = Found {
        cursor: page.next.map(|(key, id)| format!("{key}\n{id}")),
        examined: page.uploads.len(),
        ..Found::default()
    };
    for upload in page.uploads {
        // Keys outside of our prefixes are somebody else's affair.
        let ours = ["o/", "r/", "x/"];
        if !ours.iter().any(|prefix| upload.key.starts_with(prefix)) {
            continue;
        }
        let is_young = upload
            .began_at
            .is_some_and(|at| context.now() < at.plus(YOUNG));
        if is_young || is_known_upload(context, &upload.key, &upload.store_upload_id).await? {
            continue;
        }
        out.findings.push(Finding {
            store_upload_id: upload.store_upload_id,
            modified_at: upload.began_at,
            ..finding(
                context,
                FindingKind::OrphanUpload,
                &upload.key,
                tenant_of(&upload.key),
            )
        });
    }
    Ok(out)
}

/// Whether a row stands for an upload at the store that is still to be completed, or removed by the janitor.
pub(super) async fn is_known_upload(
    context: &Context,
    key: &str,
    store_upload_id: &str,
) -> Result<bool, CatalogError> {
    let upload = uploads::of_key(&mut context.catalog.reader().await?.tx(), key).await?;
    Ok(upload.is_some_and(|upload| {
        let waits = match upload.state {
            UploadState::Open | UploadState::Completing => true,
            UploadState::Aborted | UploadState::Expired => upload.cleared_at.is_none(),
            UploadState::Completed => false,
        };
        waits && upload.store_upload_id.as_deref() == Some(store_upload_id)
    }))
}
