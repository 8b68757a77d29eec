//! An empty catalog of its own for every test.

use std::sync::Arc;

use safelight_catalog::{Backend, Catalog, CatalogSettings};
use safelight_model::clock::{Clock, ManualClock, Micros};
use safelight_model::entropy::SeededEntropy;
use safelight_model::ids;
use safelight_testkit::postgres::Cluster;
use tempfile::TempDir;

/// An open catalog, with a clock that stands still until it is moved.
pub struct Fixture {
    pub catalog: Catalog,
    pub clock: Arc<ManualClock>,
    pub entropy: Arc<SeededEntropy>,
    url: String,
    _directory: Option<TempDir>,
}

impl Fixture {
    /// An empty catalog on this database.
    pub async fn open(backend: Backend) -> Self {
        let (url, directory) = match backend {
            Backend::Sqlite => {
                let directory = tempfile::tempdir().unwrap();
                let url = format!("sqlite://{}", directory.path().join("catalog.db").display());
                (url, Some(directory))
            }
            Backend::Postgres => (
                tokio::task::block_in_place(|| {
                    Cluster::shared().unwrap().fresh_database().unwrap()
                }),
                None,
            ),
        };
        let clock = Arc::new(ManualClock::at(Micros(1_795_000_000_000_000)));
        let entropy = Arc::new(SeededEntropy::new(1));
        let catalog = connect(&url, Some(clock.clone())).await;
        Self {
            catalog,
            clock,
            entropy,
            url,
            _directory: directory,
        }
    }

    /// Another handle on the same catalog, as another process would have.
    pub async fn second(&self) -> Catalog {
        connect(&self.url, Some(self.clock.clone())).await
    }

    /// Another handle on the same catalog, whose time is the database's own.
    pub async fn on_database_time(&self) -> Catalog {
        connect(&self.url, None).await
    }

    /// A fresh id.
    pub fn id(&self, prefix: &str) -> String {
        ids::fresh(prefix, self.clock.now(), &*self.entropy)
    }
}

async fn connect(url: &str, clock: Option<Arc<dyn Clock>>) -> Catalog {
    Catalog::open(CatalogSettings {
        connections: 16,
        clock,
        ..CatalogSettings::for_url(url)
    })
    .await
    .unwrap()
}

/// `name::sqlite` and `name::postgres` for each `async fn name(f: Fixture)`.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => { $(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn sqlite() {
                super::$name($crate::fixture::Fixture::open(safelight_catalog::Backend::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn postgres() {
                super::$name($crate::fixture::Fixture::open(safelight_catalog::Backend::Postgres).await).await;
            }
        }
    )+ };
}
pub(crate) use on_both;

/// `in_tx!(catalog, |tx| expression)`: the expression in a transaction of its own. What it uses from
/// outside is moved in.
macro_rules! in_tx {
    ($catalog:expr, |$tx:ident| $body:expr) => {
        $catalog
            .write::<_, safelight_catalog::CatalogError, _>(move |$tx| {
                Box::pin(async move { $body })
            })
            .await
    };
}
pub(crate) use in_tx;

/// `tx_that_waits!(catalog, |tx| first, then)`: begins a transaction with `first`, of which the value is `first` in `then`, and goes on
/// with that once another transaction waits for it. Gives its task when `first` is done.
macro_rules! tx_that_waits {
    ($catalog:expr, |$tx:ident| $first:ident = $work:expr, $then:expr) => {{
        let catalog = $catalog.clone();
        let (done, told) = tokio::sync::oneshot::channel();
        let running = tokio::spawn(async move {
            let watch = catalog.clone();
            $crate::fixture::in_tx!(catalog, |$tx| {
                let $first = $work;
                let _ = done.send(());
                $crate::samples::somebody_waits(&watch).await;
                $then
            })
        });
        told.await.unwrap();
        running
    }};
}
pub(crate) use tx_that_waits;
