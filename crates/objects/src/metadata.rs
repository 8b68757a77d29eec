//! What objects say of themselves, so that an orphan can be told from what belongs to someone.

use std::collections::BTreeMap;

/// Metadata of an object: names without S3's `x-amz-meta-` prefix, lower case.
pub type Metadata = BTreeMap<String, String>;

const TENANT: &str = "safelight-tenant";
const ASSET: &str = "safelight-asset";

/// The metadata that every object carries: whose it is.
#[must_use]
pub fn ownership(tenant: &str, asset: &str) -> Metadata {
    BTreeMap::from([
        (TENANT.to_owned(), tenant.to_owned()),
        (ASSET.to_owned(), asset.to_owned()),
    ])
}

/// The tenant that an object says it belongs to.
#[must_use]
pub fn tenant_of(metadata: &Metadata) -> Option<&str> {
    metadata.get(TENANT).map(String::as_str)
}
