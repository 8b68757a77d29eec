//! What is known of the object store: recorded in the catalog by `safelight doctor store`, so that
//! every process of a deployment plans alike. Read once, at the start.

use safelight_catalog::stores::{self, StoreRecord};
use safelight_catalog::{Catalog, CatalogError, SCHEMA_VERSION};
use safelight_model::clock::Micros;
use safelight_objects::{Assessment, Capabilities, Verdict};

use super::s3_url::S3Url;
use super::settings::Resolved;
use super::store::{self, Backend};

/// What to do about a store that nobody has looked at.
pub const ADVICE: &str = "run `safelight doctor store`, then start the servers again";

/// Whence capabilities are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The embedded store comes with the program.
    Embedded,
    /// A probe found them then.
    Recorded(Micros),
    /// A probe did, but this version cannot read what it wrote.
    Unreadable(String),
    /// Nobody has probed this store.
    Never,
}

/// Capabilities, and whence they are known.
#[derive(Clone, Debug)]
pub struct KnownStore {
    /// What the store can do.
    pub capabilities: Capabilities,
    /// Whence that is known.
    pub origin: Origin,
}

impl KnownStore {
    /// Looks up the store of the settings. Asks the catalog only.
    pub async fn look_up(settings: &Resolved, catalog: &Catalog) -> anyhow::Result<Self> {
        if let Backend::Disk(_) = store::backend(settings) {
            return Ok(Self {
                capabilities: Capabilities::embedded(),
                origin: Origin::Embedded,
            });
        }
        let name = S3Url::parse(settings.text("store_url"))?.to_string();
        if catalog.schema_version().await? < SCHEMA_VERSION {
            // Who only looks at a catalog of an earlier version finds nothing of this kind in it.
            return Ok(Self::of(None));
        }
        let found = stores::find(&mut catalog.reader().await?.tx(), &name).await?;
        Ok(Self::of(found))
    }

    fn of(record: Option<StoreRecord>) -> Self {
        let unknown = |origin| Self {
            capabilities: Capabilities::unprobed(),
            origin,
        };
        let Some(record) = record else {
            return unknown(Origin::Never);
        };
        match serde_json::from_str(&record.capabilities) {
            Ok(capabilities) => Self {
                capabilities,
                origin: Origin::Recorded(record.probed_at),
            },
            Err(error) => unknown(Origin::Unreadable(error.to_string())),
        }
    }

    /// What of it Safelight cannot keep its promises with.
    pub fn wrong(&self) -> Vec<Assessment> {
        let mut all = self.capabilities.assess();
        all.retain(|assessment| assessment.verdict == Verdict::Wrong);
        all
    }

    /// Tells the log what an operator should know at a start.
    pub fn warn(&self) {
        match &self.origin {
            Origin::Embedded | Origin::Recorded(_) => {}
            Origin::Never => tracing::warn!(
                "nobody has looked what this object store can do, so nothing optional is asked of it: uploads are not bound to their SHA-256; {ADVICE}"
            ),
            Origin::Unreadable(error) => tracing::warn!(
                error,
                "what was recorded of this object store is not understood, so nothing optional is asked of it; {ADVICE}"
            ),
        }
        for wrong in self.wrong() {
            tracing::error!(
                found = wrong.found,
                "the object store is unfit: {}: {}; {}",
                wrong.capability,
                wrong.meaning,
                wrong.what_to_do.unwrap_or_default()
            );
        }
    }
}

/// Records what a probe of the S3 store at `url` found at `at`.
pub async fn record(
    catalog: &Catalog,
    url: &S3Url,
    capabilities: &Capabilities,
    at: Micros,
) -> anyhow::Result<()> {
    let name = url.to_string();
    let record = StoreRecord {
        capabilities: serde_json::to_string(capabilities)?,
        probed_at: at,
    };
    catalog
        .write::<_, CatalogError, _>(move |tx| {
            Box::pin(async move { stores::record(tx, &name, &record).await })
        })
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(capabilities: &str) -> Option<StoreRecord> {
        Some(StoreRecord {
            capabilities: capabilities.to_owned(),
            probed_at: Micros(7),
        })
    }

    #[test]
    fn nothing_is_made_up() {
        let never = KnownStore::of(None);
        assert_eq!(never.origin, Origin::Never);
        assert_eq!(never.capabilities, Capabilities::unprobed());
        // A later version may say what this one has no word for.
        let odd = KnownStore::of(record(r#"{"signed_length": "negotiated"}"#));
        assert!(matches!(odd.origin, Origin::Unreadable(_)));
        assert_eq!(odd.capabilities, Capabilities::unprobed());
        let text = serde_json::to_string(&Capabilities::embedded()).unwrap();
        let known = KnownStore::of(record(&text));
        assert_eq!(known.origin, Origin::Recorded(Micros(7)));
        assert_eq!(known.capabilities, Capabilities::embedded());
        assert_eq!(known.wrong(), []);
    }

    #[test]
    fn an_unfit_store_is_called_so() {
        let known = KnownStore::of(record(r#"{"signed_length": "ignored"}"#));
        assert_eq!(known.wrong()[0].capability, "signed length");
    }
}
