//! Has clips given what there was not when they came: a preview, pieces for HTTP Live Streaming. What is there is not made anew: pieces
//! are cut of the stream that is stored.

use safelight_catalog::renditions::{self, Rendition};
use safelight_catalog::{CatalogError, Tx, blobs, file_metadata};
use safelight_model::codes::Code;
use safelight_model::cost_class::CostClass;
use safelight_model::file_metadata::Harmless;
use safelight_model::job::JobKind;
use safelight_model::preset::{HLS, HLS_FROM_S, PLAYED, PLAYED_OF_LONG, Preset, STREAM};

use super::rederive::Outcome;
use crate::context::{Context, Owner};
use crate::queue::enqueue::enqueue_costing;

/// Asks for what a clip lacks of what is played; of one preset only, if one is named. `None`: it is being removed.
///
/// # Errors
/// What the catalog says.
pub(super) async fn ask(
    tx: &mut Tx<'_>,
    context: &Context,
    owner: &Owner,
    blob_id: &str,
    only: Option<&str>,
) -> Result<Option<Outcome>, CatalogError> {
    let tenant_id = owner.tenant_id.as_str();
    let meant = meant(tx, tenant_id, blob_id, only).await?;
    let known = renditions::of_blob(tx, tenant_id, blob_id).await?;
    match lacking(&known, &meant) {
        Lacking::Nothing => return Ok(Some(Outcome::Ready)),
        Lacking::Damaged => return Ok(Some(Outcome::Failed)),
        Lacking::Some(_) => {}
    }
    // The job before the blob, in the order in which a worker that ends the one before has them.
    let (class, kind) = (CostClass::Video, JobKind::Transcode);
    let is_new = enqueue_costing(tx, context, class, kind, owner, blob_id).await?;
    if blobs::hold(tx, tenant_id, blob_id).await?.is_none() {
        return Ok(None);
    }
    let known = renditions::of_blob(tx, tenant_id, blob_id).await?;
    if let Lacking::Some(presets) = lacking(&known, &meant) {
        let now = context.now();
        for preset in presets {
            if !renditions::expect(tx, tenant_id, blob_id, &preset, now).await? {
                renditions::expect_again(tx, tenant_id, blob_id, &preset, now).await?;
            }
        }
    }
    Ok(Some(match is_new {
        true => Outcome::Asked,
        false => Outcome::Waiting,
    }))
}

/// What a clip lacks.
enum Lacking {
    Nothing,
    /// What cannot be made.
    Damaged,
    /// What can.
    Some(Vec<Preset>),
}

/// What is lacking of what is meant.
fn lacking(known: &[Rendition], meant: &[Preset]) -> Lacking {
    let row_of = |preset: &Preset| known.iter().find(|r| is_of(r, preset));
    let is_ready = |preset: &Preset| row_of(preset).is_some_and(|r| r.state == "ready");
    let is_damaged = |preset: &Preset| {
        let reason = row_of(preset).and_then(|r| r.reason_code.as_deref());
        reason == Some(Code::MediaCorrupt.as_str())
    };
    let mut lacking: Vec<Preset> = meant.iter().filter(|p| !is_ready(p)).copied().collect();
    if lacking.is_empty() {
        return Lacking::Nothing;
    }
    // Pieces are cut of the stream.
    let wants_stream = lacking.contains(&HLS) && !lacking.contains(&STREAM) && !is_ready(&STREAM);
    lacking.extend(wants_stream.then_some(STREAM));
    let has_no_stream = is_damaged(&STREAM);
    lacking.retain(|p| !(is_damaged(p) || has_no_stream && *p == HLS));
    match lacking.is_empty() {
        true => Lacking::Damaged,
        false => Lacking::Some(lacking),
    }
}

fn is_of(row: &Rendition, preset: &Preset) -> bool {
    // Of what is played each stands under its own name.
    row.preset == preset.name && row.version == i64::from(preset.version)
}

/// What is looked for of this clip.
async fn meant(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
    only: Option<&str>,
) -> Result<Vec<Preset>, CatalogError> {
    let played: &[Preset] = match may_run_long(tx, tenant_id, blob_id).await? {
        true => &PLAYED_OF_LONG,
        false => &PLAYED,
    };
    let is_meant = |p: &&Preset| only.is_none_or(|name| name == p.name);
    Ok(played.iter().filter(is_meant).copied().collect())
}

/// Whether it may run so long that it is played in pieces: what was read of its file may say nothing of that (very large files are not
/// read, and those that were written in fragments do not say), and then its stream is looked at.
async fn may_run_long(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    blob_id: &str,
) -> Result<bool, CatalogError> {
    let kept = file_metadata::of_blobs(tx, tenant_id, &[blob_id]).await?;
    let told = kept.get(blob_id);
    let told = told.and_then(|k| serde_json::from_str::<Harmless>(&k.harmless).ok());
    let seconds = told
        .and_then(|t| t.duration_ms)
        .map(|ms| ms as f64 / 1000.0);
    Ok(seconds.is_none_or(|s| s == 0.0 || s > HLS_FROM_S))
}

#[cfg(test)]
mod tests {
    use safelight_model::clock::Micros;
    use safelight_model::preset::PREVIEW_CLIP;

    use super::*;

    fn row(preset: &Preset, state: &str, reason: Option<Code>) -> Rendition {
        Rendition {
            blob_id: "blb".to_owned(),
            preset: preset.name.to_owned(),
            version: i64::from(preset.version),
            state: state.to_owned(),
            object_key: None,
            etag: None,
            width: None,
            height: None,
            size_bytes: None,
            reason_code: reason.map(|code| code.as_str().to_owned()),
            reason_detail: None,
            updated_at: Micros(0),
        }
    }

    #[test]
    fn what_can_be_made_is_lacking() {
        let (ready, slow, damaged) = (
            ("ready", None),
            ("failed", Some(Code::DecodeTimeout)),
            ("failed", Some(Code::MediaCorrupt)),
        );
        let pending = ("pending", None);
        for (stream, hls, meant, expected) in [
            (Some(ready), Some(ready), &[STREAM, HLS][..], Some(&[][..])),
            (Some(ready), None, &[STREAM, HLS], Some(&[HLS])),
            (Some(ready), Some(pending), &[HLS], Some(&[HLS])),
            (Some(ready), Some(slow), &[HLS], Some(&[HLS])),
            (Some(ready), Some(damaged), &[HLS], None),
            // Without a stream there are no pieces.
            (None, None, &[HLS], Some(&[HLS, STREAM])),
            (Some(slow), None, &[HLS], Some(&[HLS, STREAM])),
            (Some(pending), None, &[STREAM, HLS], Some(&[STREAM, HLS])),
            (Some(damaged), None, &[STREAM, HLS], None),
            (Some(damaged), Some(slow), &[HLS], None),
            (
                Some(damaged),
                None,
                &[PREVIEW_CLIP, HLS],
                Some(&[PREVIEW_CLIP]),
            ),
        ] {
            let rows = [(&STREAM, stream), (&HLS, hls)];
            let rows = rows.into_iter().filter_map(|(p, of)| Some((p, of?)));
            let known: Vec<_> = rows.map(|(p, (state, why))| row(p, state, why)).collect();
            let found = match lacking(&known, meant) {
                Lacking::Nothing => Some(Vec::new()),
                Lacking::Damaged => None,
                Lacking::Some(presets) => Some(presets),
            };
            assert_eq!(found.as_deref(), expected, "{stream:?}, {hls:?}, {meant:?}");
        }
    }
}
