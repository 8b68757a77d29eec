//! Every migration runs on a catalog that has rows from every version before it: none is lost or changed, and what is filled in
//! for them is right.

use std::collections::BTreeMap;

use safelight_testkit::postgres::Cluster;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};

use super::{POSTGRES, SQLITE, Step, migrator};

/// Rows that each version adds to every table.
const ROWS: usize = 10;
/// The states of uploads, in turn.
const UPLOADS: [&str; 5] = ["open", "completing", "completed", "aborted", "expired"];
/// The states of assets, in turn.
const ASSETS: [&str; 3] = ["ready", "uploading", "deleted"];

enum Database {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// A column that can be written: its name, and whether it holds text.
type Columns = Vec<(String, bool)>;
/// What stands in them.
type Content = Vec<Vec<Option<String>>>;

impl Database {
    fn steps(&self) -> &'static [Step] {
        match self {
            Self::Sqlite(_) => SQLITE,
            Self::Postgres(_) => POSTGRES,
        }
    }

    async fn migrate(&mut self, steps: &[Step]) {
        let migrator = migrator(steps);
        let done = match self {
            Self::Sqlite(conn) => migrator.run(conn).await,
            Self::Postgres(conn) => migrator.run(conn).await,
        };
        done.unwrap_or_else(|e| panic!("{}: {e}", steps[steps.len() - 1].1));
    }

    async fn write(&mut self, sql: String) {
        let sql = AssertSqlSafe(sql);
        match self {
            Self::Sqlite(conn) => drop(sqlx::raw_sql(sql).execute(conn).await.unwrap()),
            Self::Postgres(conn) => drop(sqlx::raw_sql(sql).execute(conn).await.unwrap()),
        }
    }

    /// Rows of a query whose columns are all texts.
    async fn read(&mut self, sql: String) -> Content {
        let sql = AssertSqlSafe(sql);
        match self {
            Self::Sqlite(conn) => {
                let rows = sqlx::query(sql).fetch_all(conn).await.unwrap();
                let row = |r: &sqlx::sqlite::SqliteRow| (0..r.len()).map(|i| r.get(i)).collect();
                rows.iter().map(row).collect()
            }
            Self::Postgres(conn) => {
                let rows = sqlx::query(sql).fetch_all(conn).await.unwrap();
                let row = |r: &sqlx::postgres::PgRow| (0..r.len()).map(|i| r.get(i)).collect();
                rows.iter().map(row).collect()
            }
        }
    }

    /// The tables with their columns, but for those that the database computes.
    async fn tables(&mut self) -> BTreeMap<String, Columns> {
        let sql = match self {
            Self::Sqlite(_) => {
                "SELECT t.name, c.name, c.type FROM sqlite_schema t JOIN pragma_table_xinfo(t.name) c
                  WHERE t.type = 'table' AND c.hidden = 0 AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
                    AND t.name NOT LIKE '\\_sqlx%' ESCAPE '\\'
                  ORDER BY t.name, c.cid"
            }
            Self::Postgres(_) => {
                "SELECT table_name::TEXT, column_name::TEXT, data_type::TEXT FROM information_schema.columns
                  WHERE table_schema = current_schema() AND is_generated = 'NEVER' AND table_name NOT LIKE '\\_sqlx%'
                  ORDER BY table_name, ordinal_position"
            }
        };
        let mut tables: BTreeMap<String, Columns> = BTreeMap::new();
        for row in self.read(sql.to_owned()).await {
            let [Some(table), Some(column), Some(kind)] = &row[..] else {
                panic!("{row:?}");
            };
            let is_text = match kind.to_lowercase().as_str() {
                "text" => true,
                "integer" | "bigint" => false,
                other => panic!("{table}.{column} is {other}: say here what is put into it"),
            };
            let columns = tables.entry(table.clone()).or_default();
            columns.push((column.clone(), is_text));
        }
        tables
    }

    /// Adds rows to every table: the numbered ones belong together, since what has one name has one value in all tables.
    async fn fill(&mut self, numbers: std::ops::Range<usize>) {
        for (table, columns) in self.tables().await {
            let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
            let rows: Vec<String> = numbers
                .clone()
                .map(|n| {
                    let values = columns.iter().map(|c| literal(&table, c, n));
                    format!("({})", values.collect::<Vec<_>>().join(", "))
                })
                .collect();
            self.write(format!(
                "INSERT INTO {table} ({}) VALUES {}",
                names.join(", "),
                rows.join(", ")
            ))
            .await;
        }
    }

    /// What stands in these columns of a table.
    async fn content(&mut self, table: &str, columns: &Columns) -> Content {
        let texts: Vec<String> = columns
            .iter()
            .map(|(name, _)| format!("CAST({name} AS TEXT)"))
            .collect();
        let sql = format!("SELECT {} FROM {table}", texts.join(", "));
        let mut rows = self.read(sql).await;
        rows.sort();
        rows
    }
}

fn literal(table: &str, (column, is_text): &(String, bool), n: usize) -> String {
    match (table, column.as_str()) {
        ("uploads", "state") => format!("'{}'", UPLOADS[n % UPLOADS.len()]),
        ("uploads", "cleared_at") => "NULL".to_owned(),
        ("assets", "state") => format!("'{}'", ASSETS[n % ASSETS.len()]),
        ("blobs", "state") => "'live'".to_owned(),
        ("blobs", "verdict") => "'clean'".to_owned(),
        (_, "kind") => "'primary'".to_owned(),
        // What was there before this column was given the first numbers.
        ("events", "arrival") => (n + 1_000).to_string(),
        _ if *is_text => format!("'{column} {n}'"),
        _ => n.to_string(),
    }
}

async fn sqlite() -> (Database, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let url = format!(
        "sqlite://{}?mode=rwc",
        directory.path().join("catalog.db").display()
    );
    let conn = SqliteConnection::connect(&url).await.unwrap();
    (Database::Sqlite(conn), directory)
}

async fn postgres() -> Database {
    let url = tokio::task::block_in_place(|| Cluster::shared().unwrap().fresh_database().unwrap());
    Database::Postgres(PgConnection::connect(&url).await.unwrap())
}

async fn every_migration_keeps_what_is_there(mut database: Database) {
    let steps = database.steps();
    let mut before: BTreeMap<String, (Columns, Content)> = BTreeMap::new();
    for at in 0..steps.len() {
        database.migrate(&steps[..=at]).await;
        for (table, (columns, rows)) in &before {
            let now = database.content(table, columns).await;
            assert!(
                rows.len() >= ROWS && now == *rows,
                "{}: {table}",
                steps[at].1
            );
        }
        database.fill(at * ROWS..(at + 1) * ROWS).await;
        for (table, columns) in database.tables().await {
            let rows = database.content(&table, &columns).await;
            before.insert(table, (columns, rows));
        }
    }
}

/// A catalog of this version with rows, brought up to date.
async fn upgraded(database: &mut Database, from: i64) {
    let steps = database.steps();
    let old = steps.iter().take_while(|(number, _, _)| *number <= from);
    database.migrate(&steps[..old.count()]).await;
    database.fill(0..ROWS * 3).await;
    database.migrate(steps).await;
}

/// The rows of a query with a number and a text each.
async fn pairs(database: &mut Database, sql: &str) -> Vec<(usize, Option<String>)> {
    let rows = database.read(sql.to_owned()).await;
    assert_eq!(rows.len(), ROWS * 3);
    let pair = |row: Vec<Option<String>>| {
        let n = row[0].as_deref().and_then(|id| id.rsplit(' ').next());
        (n.unwrap().parse().unwrap(), row[1].clone())
    };
    rows.into_iter().map(pair).collect()
}

async fn uploads_are_given_their_looks(mut database: Database) {
    upgraded(&mut database, 5).await;
    let sql = "SELECT upload_id, CAST(look_at AS TEXT) FROM uploads";
    for (n, look_at) in pairs(&mut database, sql).await {
        let expected = (UPLOADS[n % UPLOADS.len()] != "completed").then(|| n.to_string());
        assert_eq!(look_at, expected, "{n}");
    }
}

async fn assets_are_given_their_capture_times(mut database: Database) {
    upgraded(&mut database, 7).await;
    let sql = "SELECT asset_id, CAST(captured_at AS TEXT) FROM assets";
    for (n, captured_at) in pairs(&mut database, sql).await {
        let expected = (ASSETS[n % ASSETS.len()] != "deleted").then(|| n.to_string());
        assert_eq!(captured_at, expected, "{n}");
    }
}

async fn unfinished_uploads_are_given_their_hashes(mut database: Database) {
    upgraded(&mut database, 9).await;
    let sql = "SELECT upload_id, sha256 FROM uploads";
    for (n, sha256) in pairs(&mut database, sql).await {
        let is_unfinished = ["open", "completing"].contains(&UPLOADS[n % UPLOADS.len()]);
        let expected = is_unfinished.then(|| format!("sha256 {n}"));
        assert_eq!(sha256, expected, "{n}");
    }
}

async fn pictures_are_still_to_be_hashed(mut database: Database) {
    upgraded(&mut database, 13).await;
    let left = "SELECT blob_id, CAST(hash_sought_at AS TEXT) FROM blobs WHERE picture_hash IS NULL";
    for (n, sought_at) in pairs(&mut database, left).await {
        assert_eq!(sought_at, None, "{n}");
    }
}

/// Makes a test on each database of every function named.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => { $(
        mod $name {
            #[tokio::test]
            async fn on_sqlite() {
                let (database, _directory) = super::sqlite().await;
                super::$name(database).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_postgres() {
                super::$name(super::postgres().await).await;
            }
        }
    )+ };
}

on_both!(
    every_migration_keeps_what_is_there,
    uploads_are_given_their_looks,
    assets_are_given_their_capture_times,
    unfinished_uploads_are_given_their_hashes,
    pictures_are_still_to_be_hashed,
);
