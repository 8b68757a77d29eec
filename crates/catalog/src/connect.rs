//! Opening a catalog by its URL, and the two ways into it: read and write.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use safelight_model::clock::{Clock, SystemClock};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, Executor as _, PgPool, SqliteConnection, SqlitePool};
use tokio::fs::File;
use tokio::sync::Notify;

use crate::bells::{Bells, EVENTS_CHANNEL, JOBS_CHANNEL, Rung};
use crate::checkpoint::{Folder, LONGEST_LOG_PAGES};
use crate::error::CatalogError;
use crate::group_commit::{Kept, Work, Writer, run};
use crate::migrate;
use crate::statistics;
use crate::transaction::{Conn, Tx};

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// One file, one writing process.
    Sqlite,
    /// A server, many processes.
    Postgres,
}

/// The clock of leases.
#[derive(Clone)]
pub enum TimeSource {
    /// The database server's.
    Database,
    /// One that is handed in. SQLite has no clock but its process's, so it always uses this.
    Injected(Arc<dyn Clock>),
}

/// What opening does about the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Brings it up to date, and makes what is not there.
    BringUpToDate,
    /// Leaves it as it is, for those who only look.
    LeaveAsItIs,
}

/// How to open a catalog.
pub struct CatalogSettings {
    /// `sqlite:///path/catalog.db` or `postgres://user@host/name`.
    pub url: String,
    /// Connections at most, for reading on SQLite, for everything on PostgreSQL.
    pub connections: u32,
    /// What to do about the schema.
    pub schema: Schema,
    /// A clock in place of the database's; for tests.
    pub clock: Option<Arc<dyn Clock>>,
}

impl CatalogSettings {
    /// The settings for `url` with defaults for the rest.
    #[must_use]
    pub fn for_url(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            connections: 8,
            schema: Schema::BringUpToDate,
            clock: None,
        }
    }
}

/// Every query here goes by an index. A plan that was made while a table was small, and reads it whole,
/// would be kept while the table grows; and with such plans priced out, none is worth compiling.
const PLANNING: &str = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off";

#[derive(Clone)]
enum Pools {
    Sqlite { readers: SqlitePool, writer: Writer },
    Postgres(PgPool),
}

/// An open catalog. Clones share its connections.
#[derive(Clone)]
pub struct Catalog {
    pools: Pools,
    time: TimeSource,
    bells: Bells,
}

/// The file of a catalog by its URL; `None` if it is none of SQLite.
#[must_use]
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    let options = url
        .starts_with("sqlite:")
        .then(|| SqliteConnectOptions::from_str(url).ok());
    Some(options??.get_filename().to_owned())
}

impl Catalog {
    /// Opens the catalog.
    ///
    /// # Errors
    /// If the URL is not understood, the database does not answer, or a migration fails.
    pub async fn open(settings: CatalogSettings) -> Result<Self, CatalogError> {
        let bells = Bells::default();
        if settings.url.starts_with("sqlite:") {
            Self::open_sqlite(settings, bells).await
        } else if settings.url.starts_with("postgres:") || settings.url.starts_with("postgresql:") {
            Self::open_postgres(settings, bells).await
        } else {
            Err(CatalogError::Url(settings.url))
        }
    }

    async fn open_sqlite(settings: CatalogSettings, bells: Bells) -> Result<Self, CatalogError> {
        let brought_up_to_date = settings.schema == Schema::BringUpToDate;
        let options = SqliteConnectOptions::from_str(&settings.url)
            .map_err(|_| CatalogError::Url(settings.url.clone()))?
            .create_if_missing(brought_up_to_date)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10))
            .pragma("cache_size", "-32768")
            // Every statement of many rows keeps what it changes until it ends, in case it fails midway:
            // otherwise in a file.
            .pragma("temp_store", "MEMORY")
            .pragma("wal_autocheckpoint", LONGEST_LOG_PAGES)
            .statement_cache_capacity(256);
        let mut conn = SqliteConnection::connect_with(&options).await?;
        if brought_up_to_date {
            migrate::sqlite()
                .run(&mut conn)
                .await
                .map_err(CatalogError::Migrate)?;
            statistics::tell(&mut conn).await?;
        }
        let file = File::open(options.get_filename())
            .await
            .map_err(sqlx::Error::Io)?;
        let folder = Folder::start(SqliteConnection::connect_with(&options).await?, file);
        let readers = SqlitePoolOptions::new()
            .max_connections(settings.connections)
            .acquire_timeout(Duration::from_secs(5))
            .connect_with(options.read_only(true).create_if_missing(false))
            .await?;
        let time = TimeSource::Injected(settings.clock.unwrap_or_else(|| Arc::new(SystemClock)));
        let writer = Writer::start(conn, folder, time.clone(), bells.clone());
        Ok(Self {
            pools: Pools::Sqlite { readers, writer },
            time,
            bells,
        })
    }

    async fn open_postgres(settings: CatalogSettings, bells: Bells) -> Result<Self, CatalogError> {
        let options = PgConnectOptions::from_str(&settings.url)
            .map_err(|_| CatalogError::Url(settings.url.clone()))?
            .application_name("safelight")
            .statement_cache_capacity(256);
        let pool = PgPoolOptions::new()
            .max_connections(settings.connections.max(2))
            .acquire_timeout(Duration::from_secs(5))
            .after_connect(|conn, _| Box::pin(async { conn.execute(PLANNING).await.map(|_| ()) }))
            .connect_with(options)
            .await?;
        if settings.schema == Schema::BringUpToDate {
            migrate::postgres()
                .run(&pool)
                .await
                .map_err(CatalogError::Migrate)?;
        }
        let time = settings
            .clock
            .map_or(TimeSource::Database, TimeSource::Injected);
        tokio::spawn(listen(pool.clone(), bells.clone()));
        Ok(Self {
            pools: Pools::Postgres(pool),
            time,
            bells,
        })
    }

    /// Which database it is.
    #[must_use]
    pub fn backend(&self) -> Backend {
        match self.pools {
            Pools::Sqlite { .. } => Backend::Sqlite,
            Pools::Postgres(_) => Backend::Postgres,
        }
    }

    /// Rings when work may have come. May ring for nothing, and may fail to ring: it only shortens a wait.
    #[must_use]
    pub fn bell(&self) -> Arc<Notify> {
        self.bells.jobs.clone()
    }

    /// Rings when this process has recorded events that have no place in the order yet. Like
    /// [`Catalog::bell`] it promises nothing.
    #[must_use]
    pub fn recorded_bell(&self) -> Arc<Notify> {
        self.bells.recorded.clone()
    }

    /// Rings when events were given their places in the order, by whatever process. Like
    /// [`Catalog::bell`] it promises nothing.
    #[must_use]
    pub fn sequenced_bell(&self) -> Arc<Notify> {
        self.bells.sequenced.clone()
    }

    /// Rings when this process has committed something that the mark ([`crate::catalog_mark`]) is to be raised for. Like
    /// [`Catalog::bell`] it promises nothing; [`Catalog::outdating_commits`] does.
    #[must_use]
    pub fn outdated_bell(&self) -> Arc<Notify> {
        self.bells.outdated.clone()
    }

    /// How many commits of this process so far the mark is to be raised for: at least as many as there were.
    #[must_use]
    pub fn outdating_commits(&self) -> u64 {
        self.bells.outdating.load(Ordering::SeqCst)
    }

    /// A connection for reading. Statements see what is committed when each begins.
    ///
    /// # Errors
    /// If no connection can be had.
    pub async fn reader(&self) -> Result<Reader, CatalogError> {
        let conn = match &self.pools {
            Pools::Sqlite { readers, .. } => ReadConn::Sqlite(readers.acquire().await?),
            Pools::Postgres(pool) => ReadConn::Postgres(pool.acquire().await?),
        };
        Ok(Reader {
            conn,
            time: self.time.clone(),
        })
    }

    /// Runs `work` in a transaction: committed if it answers `Ok`, taken back if it answers `Err`.
    /// Returns after the commit is on disk.
    ///
    /// # Errors
    /// What `work` answers, or that the transaction could not be begun or committed.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx<'_>) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Send + From<CatalogError> + 'static,
    {
        // The answer lies apart, so that all that a write goes through is compiled once and not for each type of answer.
        let answer = Arc::new(Mutex::new(None));
        let place = answer.clone();
        let erased: Work = Box::new(move |tx| {
            let working = work(tx);
            Box::pin(async move {
                let outcome = working.await;
                let kept = match outcome {
                    Ok(_) => Kept::Yes,
                    Err(_) => Kept::No,
                };
                *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
                kept
            })
        });
        self.commit(erased).await?;
        let outcome = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        outcome.unwrap_or_else(|| Err(CatalogError::Panicked.into()))
    }

    /// Runs `work` in a transaction, and commits what it says is to be kept.
    fn commit(&self, work: Work) -> BoxFuture<'_, Result<Kept, CatalogError>> {
        Box::pin(async move {
            match &self.pools {
                Pools::Sqlite { writer, .. } => writer.write(work).await,
                Pools::Postgres(pool) => {
                    let mut outer = pool.begin().await?;
                    let mut tx = Tx {
                        conn: Conn::Postgres(&mut outer),
                        time: &self.time,
                        rung: Rung::default(),
                        failed: false,
                    };
                    // What is not kept is taken back when `outer` is dropped.
                    let kept = run(work, &mut tx).await?;
                    if kept == Kept::No {
                        return Ok(kept);
                    }
                    let rung = tx.rung;
                    let committed = outer.commit().await;
                    if committed.is_err() {
                        // It may have been committed all the same, and only the answer be lost.
                        self.bells.ring(Rung {
                            outdated: rung.outdated,
                            ..Rung::default()
                        });
                    }
                    committed?;
                    self.bells.ring(rung);
                    Ok(kept)
                }
            }
        })
    }

    /// Carries out the writes that wait, takes no more, and returns when every connection is closed: a
    /// [`Reader`] that is still out is waited for.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { readers, writer } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }

    /// The newest migration that the database has; 0 if it has none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn schema_version(&self) -> Result<i64, CatalogError> {
        let mut reader = self.reader().await?;
        let recorded = match self.backend() {
            Backend::Sqlite => "SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'",
            Backend::Postgres => {
                "SELECT COUNT(*) FROM pg_catalog.pg_class WHERE oid = to_regclass('_sqlx_migrations')"
            }
        };
        let any = reader.tx().row(recorded, &[]).await?;
        if any.map_or(Ok(0), |r| r.int(0))? == 0 {
            return Ok(0);
        }
        let newest = reader
            .tx()
            .row(
                "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success",
                &[],
            )
            .await?;
        newest.map_or(Ok(0), |r| r.int(0))
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// If it does not.
    pub async fn ping(&self) -> Result<(), CatalogError> {
        self.reader()
            .await?
            .tx()
            .row("SELECT 1", &[])
            .await
            .map(|_| ())
    }
}

enum ReadConn {
    Sqlite(PoolConnection<sqlx::Sqlite>),
    Postgres(PoolConnection<sqlx::Postgres>),
}

/// A connection for reading, given back when it is dropped.
pub struct Reader {
    conn: ReadConn,
    time: TimeSource,
}

impl Reader {
    /// Its statements.
    pub fn tx(&mut self) -> Tx<'_> {
        let conn = match &mut self.conn {
            ReadConn::Sqlite(conn) => Conn::Sqlite(conn),
            ReadConn::Postgres(conn) => Conn::Postgres(conn),
        };
        Tx {
            conn,
            time: &self.time,
            rung: Rung::default(),
            failed: false,
        }
    }
}

/// Rings the bell of every NOTIFY, from any process. A lost connection is made again: meanwhile
/// polling finds the work.
async fn listen(pool: PgPool, bells: Bells) {
    while !pool.is_closed() {
        if let Ok(mut listener) = PgListener::connect_with(&pool).await
            && listener
                .listen_all([JOBS_CHANNEL, EVENTS_CHANNEL])
                .await
                .is_ok()
        {
            while let Ok(told) = listener.recv().await {
                bells.ring(Rung {
                    jobs: told.channel() == JOBS_CHANNEL,
                    sequenced: told.channel() == EVENTS_CHANNEL,
                    ..Rung::default()
                });
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
