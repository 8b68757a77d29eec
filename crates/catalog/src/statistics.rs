//! What SQLite's planner is told of our tables.
//!
//! Without statistics it takes any equality on the first column of an index to leave ten rows (`sqlite3DefaultRowEst`), and so it
//! reads all rows of a tenant by the primary key, where another index leads to the one that is asked for: nearly every
//! index of ours begins with the tenant, and on a laptop there is one. Statistics from `ANALYZE` would come too late, since a
//! table is empty when the first question is prepared, and would change plans under the feet of whoever tested them. So
//! the planner is told once what holds for a large catalog (<https://sqlite.org/fileformat2.html#stat1tab>), and every
//! catalog has the same plans.

use sqlx::{Connection as _, Row as _, SqliteConnection};

/// Rows of every table.
const ROWS: u64 = 1_000_000;
/// Rows that an index holds which is of some of them only.
const SOME_ROWS: u64 = 10_000;

/// Into how many parts rows fall by a column.
fn parts(column: &str) -> u64 {
    match column {
        // One tenant may have all.
        "tenant_id" => 1,
        "lane" | "class" | "kind" | "way" | "preset" | "tag" => 10,
        "owner_id" | "scope" | "caller" | "album_id" => 1_000,
        _ => 100_000,
    }
}

/// One index: its table, the name that statistics have for it, and what they say.
#[derive(Debug, PartialEq, Eq)]
struct Statistic {
    table: String,
    index: String,
    text: String,
}

/// The rows of an index, and how many of them share a value of its first column, of its first two, and so on.
fn text(columns: &[String], is_unique: bool, is_partial: bool) -> String {
    let rows = if is_partial { SOME_ROWS } else { ROWS };
    let mut left = rows;
    let mut numbers = vec![rows.to_string()];
    for (at, column) in columns.iter().enumerate() {
        left = (left / parts(column)).max(2);
        let is_whole = is_unique && at + 1 == columns.len();
        numbers.push(if is_whole { 1 } else { left }.to_string());
    }
    numbers.join(" ")
}

async fn wanted(conn: &mut SqliteConnection) -> sqlx::Result<Vec<Statistic>> {
    let indexes = sqlx::query(
        "SELECT t.name, i.name, i.\"unique\", i.origin, i.partial
           FROM sqlite_schema t JOIN pragma_index_list(t.name) i
          WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name NOT LIKE '\\_sqlx%' ESCAPE '\\'
          ORDER BY t.name, i.name",
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut wanted = Vec::with_capacity(indexes.len());
    for index in indexes {
        let (table, name): (String, String) = (index.try_get(0)?, index.try_get(1)?);
        let (is_unique, is_partial): (bool, bool) = (index.try_get(2)?, index.try_get(4)?);
        let origin: String = index.try_get(3)?;
        let columns: Vec<String> =
            sqlx::query_scalar("SELECT name FROM pragma_index_info($1) ORDER BY seqno")
                .bind(&name)
                .fetch_all(&mut *conn)
                .await?;
        wanted.push(Statistic {
            text: text(&columns, is_unique, is_partial),
            // The primary key of a table without row ids goes by the table's name.
            index: if origin == "pk" { table.clone() } else { name },
            table,
        });
    }
    Ok(wanted)
}

async fn present(conn: &mut SqliteConnection) -> sqlx::Result<Vec<Statistic>> {
    let there = "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'";
    let there: i64 = sqlx::query_scalar(there).fetch_one(&mut *conn).await?;
    if there == 0 {
        return Ok(Vec::new());
    }
    let rows = sqlx::query("SELECT tbl, idx, stat FROM sqlite_stat1 ORDER BY tbl, idx")
        .fetch_all(&mut *conn)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Statistic {
                table: row.try_get(0)?,
                index: row.try_get::<Option<String>, _>(1)?.unwrap_or_default(),
                text: row.try_get(2)?,
            })
        })
        .collect()
}

/// Writes the statistics of all indexes, unless they stand there. Connections that are open go on without them.
///
/// # Errors
/// What the database says.
pub(crate) async fn tell(conn: &mut SqliteConnection) -> sqlx::Result<()> {
    let mut wanted = wanted(conn).await?;
    wanted.sort_by(|a, b| (&a.table, &a.index).cmp(&(&b.table, &b.index)));
    if present(conn).await? == wanted {
        return Ok(());
    }
    let mut tx = conn.begin_with("BEGIN IMMEDIATE").await?;
    // The only way to make the table that statistics are in.
    sqlx::query("ANALYZE tenants").execute(&mut *tx).await?;
    sqlx::query("DELETE FROM sqlite_stat1")
        .execute(&mut *tx)
        .await?;
    for statistic in &wanted {
        sqlx::query("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ($1, $2, $3)")
            .bind(&statistic.table)
            .bind(&statistic.index)
            .bind(&statistic.text)
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    // Has this connection read them.
    sqlx::query("ANALYZE sqlite_schema")
        .execute(&mut *conn)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain;
    use crate::values;

    #[test]
    fn an_index_is_described_column_by_column() {
        let columns = ["tenant_id", "owner_id", "asset_id"].map(str::to_owned);
        assert_eq!(text(&columns, false, false), "1000000 1000000 1000 2");
        assert_eq!(text(&columns, true, false), "1000000 1000000 1000 1");
        assert_eq!(text(&columns[2..], false, true), "10000 2");
    }

    #[tokio::test]
    async fn rows_of_an_asset_are_found_by_it_in_an_empty_catalog() {
        let (catalog, _directory) = explain::sqlite().await;
        let mut reader = catalog.reader().await.unwrap();
        for (sql, index) in [
            (
                "SELECT * FROM uploads WHERE tenant_id = $1 AND asset_id = $2",
                "uploads_by_asset (tenant_id=? AND asset_id=?)",
            ),
            (
                "SELECT * FROM resources WHERE tenant_id = $1 AND blob_id = $2",
                "resources_by_blob (tenant_id=? AND blob_id=?)",
            ),
            (
                "SELECT * FROM jobs WHERE tenant_id = $1 AND subject_id = $2",
                "jobs_by_subject (tenant_id=? AND subject_id=?)",
            ),
        ] {
            let plan = explain::plan(&mut reader.tx(), sql, values!["a", "b"])
                .await
                .unwrap();
            assert!(plan.contains(index), "{plan}");
        }
    }
}
