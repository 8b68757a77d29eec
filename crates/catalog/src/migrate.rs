//! The schema. Migrations only add; what is no longer used goes a version later, so that two
//! versions can run side by side.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

const SQLITE: [(i64, &str, &str); 4] = [
    (
        1,
        "first",
        include_str!("../migrations/sqlite/0001_first.sql"),
    ),
    (
        2,
        "fences",
        include_str!("../migrations/sqlite/0002_fences.sql"),
    ),
    (
        3,
        "stores",
        include_str!("../migrations/sqlite/0003_stores.sql"),
    ),
    (
        6,
        "looks",
        include_str!("../migrations/sqlite/0006_looks.sql"),
    ),
];
const POSTGRES: [(i64, &str, &str); 4] = [
    (
        1,
        "first",
        include_str!("../migrations/postgres/0001_first.sql"),
    ),
    (
        2,
        "fences",
        include_str!("../migrations/postgres/0002_fences.sql"),
    ),
    (
        3,
        "stores",
        include_str!("../migrations/postgres/0003_stores.sql"),
    ),
    (
        6,
        "looks",
        include_str!("../migrations/postgres/0006_looks.sql"),
    ),
];

/// The schema version that this program works with.
pub const SCHEMA_VERSION: i64 = SQLITE[SQLITE.len() - 1].0;

fn migrator(steps: &[(i64, &'static str, &'static str)]) -> Migrator {
    Migrator::with_migrations(
        steps
            .iter()
            .map(|(version, name, sql)| {
                Migration::new(
                    *version,
                    Cow::Borrowed(*name),
                    MigrationType::Simple,
                    AssertSqlSafe(*sql).into_sql_str(),
                    false,
                )
            })
            .collect(),
    )
}

pub(crate) fn sqlite() -> Migrator {
    migrator(&SQLITE)
}

pub(crate) fn postgres() -> Migrator {
    migrator(&POSTGRES)
}
