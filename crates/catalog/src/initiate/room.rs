//! How much an owner may have open at once, so that no client that went wrong opens uploads without bound.
//!
//! What is open is counted along `uploads_open_by_owner`, in the transaction that adds to it, and no further than to the limit.
//! The count is exact: SQLite has one writer, and on PostgreSQL initiations of one owner wait for one another ([`lock`]). Who
//! has nothing open may always initiate one capture, however small the limit is: what is refused has room once
//! something of the owner's has arrived, was given up or has expired.

use std::collections::{BTreeSet, HashMap};

use crate::batch::{Given, query};
use crate::error::CatalogError;
use crate::initiate::FreshCapture;
use crate::initiate::lookup::Known;
use crate::transaction::Tx;
use crate::value::Value;

/// How much one owner may have open at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenLimit {
    /// Uploads; 0 for any number.
    pub uploads: i64,
    /// What they declare together, in bytes; 0 for any number. Those whose length is not known yet count as 0.
    pub size_bytes: i64,
}

impl OpenLimit {
    fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// Why a capture's uploads have no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// Uploads that are open; where there are more than the limit allows, as many as that.
    pub uploads: i64,
    /// What those declare together, in bytes.
    pub size_bytes: i64,
    /// The limit.
    pub limit: OpenLimit,
}

/// What an owner has open.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Open {
    uploads: i64,
    size_bytes: i64,
}

impl Open {
    /// As the question answers it: number and bytes, with a blank between.
    pub(super) fn read(text: &str) -> Result<Self, CatalogError> {
        let numbers = text.split_once(' ').and_then(|(uploads, size_bytes)| {
            Some(Self {
                uploads: uploads.parse().ok()?,
                size_bytes: size_bytes.parse().ok()?,
            })
        });
        numbers.ok_or_else(|| CatalogError::Unknown {
            column: "open uploads",
            value: text.to_owned(),
        })
    }
}

/// The owners whose uploads are limited, each once and always in the same order.
fn owners(fresh: &[FreshCapture]) -> Option<Given> {
    let owners: BTreeSet<(&String, &String)> = fresh
        .iter()
        .filter(|c| !c.open_limit.is_none())
        .map(|c| (&c.tenant_id, &c.owner_id))
        .collect();
    (!owners.is_empty()).then(|| Given {
        name: "owners",
        rows: owners
            .into_iter()
            .map(|(tenant_id, owner_id)| vec![Value::from(tenant_id), Value::from(owner_id)])
            .collect(),
        width: 2,
    })
}

/// Has initiations of the same owners wait until the end of this transaction, and waits for theirs. Only the next statement sees
/// what they did. Of two owners with the same hash the one waits for the other too, which is harmless.
pub(super) async fn lock(tx: &mut Tx<'_>, fresh: &[FreshCapture]) -> Result<(), CatalogError> {
    if !tx.is_postgres() {
        return Ok(());
    }
    if let Some(owners) = owners(fresh) {
        let select = "SELECT CAST(pg_advisory_xact_lock(hashtextextended(column1 || '/' || column2, 17)) AS TEXT) FROM owners";
        query(tx, "", vec![owners], select)?.fetch(tx).await?;
    }
    Ok(())
}

/// A further question for what is there already: what these owners have open. `None` where nobody's uploads are limited.
pub(super) fn question(fresh: &[FreshCapture]) -> Option<(Given, String)> {
    let owners = owners(fresh)?;
    // More need not be counted than lets nothing in.
    let uploads = fresh.iter().map(|c| match c.open_limit.uploads {
        limit if limit > 0 => limit,
        _ => i64::MAX,
    });
    let most = uploads.max().unwrap_or(i64::MAX);
    let select = format!(
        "
   UNION ALL
  SELECT 'open', owners.column1, owners.column2, '',
         (SELECT CAST(COUNT(*) AS TEXT) || ' ' || CAST(COALESCE(SUM(counted.size_bytes), 0) AS TEXT)
            FROM (SELECT u.size_bytes FROM uploads u
                   WHERE u.tenant_id = owners.column1 AND u.owner_id = owners.column2 AND u.state || '' = 'open'
                   LIMIT {most}) AS counted), NULL
    FROM owners
   WHERE owners.column1 IS NOT NULL"
    );
    Some((owners, select))
}

/// What the owners of a batch have open, with what the batch itself opens.
pub(super) struct Rooms<'a> {
    known: &'a Known,
    taken: HashMap<(&'a str, &'a str), Open>,
}

impl<'a> Rooms<'a> {
    pub(super) fn of(known: &'a Known) -> Self {
        Self {
            known,
            taken: HashMap::new(),
        }
    }

    /// Takes room for a capture's uploads of these sizes: for all or none.
    pub(super) fn take(
        &mut self,
        c: &'a FreshCapture,
        sizes: impl Iterator<Item = i64>,
    ) -> Result<(), Full> {
        let limit = c.open_limit;
        if limit.is_none() {
            return Ok(());
        }
        let (tenant_id, owner_id) = (c.tenant_id.as_str(), c.owner_id.as_str());
        let open = self.taken.entry((tenant_id, owner_id)).or_insert_with(|| {
            let counted = self.known.open.get(tenant_id, owner_id, "");
            counted.copied().unwrap_or_default()
        });
        let (mut uploads, mut size_bytes) = (open.uploads, open.size_bytes);
        for size in sizes {
            uploads += 1;
            size_bytes = size_bytes.saturating_add(size);
        }
        let adds = uploads > open.uploads;
        let is_over = (limit.uploads > 0 && uploads > limit.uploads)
            || (limit.size_bytes > 0 && size_bytes > limit.size_bytes);
        if adds && open.uploads > 0 && is_over {
            return Err(Full {
                uploads: open.uploads,
                size_bytes: open.size_bytes,
                limit,
            });
        }
        *open = Open {
            uploads,
            size_bytes,
        };
        Ok(())
    }
}
