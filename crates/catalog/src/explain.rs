//! For tests of what planners make of our questions: whatever they know, and however many rows there are.

use safelight_testkit::postgres::Cluster;

use crate::connect::{Catalog, CatalogSettings};
use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::value::Value;

/// An empty catalog on SQLite; its directory lives as long as what comes with it.
pub(crate) async fn sqlite() -> (Catalog, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("catalog.db").display());
    let catalog = Catalog::open(CatalogSettings::for_url(&url)).await.unwrap();
    (catalog, directory)
}

/// An empty catalog on PostgreSQL. Needs a runtime of several threads.
pub(crate) async fn postgres() -> Catalog {
    let url = tokio::task::block_in_place(|| Cluster::shared().unwrap().fresh_database().unwrap());
    Catalog::open(CatalogSettings::for_url(&url)).await.unwrap()
}

/// Carries out a statement.
pub(crate) async fn write(catalog: &Catalog, sql: impl Into<String>) {
    let sql = sql.into();
    catalog
        .write::<_, CatalogError, _>(move |tx| Box::pin(async move { tx.exec(&sql, &[]).await }))
        .await
        .unwrap();
}

/// A table of one column, `n`, from 1 to `last`.
pub(crate) fn numbers(last: usize) -> String {
    format!(
        "(WITH RECURSIVE seq (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < {last}) \
          SELECT n FROM seq) AS numbers"
    )
}

/// What has to stand before a question for its plan, and the column that the plan's text is in.
pub(crate) fn explain(tx: &Tx<'_>) -> (&'static str, usize) {
    if tx.is_postgres() {
        ("EXPLAIN ", 0)
    } else {
        ("EXPLAIN QUERY PLAN ", 3)
    }
}

/// The plan of a question, a step on each line.
pub(crate) async fn plan(
    tx: &mut Tx<'_>,
    sql: &str,
    values: &[Value],
) -> Result<String, CatalogError> {
    let (before, column) = explain(tx);
    let mut plan = String::new();
    for row in tx.rows(&format!("{before}{sql}"), values).await? {
        plan.push_str(&row.text(column)?);
        plan.push('\n');
    }
    Ok(plan)
}
