//! What the mark in the store means to this catalog. Pure.

use safelight_catalog::catalog_mark::CatalogMark;

use super::store_mark::Stands;

/// What the store's mark says to this catalog.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It is ours, as far as is known.
    Ours,
    /// It is what was on its way there.
    Arrived(String),
    /// Somebody else left it.
    Foreign(String),
    /// It is ours or none, and something is wrong.
    Wrong(String),
}

/// Judges what stands in the store by what this catalog knows.
pub(super) fn judge(ours: &CatalogMark, stands: &Stands) -> Judgement {
    let theirs = match stands {
        // The first one may be on its way, or could not be stored so far.
        Stands::Nothing if ours.nonce.is_none() && (ours.mark <= 1 || ours.nonce_mark > 0) => {
            return Judgement::Ours;
        }
        Stands::Nothing => {
            return Judgement::Wrong(
                "the store has lost this catalog's mark: it is another bucket, or it has lost objects".to_owned(),
            );
        }
        Stands::Nonsense => {
            return Judgement::Wrong("what stands in the store under c/mark is no mark".to_owned());
        }
        Stands::Mark(theirs) => theirs,
    };
    if theirs.catalog_id != ours.catalog_id {
        return Judgement::Foreign(format!(
            "the store holds the mark of another catalog, {}: this one is a fresh one, or both use the same bucket",
            theirs.catalog_id
        ));
    }
    let is_pending = theirs.nonce.is_some() && theirs.nonce == ours.pending_nonce;
    let is_known = match &theirs.nonce {
        Some(_) => is_pending || theirs.nonce == ours.nonce,
        // Left by a version without nonces, before this one came, or by one that runs beside it on this very catalog.
        None => {
            let since = ours.nonce.as_ref().map_or(-1, |_| ours.nonce_mark);
            theirs.mark > since && theirs.mark <= ours.mark
        }
    };
    if !is_known && theirs.mark > ours.mark {
        return Judgement::Foreign(
            "the store's mark is ahead of the catalog's: the catalog was restored from an older copy, or a copy of it uses the same bucket"
                .to_owned(),
        );
    }
    if !is_known {
        return Judgement::Foreign(
            "the store's mark is not the one that this catalog left there: a copy of it uses the same bucket, or an older copy of the bucket was restored"
                .to_owned(),
        );
    }
    match (&theirs.contested, &theirs.nonce) {
        (Some(contested), _) => Judgement::Wrong(format!(
            "another catalog, or a copy of this one, says since {} that it uses the same bucket ({}: {})",
            contested.at, contested.by, contested.why
        )),
        (None, Some(nonce)) if is_pending => Judgement::Arrived(nonce.clone()),
        (None, _) => Judgement::Ours,
    }
}

#[cfg(test)]
mod tests {
    use safelight_model::clock::Micros;

    use super::super::store_mark::{Contested, StoreMark};
    use super::*;

    fn ours(mark: i64, nonce: Option<&str>, pending: Option<&str>, nonce_mark: i64) -> CatalogMark {
        CatalogMark {
            catalog_id: "cat_1".to_owned(),
            mark,
            marked_at: Micros(0),
            doubt: None,
            nonce: nonce.map(str::to_owned),
            pending_nonce: pending.map(str::to_owned),
            nonce_mark,
        }
    }

    fn theirs(catalog_id: &str, mark: i64, nonce: Option<&str>) -> Stands {
        Stands::Mark(StoreMark {
            catalog_id: catalog_id.to_owned(),
            mark,
            nonce: nonce.map(str::to_owned),
            contested: None,
            rest: serde_json::Map::new(),
        })
    }

    fn is_foreign(ours: &CatalogMark, stands: &Stands) -> bool {
        matches!(judge(ours, stands), Judgement::Foreign(_))
    }

    #[test]
    fn only_nonces_of_this_catalog_are_ours() {
        let row = ours(5, Some("a"), Some("b"), 5);
        assert_eq!(judge(&row, &theirs("cat_1", 4, Some("a"))), Judgement::Ours);
        let arrived = Judgement::Arrived("b".to_owned());
        assert_eq!(judge(&row, &theirs("cat_1", 5, Some("b"))), arrived);
        for stands in [
            theirs("cat_2", 4, Some("a")),
            theirs("cat_1", 4, Some("c")),
            theirs("cat_1", 5, Some("c")),
            theirs("cat_1", 6, Some("c")),
        ] {
            assert!(is_foreign(&row, &stands), "{stands:?}");
        }
        // Restored from a copy of a version without nonces.
        assert!(is_foreign(
            &ours(5, None, None, 0),
            &theirs("cat_1", 5, Some("c"))
        ));
    }

    #[test]
    fn a_mark_without_a_nonce_is_taken_over_once() {
        let old = theirs("cat_1", 5, None);
        for row in [ours(5, None, None, 0), ours(6, None, Some("b"), 6)] {
            assert_eq!(judge(&row, &old), Judgement::Ours, "{row:?}");
        }
        assert!(is_foreign(&ours(4, None, None, 0), &old), "ahead");
        assert!(is_foreign(&ours(6, Some("a"), None, 6), &old));
        // A version without nonces runs beside this one on this catalog, and has raised it there.
        let beside = ours(7, Some("a"), None, 6);
        assert_eq!(judge(&beside, &theirs("cat_1", 7, None)), Judgement::Ours);
        assert!(is_foreign(&beside, &theirs("cat_1", 6, None)));
        assert!(is_foreign(&beside, &theirs("cat_1", 8, None)));
    }

    #[test]
    fn a_store_without_a_mark_has_lost_it_unless_it_never_had_one() {
        for row in [
            ours(0, None, None, 0),
            ours(1, None, Some("a"), 1),
            ours(9, None, Some("a"), 9),
        ] {
            assert_eq!(judge(&row, &Stands::Nothing), Judgement::Ours, "{row:?}");
        }
        for row in [ours(9, None, None, 0), ours(1, Some("a"), None, 1)] {
            let judged = judge(&row, &Stands::Nothing);
            assert!(matches!(judged, Judgement::Wrong(_)), "{row:?}");
        }
    }

    #[test]
    fn a_contested_mark_is_wrong_and_still_ours() {
        let row = ours(5, Some("a"), Some("b"), 5);
        for nonce in ["a", "b"] {
            let Stands::Mark(mut mark) = theirs("cat_1", 5, Some(nonce)) else {
                panic!("a mark");
            };
            mark.contested = Some(Contested {
                by: "cat_2".to_owned(),
                why: "why".to_owned(),
                at: "then".to_owned(),
            });
            let Judgement::Wrong(said) = judge(&row, &Stands::Mark(mark)) else {
                panic!("nothing wrong");
            };
            assert!(said.contains("cat_2") && said.contains("then"), "{said}");
        }
    }
}
