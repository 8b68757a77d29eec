//! Which numbers a version of a preset means, once it was chosen: what somebody has by a version is never something else later.

use safelight_model::clock::Micros;
use safelight_model::preset::Preset;

use crate::error::CatalogError;
use crate::transaction::Tx;
use crate::value::Row;
use crate::values;

/// The numbers of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// The longer edge in pixels.
    pub long_edge: i64,
    /// The encoder's quality.
    pub quality: i64,
}

/// Writes down what this version means, unless that is written down already; what it means from the first time on.
///
/// # Errors
/// What the database says.
pub async fn choose(tx: &mut Tx<'_>, preset: &Preset, at: Micros) -> Result<Numbers, CatalogError> {
    let (version, long_edge, quality) = (
        i64::from(preset.version),
        i64::from(preset.long_edge),
        i64::from(preset.quality),
    );
    tx.exec(
        "INSERT INTO preset_versions (name, version, long_edge, quality, chosen_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (name, version) DO NOTHING",
        values![preset.name, version, long_edge, quality, at],
    )
    .await?;
    // It was written just now, if not before.
    let written = find(tx, preset).await?;
    written.ok_or(CatalogError::Refused(sqlx::Error::RowNotFound))
}

/// What a version means, if it was chosen.
///
/// # Errors
/// What the database says.
pub async fn find(tx: &mut Tx<'_>, preset: &Preset) -> Result<Option<Numbers>, CatalogError> {
    let written = tx
        .row(
            "SELECT long_edge, quality FROM preset_versions WHERE name = $1 AND version = $2",
            values![preset.name, i64::from(preset.version)],
        )
        .await?;
    let numbers = |row: Row| -> Result<Numbers, CatalogError> {
        Ok(Numbers {
            long_edge: row.int(0)?,
            quality: row.int(1)?,
        })
    };
    written.map(numbers).transpose()
}

/// Names and versions of all that was ever chosen.
///
/// # Errors
/// What the database says.
pub async fn all(tx: &mut Tx<'_>) -> Result<Vec<(String, i64)>, CatalogError> {
    tx.rows("SELECT name, version FROM preset_versions", &[])
        .await?
        .iter()
        .map(|row| Ok((row.text(0)?, row.int(1)?)))
        .collect()
}
