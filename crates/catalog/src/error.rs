//! What can go wrong with the database.

use safelight_model::codes::Code;

/// A fault of the database, or of what stands in it.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The URL names no database that this version knows.
    #[error(
        "catalog URL {0:?} is not understood: use sqlite:///path/catalog.db or postgres://user@host/name"
    )]
    Url(String),
    /// The database cannot be reached or gave up; the same call may succeed later.
    #[error("the catalog does not answer: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// The disk of the database is full.
    #[error("the catalog's disk is full")]
    DiskFull,
    /// Two transactions stood in each other's way; the call may be tried again at once.
    #[error("the catalog's transaction lost a race: {0}")]
    Contended(#[source] sqlx::Error),
    /// The database refused a statement, or a row is not what this version expects.
    #[error("the catalog refused: {0}")]
    Refused(#[source] sqlx::Error),
    /// A row holds a value that this version does not know.
    #[error("the catalog holds {value:?} in {column}, which this version does not know")]
    Unknown {
        /// The column.
        column: &'static str,
        /// What stands there.
        value: String,
    },
    /// A text holds U+0000, which PostgreSQL cannot store. Refused on every database, so that they agree.
    #[error("a text holds the character U+0000, which cannot be stored")]
    Nul,
    /// The code of a write panicked; what it had written was taken back.
    #[error("a write to the catalog panicked")]
    Panicked,
    /// A statement of a write failed, and the write went on as if it had not; all of it was taken back.
    #[error("a write to the catalog ignored that one of its statements had failed")]
    Swallowed,
    /// A migration failed or is missing.
    #[error(
        "the catalog's schema: {0}; run `safelight migrate`, or use the version of Safelight that made it"
    )]
    Migrate(#[source] sqlx::migrate::MigrateError),
}

impl CatalogError {
    /// The stable code for it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unavailable(_) | Self::Contended(_) => Code::CatalogUnavailable,
            Self::DiskFull => Code::DiskFull,
            Self::Nul => Code::ValidationFailed,
            Self::Url(_)
            | Self::Refused(_)
            | Self::Unknown { .. }
            | Self::Panicked
            | Self::Swallowed
            | Self::Migrate(_) => Code::Internal,
        }
    }

    /// Whether the same call may succeed at once.
    #[must_use]
    pub fn is_contended(&self) -> bool {
        matches!(self, Self::Contended(_))
    }
}

/// What a database's error code tells of.
enum Kind {
    Contended,
    DiskFull,
    Unavailable,
    Refused,
}

/// By SQLSTATE (PostgreSQL 16, appendix A).
fn kind_on_postgres(code: &str) -> Kind {
    match code {
        // serialization_failure, deadlock_detected, lock_not_available.
        "40001" | "40P01" | "55P03" => Kind::Contended,
        // disk_full.
        "53100" => Kind::DiskFull,
        // query_canceled, read_only_sql_transaction (a server that became a standby).
        "57014" | "25006" => Kind::Unavailable,
        // connection_exception, insufficient_resources, shutting down or starting up, system_error.
        _ if ["08", "53", "57P", "58"]
            .iter()
            .any(|c| code.starts_with(c)) =>
        {
            Kind::Unavailable
        }
        _ => Kind::Refused,
    }
}

/// By extended result code (sqlite.org/rescode.html), whose low byte is the primary one.
fn kind_on_sqlite(code: &str) -> Kind {
    match code.parse::<u32>().unwrap_or(0) & 0xff {
        // BUSY, LOCKED.
        5 | 6 => Kind::Contended,
        // FULL.
        13 => Kind::DiskFull,
        // NOMEM, READONLY, INTERRUPT, IOERR, CANTOPEN, PROTOCOL.
        7 | 8 | 9 | 10 | 14 | 15 => Kind::Unavailable,
        _ => Kind::Refused,
    }
}

impl From<sqlx::Error> for CatalogError {
    fn from(error: sqlx::Error) -> Self {
        let kind = match &error {
            sqlx::Error::Database(told) => {
                let code = told.code().unwrap_or_default();
                if told
                    .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
                    .is_some()
                {
                    kind_on_postgres(&code)
                } else {
                    kind_on_sqlite(&code)
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Protocol(_) => Kind::Unavailable,
            _ => Kind::Refused,
        };
        match kind {
            Kind::Contended => Self::Contended(error),
            Kind::DiskFull => Self::DiskFull,
            Kind::Unavailable => Self::Unavailable(error),
            Kind::Refused => Self::Refused(error),
        }
    }
}
