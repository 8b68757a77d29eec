//! Which of what is stored is sent for a link that names no format, or not even a size.
//!
//! Delivery decodes nothing: it chooses among what is there. For a client that shows JPEG only, and a preset that is stored in other
//! formats, the JPEG is asked for by a job, and the next larger one that there is is sent until then. Squares and pictures of clips are
//! there in one format, which is sent to everyone.

use safelight_catalog::assets::Asset;
use safelight_catalog::renditions::Rendition;
use safelight_catalog::{CatalogError, Tx, jobs};
use safelight_model::cost_class::CostClass;
use safelight_model::job::JobKind;
use safelight_model::preset::{DISPLAY, Format, POSTER, Preset, Shape};
use safelight_model::variant;

use super::accept::Accepted;
use super::hints::Wanted;
use crate::context::{Context, Owner};
use crate::queue::enqueue::enqueue_costing;

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// Its row.
    pub(super) row: Rendition,
    /// What it was made by.
    pub(super) preset: Preset,
    /// Whether it stands for what is to be made yet.
    pub(super) is_stopgap: bool,
}

/// What comes of a question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// What is sent, if there is anything that the client shows.
    pub(super) choice: Option<Choice>,
    /// What is to be made, if it is not being made already.
    pub(super) missing: Option<Preset>,
}

/// The preset that a client with this screen is sent, of those that are there in whatever format.
pub(super) fn size(made: &[Rendition], wanted: Wanted) -> Option<Preset> {
    let mut sizes = Vec::new();
    for preset in variant::SIZES {
        let mut there = ready(made).filter(|(_, p)| is_format_of(p, &preset));
        let columns = there.find_map(|(row, _)| u32::try_from(row.width?).ok());
        sizes.extend(columns.map(|columns| (preset, columns)));
    }
    let columns: Vec<u32> = sizes.iter().map(|(_, columns)| *columns).collect();
    let usual = sizes.iter().position(|(p, _)| p.name == DISPLAY.name);
    let chosen = wanted.choose(&columns, usual.unwrap_or(0))?;
    sizes.get(chosen).map(|(preset, _)| *preset)
}

/// The best of what is there of `preset`.
pub(super) fn format(made: &[Rendition], preset: &Preset, accepted: Accepted) -> Outcome {
    let shown = || ready(made).filter(|(_, p)| accepted.wants(p.format).is_some());
    let best = shown()
        .filter(|(_, p)| is_format_of(p, preset))
        .max_by_key(|(_, p)| accepted.wants(p.format));
    // Who names formats, and none of these, is sent what there is: better than nothing (RFC 9110, section 12.4.1).
    let own = || {
        let is_modern = accepted.wants(Format::Jpeg).is_none();
        ready(made).find(|(_, p)| is_modern && p == preset)
    };
    if let Some((row, of)) = best.or_else(own) {
        return Outcome {
            choice: Some(chosen(row, of, false)),
            missing: None,
        };
    }
    let is_clip = made.iter().any(|row| row.preset == POSTER.name);
    let missing = variant::ON_REQUEST
        .into_iter()
        .filter(|p| !is_clip && is_format_of(p, preset))
        .find(|p| {
            !made
                .iter()
                .any(|row| is_row_of(row, p) && row.state == "failed")
        });
    // A part stands for no part but itself.
    let is_whole = preset.shape == Shape::Whole;
    let larger = shown()
        .filter(|(_, p)| is_whole && variant::SIZES.iter().any(|size| is_format_of(p, size)))
        .filter(|(_, p)| p.long_edge >= preset.long_edge)
        .min_by_key(|(_, p)| p.long_edge);
    // Of what cannot be had in another format there is no better answer either.
    let only = || ready(made).find(|(_, p)| missing.is_none() && p == preset);
    Outcome {
        choice: larger
            .or_else(only)
            .map(|(row, of)| chosen(row, of, missing.is_some())),
        // Where nothing is there at all nothing was derived yet.
        missing: missing.filter(|_| ready(made).any(|(_, p)| is_format_of(&p, preset))),
    }
}

fn chosen(row: &Rendition, preset: Preset, is_stopgap: bool) -> Choice {
    Choice {
        row: row.clone(),
        preset,
        is_stopgap,
    }
}

fn ready(made: &[Rendition]) -> impl Iterator<Item = (&Rendition, Preset)> {
    made.iter()
        .filter(|row| row.state == "ready")
        .filter_map(|row| {
            let version = u32::try_from(row.version).ok()?;
            Some((row, variant::of_slot(&row.preset, version)?))
        })
}

fn is_row_of(row: &Rendition, preset: &Preset) -> bool {
    row.preset == variant::slot(preset) && row.version == i64::from(preset.version)
}

/// Whether both are the same preset, whatever their formats.
fn is_format_of(one: &Preset, other: &Preset) -> bool {
    (one.name, one.version) == (other.name, other.version)
}

/// Whether a job is to make the JPEG of this asset's renditions, or does.
pub(super) async fn is_asked_for(tx: &mut Tx<'_>, asset: &Asset) -> Result<bool, CatalogError> {
    let blob_id = asset.blob.as_ref().map_or("", |b| b.blob_id.as_str());
    jobs::is_live(tx, &asset.tenant_id, blob_id, JobKind::DeriveJpeg).await
}

/// Asks for the JPEG of this asset's renditions. What is deleted meanwhile is found so by the job.
pub(super) async fn ask(context: &Context, asset: &Asset) -> Result<(), CatalogError> {
    let Some(blob) = asset.blob.clone() else {
        return Ok(());
    };
    let owner = Owner {
        tenant_id: asset.tenant_id.clone(),
        owner_id: asset.owner_id.clone(),
    };
    let asking = context.clone();
    let asked = context.catalog.write(move |tx| {
        Box::pin(async move {
            let class = CostClass::of_picture(blob.mime.as_deref(), blob.width, blob.height);
            let (kind, blob_id) = (JobKind::DeriveJpeg, &blob.blob_id);
            enqueue_costing(tx, &asking, class, kind, &owner, blob_id).await
        })
    });
    asked.await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use safelight_model::preset::{COVER, LARGE, SQUARE};
    use safelight_model::variant::{COVER_JPEG, DISPLAY_AVIF, DISPLAY_JPEG};

    use super::*;

    fn row(preset: &Preset, state: &str) -> Rendition {
        Rendition {
            blob_id: "blb".to_owned(),
            preset: variant::slot(preset).to_owned(),
            version: i64::from(preset.version),
            state: state.to_owned(),
            object_key: None,
            etag: None,
            width: Some(i64::from(preset.long_edge)),
            height: Some(1),
            size_bytes: None,
            reason_code: None,
            reason_detail: None,
        }
    }

    fn rows(presets: &[Preset]) -> Vec<Rendition> {
        presets.iter().map(|p| row(p, "ready")).collect()
    }

    fn accepted(accept: &str) -> Accepted {
        let mut headers = HeaderMap::new();
        headers.insert("accept", accept.parse().unwrap());
        Accepted::of(&headers)
    }

    fn sent(made: &[Rendition], preset: Preset, accept: &str) -> (Option<Preset>, Option<Preset>) {
        let outcome = format(made, &preset, accepted(accept));
        let is_stopgap = outcome.choice.as_ref().is_some_and(|c| c.is_stopgap);
        assert!(!is_stopgap || outcome.missing.is_some());
        (outcome.choice.map(|c| c.preset), outcome.missing)
    }

    const CHROME: &str = "image/avif,image/webp,image/apng,image/*,*/*;q=0.8";

    #[test]
    fn the_best_that_is_there_is_sent() {
        let mut made = rows(&[COVER, DISPLAY, LARGE]);
        assert_eq!(sent(&made, DISPLAY, CHROME), (Some(DISPLAY), None));
        assert_eq!(sent(&made, LARGE, CHROME), (Some(LARGE), None));
        made.push(row(&DISPLAY_AVIF, "ready"));
        assert_eq!(sent(&made, DISPLAY, CHROME), (Some(DISPLAY_AVIF), None));
        assert_eq!(
            sent(&made, DISPLAY, "image/webp,*/*"),
            (Some(DISPLAY), None)
        );
        assert_eq!(
            sent(&made, DISPLAY, "image/avif"),
            (Some(DISPLAY_AVIF), None)
        );
        assert_eq!(sent(&made, COVER, CHROME), (Some(COVER), None));
        assert_eq!(sent(&made, COVER, "image/avif"), (Some(COVER), None));
    }

    #[test]
    fn jpeg_is_made_for_who_shows_nothing_else() {
        let mut made = rows(&[COVER, DISPLAY, LARGE, DISPLAY_AVIF]);
        assert_eq!(sent(&made, LARGE, "*/*"), (Some(LARGE), None));
        assert_eq!(
            sent(&made, DISPLAY, "*/*"),
            (Some(LARGE), Some(DISPLAY_JPEG))
        );
        assert_eq!(sent(&made, COVER, "*/*"), (Some(LARGE), Some(COVER_JPEG)));
        made.push(row(&DISPLAY_JPEG, "ready"));
        assert_eq!(sent(&made, DISPLAY, "*/*"), (Some(DISPLAY_JPEG), None));
        assert_eq!(
            sent(&made, COVER, "*/*"),
            (Some(DISPLAY_JPEG), Some(COVER_JPEG))
        );
        made.push(row(&COVER_JPEG, "failed"));
        assert_eq!(sent(&made, COVER, "*/*"), (Some(DISPLAY_JPEG), None));
        // Who shows more does without.
        assert_eq!(
            sent(&made, COVER, "image/jpeg,image/webp;q=0.1"),
            (Some(COVER), None)
        );
    }

    #[test]
    fn a_square_is_never_the_whole_picture() {
        let made = rows(&[COVER, DISPLAY, LARGE, SQUARE]);
        for accept in [CHROME, "image/jpeg", "*/*"] {
            assert_eq!(sent(&made, SQUARE, accept), (Some(SQUARE), None));
        }
    }

    #[test]
    fn pictures_of_clips_are_sent_as_they_are() {
        let made = rows(&[COVER, POSTER]);
        for accept in [CHROME, "image/webp,*/*", "*/*"] {
            assert_eq!(sent(&made, COVER, accept), (Some(COVER), None));
            assert_eq!(sent(&made, POSTER, accept), (Some(POSTER), None));
        }
    }

    #[test]
    fn what_was_not_derived_yet_is_not_there() {
        let made = [
            row(&COVER, "ready"),
            row(&DISPLAY, "pending"),
            row(&LARGE, "pending"),
        ];
        assert_eq!(sent(&made, DISPLAY, CHROME), (None, None));
        assert_eq!(sent(&made, DISPLAY, "*/*"), (None, None));
        // The cover cannot be shown to this one, and is asked for.
        assert_eq!(sent(&made, COVER, "*/*"), (None, Some(COVER_JPEG)));
        assert_eq!(sent(&[], COVER, "*/*"), (None, None));
    }

    #[test]
    fn a_size_is_one_that_is_there() {
        let made = rows(&[COVER, DISPLAY, LARGE, DISPLAY_AVIF]);
        let wide = |columns| Wanted {
            columns: Some(columns),
            saves: false,
        };
        for (wanted, expected) in [
            (Wanted::default(), DISPLAY),
            (wide(100), COVER),
            (wide(1080), DISPLAY),
            (wide(1200), LARGE),
            (wide(9000), LARGE),
        ] {
            assert_eq!(size(&made, wanted), Some(expected), "{wanted:?}");
        }
        let only_cover = rows(&[COVER]);
        assert_eq!(size(&only_cover, wide(9000)), Some(COVER));
        assert_eq!(size(&only_cover, Wanted::default()), Some(COVER));
        assert_eq!(size(&[row(&COVER, "pending")], Wanted::default()), None);
    }
}
