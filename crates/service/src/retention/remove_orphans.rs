//! Removes what has long been nobody's.
//!
//! Only what this sweep, by its number, found orphaned and an earlier one did before it by all of the grace, without one in between
//! that did not; that is as old by the store's own clock, and by the earlier of the store's and ours; that says it belongs to
//! this catalog and a tenant of it, which have known it; that is still an orphan when it is looked at by itself; and nothing at all while there
//! is doubt about the catalog, for which the store is asked before every page, every minute, and every few removals; nor where the
//! store does not say what time it is.

use std::time::Duration;

use safelight_catalog::CatalogError;
use safelight_catalog::sweeps::{self, Finding, FindingKind, Sweep};
use safelight_catalog::uploads::Stray;
use safelight_model::clock::Micros;
use safelight_model::limits;
use safelight_objects::keys::{KeyKind, letter};
use safelight_objects::{Listed, ObjectKey};

use super::catalog_mark;
use super::find_orphans::{Now, is_orphan, stray};
use super::sweep::SweepError;
use super::whose::{DAMAGED, LOST, NO_AGE, NO_KEY, NO_TENANT, Said, Whose, ask, is_tenant, whose};
use crate::context::Context;

/// Findings in one step.
const PAGE: i64 = 200;
/// A page may take long, where the store is slow: after so long it is asked again whether there is doubt.
const CERTAIN_FOR: Duration = Duration::from_secs(60);
/// And after so many removals, also where a clock does not move on.
const CERTAIN_TIMES: usize = 20;

/// When a finding's grace is over: long enough after it was first found so, and after it was stored. What an append keeps for
/// more to come is kept for an upload's whole life besides, since who appends may know of it what this catalog does not.
#[must_use]
pub fn due_at(found: &Finding, stored_at: Micros, grace: Duration) -> Micros {
    let due = found.first_seen_at.max(stored_at).plus(grace);
    let temporary = format!("{}/", letter(KeyKind::Temporary));
    if found.object_key.starts_with(&temporary) {
        due.max(stored_at.plus(limits::UPLOAD + limits::LATE_BYTES))
    } else {
        due
    }
}

/// What becomes of a finding whose grace is over.
enum Outcome {
    Removed,
    /// It is found no more.
    Gone,
    /// It is too young by the store's clock, and will be old enough.
    Young,
    /// It is not removed by itself at all.
    Kept(String),
}

/// Removes a page of findings; where the next one begins, `None` at the end.
///
/// # Errors
/// If catalog or store fail.
pub(super) async fn step(context: &Context, sweep: &Sweep) -> Result<Option<String>, SweepError> {
    if is_doubted(context).await? {
        return Ok(None);
    }
    let mut certain_until = context.now().plus(CERTAIN_FOR);
    let mut certain_times = CERTAIN_TIMES;
    let Some(theirs) = context.objects.time().await? else {
        tracing::warn!(
            "the store does not say what time it is, so nothing is old enough to be removed"
        );
        return Ok(None);
    };
    let now = Now::of(context, Some(theirs));
    let after = read_cursor(&sweep.cursor);
    let mut reader = context.catalog.reader().await?;
    let page = sweeps::findings_of(&mut reader.tx(), sweep, after.as_ref(), PAGE).await?;
    drop(reader);
    let more = page.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX);
    let cursor = page.last().filter(|_| more).map(cursor_behind);
    for found in page {
        let grace = context.settings.orphan_grace;
        if found.first_seen_at.plus(grace) > now.earlier {
            continue;
        }
        if certain_until <= context.now() || certain_times == 0 {
            if is_doubted(context).await? {
                return Ok(None);
            }
            certain_until = context.now().plus(CERTAIN_FOR);
            certain_times = CERTAIN_TIMES;
        }
        certain_times -= 1;
        let outcome = match found.kind {
            FindingKind::OrphanObject => object(context, &found, now).await?,
            FindingKind::OrphanUpload => upload(context, &found, now).await?,
            FindingKind::ForeignObject
            | FindingKind::MissingOriginal
            | FindingKind::MissingRendition => continue,
        };
        note(context, found, outcome).await?;
    }
    Ok(cursor)
}

async fn is_doubted(context: &Context) -> Result<bool, SweepError> {
    Ok(catalog_mark::doubt_before_removal(context).await?.is_some())
}

fn kept(why: &str) -> Outcome {
    Outcome::Kept(why.to_owned())
}

async fn object(context: &Context, found: &Finding, now: Now) -> Result<Outcome, SweepError> {
    let Ok(key) = ObjectKey::parse(&found.object_key) else {
        return Ok(kept(NO_KEY));
    };
    let head = match ask(context, &key).await? {
        Said::Head(head) => head,
        Said::Nothing => return Ok(Outcome::Gone),
        Said::Damaged => return Ok(kept(DAMAGED)),
    };
    let Some(modified_at) = head.modified_at.or(found.modified_at) else {
        return Ok(kept(NO_AGE));
    };
    if due_at(found, modified_at, context.settings.orphan_grace) > now.earlier {
        return Ok(Outcome::Young);
    }
    match whose(context, &key, &head.metadata).await? {
        Whose::Ours => {}
        Whose::AnotherCatalogs(why) => return Ok(Outcome::Kept(why)),
        Whose::Unclear(why) => return Ok(kept(why)),
    }
    let listed = Listed {
        key: found.object_key.clone(),
        size_bytes: head.size_bytes,
        etag: head.etag,
        modified_at,
    };
    if !is_orphan(context, now, &listed).await? {
        return Ok(Outcome::Gone);
    }
    context.objects.delete(&key).await?;
    Ok(Outcome::Removed)
}

/// What the store lists of an upload has no metadata: whose it is says its key alone.
async fn upload(context: &Context, found: &Finding, now: Now) -> Result<Outcome, SweepError> {
    let Ok(key) = ObjectKey::parse(&found.object_key) else {
        return Ok(kept(NO_KEY));
    };
    match found.modified_at {
        None => return Ok(kept(NO_AGE)),
        Some(at) if due_at(found, at, context.settings.orphan_grace) > now.earlier => {
            return Ok(Outcome::Young);
        }
        Some(_) => {}
    }
    if !is_tenant(context, key.tenant()).await? {
        return Ok(kept(NO_TENANT));
    }
    match stray(context, key.as_str()).await? {
        None => return Ok(kept(LOST)),
        Some(Stray::Expected) => return Ok(Outcome::Gone),
        Some(Stray::Ended | Stray::NeverCompleted) => {}
    }
    context.objects.abort(&key, &found.store_upload_id).await?;
    let left = context
        .objects
        .list_parts(&key, &found.store_upload_id)
        .await?;
    // What is left is found again, and aborted again.
    Ok(if left.is_some_and(|parts| !parts.is_empty()) {
        Outcome::Young
    } else {
        Outcome::Removed
    })
}

async fn note(context: &Context, found: Finding, outcome: Outcome) -> Result<(), CatalogError> {
    let why = match outcome {
        Outcome::Young => return Ok(()),
        Outcome::Kept(why) => Some(why),
        Outcome::Gone => None,
        Outcome::Removed => {
            metrics::counter!("safelight_sweep_removed_total", "kind" => found.kind.as_str())
                .increment(1);
            tracing::info!(
                kind = found.kind.as_str(),
                key = found.object_key,
                store_upload_id = found.store_upload_id,
                size_bytes = found.size_bytes,
                first_seen_at = found.first_seen_at.rfc3339(),
                "an orphan was removed"
            );
            None
        }
    };
    context
        .catalog
        .write(move |tx| {
            Box::pin(async move {
                match why {
                    Some(why) => sweeps::keep(tx, &found, &why).await,
                    None => sweeps::forget(tx, &found).await,
                }
            })
        })
        .await
}

/// As JSON: keys may have any character.
fn cursor_behind(found: &Finding) -> String {
    serde_json::json!([
        found.tenant_id,
        found.kind.as_str(),
        found.object_key,
        found.store_upload_id,
    ])
    .to_string()
}

/// The finding that a cursor stands behind.
fn read_cursor(cursor: &str) -> Option<Finding> {
    let (tenant_id, kind, object_key, store_upload_id): (String, String, String, String) =
        serde_json::from_str(cursor).ok()?;
    Some(Finding {
        tenant_id,
        kind: FindingKind::ALL.into_iter().find(|k| k.as_str() == kind)?,
        object_key,
        store_upload_id,
        size_bytes: None,
        modified_at: None,
        first_seen_at: Micros(0),
        last_seen_at: Micros(0),
        kept_because: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_finding_whatever_its_key() {
        for key in ["o/a", "o/a\nb\n", "\n", "o/\"[,]\u{1}\u{7f}é", ""] {
            let found = read_cursor(&cursor_behind(&Finding {
                tenant_id: "ten\n1".to_owned(),
                kind: FindingKind::OrphanUpload,
                object_key: key.to_owned(),
                store_upload_id: "u\n".to_owned(),
                size_bytes: None,
                modified_at: None,
                first_seen_at: Micros(0),
                last_seen_at: Micros(0),
                kept_because: None,
            }));
            let found = found.unwrap();
            assert_eq!(
                (found.object_key.as_str(), found.tenant_id.as_str()),
                (key, "ten\n1")
            );
            assert_eq!(
                (found.kind, found.store_upload_id.as_str()),
                (FindingKind::OrphanUpload, "u\n")
            );
        }
        assert!(read_cursor("").is_none());
    }
}
