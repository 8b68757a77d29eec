//! What an owner says of an asset, and how a merge patch (RFC 7396) changes it.
//!
//! All of it is private by default: it is shown to the owner alone, and goes into no rendition and no event.

use std::collections::BTreeSet;

use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use crate::clock::Micros;
use crate::limits;
use crate::text;

/// A moment with the offset from UTC of the clock that told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The moment.
    pub at: Micros,
    /// The offset; unknown where only the moment was kept.
    pub offset_minutes: Option<i64>,
}

impl Moment {
    /// Reads RFC 3339 text, as `2026-11-23T09:00:00+01:00`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let told = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let moment = Self {
            at: Micros::parse_rfc3339(text)?,
            offset_minutes: Some(i64::from(told.offset().whole_minutes())),
        };
        let in_utc = Self {
            offset_minutes: None,
            ..moment
        };
        // At the edges of time one may be read that cannot be written.
        moment.written()?;
        in_utc.written()?;
        Some(moment)
    }

    /// RFC 3339 text, by the clock that told it.
    #[must_use]
    pub fn rfc3339(self) -> String {
        self.written().unwrap_or_else(|| self.at.rfc3339())
    }

    fn written(self) -> Option<String> {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.at.0) * 1_000).ok()?;
        let seconds = self.offset_minutes.unwrap_or(0).checked_mul(60)?;
        let offset = UtcOffset::from_whole_seconds(i32::try_from(seconds).ok()?).ok()?;
        at.checked_to_offset(offset)?.format(&Rfc3339).ok()
    }
}

/// Where an asset was taken (WGS 84).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Location {
    /// Degrees north, in ten-millionths: about a centimetre.
    pub latitude_e7: i64,
    /// Degrees east, in ten-millionths.
    pub longitude_e7: i64,
    /// Above the sea, in millimetres.
    pub altitude_mm: Option<i64>,
}

/// Ten-millionths of a degree in one.
const E7: f64 = 1e7;
/// Lowest and highest altitude in metres: the deepest trench has 11 km; higher is space.
const ALTITUDES_M: (f64, f64) = (-12_000.0, 100_000.0);

/// Rounds to whole units; the caller has checked the range.
#[allow(clippy::cast_possible_truncation, reason = "the range was checked")]
fn whole(value: f64) -> i64 {
    value.round() as i64
}

#[allow(clippy::cast_precision_loss, reason = "exact below 2^53")]
fn parts(value: i64, of: f64) -> f64 {
    value as f64 / of
}

impl Location {
    /// The place at these degrees and metres above the sea; none where there is no such place. An altitude that makes no sense is
    /// left out.
    #[must_use]
    pub fn of_degrees(latitude: f64, longitude: f64, altitude_m: Option<f64>) -> Option<Self> {
        let is_place = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
        let (lowest, highest) = ALTITUDES_M;
        let altitude_m = altitude_m.filter(|m| (lowest..=highest).contains(m));
        is_place.then(|| Self {
            latitude_e7: whole(latitude * E7),
            longitude_e7: whole(longitude * E7),
            altitude_mm: altitude_m.map(|m| whole(m * 1e3)),
        })
    }

    /// Degrees north.
    #[must_use]
    pub fn latitude(self) -> f64 {
        parts(self.latitude_e7, E7)
    }

    /// Degrees east.
    #[must_use]
    pub fn longitude(self) -> f64 {
        parts(self.longitude_e7, E7)
    }

    /// Metres above the sea.
    #[must_use]
    pub fn altitude_m(self) -> Option<f64> {
        self.altitude_mm.map(|mm| parts(mm, 1e3))
    }
}

/// Who may see an asset, as its owner says. A word that is kept for the app: it gives nobody access.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Visibility {
    /// The owner alone.
    #[default]
    Private,
    /// Everyone.
    Public,
}

impl Visibility {
    /// Every value.
    pub const ALL: [Self; 2] = [Self::Private, Self::Public];

    /// As in rows and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Public => "public",
        }
    }

    /// The value of this text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|v| v.as_str() == text)
    }
}

/// What is said of one asset, but for its tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Its title.
    pub title: Option<String>,
    /// When it was taken.
    pub captured_at: Option<Moment>,
    /// Where it was taken.
    pub location: Option<Location>,
    /// Who may see it.
    pub visibility: Visibility,
}

/// A change of what is said: `None` keeps, `Some(None)` clears.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patch {
    /// The title.
    pub title: Option<Option<String>>,
    /// When it was taken.
    pub captured_at: Option<Option<Moment>>,
    /// Where it was taken.
    pub location: Option<Option<LocationPatch>>,
    /// All tags; nothing of them cleared is none.
    pub tags: Option<BTreeSet<String>>,
    /// Who may see it; cleared is private.
    pub visibility: Option<Visibility>,
}

/// A change of a location, member by member.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LocationPatch {
    /// Degrees north.
    pub latitude: Option<Option<f64>>,
    /// Degrees east.
    pub longitude: Option<Option<f64>>,
    /// Metres above the sea.
    pub altitude_m: Option<Option<f64>>,
}

/// What is wrong with a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPatch {
    /// Where.
    pub field: &'static str,
    /// Why, in words.
    pub why: &'static str,
}

const BAD_TITLE: BadPatch = BadPatch {
    field: "title",
    why: "a title has 1 to 256 characters, none of them a control character; null clears it",
};
const BAD_LATITUDE: BadPatch = BadPatch {
    field: "location.latitude",
    why: "a location has a latitude from -90 to 90 degrees",
};
const BAD_LONGITUDE: BadPatch = BadPatch {
    field: "location.longitude",
    why: "a location has a longitude from -180 to 180 degrees",
};
const BAD_ALTITUDE: BadPatch = BadPatch {
    field: "location.altitude_m",
    why: "altitude_m is from -12000 to 100000 metres",
};

impl LocationPatch {
    fn apply(self, before: Option<Location>) -> Result<Option<Location>, BadPatch> {
        let latitude = self.latitude.unwrap_or(before.map(Location::latitude));
        let longitude = self.longitude.unwrap_or(before.map(Location::longitude));
        let altitude_m = self
            .altitude_m
            .unwrap_or(before.and_then(Location::altitude_m));
        if latitude.is_none() && longitude.is_none() && altitude_m.is_none() {
            return Ok(None);
        }
        let within = |value: Option<f64>, most: f64, bad: BadPatch| match value {
            Some(value) if (-most..=most).contains(&value) => Ok(whole(value * E7)),
            _ => Err(bad),
        };
        let (lowest, highest) = ALTITUDES_M;
        Ok(Some(Location {
            latitude_e7: within(latitude, 90.0, BAD_LATITUDE)?,
            longitude_e7: within(longitude, 180.0, BAD_LONGITUDE)?,
            altitude_mm: match altitude_m {
                None => None,
                Some(m) if (lowest..=highest).contains(&m) => Some(whole(m * 1e3)),
                Some(_) => return Err(BAD_ALTITUDE),
            },
        }))
    }
}

impl Patch {
    /// What is said after it.
    ///
    /// # Errors
    /// If that would not be valid.
    pub fn apply(
        &self,
        before: &Metadata,
        tags: &BTreeSet<String>,
    ) -> Result<(Metadata, BTreeSet<String>), BadPatch> {
        let title = match &self.title {
            None => before.title.clone(),
            Some(None) => None,
            Some(Some(title)) if text::is_reference(title, limits::MAX_TITLE) => {
                Some(title.clone())
            }
            Some(Some(_)) => return Err(BAD_TITLE),
        };
        let location = match self.location {
            None => before.location,
            Some(None) => None,
            Some(Some(change)) => change.apply(before.location)?,
        };
        let after = Metadata {
            title,
            captured_at: self.captured_at.unwrap_or(before.captured_at),
            location,
            visibility: self.visibility.unwrap_or(before.visibility),
        };
        Ok((after, self.tags.as_ref().unwrap_or(tags).clone()))
    }
}

/// The names of what differs, but for the tags.
#[must_use]
pub fn changed(before: &Metadata, after: &Metadata) -> Vec<&'static str> {
    let differs = [
        ("title", before.title != after.title),
        ("captured_at", before.captured_at != after.captured_at),
        ("location", before.location != after.location),
        ("visibility", before.visibility != after.visibility),
    ];
    let named = differs.into_iter().filter(|(_, differs)| *differs);
    named.map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn moments_keep_their_offset() {
        let told = "2026-11-23T09:30:00.5+05:30";
        let moment = Moment::parse(told).unwrap();
        assert_eq!(moment.offset_minutes, Some(330));
        assert_eq!(moment.at.rfc3339(), "2026-11-23T04:00:00.5Z");
        assert_eq!(moment.rfc3339(), told);
        let unknown = Moment {
            offset_minutes: None,
            ..moment
        };
        assert_eq!(unknown.rfc3339(), "2026-11-23T04:00:00.5Z");
        for wrong in [
            "",
            "2026-11-23",
            "2026-11-23T09:30:00",
            "2026-13-01T00:00:00Z",
            "0000-01-01T00:00:00+23:59",
            "9999-12-31T23:59:59-23:59",
        ] {
            assert_eq!(Moment::parse(wrong), None, "{wrong}");
        }
    }

    fn patched(before: &Metadata, location: LocationPatch) -> Result<Metadata, BadPatch> {
        let patch = Patch {
            location: Some(Some(location)),
            ..Patch::default()
        };
        Ok(patch.apply(before, &BTreeSet::new())?.0)
    }

    #[test]
    fn a_location_is_whole_and_in_range() {
        let at = |latitude, longitude, altitude_m| LocationPatch {
            latitude: Some(Some(latitude)),
            longitude: Some(Some(longitude)),
            altitude_m: Some(altitude_m),
        };
        let none = Metadata::default();
        let berlin = patched(&none, at(52.520_006_6, 13.404_954, Some(34.5))).unwrap();
        let location = berlin.location.unwrap();
        assert_eq!(
            (location.latitude(), location.longitude()),
            (52.520_006_6, 13.404_954)
        );
        assert_eq!(location.altitude_m(), Some(34.5));
        for (wrong, field) in [
            (at(90.1, 0.0, None), "location.latitude"),
            (at(f64::NAN, 0.0, None), "location.latitude"),
            (at(0.0, -180.1, None), "location.longitude"),
            (at(0.0, f64::INFINITY, None), "location.longitude"),
            (at(0.0, 0.0, Some(-12_001.0)), "location.altitude_m"),
        ] {
            assert_eq!(patched(&none, wrong).unwrap_err().field, field);
        }
        let lost = LocationPatch {
            latitude: Some(None),
            ..LocationPatch::default()
        };
        assert!(patched(&berlin, lost).is_err());
        assert!(
            patched(&none, LocationPatch::default())
                .unwrap()
                .location
                .is_none()
        );
        let lower = LocationPatch {
            altitude_m: Some(None),
            ..LocationPatch::default()
        };
        let flat = patched(&berlin, lower).unwrap().location.unwrap();
        assert_eq!((flat.altitude_mm, flat.latitude()), (None, 52.520_006_6));
    }

    #[test]
    fn a_title_has_limits() {
        for (title, good) in [
            ("A day at the sea", true),
            ("", false),
            ("a\nb", false),
            (&"é".repeat(256), true),
            (&"é".repeat(257), false),
        ] {
            let patch = Patch {
                title: Some(Some(title.to_owned())),
                ..Patch::default()
            };
            let done = patch.apply(&Metadata::default(), &BTreeSet::new());
            assert_eq!(done.is_ok(), good, "{title:?}");
        }
    }

    /// A JSON document of two levels, as RFC 7396 has it: what is `null` is not there.
    type Document = BTreeMap<&'static str, Leaf>;

    #[derive(Clone, Debug, PartialEq)]
    enum Leaf {
        Text(String),
        Members(BTreeMap<&'static str, i64>),
    }

    fn document(metadata: &Metadata, tags: &BTreeSet<String>) -> Document {
        let mut document = Document::new();
        if let Some(title) = &metadata.title {
            document.insert("title", Leaf::Text(title.clone()));
        }
        if let Some(at) = metadata.captured_at {
            document.insert("captured_at", Leaf::Text(at.rfc3339()));
        }
        if let Some(location) = metadata.location {
            let mut members = BTreeMap::from([
                ("latitude", location.latitude_e7),
                ("longitude", location.longitude_e7),
            ]);
            members.extend(location.altitude_mm.map(|mm| ("altitude_m", mm)));
            document.insert("location", Leaf::Members(members));
        }
        if metadata.visibility != Visibility::Private {
            document.insert(
                "visibility",
                Leaf::Text(metadata.visibility.as_str().into()),
            );
        }
        if !tags.is_empty() {
            document.insert("tags", Leaf::Text(format!("{tags:?}")));
        }
        document
    }

    /// RFC 7396, section 2, on such documents.
    fn merge(mut document: Document, patch: &Patch) -> Document {
        let mut put = |name, value: Option<Option<Leaf>>| match value {
            None => {}
            Some(None) => drop(document.remove(name)),
            Some(Some(leaf)) => drop(document.insert(name, leaf)),
        };
        put("title", patch.title.clone().map(|t| t.map(Leaf::Text)));
        let at = patch
            .captured_at
            .map(|at| at.map(|at| Leaf::Text(at.rfc3339())));
        put("captured_at", at);
        let visible = patch
            .visibility
            .map(|v| (v != Visibility::Private).then(|| Leaf::Text(v.as_str().into())));
        put("visibility", visible);
        let tags = patch
            .tags
            .as_ref()
            .map(|tags| (!tags.is_empty()).then(|| Leaf::Text(format!("{tags:?}"))));
        put("tags", tags);
        match patch.location {
            None => {}
            Some(None) => drop(document.remove("location")),
            Some(Some(change)) => {
                let mut members = match document.remove("location") {
                    Some(Leaf::Members(members)) => members,
                    _ => BTreeMap::new(),
                };
                for (name, value, of) in [
                    ("latitude", change.latitude, E7),
                    ("longitude", change.longitude, E7),
                    ("altitude_m", change.altitude_m, 1e3),
                ] {
                    match value {
                        None => {}
                        Some(None) => drop(members.remove(name)),
                        Some(Some(value)) => drop(members.insert(name, whole(value * of))),
                    }
                }
                if !members.is_empty() {
                    document.insert("location", Leaf::Members(members));
                }
            }
        }
        document
    }

    fn change<T: std::fmt::Debug + Clone>(
        of: impl Strategy<Value = T>,
    ) -> impl Strategy<Value = Option<Option<T>>> {
        prop::option::of(prop::option::of(of))
    }

    prop_compose! {
        fn any_patch()(
            title in change("[a-z]{1,9}"),
            seconds in change(0_i64..4_000_000_000),
            offset in -14_i64 * 60..=14 * 60,
            location in change((change(-90.0..90.0), change(-180.0..180.0), change(-500.0..9_000.0))),
            tags in prop::option::of(prop::collection::btree_set("[a-z]{1,4}", 0..5)),
            visibility in prop::option::of(prop::sample::select(Visibility::ALL.to_vec())),
        ) -> Patch {
            Patch {
                title,
                captured_at: seconds.map(|s| s.map(|s| Moment {
                    at: Micros(s * 1_000_000),
                    offset_minutes: Some(offset),
                })),
                location: location.map(|l| l.map(|(latitude, longitude, altitude_m)| LocationPatch {
                    latitude, longitude, altitude_m,
                })),
                tags,
                visibility,
            }
        }
    }

    proptest! {
        /// However many patches: what they make is what RFC 7396 makes of the document; a second time each changes
        /// nothing; and one that would leave a location in halves changes nothing at all.
        #[test]
        fn patches_do_what_merging_documents_does(patches in prop::collection::vec(any_patch(), 0..12)) {
            let (mut metadata, mut tags) = (Metadata::default(), BTreeSet::new());
            for patch in patches {
                let expected = merge(document(&metadata, &tags), &patch);
                let Ok((after, with)) = patch.apply(&metadata, &tags) else {
                    let Some(Leaf::Members(members)) = expected.get("location") else {
                        return Err(TestCaseError::fail("a good patch was refused"));
                    };
                    prop_assert!(!members.contains_key("latitude") || !members.contains_key("longitude"));
                    continue;
                };
                prop_assert_eq!(document(&after, &with), expected);
                let again = patch.apply(&after, &with);
                prop_assert_eq!(again, Ok((after.clone(), with.clone())));
                prop_assert_eq!(changed(&metadata, &after).is_empty(), metadata == after);
                (metadata, tags) = (after, with);
            }
        }
    }
}
