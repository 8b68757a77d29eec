//! Tenants that settings name and the catalog does not know: mostly a slip of the keyboard, and the tenant that is meant goes by
//! what holds for all.

use std::collections::BTreeSet;

use safelight_catalog::{CatalogError, keys};
use safelight_model::per_tenant::PerTenant;
use safelight_service::context::{Context, ServiceSettings};

/// Warns of each.
///
/// # Errors
/// What the catalog says.
pub async fn warn_of_unknown(context: &Context) -> Result<(), CatalogError> {
    let named = named(&context.settings);
    if named.is_empty() {
        return Ok(());
    }
    let known = keys::tenants(&mut context.catalog.reader().await?.tx()).await?;
    for (setting, tenant_id) in named {
        if !known.iter().any(|known| known == tenant_id) {
            tracing::warn!(
                setting,
                tenant_id,
                "a setting names a tenant that there is none of: it holds for nobody"
            );
        }
    }
    Ok(())
}

/// Settings and the tenants that they name.
fn named(settings: &ServiceSettings) -> BTreeSet<(&'static str, &str)> {
    fn of<'a, T>(
        setting: &'static str,
        values: &'a PerTenant<T>,
    ) -> impl Iterator<Item = (&'static str, &'a str)> {
        let tenants = values.of_tenants.keys();
        tenants.map(move |tenant| (setting, tenant.as_str()))
    }
    let media = &settings.media;
    of("presets", &settings.presets)
        .chain(of("metadata_policy", &settings.metadata_policies))
        .chain(of("rendition_copyright", &settings.rendition_copyright))
        .chain(of("max_file_bytes", &media.max_file_bytes))
        .chain(of("max_pixels", &media.max_pixels))
        .chain(of("max_frames", &media.max_frames))
        .chain(of("max_clip_seconds", &media.max_clip_seconds))
        .chain(of("sandbox_memory_bytes", &media.sandbox_memory_bytes))
        .collect()
}
