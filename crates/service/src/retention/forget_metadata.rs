//! Forgets what is private of files' metadata where the tenant's policy no longer keeps it, and what was told of bytes that are gone.

use safelight_catalog::CatalogError;
use safelight_catalog::file_metadata::{Whose, forget_gone, forget_private};

use crate::context::Context;

/// Rows that are changed in one transaction.
const AT_ONCE: i64 = 500;

/// Forgets all of it; of how many files it was. Until that is done policies are held to where it is shown.
///
/// # Errors
/// What the catalog says.
pub async fn forget_metadata(context: &Context) -> Result<usize, CatalogError> {
    let policies = &context.settings.metadata_policies;
    let keeps_others = policies.of_others.keeps_private();
    // Those that are treated otherwise than tenants without a policy of their own.
    let others = policies.of_tenants.iter();
    let tenants: Vec<String> = others
        .filter(|(_, policy)| policy.keeps_private() != keeps_others)
        .map(|(tenant_id, _)| tenant_id.clone())
        .collect();
    let gone = context
        .catalog
        .write(|tx| Box::pin(async move { forget_gone(tx).await }));
    let mut forgotten = usize::try_from(gone.await?).unwrap_or(usize::MAX);
    loop {
        let tenants = tenants.clone();
        let done = context.catalog.write(move |tx| {
            Box::pin(async move {
                let tenants: Vec<&str> = tenants.iter().map(String::as_str).collect();
                let whose = match keeps_others {
                    true => Whose::Of(&tenants),
                    false => Whose::OfAllBut(&tenants),
                };
                forget_private(tx, whose, AT_ONCE).await
            })
        });
        let done = done.await?;
        forgotten = forgotten.saturating_add(done);
        if done == 0 {
            return Ok(forgotten);
        }
    }
}
