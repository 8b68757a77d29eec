//! Many rows in one statement, and many statements in one call.
//!
//! What a call costs is mostly the way there and back: to PostgreSQL's process, or to the thread that runs
//! SQLite. On PostgreSQL a set of rows is one array for each column, so that one statement serves any
//! number. SQLite takes VALUES, whose length is a power of two, filled up with rows of NULL, so that few
//! distinct statements exist and each stays prepared.

use std::fmt::Write as _;

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::value::{Column, Row, Value, columns};

/// Rows of one INSERT on SQLite at most.
const LARGEST_INSERT: usize = 64;
/// From so many parameters on, SQLite is called: each distinct text is kept with its prepared statements,
/// and they must not become large.
const LARGEST_CALL: usize = 2_048;

/// Rows that a SELECT refers to by a name.
pub(crate) struct Given {
    /// The name.
    pub(crate) name: &'static str,
    /// The rows, each of `width` values.
    pub(crate) rows: Vec<Vec<Value>>,
    /// Values in a row.
    pub(crate) width: usize,
}

/// Rows for a table.
pub(crate) struct Insert {
    /// The table and its columns: `events (tenant_id, event_id)`. The first must not be NULL.
    pub(crate) into: &'static str,
    /// The rows.
    pub(crate) rows: Vec<Vec<Value>>,
}

/// A text with its parameters.
pub(crate) enum Statement {
    Sqlite(String, Vec<Value>),
    Postgres(String, Vec<Column>),
}

impl Statement {
    fn begin(tx: &Tx<'_>) -> Self {
        if tx.is_postgres() {
            Self::Postgres(String::new(), Vec::new())
        } else {
            Self::Sqlite(String::new(), Vec::new())
        }
    }

    fn text(&mut self, text: &str) {
        match self {
            Self::Sqlite(sql, _) | Self::Postgres(sql, _) => sql.push_str(text),
        }
    }

    /// Appends a query of these rows, with the column names `column1`, `column2`, …
    fn rows(&mut self, rows: Vec<Vec<Value>>) -> Result<(), CatalogError> {
        let width = rows.first().map_or(0, Vec::len);
        match self {
            Self::Sqlite(sql, values) => {
                let filled = rows.len().next_power_of_two();
                let fill = (filled - rows.len()) * width;
                values.extend(rows.into_iter().flatten());
                values.extend(std::iter::repeat_n(Value::Text(None), fill));
                // Numbered parameters would be looked for by name, each by going through all.
                let tuple = format!("({})", vec!["?"; width].join(", "));
                let _ = write!(sql, "VALUES {}", vec![tuple; filled].join(", "));
            }
            Self::Postgres(sql, given) => {
                let columns = columns(rows).ok_or_else(|| {
                    CatalogError::Refused(sqlx::Error::Encode(
                        "a column has values of two types".into(),
                    ))
                })?;
                let (mut arrays, mut names) = (String::new(), String::new());
                for (i, column) in columns.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    let kind = match column {
                        Column::Int(_) => "BIGINT",
                        Column::Text(_) => "TEXT",
                    };
                    let _ = write!(arrays, "{comma}${}::{kind}[]", given.len() + i + 1);
                    let _ = write!(names, "{comma}column{}", i + 1);
                }
                let _ = write!(sql, "SELECT * FROM UNNEST({arrays}) AS u({names})");
                given.extend(columns);
            }
        }
        Ok(())
    }

    fn parameters(&self) -> usize {
        match self {
            Self::Sqlite(_, values) => values.len(),
            Self::Postgres(_, columns) => columns.len(),
        }
    }

    /// Runs it, if it says anything; how many rows it changed. On PostgreSQL it counts them itself.
    async fn execute(self, tx: &mut Tx<'_>) -> Result<u64, CatalogError> {
        match self {
            Self::Sqlite(sql, values) if !sql.is_empty() => tx.exec(&sql, &values).await,
            Self::Sqlite(..) => Ok(0),
            Self::Postgres(..) => {
                let rows = self.fetch(tx).await?;
                let changed = rows.first().map_or(Ok(0), |row| row.int(0))?;
                Ok(u64::try_from(changed).unwrap_or(0))
            }
        }
    }

    /// Runs it; all its rows.
    pub(crate) async fn fetch(self, tx: &mut Tx<'_>) -> Result<Vec<Row>, CatalogError> {
        match self {
            Self::Sqlite(sql, values) => tx.rows(&sql, &values).await,
            Self::Postgres(sql, columns) => tx.rows_of_columns(&sql, columns).await,
        }
    }
}

/// The query `select` over rows that are given with it.
pub(crate) fn query(
    tx: &Tx<'_>,
    before: &str,
    given: Vec<Given>,
    select: &str,
) -> Result<Statement, CatalogError> {
    let mut statement = Statement::begin(tx);
    statement.text(before);
    for (i, mut set) in given.into_iter().enumerate() {
        statement.text(if i == 0 { "WITH " } else { ", " });
        statement.text(set.name);
        statement.text(" AS (");
        if set.rows.is_empty() {
            // Equal to nothing.
            set.rows.push(vec![Value::Text(None); set.width]);
        }
        statement.rows(set.rows)?;
        statement.text(")");
    }
    statement.text(" ");
    statement.text(select);
    Ok(statement)
}

/// Inserts all of it, table after table, but for rows that are there already; how many were inserted.
pub(crate) async fn insert(tx: &mut Tx<'_>, inserts: Vec<Insert>) -> Result<u64, CatalogError> {
    let inserts = inserts.into_iter().filter(|i| !i.rows.is_empty());
    if tx.is_postgres() {
        return insert_on_postgres(tx, inserts.collect()).await;
    }
    let mut inserted = 0;
    let mut statement = Statement::begin(tx);
    for Insert { into, rows } in inserts {
        let mut rows = rows.into_iter();
        while rows.len() > 0 {
            statement.text("INSERT INTO ");
            statement.text(into);
            statement.text(" SELECT * FROM (");
            statement.rows(rows.by_ref().take(LARGEST_INSERT).collect())?;
            statement.text(") WHERE column1 IS NOT NULL ON CONFLICT DO NOTHING; ");
            if statement.parameters() >= LARGEST_CALL {
                let full = std::mem::replace(&mut statement, Statement::begin(tx));
                inserted += full.execute(tx).await?;
            }
        }
    }
    inserted += statement.execute(tx).await?;
    Ok(inserted)
}

async fn insert_on_postgres(tx: &mut Tx<'_>, inserts: Vec<Insert>) -> Result<u64, CatalogError> {
    let count = inserts.len();
    if count == 0 {
        return Ok(0);
    }
    let mut statement = Statement::begin(tx);
    for (i, Insert { into, rows }) in inserts.into_iter().enumerate() {
        let with = if i == 0 { "WITH" } else { "," };
        statement.text(&format!("{with} i{i} AS (INSERT INTO {into} "));
        statement.rows(rows)?;
        statement.text(" ON CONFLICT DO NOTHING RETURNING 1)");
    }
    let counts: Vec<String> = (0..count)
        .map(|i| format!("(SELECT COUNT(*) FROM i{i})"))
        .collect();
    statement.text(&format!(" SELECT {}", counts.join(" + ")));
    statement.execute(tx).await
}
