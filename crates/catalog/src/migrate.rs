//! The schema. Migrations only add; what is no longer used goes a version later, so that two
//! versions can run side by side.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

#[cfg(test)]
mod rows;

/// Number, name and text of each migration of a dialect, in order.
macro_rules! steps {
    ($dialect:literal) => {
        steps!($dialect: (1, "0001_first"), (2, "0002_fences"), (3, "0003_stores"), (4, "0004_append"), (5, "0005_event_positions"), (6, "0006_looks"), (7, "0007_merged"), (9, "0009_albums"), (10, "0010_plan"), (11, "0011_webhooks"), (12, "0012_nonces"), (13, "0013_duplicates"), (14, "0014_near"), (15, "0015_webhooks_free"), (16, "0016_deletions"), (17, "0017_open_uploads"), (18, "0018_deleted_captures"), (19, "0019_cost_classes"), (20, "0020_file_metadata"), (22, "0022_avif"), (24, "0024_best_frames"), (25, "0025_spent"), (26, "0026_seen_anew"), (27, "0027_preset_versions"), (28, "0028_live"), (29, "0029_faces"))
    };
    ($dialect:literal: $(($number:literal, $name:literal)),+) => {
        [$((
            $number,
            $name,
            include_str!(concat!("../migrations/", $dialect, "/", $name, ".sql")),
        )),+]
    };
}

type Step = (i64, &'static str, &'static str);

const SQLITE: &[Step] = &steps!("sqlite");
const POSTGRES: &[Step] = &steps!("postgres");

/// The schema version that this program works with.
pub const SCHEMA_VERSION: i64 = SQLITE[SQLITE.len() - 1].0;

fn migrator(steps: &[Step]) -> Migrator {
    Migrator::with_migrations(
        steps
            .iter()
            .map(|(version, name, sql)| {
                Migration::new(
                    *version,
                    Cow::Borrowed(
                        name.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_'),
                    ),
                    MigrationType::Simple,
                    AssertSqlSafe(*sql).into_sql_str(),
                    false,
                )
            })
            .collect(),
    )
}

pub(crate) fn sqlite() -> Migrator {
    migrator(SQLITE)
}

pub(crate) fn postgres() -> Migrator {
    migrator(POSTGRES)
}
