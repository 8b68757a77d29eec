//! Which of what is stored is sent for a link that names no format, or not even a size.
//!
//! Delivery decodes nothing: it chooses among what is there. For a client that shows JPEG only, and a preset that is stored in other
//! formats, the JPEG is asked for by a job, and the next larger one that there is is sent until then. For who would rather have fewer bytes
//! the same goes for `display` at a lower quality, and the next smaller size. Squares and pictures of clips are
//! there in one format, which is sent to everyone.
//!
//! Of a preset whose numbers an operator changed, a picture may be there by an older version only. That is sent for the present one until
//! a job has made this, which is asked for the first time that somebody would have it.

use std::cmp::Reverse;

use safelight_catalog::assets::Asset;
use safelight_catalog::renditions::Rendition;
use safelight_catalog::{CatalogError, Tx};
use safelight_model::cost_class::CostClass;
use safelight_model::job::JobKind;
use safelight_model::preset::{DISPLAY, Format, Label, POSTER, Preset};
use safelight_model::tenant_presets::TenantPresets;
use safelight_model::variant::{self, LEAN};

use super::accept::Accepted;
use super::hints::Wanted;
use crate::context::{Context, Owner};
use crate::queue::enqueue::{self, enqueue_costing};

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// Its row.
    pub(super) row: Rendition,
    /// What it is.
    pub(super) of: Label,
    /// Whether it stands for what is to be made yet.
    pub(super) is_stopgap: bool,
}

/// What comes of a question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// What is sent, if there is anything that the client shows.
    pub(super) choice: Option<Choice>,
    /// What is to be made, if it is not being made already.
    pub(super) missing: Option<Label>,
}

/// The preset that a client with this screen is sent, of those that are there in whatever version and format.
pub(super) fn size(made: &[Rendition], wanted: Wanted, own: &TenantPresets) -> Option<Label> {
    let mut sizes = Vec::new();
    for preset in variant::SIZES {
        let of = present(&preset, own);
        let sent = version_sent(made, &of, own);
        let mut there = ready(made).filter(|(_, l)| l.name == of.name && Some(l.version) == sent);
        let columns = there.find_map(|(row, _)| u32::try_from(row.width?).ok());
        sizes.extend(columns.map(|columns| (of, columns)));
    }
    // By versions apart a larger one may be there that is smaller.
    sizes.sort_by_key(|(_, columns)| *columns);
    let columns: Vec<u32> = sizes.iter().map(|(_, columns)| *columns).collect();
    let usual = sizes.iter().position(|(l, _)| l.name == DISPLAY.name);
    let chosen = wanted.choose(&columns, usual.unwrap_or(0))?;
    sizes.get(chosen).map(|(of, _)| *of)
}

/// Whether a size is still to come, so that another than now may be the one that serves.
pub(super) fn is_growing(made: &[Rendition], own: &TenantPresets) -> bool {
    let mut sizes = variant::SIZES.iter().map(|preset| present(preset, own));
    sizes.any(|size| {
        let mut rows = made.iter().filter(|row| is_row_of(row, &size));
        rows.any(|row| row.state == "pending")
    })
}

/// What is sent for `of` to who would rather have fewer bytes: of `display` the same size at a lower quality, if it is sent in a format that
/// that is made in; else, and until that is there, the next smaller size that is.
pub(super) fn lean(
    made: &[Rendition],
    of: Label,
    accepted: Accepted,
    own: &TenantPresets,
) -> Outcome {
    let lean = own.lean().label();
    let is_for_it = of.name == DISPLAY.name
        && accepted.wants(lean.format).is_some()
        && version_sent(made, &of, own) == Some(lean.version);
    if !is_for_it {
        return format(made, &smaller(made, of, own), accepted, own);
    }
    if let Some((row, label)) = ready(made).find(|(_, l)| *l == lean) {
        // Of a drawing the AVIF may have fewer.
        let usual = format(made, &of, accepted, own);
        let bytes = |row: &Rendition| row.size_bytes.unwrap_or(i64::MAX);
        let is_less = |c: &Choice| !c.is_stopgap && bytes(&c.row) < bytes(row);
        return match usual.choice.as_ref().is_some_and(is_less) {
            true => usual,
            false => Outcome {
                choice: Some(chosen(row, label, false)),
                missing: None,
            },
        };
    }
    let mut outcome = format(made, &smaller(made, of, own), accepted, own);
    if may_come(made, &lean) {
        outcome.missing = Some(lean);
        if let Some(choice) = &mut outcome.choice {
            choice.is_stopgap = true;
        }
    }
    outcome
}

/// The next smaller size than `of` that is there, or the same where there is none.
fn smaller(made: &[Rendition], of: Label, own: &TenantPresets) -> Label {
    let before = variant::SIZES.into_iter().take(rank(&of).unwrap_or(0));
    let mut before = before.rev().map(|preset| present(&preset, own));
    let is_there = |size: &Label| version_sent(made, size, own).is_some();
    before.find(is_there).unwrap_or(of)
}

/// Whether links to this answer otherwise to who would rather have fewer bytes.
pub(super) fn has_smaller(of: &Label) -> bool {
    rank(of).is_some_and(|rank| rank > 0)
}

/// The best of what is there of `of`.
pub(super) fn format(
    made: &[Rendition],
    of: &Label,
    accepted: Accepted,
    own: &TenantPresets,
) -> Outcome {
    let present = own.version(of.name);
    let sent = version_sent(made, of, own);
    // What was derived by another version is shown until the present one is there.
    let renewed = Some(*of).filter(|l| {
        let is_older = sent.is_some_and(|version| version != present);
        is_older && l.version == present && may_come(made, l)
    });
    let of = Label {
        version: sent.unwrap_or(of.version),
        ..*of
    };
    let shown = || ready(made).filter(|(_, l)| accepted.wants(l.format).is_some());
    let best = shown()
        .filter(|(_, l)| l.is_format_of(&of))
        .max_by_key(|(_, l)| accepted.wants(l.format));
    // Who names formats, and none of these, is sent what there is: better than nothing (RFC 9110, section 12.4.1).
    let as_it_is = || {
        let is_modern = accepted.wants(Format::Jpeg).is_none();
        ready(made).find(|(_, l)| is_modern && *l == of)
    };
    if let Some((row, label)) = best.or_else(as_it_is) {
        return Outcome {
            choice: Some(chosen(row, label, renewed.is_some())),
            missing: renewed,
        };
    }
    let is_clip = made.iter().any(|row| row.preset == POSTER.name);
    let jpeg = own
        .on_request()
        .map(|preset| preset.label())
        .into_iter()
        .find(|l| !is_clip && l.is_format_of(&of) && may_come(made, l));
    // A part stands for no part but itself.
    let least = rank(&of);
    let larger = shown()
        .filter(|(_, l)| least.is_some() && rank(l) >= least)
        .min_by_key(|(_, l)| (rank(l), Reverse(l.version)));
    // Of what cannot be had in another format there is no better answer either.
    let only = || ready(made).find(|(_, l)| jpeg.is_none() && *l == of);
    let is_stopgap = renewed.or(jpeg).is_some();
    Outcome {
        choice: larger
            .or_else(only)
            .map(|(row, label)| chosen(row, label, is_stopgap)),
        // Where nothing is there at all nothing was derived yet.
        missing: renewed.or(jpeg.filter(|_| sent.is_some())),
    }
}

fn chosen(row: &Rendition, of: Label, is_stopgap: bool) -> Choice {
    Choice {
        row: row.clone(),
        of,
        is_stopgap,
    }
}

/// What the tenant's present version of a preset makes.
fn present(preset: &Preset, own: &TenantPresets) -> Label {
    Label {
        version: own.version(preset.name),
        ..preset.label()
    }
}

/// Which version is sent of what is asked for: that one where it is there, else the tenant's present one, else the newest.
fn version_sent(made: &[Rendition], of: &Label, own: &TenantPresets) -> Option<u32> {
    let of_name = ready(made).filter(|(_, l)| l.name == of.name);
    let there: Vec<u32> = of_name.map(|(_, l)| l.version).collect();
    let mut wanted = [of.version, own.version(of.name)].into_iter();
    wanted
        .find(|version| there.contains(version))
        .or_else(|| there.iter().max().copied())
}

/// The place among the sizes of the whole picture.
fn rank(of: &Label) -> Option<usize> {
    variant::SIZES.iter().position(|size| size.name == of.name)
}

fn ready(made: &[Rendition]) -> impl Iterator<Item = (&Rendition, Label)> {
    made.iter()
        .filter(|row| row.state == "ready")
        .filter_map(|row| {
            let version = u32::try_from(row.version).ok()?;
            Some((row, variant::of_slot(&row.preset, version)?))
        })
}

fn is_row_of(row: &Rendition, of: &Label) -> bool {
    row.preset == variant::slot(of) && row.version == i64::from(of.version)
}

/// Whether this was not tried in vain.
fn may_come(made: &[Rendition], of: &Label) -> bool {
    let mut rows = made.iter().filter(|row| is_row_of(row, of));
    !rows.any(|row| row.state == "failed")
}

/// The job that makes what is missing: of a preset's own format the one that made the versions before.
fn made_by(missing: &Label) -> JobKind {
    match variant::is_alternative(variant::slot(missing)) {
        true if missing.name == LEAN.name => JobKind::DeriveLean,
        true => JobKind::DeriveJpeg,
        false => JobKind::Derive,
    }
}

/// Whether a job is to make this of an asset, or does.
pub(super) async fn is_asked_for(
    tx: &mut Tx<'_>,
    asset: &Asset,
    missing: &Label,
) -> Result<bool, CatalogError> {
    let blob_id = asset.blob.as_ref().map_or("", |b| b.blob_id.as_str());
    enqueue::is_asked_for(tx, &asset.tenant_id, made_by(missing), blob_id).await
}

/// Asks for what is missing of an asset. What is deleted meanwhile is found so by the job.
pub(super) async fn ask(
    context: &Context,
    asset: &Asset,
    missing: &Label,
) -> Result<(), CatalogError> {
    let Some(blob) = asset.blob.clone() else {
        return Ok(());
    };
    let owner = Owner {
        tenant_id: asset.tenant_id.clone(),
        owner_id: asset.owner_id.clone(),
    };
    let (asking, kind) = (context.clone(), made_by(missing));
    let asked = context.catalog.write(move |tx| {
        Box::pin(async move {
            let class = CostClass::of_picture(blob.mime.as_deref(), blob.width, blob.height);
            enqueue_costing(tx, &asking, class, kind, &owner, &blob.blob_id).await
        })
    });
    asked.await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use safelight_model::clock::Micros;
    use safelight_model::per_tenant::PerTenant;
    use safelight_model::preset::{COVER, LARGE, SQUARE};
    use safelight_model::variant::{COVER_JPEG, DISPLAY_AVIF, DISPLAY_JPEG};

    use super::*;

    fn row(preset: &Preset, state: &str) -> Rendition {
        Rendition {
            blob_id: "blb".to_owned(),
            preset: variant::slot(&preset.label()).to_owned(),
            version: i64::from(preset.version),
            state: state.to_owned(),
            object_key: None,
            etag: None,
            width: Some(i64::from(preset.long_edge)),
            height: Some(1),
            size_bytes: None,
            reason_code: None,
            reason_detail: None,
            updated_at: Micros(0),
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

    /// What is sent, and what is to be made.
    type Sent = (Option<Label>, Option<Label>);

    fn sent_of(own: &TenantPresets, made: &[Rendition], of: Label, accept: &str) -> Sent {
        let outcome = format(made, &of, accepted(accept), own);
        let is_stopgap = outcome.choice.as_ref().is_some_and(|c| c.is_stopgap);
        assert!(!is_stopgap || outcome.missing.is_some());
        (outcome.choice.map(|c| c.of), outcome.missing)
    }

    fn sent(made: &[Rendition], preset: Preset, accept: &str) -> Sent {
        let own = TenantPresets::default();
        sent_of(&own, made, preset.label(), accept)
    }

    /// As it is expected.
    fn says(sent: Option<Preset>, missing: Option<Preset>) -> Sent {
        (sent.map(|p| p.label()), missing.map(|p| p.label()))
    }

    fn chosen_by(setting: &str) -> TenantPresets {
        PerTenant::of_setting(setting).unwrap().of_others
    }

    const CHROME: &str = "image/avif,image/webp,image/apng,image/*,*/*;q=0.8";

    #[test]
    fn the_best_that_is_there_is_sent() {
        let mut made = rows(&[COVER, DISPLAY, LARGE]);
        assert_eq!(sent(&made, DISPLAY, CHROME), says(Some(DISPLAY), None));
        assert_eq!(sent(&made, LARGE, CHROME), says(Some(LARGE), None));
        made.push(row(&DISPLAY_AVIF, "ready"));
        assert_eq!(sent(&made, DISPLAY, CHROME), says(Some(DISPLAY_AVIF), None));
        assert_eq!(
            sent(&made, DISPLAY, "image/webp,*/*"),
            says(Some(DISPLAY), None)
        );
        assert_eq!(
            sent(&made, DISPLAY, "image/avif"),
            says(Some(DISPLAY_AVIF), None)
        );
        assert_eq!(sent(&made, COVER, CHROME), says(Some(COVER), None));
        assert_eq!(sent(&made, COVER, "image/avif"), says(Some(COVER), None));
    }

    #[test]
    fn jpeg_is_made_for_who_shows_nothing_else() {
        let mut made = rows(&[COVER, DISPLAY, LARGE, DISPLAY_AVIF]);
        assert_eq!(sent(&made, LARGE, "*/*"), says(Some(LARGE), None));
        assert_eq!(
            sent(&made, DISPLAY, "*/*"),
            says(Some(LARGE), Some(DISPLAY_JPEG))
        );
        assert_eq!(
            sent(&made, COVER, "*/*"),
            says(Some(LARGE), Some(COVER_JPEG))
        );
        made.push(row(&DISPLAY_JPEG, "ready"));
        assert_eq!(sent(&made, DISPLAY, "*/*"), says(Some(DISPLAY_JPEG), None));
        assert_eq!(
            sent(&made, COVER, "*/*"),
            says(Some(DISPLAY_JPEG), Some(COVER_JPEG))
        );
        made.push(row(&COVER_JPEG, "failed"));
        assert_eq!(sent(&made, COVER, "*/*"), says(Some(DISPLAY_JPEG), None));
        // Who shows more does without.
        assert_eq!(
            sent(&made, COVER, "image/jpeg,image/webp;q=0.1"),
            says(Some(COVER), None)
        );
    }

    #[test]
    fn a_square_is_never_the_whole_picture() {
        let made = rows(&[COVER, DISPLAY, LARGE, SQUARE]);
        for accept in [CHROME, "image/jpeg", "*/*"] {
            assert_eq!(sent(&made, SQUARE, accept), says(Some(SQUARE), None));
        }
    }

    #[test]
    fn pictures_of_clips_are_sent_as_they_are() {
        let made = rows(&[COVER, POSTER]);
        for accept in [CHROME, "image/webp,*/*", "*/*"] {
            assert_eq!(sent(&made, COVER, accept), says(Some(COVER), None));
            assert_eq!(sent(&made, POSTER, accept), says(Some(POSTER), None));
        }
    }

    #[test]
    fn what_was_not_derived_yet_is_not_there() {
        let made = [
            row(&COVER, "ready"),
            row(&DISPLAY, "pending"),
            row(&LARGE, "pending"),
        ];
        assert_eq!(sent(&made, DISPLAY, CHROME), says(None, None));
        assert_eq!(sent(&made, DISPLAY, "*/*"), says(None, None));
        // The cover cannot be shown to this one, and is asked for.
        assert_eq!(sent(&made, COVER, "*/*"), says(None, Some(COVER_JPEG)));
        assert_eq!(sent(&[], COVER, "*/*"), says(None, None));
    }

    #[test]
    fn a_size_is_one_that_is_there() {
        let made = rows(&[COVER, DISPLAY, LARGE, DISPLAY_AVIF]);
        let own = TenantPresets::default();
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
            let sent = size(&made, wanted, &own);
            assert_eq!(sent, Some(expected.label()), "{wanted:?}");
        }
        let (only_cover, usual) = (rows(&[COVER]), Wanted::default());
        let cover = Some(COVER.label());
        assert_eq!(size(&only_cover, wide(9000), &own), cover);
        assert_eq!(size(&only_cover, usual, &own), cover);
        assert_eq!(size(&[row(&COVER, "pending")], usual, &own), None);
    }

    #[test]
    fn the_version_before_is_sent_until_the_present_one_is_there() {
        let own = chosen_by("display@3:1440/80");
        let later = own.display;
        let [avif_later] = own.in_bulk();
        let (old, new) = (DISPLAY.label(), later.label());
        let mut made = rows(&[COVER, DISPLAY, LARGE, DISPLAY_AVIF]);
        let present = |made: &[Rendition], accept| sent_of(&own, made, new, accept);
        assert_eq!(
            present(&made, CHROME),
            (Some(DISPLAY_AVIF.label()), Some(new))
        );
        assert_eq!(present(&made, "image/webp"), (Some(old), Some(new)));
        // The next larger JPEG.
        assert_eq!(present(&made, "*/*"), (Some(LARGE.label()), Some(new)));
        // Who has a link to the version before is sent that, and nothing is made for him.
        assert_eq!(sent_of(&own, &made, old, "image/webp"), (Some(old), None));
        // A size is one of the present version, so that it is asked for.
        assert_eq!(size(&made, Wanted::default(), &own), Some(new));
        // What could not be made is not asked for again.
        let mut failed = made.clone();
        failed.push(row(&later, "failed"));
        assert_eq!(present(&failed, "image/webp"), (Some(old), None));
        assert_eq!(present(&failed, "*/*"), (Some(LARGE.label()), None));
        made.push(row(&later, "ready"));
        assert_eq!(present(&made, CHROME), (Some(new), None));
        assert_eq!(
            sent_of(&own, &made, old, CHROME),
            (Some(DISPLAY_AVIF.label()), None)
        );
        let [jpeg_later, _] = own.on_request();
        assert_eq!(
            present(&made, "*/*"),
            (Some(LARGE.label()), Some(jpeg_later.label()))
        );
        made.push(row(&avif_later, "ready"));
        assert_eq!(present(&made, CHROME), (Some(avif_later.label()), None));
        // Where a version is gone, what there is is sent.
        let only_new = rows(&[COVER, later]);
        assert_eq!(sent_of(&own, &only_new, old, CHROME), (Some(new), None));
        let gone = Label { version: 2, ..old };
        assert_eq!(
            sent_of(&own, &made, gone, CHROME),
            (Some(avif_later.label()), None)
        );
        // Back to the numbers before: what was made by others meanwhile is shown, and these are made.
        let back = TenantPresets::default();
        assert_eq!(
            sent_of(&back, &only_new, old, CHROME),
            (Some(new), Some(old))
        );
    }

    #[test]
    fn who_saves_is_sent_a_lower_quality_or_the_next_smaller_size() {
        let own = chosen_by("display@3:1440/80");
        let mut made = rows(&[COVER, DISPLAY, own.display, LARGE, SQUARE]);
        let saving = |made: &[Rendition], of: Preset, accept| {
            let outcome = lean(made, of.label(), accepted(accept), &own);
            let is_stopgap = outcome.choice.as_ref().is_some_and(|c| c.is_stopgap);
            assert!(!is_stopgap || outcome.missing.is_some());
            (outcome.choice.map(|c| c.of), outcome.missing)
        };
        assert_eq!(saving(&made, LARGE, CHROME), says(Some(own.display), None));
        let until = says(Some(COVER), Some(own.lean()));
        assert_eq!(saving(&made, own.display, CHROME), until);
        // Who has a link to the version before is never sent another size for it than a smaller one.
        assert_eq!(saving(&made, DISPLAY, CHROME), says(Some(COVER), None));
        // Who shows JPEG only is sent the smaller size as before.
        let (jpeg, cover) = (Some(LARGE), Some(COVER_JPEG));
        assert_eq!(saving(&made, own.display, "*/*"), says(jpeg, cover));
        for same in [COVER, SQUARE] {
            assert_eq!(saving(&made, same, CHROME), says(Some(same), None));
            assert!(!has_smaller(&same.label()));
        }
        assert!(has_smaller(&DISPLAY.label()) && has_smaller(&LARGE.label()));
        let mut failed = made.clone();
        failed.push(row(&own.lean(), "failed"));
        let display = own.display;
        assert_eq!(saving(&failed, display, CHROME), says(Some(COVER), None));
        made.push(row(&own.lean(), "ready"));
        let sent = says(Some(own.lean()), None);
        assert_eq!(saving(&made, display, CHROME), sent);
        assert_eq!(saving(&made, LARGE, CHROME), says(Some(own.display), None));
        // But what has fewer bytes still is.
        let avif = row(&own.in_bulk()[0], "ready");
        for (bytes, expected) in [(90, own.in_bulk()[0]), (110, own.lean())] {
            let sized = |row: &Rendition, bytes| Rendition {
                size_bytes: Some(bytes),
                ..row.clone()
            };
            let mut both: Vec<Rendition> = made.iter().map(|row| sized(row, 100)).collect();
            both.push(sized(&avif, bytes));
            assert_eq!(saving(&both, display, CHROME), says(Some(expected), None));
        }
        assert!(!is_growing(&made, &own));
        let mut growing = made.clone();
        growing.push(row(&LARGE, "pending"));
        assert!(is_growing(&growing, &own));
        // It stands for nothing else.
        assert_eq!(
            sent_of(&own, &made, display.label(), CHROME),
            says(Some(display), None)
        );
        // Of an older version alone nothing is made by the present one, until that is there.
        let old = rows(&[COVER, DISPLAY]);
        assert_eq!(saving(&old, display, CHROME), says(Some(COVER), None));
        let only_large = [row(&LARGE, "ready")];
        assert_eq!(saving(&only_large, LARGE, CHROME), says(Some(LARGE), None));
    }
}
