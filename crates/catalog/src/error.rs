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
            Self::Url(_) | Self::Refused(_) | Self::Unknown { .. } | Self::Migrate(_) => {
                Code::Internal
            }
        }
    }

    /// Whether the same call may succeed at once.
    #[must_use]
    pub fn is_contended(&self) -> bool {
        matches!(self, Self::Contended(_))
    }
}

impl From<sqlx::Error> for CatalogError {
    fn from(error: sqlx::Error) -> Self {
        let code = error
            .as_database_error()
            .and_then(|e| e.code())
            .map(|c| c.into_owned());
        match code.as_deref() {
            // PostgreSQL: serialization_failure, deadlock_detected. SQLite: BUSY and its extensions.
            Some("40001" | "40P01" | "5" | "261" | "517") => Self::Contended(error),
            // PostgreSQL: disk_full. SQLite: FULL.
            Some("53100" | "13") => Self::DiskFull,
            // PostgreSQL: shutting down, cannot connect now, too many connections.
            Some("57P01" | "57P02" | "57P03" | "53300") => Self::Unavailable(error),
            Some(_) => Self::Refused(error),
            None => match &error {
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
                | sqlx::Error::Protocol(_) => Self::Unavailable(error),
                _ => Self::Refused(error),
            },
        }
    }
}
