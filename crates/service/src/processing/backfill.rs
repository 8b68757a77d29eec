//! How much of what an upgrade has left to do is asked for at once: enough to keep many workers busy from one look to the next, and so
//! little that the queue is not full of it.

use std::collections::{BTreeMap, BTreeSet};

use safelight_catalog::{CatalogError, Tx};
use safelight_model::job::JobKind;

use crate::queue::enqueue::asked_for;

/// So many jobs of a kind wait at most, and are looked for at once.
pub(super) const AT_ONCE: i64 = 500;
/// So many are asked for in one commit, so that it holds up no other.
pub(crate) const PER_COMMIT: usize = 100;

/// The first [`PER_COMMIT`] of what was found that nobody has asked for yet; `key` names a tenant and a blob of it.
///
/// # Errors
/// What the database says.
pub(super) async fn not_asked_for<T>(
    tx: &mut Tx<'_>,
    kind: JobKind,
    mut found: Vec<T>,
    key: impl Fn(&T) -> (&str, &str),
) -> Result<Vec<T>, CatalogError> {
    let mut of_tenants: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (tenant_id, blob_id) in found.iter().map(&key) {
        of_tenants.entry(tenant_id).or_default().push(blob_id);
    }
    let mut asked: BTreeSet<(String, String)> = BTreeSet::new();
    for (tenant_id, blobs) in of_tenants {
        let of_tenant = asked_for(tx, tenant_id, kind, &blobs).await?;
        asked.extend(
            of_tenant
                .into_iter()
                .map(|b| (tenant_id.to_owned(), b.to_owned())),
        );
    }
    found.retain(|one| {
        let (tenant_id, blob_id) = key(one);
        !asked.contains(&(tenant_id.to_owned(), blob_id.to_owned()))
    });
    found.truncate(PER_COMMIT);
    Ok(found)
}
