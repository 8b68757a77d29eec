//! A transaction, or a reading connection: the same calls on both databases.

use safelight_model::clock::Micros;
use sqlx::{AssertSqlSafe, PgConnection, SqliteConnection};

use crate::bells::{EVENTS_CHANNEL, JOBS_CHANNEL, Rung, notify};
use crate::connect::TimeSource;
use crate::error::CatalogError;
use crate::value::{Column, Row, Value};

pub(crate) enum Conn<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

/// The statements of one transaction.
///
/// SQL comes from this crate's own text, with `$1`, `$2` … for every value from outside.
pub struct Tx<'c> {
    pub(crate) conn: Conn<'c>,
    pub(crate) time: &'c TimeSource,
    /// Which bells are to be rung after the commit.
    pub(crate) rung: Rung,
    /// A statement failed. Nothing of this write must be kept then, whatever it answers: PostgreSQL takes
    /// all of it back, and its COMMIT does not say so.
    pub(crate) failed: bool,
}

macro_rules! bound {
    ($sql:expr, $args:expr) => {{
        let mut query = sqlx::query(AssertSqlSafe($sql));
        for value in $args {
            query = match value {
                Value::Int(v) => query.bind(*v),
                Value::Text(v) => query.bind(v.as_deref()),
            };
        }
        query
    }};
}

fn has_nul(text: &str) -> bool {
    text.as_bytes().contains(&0)
}

/// Refuses what only one of the databases would store.
fn storable(args: &[Value]) -> Result<(), CatalogError> {
    let nul = |v: &Value| matches!(v, Value::Text(Some(text)) if has_nul(text));
    if args.iter().any(nul) {
        return Err(CatalogError::Nul);
    }
    Ok(())
}

impl Tx<'_> {
    /// Whether this is PostgreSQL, for the few statements that differ.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        matches!(self.conn, Conn::Postgres(_))
    }

    fn heed<T>(&mut self, answer: Result<T, sqlx::Error>) -> Result<T, CatalogError> {
        self.failed |= answer.is_err();
        answer.map_err(CatalogError::from)
    }

    /// Runs a statement; how many rows it changed.
    ///
    /// # Errors
    /// What the database says.
    pub async fn exec(&mut self, sql: &str, args: &[Value]) -> Result<u64, CatalogError> {
        storable(args)?;
        let done = match &mut self.conn {
            Conn::Sqlite(c) => {
                let done = bound!(sql, args).execute(&mut **c).await;
                done.map(|d| d.rows_affected())
            }
            Conn::Postgres(c) => {
                let done = bound!(sql, args).execute(&mut **c).await;
                done.map(|d| d.rows_affected())
            }
        };
        self.heed(done)
    }

    /// Runs a query; all its rows.
    ///
    /// # Errors
    /// What the database says.
    pub async fn rows(&mut self, sql: &str, args: &[Value]) -> Result<Vec<Row>, CatalogError> {
        storable(args)?;
        let rows = match &mut self.conn {
            Conn::Sqlite(c) => {
                let rows = bound!(sql, args).fetch_all(&mut **c).await;
                rows.map(|all| all.into_iter().map(Row::Sqlite).collect())
            }
            Conn::Postgres(c) => {
                let rows = bound!(sql, args).fetch_all(&mut **c).await;
                rows.map(|all| all.into_iter().map(Row::Postgres).collect())
            }
        };
        self.heed(rows)
    }

    /// Runs a query of PostgreSQL whose parameters are arrays, one for each column; all its rows.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn rows_of_columns(
        &mut self,
        sql: &str,
        columns: Vec<Column>,
    ) -> Result<Vec<Row>, CatalogError> {
        let Conn::Postgres(c) = &mut self.conn else {
            return Err(CatalogError::Refused(sqlx::Error::Configuration(
                "arrays are of PostgreSQL only".into(),
            )));
        };
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for column in columns {
            query = match column {
                Column::Int(all) => query.bind(all),
                Column::Text(all) => {
                    if all.iter().flatten().any(|text| has_nul(text)) {
                        return Err(CatalogError::Nul);
                    }
                    query.bind(all)
                }
            };
        }
        let rows = query.fetch_all(&mut **c).await;
        self.heed(rows.map(|all| all.into_iter().map(Row::Postgres).collect()))
    }

    /// Runs a query; its first row, if any.
    ///
    /// # Errors
    /// What the database says.
    pub async fn row(&mut self, sql: &str, args: &[Value]) -> Result<Option<Row>, CatalogError> {
        storable(args)?;
        let row = match &mut self.conn {
            Conn::Sqlite(c) => {
                let row = bound!(sql, args).fetch_optional(&mut **c).await;
                row.map(|found| found.map(Row::Sqlite))
            }
            Conn::Postgres(c) => {
                let row = bound!(sql, args).fetch_optional(&mut **c).await;
                row.map(|found| found.map(Row::Postgres))
            }
        };
        self.heed(row)
    }

    /// The one clock for leases: the database's own, or the injected one.
    ///
    /// # Errors
    /// What the database says.
    pub async fn now(&mut self) -> Result<Micros, CatalogError> {
        if let TimeSource::Injected(clock) = self.time {
            return Ok(clock.now());
        }
        let row = self
            .row(
                "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
                &[],
            )
            .await?;
        row.map_or(Err(CatalogError::Refused(sqlx::Error::RowNotFound)), |r| {
            r.at(0)
        })
    }

    /// Asks that workers be woken once this transaction is committed.
    ///
    /// # Errors
    /// What the database says.
    pub async fn ring(&mut self) -> Result<(), CatalogError> {
        if !self.rung.jobs && self.is_postgres() {
            self.exec(&notify(JOBS_CHANNEL), &[]).await?;
        }
        self.rung.jobs = true;
        Ok(())
    }

    /// Asks that the sequencer of this process be woken once this transaction is committed. Other
    /// processes are not told: a NOTIFY in every write that records an event would have all commits of
    /// PostgreSQL wait for one another.
    pub(crate) fn ring_recorded(&mut self) {
        self.rung.recorded = true;
        self.outdate_mark();
    }

    /// Says that something is written which a copy of the catalog made before this would miss, to the harm of what is stored:
    /// the mark ([`crate::catalog_mark`]) is to be raised after the commit.
    pub(crate) fn outdate_mark(&mut self) {
        self.rung.outdated = true;
    }

    /// Asks that readers of events, of every process, be woken once this transaction is committed.
    pub(crate) async fn ring_sequenced(&mut self) -> Result<(), CatalogError> {
        if !self.rung.sequenced && self.is_postgres() {
            self.exec(&notify(EVENTS_CHANNEL), &[]).await?;
        }
        self.rung.sequenced = true;
        Ok(())
    }
}
