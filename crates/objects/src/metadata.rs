//! What objects say of themselves, so that an orphan can be told from what belongs to someone.

use std::collections::BTreeMap;

/// Metadata of an object: names without S3's `x-amz-meta-` prefix, lower case.
pub type Metadata = BTreeMap<String, String>;

const TENANT: &str = "safelight-tenant";
const ASSET: &str = "safelight-asset";
const CATALOG: &str = "safelight-catalog";

/// The metadata that every object carries: whose it is, and which catalog knows of it, if that has an id. Tenants of two
/// catalogs may have the same id; catalogs have not.
#[must_use]
pub fn ownership(catalog: &str, tenant: &str, asset: &str) -> Metadata {
    let mut metadata = BTreeMap::from([
        (TENANT.to_owned(), tenant.to_owned()),
        (ASSET.to_owned(), asset.to_owned()),
    ]);
    if !catalog.is_empty() {
        metadata.insert(CATALOG.to_owned(), catalog.to_owned());
    }
    metadata
}

/// The catalog that an object says it belongs to. What an earlier version stored does not say.
#[must_use]
pub fn catalog_of(metadata: &Metadata) -> Option<&str> {
    metadata.get(CATALOG).map(String::as_str)
}

/// The tenant that an object says it belongs to.
#[must_use]
pub fn tenant_of(metadata: &Metadata) -> Option<&str> {
    metadata.get(TENANT).map(String::as_str)
}
