//! What objects say of themselves, so that an orphan can be told from what belongs to someone.

use std::collections::BTreeMap;

/// Metadata of an object: names without S3's `x-amz-meta-` prefix, lower case.
pub type Metadata = BTreeMap<String, String>;

/// The metadata that every object carries: whose it is.
#[must_use]
pub fn ownership(tenant: &str, asset: &str) -> Metadata {
    BTreeMap::from([
        ("safelight-tenant".to_owned(), tenant.to_owned()),
        ("safelight-asset".to_owned(), asset.to_owned()),
    ])
}
