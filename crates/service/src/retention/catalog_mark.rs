//! Whether this catalog is the one that the store was last used with.
//!
//! Catalog and store each keep a mark that the janitor raises again and again, in the catalog first. A store that is ahead
//! tells of a catalog restored from an older copy: what came after that copy looks like nobody's, and is not. So is it
//! with a store that holds another catalog's mark, or has lost this one's. Then nothing is removed until an
//! operator confirms.

use std::time::Duration;

use bytes::Bytes;
use safelight_catalog::{CatalogError, catalog_mark};
use safelight_model::clock::Micros;
use safelight_model::codes::Code;
use safelight_objects::{ObjectKey, PutOptions, StoreError};
use serde::{Deserialize, Serialize};

use crate::context::Context;

/// How often the mark is raised: what a catalog lost that was restored from a copy younger than this is not told from
/// what is nobody's, but by the grace.
pub const EVERY: Duration = Duration::from_secs(600);
/// Prefix of a catalog's id.
const CATALOG: &str = "cat";
/// A mark is longer than this only if it is none.
const MOST_BYTES: i64 = 4096;

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

/// The mark as the store has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoreMark {
    catalog_id: String,
    mark: i64,
}

/// What stands in the store.
enum Seen {
    Nothing,
    Mark(StoreMark),
    Nonsense,
}

async fn seen(context: &Context) -> Result<Seen, StoreError> {
    let Some(read) = context.objects.get(&ObjectKey::mark(), None, None).await? else {
        return Ok(Seen::Nothing);
    };
    if read.size_bytes > MOST_BYTES {
        return Ok(Seen::Nonsense);
    }
    let body = read.bytes().await?;
    Ok(serde_json::from_slice(&body).map_or(Seen::Nonsense, Seen::Mark))
}

/// Why nothing may be removed; `None` if nothing speaks against it.
///
/// # Errors
/// If catalog or store fail: then nothing may be removed either.
pub async fn doubt(context: &Context) -> Result<Option<String>, MarkError> {
    // First the store's, which follows the catalog's: what another process raises meanwhile is no reason for doubt.
    let seen = seen(context).await?;
    let fresh = context.fresh_id(CATALOG);
    context
        .catalog
        .write::<_, CatalogError, _>(move |tx| {
            Box::pin(async move { catalog_mark::name(tx, &fresh).await })
        })
        .await?;
    let Some(mark) = catalog_mark::find(&mut context.catalog.reader().await?.tx()).await? else {
        return Ok(Some("the catalog has no mark".to_owned()));
    };
    if mark.doubt.is_some() {
        return Ok(mark.doubt);
    }
    let why = match seen {
        // The first one may be on its way.
        Seen::Nothing if mark.mark <= 1 => return Ok(None),
        Seen::Nothing => {
            "the store has lost this catalog's mark: it is another bucket, or it has lost objects"
        }
        Seen::Nonsense => "what stands in the store under c/mark is no mark",
        Seen::Mark(theirs) if theirs.catalog_id != mark.catalog_id => {
            "the store holds the mark of another catalog: this one is a fresh one, or both use the same bucket"
        }
        Seen::Mark(theirs) if theirs.mark > mark.mark => {
            "the store's mark is ahead of the catalog's: the catalog was restored from an older copy"
        }
        Seen::Mark(_) => return Ok(None),
    };
    tracing::error!(
        why,
        "nothing that seems to be nobody's is removed: look, then run `safelight sweep --confirm-restored`"
    );
    context
        .catalog
        .write::<_, CatalogError, _>(move |tx| {
            Box::pin(async move { catalog_mark::doubt(tx, why).await })
        })
        .await?;
    Ok(Some(why.to_owned()))
}

/// Raises the mark if it was last raised at `before` or earlier and nothing speaks against it.
///
/// # Errors
/// If catalog or store fail. The catalog may be ahead then, which does no harm.
pub async fn raise(context: &Context, before: Micros) -> Result<(), MarkError> {
    let mark = catalog_mark::find(&mut context.catalog.reader().await?.tx()).await?;
    let is_due = mark.as_ref().is_none_or(|mark| mark.marked_at <= before);
    let doubted = match mark {
        // The store is not asked every time.
        Some(mark) if mark.doubt.is_some() || !is_due => mark.doubt.is_some(),
        _ => doubt(context).await?.is_some(),
    };
    metrics::gauge!("safelight_catalog_doubted").set(if doubted { 1.0 } else { 0.0 });
    if doubted {
        return Ok(());
    }
    let now = context.now();
    let raised = context
        .catalog
        .write::<_, CatalogError, _>(move |tx| {
            Box::pin(async move { catalog_mark::raise(tx, now, before).await })
        })
        .await?;
    match raised {
        Some(mark) => write(context, mark).await,
        None => Ok(()),
    }
}

async fn write(context: &Context, mark: i64) -> Result<(), MarkError> {
    let found = catalog_mark::find(&mut context.catalog.reader().await?.tx()).await?;
    let Some(found) = found else {
        return Ok(());
    };
    let body = StoreMark {
        catalog_id: found.catalog_id,
        mark,
    };
    let body = serde_json::to_vec(&body).unwrap_or_default();
    let options = PutOptions {
        content_type: Some("application/json"),
        ..PutOptions::default()
    };
    let key = ObjectKey::mark();
    context
        .objects
        .put(&key, Bytes::from(body), options)
        .await?;
    Ok(())
}

/// An operator confirms that this catalog is the one that counts. All of the grace passes anew.
///
/// # Errors
/// If catalog or store fail: confirm again then.
pub async fn trust(context: &Context) -> Result<(), MarkError> {
    let theirs = match seen(context).await? {
        Seen::Mark(theirs) => theirs.mark,
        Seen::Nothing | Seen::Nonsense => 0,
    };
    let (fresh, now) = (context.fresh_id(CATALOG), context.now());
    let mark = context
        .catalog
        .write::<_, CatalogError, _>(move |tx| {
            Box::pin(async move {
                catalog_mark::name(tx, &fresh).await?;
                catalog_mark::trust(tx, theirs.saturating_add(1), now).await?;
                catalog_mark::find(tx).await
            })
        })
        .await?;
    write(context, mark.map_or(1, |m| m.mark)).await
}
