//! Whether this catalog is the only one that the store is used with, and the one that it was last used with.
//!
//! Catalog and store each keep a mark that every process raises behind what it commits ([`super::keep_mark`]), in the catalog first,
//! each time with a fresh nonce. What stands in the store and has a nonce that this catalog does not know was left by somebody else: a second catalog in
//! the same bucket, a copy of this one that runs beside it, or this one as it was before it was restored from an older
//! copy. To each of two such catalogs, what the other knows looks like nobody's. So whoever finds that doubts himself and
//! writes into the store's mark that it is contested, again and again as long as it does not stand there; and who reads
//! that doubts too. Then nothing is removed by either of them until an operator confirms, for one that is the only one.

use std::time::Duration;

use safelight_catalog::catalog_mark::{self, CatalogMark, HIGHEST};
use safelight_catalog::{Catalog, CatalogError};
use safelight_model::clock::{Clock, Micros};
use safelight_model::codes::Code;
use safelight_model::entropy::Entropy;
use safelight_model::ids;
use safelight_objects::StoreError;

use super::judge_mark::{Judgement, judge};
use super::store_mark::{self, Contested, Seen, Stands, StoreMark};
use crate::context::Context;

/// How often the mark is raised where nothing is committed.
pub const EVERY: Duration = Duration::from_secs(600);
/// How often it is tried anew where others change the mark at the same moment.
const TRIES: u32 = 8;
/// What speaks against this catalog is believed when it is still there so much later: a store may show for a moment what stood
/// there before.
pub const SEEN_AGAIN: Duration = Duration::from_secs(2);
/// How long one who is about to remove something waits for a mark that is being left in the store, look by look: that takes one
/// request.
const BEING_LEFT: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(2),
];
/// What is said where they do so every time.
const RESTLESS: &str = "the mark changes at every look: others raise it at this moment";

/// Why it is not known.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MarkError {
    /// The stable code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Catalog(e) => e.code(),
            Self::Store(e) => e.code(),
        }
    }
}

/// Why a catalog was not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Catalog or store failed.
    #[error(transparent)]
    Mark(#[from] MarkError),
    /// Others write the mark too.
    #[error(
        "others write the store's mark at this moment: stop what else uses the bucket, and confirm again"
    )]
    Contended,
}

impl TrustError {
    /// The stable code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Mark(e) => e.code(),
            Self::Contended => Code::Overloaded,
        }
    }
}

/// The catalog's id; it is given one if it has none. What is stored carries it, so it is asked for before anything is.
///
/// # Errors
/// If the catalog fails.
pub async fn named(
    catalog: &Catalog,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<String, CatalogError> {
    let mark = catalog_mark::find(&mut catalog.reader().await?.tx()).await?;
    if let Some(mark) = mark {
        return Ok(mark.catalog_id);
    }
    let fresh = ids::fresh(ids::CATALOG, clock.now(), entropy);
    catalog
        .write(move |tx| {
            Box::pin(async move {
                catalog_mark::name(tx, &fresh).await?;
                let mark = catalog_mark::find(tx).await?;
                Ok(mark.map_or(fresh, |mark| mark.catalog_id))
            })
        })
        .await
}

async fn of_catalog(context: &Context) -> Result<CatalogMark, CatalogError> {
    if let Some(mark) = catalog_mark::find(&mut context.catalog.reader().await?.tx()).await? {
        return Ok(mark);
    }
    named(
        &context.catalog,
        context.clock.as_ref(),
        context.entropy.as_ref(),
    )
    .await?;
    let mark = catalog_mark::find(&mut context.catalog.reader().await?.tx()).await?;
    mark.ok_or(CatalogError::Unknown {
        column: "catalog_mark.name",
        value: "no row".to_owned(),
    })
}

/// Why nothing may be removed; `None` if nothing speaks against it. Looks at the store every time, and says there what
/// is found, so that the other one hears of it.
///
/// # Errors
/// If catalog or store fail: then nothing may be removed either.
pub async fn doubt(context: &Context) -> Result<Option<String>, MarkError> {
    let (doubt, _) = look(context).await?;
    show(doubt.is_some());
    Ok(doubt)
}

/// Likewise, and neither catalog nor store hear of it: for who only looks, perhaps from a copy that is never to be served.
///
/// # Errors
/// If catalog or store fail.
pub async fn suspicion(context: &Context) -> Result<Option<String>, MarkError> {
    let first = suspect(context).await?;
    if first.is_none() {
        return Ok(None);
    }
    tokio::time::sleep(context.settings.mark_seen_again).await;
    suspect(context).await
}

async fn suspect(context: &Context) -> Result<Option<String>, MarkError> {
    let ours = catalog_mark::find(&mut context.catalog.reader().await?.tx()).await?;
    let stands = store_mark::read(context).await?.stands;
    let Some(ours) = ours else {
        return Ok(match stands {
            Stands::Nothing => None,
            Stands::Mark(_) | Stands::Nonsense => Some(
                "the store holds a mark, and this catalog has left none: it is a fresh one"
                    .to_owned(),
            ),
        });
    };
    Ok(match judge(&ours, &stands) {
        Judgement::Ours | Judgement::Arrived(_) => ours.doubt,
        Judgement::Foreign(why) | Judgement::Wrong(why) => Some(ours.doubt.unwrap_or(why)),
    })
}

/// Why nothing may be removed now: as [`doubt`], by one who is about to. Whoever removes something has raised the mark not long
/// ago, so that another who does cannot miss it, also where no janitor runs.
///
/// # Errors
/// If catalog or store fail: then nothing may be removed either.
pub async fn doubt_before_removal(context: &Context) -> Result<Option<String>, MarkError> {
    raise(context, context.now().minus(EVERY)).await?;
    for wait in BEING_LEFT {
        let (doubt, seen) = look(context).await?;
        if doubt.is_some() {
            return Ok(doubt);
        }
        // Raised in the catalog only, it tells nobody anything.
        let is_left = of_catalog(context).await?.pending_nonce.is_none();
        if is_left && seen.stands != Stands::Nothing {
            return Ok(None);
        }
        // Another process may be leaving it now.
        tokio::time::sleep(wait).await;
    }
    tracing::info!("nothing is removed now: this catalog's mark is not in the store yet");
    Ok(Some(
        "this catalog has not left its mark in the store yet".to_owned(),
    ))
}

/// Why there is doubt, and what was seen.
async fn look(context: &Context) -> Result<(Option<String>, Seen), MarkError> {
    let (mut tries, mut is_seen_again) = (0, false);
    loop {
        // The catalog's first: doubt is recorded only if that has not changed since, so that what another process of this catalog
        // leaves in the store meanwhile is no reason for any.
        let ours = of_catalog(context).await?;
        let seen = store_mark::read(context).await?;
        let (why, is_foreign) = match judge(&ours, &seen.stands) {
            Judgement::Ours => return Ok((ours.doubt, seen)),
            Judgement::Arrived(nonce) => {
                arrived(context, nonce).await?;
                return Ok((ours.doubt, seen));
            }
            Judgement::Foreign(why) => (why, true),
            Judgement::Wrong(why) => (why, false),
        };
        if ours.doubt.is_none() {
            if !is_seen_again {
                is_seen_again = true;
                tokio::time::sleep(context.settings.mark_seen_again).await;
                continue;
            }
            if !record(context, &ours, &why).await? {
                tries += 1;
                if tries < TRIES {
                    continue;
                }
                return Ok((Some(RESTLESS.to_owned()), seen));
            }
            tracing::error!(
                why,
                "nothing that seems to be nobody's is removed: look what else uses the bucket, stop it, then run `safelight sweep --confirm-restored`"
            );
        }
        if is_foreign {
            say(context, &ours, &seen, &why).await;
        }
        return Ok((Some(ours.doubt.unwrap_or(why)), seen));
    }
}

async fn record(context: &Context, ours: &CatalogMark, why: &str) -> Result<bool, CatalogError> {
    let (ours, why) = (ours.clone(), why.to_owned());
    context
        .catalog
        .write(move |tx| Box::pin(async move { catalog_mark::doubt(tx, &ours, &why).await }))
        .await
}

async fn arrived(context: &Context, nonce: String) -> Result<(), CatalogError> {
    context
        .catalog
        .write(move |tx| Box::pin(async move { catalog_mark::stored(tx, &nonce).await }))
        .await?;
    Ok(())
}

/// Writes into a foreign mark that it is contested, and keeps the rest. What fails is tried again in the next round.
async fn say(context: &Context, ours: &CatalogMark, seen: &Seen, why: &str) {
    let Stands::Mark(theirs) = &seen.stands else {
        return;
    };
    if theirs.contested.is_some() {
        return;
    }
    let mark = StoreMark {
        contested: Some(Contested {
            by: ours.catalog_id.clone(),
            why: why.to_owned(),
            at: context.now().rfc3339(),
        }),
        ..theirs.clone()
    };
    match store_mark::write(context, &mark, seen).await {
        Ok(true) => tracing::warn!("the store's mark says now that it is contested"),
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(%error, "the store's mark does not say yet that it is contested")
        }
    }
}

/// Raises the mark if it was last raised at `before` or earlier and nothing speaks against it. In doubt the store is looked at
/// as often.
///
/// # Errors
/// If catalog or store fail. The catalog may be ahead then, which does no harm.
pub async fn raise(context: &Context, before: Micros) -> Result<(), MarkError> {
    let now = context.now();
    let mark = catalog_mark::find(&mut context.catalog.reader().await?.tx()).await?;
    if let Some(mark) = mark.filter(|mark| !mark.is_due(now, before)) {
        show(mark.doubt.is_some());
        return Ok(());
    }
    let (doubt, seen) = look(context).await?;
    show(doubt.is_some());
    if doubt.is_some() {
        context
            .catalog
            .write::<_, CatalogError, _>(move |tx| {
                Box::pin(async move { catalog_mark::looked(tx, now).await })
            })
            .await?;
        return Ok(());
    }
    let nonce = ids::public_id(context.entropy.as_ref());
    let raised = context
        .catalog
        .write::<_, CatalogError, _>(move |tx| {
            Box::pin(async move { catalog_mark::raise(tx, now, before, &nonce).await })
        })
        .await?;
    let Some(raised) = raised else {
        return Ok(());
    };
    let mut seen = seen;
    for _ in 0..TRIES {
        if leave(context, &raised, &seen).await? {
            return Ok(());
        }
        // Others were there since: another process of this catalog, or somebody else.
        let (doubt, again) = look(context).await?;
        show(doubt.is_some());
        let ours = of_catalog(context).await?;
        if doubt.is_some() || ours.pending_nonce != raised.pending_nonce {
            return Ok(());
        }
        seen = again;
    }
    tracing::warn!(
        "the catalog's mark could not be raised in the store: others write there all the time"
    );
    Ok(())
}

fn show(is_doubted: bool) {
    metrics::gauge!("safelight_catalog_doubted").set(if is_doubted { 1.0 } else { 0.0 });
}

/// Leaves a raised mark in the store, and records that it is there. `false` if what was seen there is there no more.
async fn leave(context: &Context, raised: &CatalogMark, seen: &Seen) -> Result<bool, MarkError> {
    let Some(nonce) = raised.pending_nonce.clone() else {
        return Ok(true);
    };
    if !store_mark::write(context, &mark_of(raised), seen).await? {
        return Ok(false);
    }
    arrived(context, nonce).await?;
    Ok(true)
}

fn mark_of(raised: &CatalogMark) -> StoreMark {
    StoreMark {
        catalog_id: raised.catalog_id.clone(),
        mark: raised.mark,
        nonce: raised.pending_nonce.clone(),
        contested: None,
        rest: serde_json::Map::new(),
    }
}

/// An operator confirms that this catalog is the one that counts. All of the grace passes anew. What else still uses the
/// bucket will contest that again.
///
/// # Errors
/// If catalog or store fail, or others write the mark all the time: confirm again then.
pub async fn trust(context: &Context) -> Result<(), TrustError> {
    for _ in 0..TRIES {
        of_catalog(context).await.map_err(MarkError::Catalog)?;
        let seen = store_mark::read(context).await.map_err(MarkError::Store)?;
        let theirs = match &seen.stands {
            Stands::Mark(theirs) => theirs.mark,
            Stands::Nothing | Stands::Nonsense => 0,
        };
        let nonce = ids::public_id(context.entropy.as_ref());
        let (mark, fresh) = (theirs.saturating_add(1).min(HIGHEST), nonce.clone());
        let confirmed = context
            .catalog
            .write::<_, CatalogError, _>(move |tx| {
                Box::pin(async move { catalog_mark::confirm(tx, mark, &fresh).await })
            })
            .await
            .map_err(MarkError::Catalog)?;
        let Some(confirmed) = confirmed else {
            continue;
        };
        let left = store_mark::write(context, &mark_of(&confirmed), &seen)
            .await
            .map_err(MarkError::Store)?;
        if !left {
            continue;
        }
        let now = context.now();
        let trusted = context
            .catalog
            .write::<_, CatalogError, _>(move |tx| {
                Box::pin(async move { catalog_mark::trust(tx, &nonce, now).await })
            })
            .await
            .map_err(MarkError::Catalog)?;
        if trusted {
            show(false);
            return Ok(());
        }
    }
    Err(TrustError::Contended)
}
