//! How large a picture is to be shown, by what the client says of its screen (Responsive Image Client Hints, WICG; `Save-Data`).
//!
//! Of all sizes only those of presets are ever sent, so a cache has few variants to keep. `w` in the link says it for clients that
//! send no hints, and has caches do without them: it is no part of what is signed, since a link of this kind opens every preset.

use http::HeaderMap;
use safelight_model::preset::SIZE_TOLERANCE_PERCENT;

/// The hints that a page has to ask for; sent with pictures, for those that are opened as pages.
pub(super) const ACCEPT_CH: &str = "Sec-CH-Width, Sec-CH-DPR, Sec-CH-Viewport-Width";
/// What the answer goes by where the link does not say how wide.
pub(super) const VARY: &str = "Accept, Save-Data, Sec-CH-Width, Sec-CH-DPR, Sec-CH-Viewport-Width, Width, DPR, Viewport-Width";
/// The same where it does, and where it names a size that there is a smaller one than.
pub(super) const VARY_OF_SIZED: &str = "Accept, Save-Data";

/// What is known of the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Wanted {
    /// Columns of the screen that the picture is to fill; nothing if that is not known.
    pub(super) columns: Option<u32>,
    /// Whether fewer bytes matter more than a sharp picture.
    pub(super) saves: bool,
}

impl Wanted {
    /// What the request says: `columns` of the link before anything else.
    pub(super) fn of(headers: &HeaderMap, columns: Option<u32>) -> Self {
        let number = |names: [&str; 2]| {
            let mut found = names.iter().filter_map(|name| headers.get(*name));
            let text = found.next()?.to_str().ok()?;
            let number: f64 = text.trim().parse().ok()?;
            (number.is_finite() && number > 0.0).then_some(number)
        };
        // Already in columns of the screen, not in CSS pixels, in contrast to the viewport.
        let by_layout = || number(["sec-ch-width", "width"]);
        let by_viewport = || {
            let density = number(["sec-ch-dpr", "dpr"]).unwrap_or(1.0);
            Some(number(["sec-ch-viewport-width", "viewport-width"])? * density)
        };
        let save_data = headers.get("save-data").and_then(|v| v.to_str().ok());
        Self {
            // Saturates.
            columns: columns.or_else(|| by_layout().or_else(by_viewport).map(|n| n.ceil() as u32)),
            saves: save_data.is_some_and(|v| v.trim().eq_ignore_ascii_case("on")),
        }
    }

    /// Which of several sizes is sent, as its place among `columns`, the narrowest first: the first that is wide enough, or within
    /// what presets may come out smaller; `usual` where nothing is known. Nothing only where there are none.
    pub(super) fn choose(self, columns: &[u32], usual: usize) -> Option<usize> {
        let last = columns.len().checked_sub(1)?;
        let chosen = match self.columns {
            None => usual.min(last),
            Some(wanted) => {
                let share = u64::from(100 - SIZE_TOLERANCE_PERCENT);
                let tolerable = u64::from(wanted) * share;
                let fits = columns
                    .iter()
                    .position(|have| u64::from(*have) * 100 >= tolerable);
                fits.unwrap_or(last)
            }
        };
        Some(chosen)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Landscape of 4:3.
    const HAVE: [u32; 3] = [320, 1080, 2016];

    fn wanted(hints: &[(&'static str, &str)], columns: Option<u32>) -> Wanted {
        let mut headers = HeaderMap::new();
        for (name, value) in hints {
            headers.insert(*name, value.parse().unwrap());
        }
        Wanted::of(&headers, columns)
    }

    #[test]
    fn hints_are_snapped_to_what_there_is() {
        for (hints, expected) in [
            (&[][..], 1080),
            (&[("sec-ch-width", "300")], 320),
            (&[("sec-ch-width", "321")], 320),
            (&[("sec-ch-width", "336")], 320),
            (&[("sec-ch-width", "337")], 1080),
            (&[("sec-ch-width", "400")], 1080),
            (&[("width", "1100")], 1080),
            (&[("sec-ch-width", "1200"), ("sec-ch-dpr", "3")], 2016),
            (
                &[("sec-ch-viewport-width", "390"), ("sec-ch-dpr", "3")],
                2016,
            ),
            (&[("viewport-width", "390"), ("dpr", "2.625")], 1080),
            (&[("sec-ch-viewport-width", "9000")], 2016),
            (&[("sec-ch-width", "-1")], 1080),
            (&[("sec-ch-width", "NaN")], 1080),
            (&[("sec-ch-width", "1e99")], 2016),
        ] {
            let chosen = wanted(hints, None).choose(&HAVE, 1).unwrap();
            assert_eq!(HAVE[chosen], expected, "{hints:?}");
        }
        for (said, saves) in [("on", true), (" ON", true), ("off", false), ("1", false)] {
            assert_eq!(wanted(&[("save-data", said)], None).saves, saves);
        }
        let by_link = wanted(&[("sec-ch-width", "2000")], Some(200));
        assert_eq!(by_link.choose(&HAVE, 1), Some(0));
        assert_eq!(by_link.choose(&[], 1), None);
        assert_eq!(Wanted::default().choose(&[320], 1), Some(0));
    }

    proptest! {
        #[test]
        fn what_is_sent_is_wide_enough_or_the_widest(columns in 1..20_000_u32, saves in any::<bool>()) {
            let wanted = Wanted { columns: Some(columns), saves };
            let chosen = wanted.choose(&HAVE, 1).unwrap();
            let serves = |have: u32| u64::from(have) * 100 >= u64::from(columns) * 95;
            prop_assert!(serves(HAVE[chosen]) || chosen == 2);
            prop_assert!(chosen == 0 || HAVE[chosen - 1] < columns);
        }
    }
}
