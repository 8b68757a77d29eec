//! Many rows in one statement.

use std::fmt::Write as _;

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::value::{Row, Value};

/// Rows in one statement at most. Below it, statements come in powers of two, so that few distinct
/// ones exist and each stays prepared.
const LARGEST: usize = 64;

/// `($1, $2), ($3, $4), …` for `rows` rows of `columns` values; `(?, ?), (?, ?), …` for SQLite, which
/// looks for the name of every numbered one by going through all.
fn tuples(rows: usize, columns: usize, numbered: bool) -> String {
    let mut sql = String::with_capacity(rows * columns * 6);
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            sql.push_str(if column == 0 { "" } else { ", " });
            if numbered {
                let _ = write!(sql, "${}", row * columns + column + 1);
            } else {
                sql.push('?');
            }
        }
        sql.push(')');
    }
    sql
}

/// Runs `before VALUES (…), (…) after` for all of `rows`, in as few statements as fit; the rows returned.
pub(crate) async fn run(
    tx: &mut Tx<'_>,
    before: &str,
    rows: Vec<Vec<Value>>,
    after: &str,
) -> Result<Vec<Row>, CatalogError> {
    let mut out = Vec::new();
    let mut rest = rows.len();
    let columns = rows.first().map_or(0, Vec::len);
    let mut values = rows.into_iter().flatten();
    while rest > 0 {
        let size = (1 << rest.ilog2()).min(LARGEST);
        let sql = format!(
            "{before} VALUES {} {after}",
            tuples(size, columns, tx.is_postgres())
        );
        let flat: Vec<Value> = values.by_ref().take(size * columns).collect();
        out.extend(tx.rows(&sql, &flat).await?);
        rest -= size;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #[test]
    fn tuples_number_their_values() {
        assert_eq!(super::tuples(2, 2, true), "($1, $2), ($3, $4)");
        assert_eq!(super::tuples(2, 2, false), "(?, ?), (?, ?)");
        assert_eq!(super::tuples(1, 1, true), "($1)");
    }
}
