//! The plan policy of an operator: defaults, and what a file says instead.

use anyhow::{Context as _, anyhow, bail};
use safelight_model::plan::Policy;

use super::settings::Resolved;

/// The policy in force. What is wrong in the file is said with its name.
pub fn read(settings: &Resolved) -> anyhow::Result<Policy> {
    let mut policy = Policy::default();
    if settings.text("plan_policy").is_empty() {
        return Ok(policy);
    }
    let path = settings.path("plan_policy");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {} (from plan_policy)", path.display()))?;
    let table: toml::Table = text
        .parse()
        .map_err(|e: toml::de::Error| anyhow!("{}: {}", path.display(), e.message()))?;
    for (name, value) in table {
        let Some(value) = value.as_integer().and_then(|n| u64::try_from(n).ok()) else {
            bail!("{}: {name} must be a whole number", path.display());
        };
        policy
            .set(&name, value)
            .with_context(|| path.display().to_string())?;
    }
    policy.check().with_context(|| path.display().to_string())?;
    Ok(policy)
}
