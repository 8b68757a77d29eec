//! A page of what the store holds beside what rows say: what is on one side only.

use std::collections::HashMap;
use std::time::Duration;

use futures::future::try_join_all;
use safelight_catalog::sweeps::{self, Finding, FindingKind, KeyRow, Sweep};
use safelight_catalog::uploads::{self, Stray};
use safelight_catalog::{CatalogError, appends, assets, blobs};
use safelight_model::clock::Micros;
use safelight_objects::keys::{KeyKind, letter};
use safelight_objects::{Listed, ObjectKey};
use serde_json::json;

use super::compare::{Page, compare};
use super::sweep::SweepError;
use super::whose::{DAMAGED, LOST, NO_AGE, NO_KEY, NO_TENANT, Said, Whose, ask, is_tenant, whose};
use crate::context::{Context, Owner};

/// Objects and rows of a page.
const PAGE: u16 = 1000;
/// What is younger may be about to get its row.
const YOUNG: Duration = Duration::from_secs(3600);
/// Objects that are asked whose they are at once.
const ASKED_AT_ONCE: usize = 16;

/// What time it is by two clocks, ours and the store's. One that runs ahead makes nothing older than it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// For ages: the earlier.
    pub(super) earlier: Micros,
    /// For when something began: the later.
    pub(super) later: Micros,
}

impl Now {
    /// Now, where the store says that it is `theirs`.
    pub(super) fn of(context: &Context, theirs: Option<Micros>) -> Self {
        let ours = context.now();
        let theirs = theirs.unwrap_or(ours);
        Self {
            earlier: ours.min(theirs),
            later: ours.max(theirs),
        }
    }
}

/// What a step led to.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) findings: Vec<Finding>,
    /// Renditions to be made again.
    pub(super) lost: Vec<(KeyRow, Owner)>,
    /// Where the next step of this phase begins; `None` at its end.
    pub(super) cursor: Option<String>,
    pub(super) examined: usize,
    /// Whether the store said what time it is, so that times do not go by a clock of ours alone.
    pub(super) by_two_clocks: bool,
}

fn finding(context: &Context, now: Now, kind: FindingKind, key: &str, tenant_id: &str) -> Finding {
    Finding {
        tenant_id: tenant_id.to_owned(),
        kind,
        object_key: key.to_owned(),
        store_upload_id: String::new(),
        size_bytes: None,
        modified_at: None,
        first_seen_at: now.later,
        last_seen_at: context.now(),
        kept_because: None,
    }
}

/// The tenant that a key names, also where it is none of ours.
fn tenant_of(key: &str) -> &str {
    key.split('/').nth(1).unwrap_or_default()
}

/// Compares a page of objects of one kind with its rows.
pub(super) async fn objects(
    context: &Context,
    sweep: &Sweep,
    kind: KeyKind,
) -> Result<Found, SweepError> {
    let prefix = format!("{}/", letter(kind));
    let listed = context
        .objects
        .list_after(&prefix, &sweep.cursor, PAGE)
        .await?;
    let now = Now::of(context, listed.answered_at);
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
        by_two_clocks: listed.answered_at.is_some(),
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
    let strays: Vec<&Listed> = found
        .listed
        .iter()
        .filter(|object| known.get(&object.key) != Some(&Stray::Expected))
        .collect();
    for some in strays.chunks(ASKED_AT_ONCE) {
        let mut asked = Vec::with_capacity(some.len());
        for object in some {
            asked.push(orphan(context, now, object));
        }
        let told = try_join_all(asked).await?;
        out.findings.extend(told.into_iter().flatten());
    }
    for row in found.rows {
        missing(context, now, kind, row, &mut out).await?;
    }
    Ok(out)
}

/// What is found of an object that seemed to be nobody's: whose it says it is, and what becomes of it therefore.
async fn orphan(
    context: &Context,
    now: Now,
    object: &Listed,
) -> Result<Option<Finding>, SweepError> {
    if !is_orphan(context, now, object).await? {
        return Ok(None);
    }
    let (kind, kept_because) = match ObjectKey::parse(&object.key) {
        Err(_) => (FindingKind::OrphanObject, Some(NO_KEY.to_owned())),
        Ok(key) => match ask(context, &key).await? {
            Said::Nothing => return Ok(None),
            Said::Damaged => (FindingKind::OrphanObject, Some(DAMAGED.to_owned())),
            Said::Head(head) => match whose(context, &key, &head.metadata).await? {
                Whose::Ours => (FindingKind::OrphanObject, None),
                Whose::AnotherCatalogs(why) => (FindingKind::ForeignObject, Some(why)),
                Whose::Unclear(why) => (FindingKind::OrphanObject, Some(why.to_owned())),
            },
        },
    };
    Ok(Some(Finding {
        size_bytes: Some(object.size_bytes),
        modified_at: Some(object.modified_at),
        kept_because,
        ..finding(context, now, kind, &object.key, tenant_of(&object.key))
    }))
}

/// Whether no row stands for an object: asked of the rows as they are now.
pub(super) async fn is_orphan(
    context: &Context,
    now: Now,
    object: &Listed,
) -> Result<bool, CatalogError> {
    let Ok(key) = ObjectKey::parse(&object.key) else {
        return Ok(true);
    };
    let is_young = now.earlier < object.modified_at.plus(YOUNG);
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
    now: Now,
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
        ..finding(context, now, kind, &row.object_key, &row.tenant_id)
    });
    // Where the original is gone as well nothing can be made of it; and it may be the wrong bucket.
    if kind == FindingKind::MissingRendition
        && let Ok(original) = ObjectKey::parse(&blob.object_key)
        && context.objects.head(&original).await?.is_some()
    {
        // What owners share is made again in the turn of one of them.
        let mut reader = context.catalog.reader().await?;
        let holders = assets::of_blob(&mut reader.tx(), &row.tenant_id, &row.blob_id).await?;
        let owner = Owner {
            tenant_id: row.tenant_id.clone(),
            owner_id: holders
                .into_iter()
                .next()
                .map_or(blob.scope, |asset| asset.owner_id),
        };
        out.lost.push((row, owner));
    }
    Ok(())
}

/// Compares a page of the store's open multipart uploads with ours.
pub(super) async fn store_uploads(context: &Context, sweep: &Sweep) -> Result<Found, SweepError> {
    let after: Option<(String, String)> = serde_json::from_str(&sweep.cursor).ok();
    let after = after.as_ref().map(|(key, id)| (key.as_str(), id.as_str()));
    let page = context.objects.list_uploads(after, PAGE).await?;
    let now = Now::of(context, page.answered_at);
    let mut out = Found {
        cursor: page.next.map(|next| json!(next).to_string()),
        examined: page.uploads.len(),
        by_two_clocks: page.answered_at.is_some(),
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
            .is_some_and(|at| now.earlier < at.plus(YOUNG));
        let stray = stray(context, &upload.key).await?;
        if is_young || stray == Some(Stray::Expected) {
            continue;
        }
        // The list may be out of date.
        if let Ok(key) = ObjectKey::parse(&upload.key)
            && context
                .objects
                .list_parts(&key, &upload.store_upload_id)
                .await?
                .is_none()
        {
            continue;
        }
        // Its metadata is not shown before it is completed: its key alone says whose it is.
        let kept_because = match ObjectKey::parse(&upload.key) {
            Err(_) => Some(NO_KEY),
            Ok(_) if upload.began_at.is_none() => Some(NO_AGE),
            Ok(key) if !is_tenant(context, key.tenant()).await? => Some(NO_TENANT),
            Ok(_) if stray.is_none() => Some(LOST),
            Ok(_) => None,
        };
        out.findings.push(Finding {
            store_upload_id: upload.store_upload_id,
            modified_at: upload.began_at,
            kept_because: kept_because.map(str::to_owned),
            ..finding(
                context,
                now,
                FindingKind::OrphanUpload,
                &upload.key,
                tenant_of(&upload.key),
            )
        });
    }
    Ok(out)
}

/// What the catalog knows of the upload that parts at the store are of, by their key: whatever the store's id, nothing is left over
/// of one that is under way. `None` where it never knew of any.
pub(super) async fn stray(context: &Context, key: &str) -> Result<Option<Stray>, CatalogError> {
    let mut reader = context.catalog.reader().await?;
    let known = uploads::known_keys(&mut reader.tx(), &[key]).await?;
    Ok(known.into_iter().next().map(|(_, stray)| stray))
}
