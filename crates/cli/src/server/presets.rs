//! By which versions of presets pictures are made, by tenant.

use safelight_catalog::CatalogError;
use safelight_catalog::preset_versions::{self, Numbers};
use safelight_model::per_tenant::PerTenant;
use safelight_model::preset::Preset;
use safelight_model::tenant_presets::{TenantPresets, numbers};
use safelight_service::context::Context;

use super::settings::Resolved;

impl Resolved {
    /// By which versions of presets pictures are made.
    pub fn presets(&self) -> anyhow::Result<PerTenant<TenantPresets>> {
        PerTenant::of_setting(self.text("presets"))
            .map_err(|error| self.wrong("presets", &format!("readable: {error}")))
    }

    /// Whether what is made of pictures says whose they are.
    pub fn rendition_copyright(&self) -> anyhow::Result<PerTenant<bool>> {
        let is_yes = |word: &str| match word {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        };
        PerTenant::read(self.text("rendition_copyright"), false, is_yes).ok_or_else(|| {
            self.wrong(
                "rendition_copyright",
                "yes or no, perhaps with others for single tenants: no,ten_a=yes",
            )
        })
    }
}

/// Holds the versions of the settings against what they meant so far, and writes down those that are new. Before anything is made by them.
///
/// # Errors
/// A version means something else already: to links and caches out there, and perhaps to another server.
pub async fn choose(context: &Context) -> anyhow::Result<()> {
    let (own, at) = (context.settings.presets.own(), context.now());
    let chosen = context.catalog.write::<_, ChooseError, _>(move |tx| {
        Box::pin(async move {
            for preset in own {
                let means = preset_versions::choose(tx, &preset, at).await?;
                if !is(&preset, means) {
                    // Then none of them is written down.
                    return Err(ChooseError::Otherwise(preset, means));
                }
            }
            Ok(())
        })
    });
    Ok(chosen.await?)
}

/// Holds the versions of the settings against what the servers chose, and writes nothing down.
///
/// # Errors
/// A version means something else, or no server has chosen it yet.
pub async fn check(context: &Context) -> anyhow::Result<()> {
    let mut reader = context.catalog.reader().await?;
    for preset in context.settings.presets.own() {
        match preset_versions::find(&mut reader.tx(), &preset).await? {
            None => anyhow::bail!(ChooseError::Nowhere(preset)),
            Some(means) if !is(&preset, means) => {
                anyhow::bail!(ChooseError::Otherwise(preset, means))
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn is(preset: &Preset, means: Numbers) -> bool {
    (i64::from(preset.long_edge), i64::from(preset.quality)) == (means.long_edge, means.quality)
}

/// Why versions were not chosen.
#[derive(Debug, thiserror::Error)]
enum ChooseError {
    /// One of them means something else.
    #[error(
        "presets: {}@{} cannot be {}, since it was {}/{} before, and pictures, links and caches go by the version: give the new numbers a higher one",
        .0.name, .0.version, numbers(.0), .1.long_edge, .1.quality
    )]
    Otherwise(Preset, Numbers),
    /// Nobody makes anything by it.
    #[error(
        "presets: no server has {}@{} yet: start the servers with the same presets first, which make the pictures, then repeat this",
        .0.name, .0.version
    )]
    Nowhere(Preset),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

#[cfg(test)]
mod tests {
    use crate::server::settings::SettingArgs;
    use crate::server::settings::tests::resolved;

    #[test]
    fn presets_are_a_text_or_a_list() {
        for file in [
            "presets = \"display@2:1440/78,ten_a=large@2:2560/82\"",
            "presets = [\"display@2:1440/78\", \"ten_a=large@2:2560/82\"]",
        ] {
            let found = resolved(SettingArgs::default(), &[], Some(file)).unwrap();
            let presets = found.presets().unwrap();
            assert_eq!(presets.of("ten_a").large.long_edge, 2560);
            assert_eq!(presets.of("ten_b").large.long_edge, 2048);
            assert_eq!(presets.of("ten_b").display.quality, 78);
        }
        let env = [("SAFELIGHT_RENDITION_COPYRIGHT", "no,ten_a=yes")];
        let found = resolved(SettingArgs::default(), &env, None).unwrap();
        let names = found.rendition_copyright().unwrap();
        assert_eq!((names.of("ten_a"), names.of("ten_b")), (true, false));
        let env = [("SAFELIGHT_RENDITION_COPYRIGHT", "perhaps")];
        let error = resolved(SettingArgs::default(), &env, None).unwrap_err();
        assert!(error.to_string().contains("yes or no"), "{error}");
        let env = [("SAFELIGHT_PRESETS", "display@1:1440/78")];
        let error = resolved(SettingArgs::default(), &env, None).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("built-in") && error.contains("SAFELIGHT_PRESETS"),
            "{error}"
        );
    }
}
