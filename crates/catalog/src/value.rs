//! Values that go into statements and rows that come out, the same for both databases.

use safelight_model::clock::Micros;
use sqlx::Row as _;

use crate::error::CatalogError;

/// A parameter of a statement. The variants carry the type even when there is no value, since
/// PostgreSQL wants to know it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A BIGINT.
    Int(Option<i64>),
    /// A TEXT.
    Text(Option<String>),
}

impl From<i64> for Value {
    fn from(v: i64) -> Self {
        Self::Int(Some(v))
    }
}

impl From<Option<i64>> for Value {
    fn from(v: Option<i64>) -> Self {
        Self::Int(v)
    }
}

impl From<Micros> for Value {
    fn from(v: Micros) -> Self {
        Self::Int(Some(v.0))
    }
}

impl From<Option<Micros>> for Value {
    fn from(v: Option<Micros>) -> Self {
        Self::Int(v.map(|m| m.0))
    }
}

impl From<&str> for Value {
    fn from(v: &str) -> Self {
        Self::Text(Some(v.to_owned()))
    }
}

impl From<String> for Value {
    fn from(v: String) -> Self {
        Self::Text(Some(v))
    }
}

impl From<&String> for Value {
    fn from(v: &String) -> Self {
        Self::Text(Some(v.clone()))
    }
}

impl From<Option<String>> for Value {
    fn from(v: Option<String>) -> Self {
        Self::Text(v)
    }
}

impl From<&Option<String>> for Value {
    fn from(v: &Option<String>) -> Self {
        Self::Text(v.clone())
    }
}

impl From<Option<&str>> for Value {
    fn from(v: Option<&str>) -> Self {
        Self::Text(v.map(str::to_owned))
    }
}

/// The values of one column in many rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Column {
    /// Of BIGINT.
    Int(Vec<Option<i64>>),
    /// Of TEXT.
    Text(Vec<Option<String>>),
}

/// Turns rows into columns; nothing if a column has values of two types.
pub(crate) fn columns(rows: Vec<Vec<Value>>) -> Option<Vec<Column>> {
    let count = rows.len();
    let mut columns: Vec<Column> = rows
        .first()?
        .iter()
        .map(|value| match value {
            Value::Int(_) => Column::Int(Vec::with_capacity(count)),
            Value::Text(_) => Column::Text(Vec::with_capacity(count)),
        })
        .collect();
    for row in rows {
        for (column, value) in columns.iter_mut().zip(row) {
            match (column, value) {
                (Column::Int(all), Value::Int(v)) => all.push(v),
                (Column::Text(all), Value::Text(v)) => all.push(v),
                _ => return None,
            }
        }
    }
    Some(columns)
}

/// The parameters of a statement, each turned into a [`Value`].
#[macro_export]
macro_rules! values {
    ($($v:expr),* $(,)?) => { &[$($crate::Value::from($v)),*][..] };
}

/// A row of an answer. Columns are read by their place in the SELECT list.
pub enum Row {
    /// From SQLite.
    Sqlite(sqlx::sqlite::SqliteRow),
    /// From PostgreSQL.
    Postgres(sqlx::postgres::PgRow),
}

impl Row {
    /// The TEXT in column `i`.
    ///
    /// # Errors
    /// If it is NULL or of another type.
    pub fn text(&self, i: usize) -> Result<String, CatalogError> {
        Ok(match self {
            Self::Sqlite(r) => r.try_get(i)?,
            Self::Postgres(r) => r.try_get(i)?,
        })
    }

    /// The TEXT or NULL in column `i`.
    ///
    /// # Errors
    /// If it is of another type.
    pub fn maybe_text(&self, i: usize) -> Result<Option<String>, CatalogError> {
        Ok(match self {
            Self::Sqlite(r) => r.try_get(i)?,
            Self::Postgres(r) => r.try_get(i)?,
        })
    }

    /// The BIGINT in column `i`.
    ///
    /// # Errors
    /// If it is NULL or of another type.
    pub fn int(&self, i: usize) -> Result<i64, CatalogError> {
        Ok(match self {
            Self::Sqlite(r) => r.try_get(i)?,
            Self::Postgres(r) => r.try_get(i)?,
        })
    }

    /// The BIGINT or NULL in column `i`.
    ///
    /// # Errors
    /// If it is of another type.
    pub fn maybe_int(&self, i: usize) -> Result<Option<i64>, CatalogError> {
        Ok(match self {
            Self::Sqlite(r) => r.try_get(i)?,
            Self::Postgres(r) => r.try_get(i)?,
        })
    }

    /// The moment in column `i`.
    ///
    /// # Errors
    /// If it is NULL or of another type.
    pub fn at(&self, i: usize) -> Result<Micros, CatalogError> {
        self.int(i).map(Micros)
    }

    /// The moment or NULL in column `i`.
    ///
    /// # Errors
    /// If it is of another type.
    pub fn maybe_at(&self, i: usize) -> Result<Option<Micros>, CatalogError> {
        Ok(self.maybe_int(i)?.map(Micros))
    }
}
