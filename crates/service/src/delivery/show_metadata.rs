//! How a file's metadata is shown: what it tells, as the tenant's policy has it, behind what the owner says himself.

use safelight_api::assets as wire;
use safelight_catalog::file_metadata::Kept;
use safelight_model::file_metadata::{Harmless, Private};
use safelight_model::metadata::{Location, Metadata, Moment};

/// A location as it is shown.
pub(super) fn location(of: Location) -> wire::Location {
    wire::Location {
        latitude: of.latitude(),
        longitude: of.longitude(),
        altitude_m: of.altitude_m(),
    }
}

/// What a file tells, with what is private of it `with_private`. What its owner has said of time and place stands in place of what the file
/// tells of them. `None` before the file was read.
pub(super) fn metadata(
    kept: Option<&Kept>,
    said: &Metadata,
    with_private: bool,
) -> Option<wire::FileMetadata> {
    let kept = kept?;
    // A row that another version wrote may hold what this one cannot read.
    let told: Harmless = serde_json::from_str(&kept.harmless).unwrap_or_default();
    let private = kept.private.as_deref().filter(|_| with_private);
    let private: Private = private
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let (captured_at, captured_local) = match said.captured_at {
        // Clients say the moment that they read in the file, and may leave out its zone.
        Some(said) if Some(said.at) != told.at => (Some(said.rfc3339()), None),
        Some(_) => captured(&told),
        None => captured(&told),
    };
    Some(wire::FileMetadata {
        captured_at,
        captured_local,
        make: told.make,
        model: told.model,
        lens: told.lens,
        exposure_s: told.exposure_s,
        f_number: told.f_number,
        iso: told.iso,
        focal_length_mm: told.focal_length_mm,
        orientation: told.orientation,
        motion_photo: told.motion_photo.then_some(true),
        duration_ms: told.duration_ms,
        location: said.location.or(private.location).map(location),
        burst_id: private.burst_id,
        live_id: private.live_id,
    })
}

/// The moment, with the zone where that is known; where it is not, what a clock on the wall showed.
fn captured(told: &Harmless) -> (Option<String>, Option<String>) {
    match (told.at, told.local) {
        (Some(at), local) => {
            let ahead = local.and_then(|local| local.0.checked_sub(at.0));
            let moment = Moment {
                at,
                offset_minutes: ahead.map(|micros| micros / 60_000_000),
            };
            (Some(moment.rfc3339()), None)
        }
        (None, local) => {
            let local = local.map(|local| local.rfc3339().trim_end_matches('Z').to_owned());
            (None, local)
        }
    }
}

#[cfg(test)]
mod tests {
    use safelight_model::clock::Micros;

    use super::*;

    fn kept(harmless: &Harmless, private: Option<&Private>) -> Kept {
        Kept {
            harmless: serde_json::to_string(harmless).unwrap(),
            private: private.map(|p| serde_json::to_string(p).unwrap()),
        }
    }

    fn at(text: &str) -> Option<Micros> {
        Micros::parse_rfc3339(text)
    }

    #[test]
    fn times_are_shown_as_far_as_they_are_known() {
        let (local, moment) = (at("2020-05-04T18:39:11.5Z"), at("2020-05-04T22:39:11.5Z"));
        for (local, at, captured_at, captured_local) in [
            (local, moment, Some("2020-05-04T18:39:11.5-04:00"), None),
            (local, None, None, Some("2020-05-04T18:39:11.5")),
            (None, moment, Some("2020-05-04T22:39:11.5Z"), None),
            (None, None, None, None),
        ] {
            let told = Harmless {
                local,
                at,
                ..Harmless::default()
            };
            let shown = metadata(Some(&kept(&told, None)), &Metadata::default(), true).unwrap();
            assert_eq!(shown.captured_at.as_deref(), captured_at);
            assert_eq!(shown.captured_local.as_deref(), captured_local);
        }
    }

    #[test]
    fn what_the_owner_says_stands_before_what_the_file_tells() {
        let place = |latitude| Location::of_degrees(latitude, 10.0, None);
        let told = Harmless {
            local: at("2020-05-04T18:39:11Z"),
            ..Harmless::default()
        };
        let private = Private {
            location: place(54.0),
            burst_id: Some("burst".into()),
            live_id: None,
        };
        let whole = kept(&told, Some(&private));
        let said = Metadata {
            captured_at: Moment::parse("2021-01-01T00:00:00+01:00"),
            location: place(1.0),
            ..Metadata::default()
        };
        let shown = metadata(Some(&whole), &said, true).unwrap();
        assert_eq!(
            shown.captured_at.as_deref(),
            Some("2021-01-01T00:00:00+01:00")
        );
        assert_eq!(shown.captured_local, None);
        assert_eq!(shown.location.map(|l| l.latitude), Some(1.0));
        assert_eq!(shown.burst_id.as_deref(), Some("burst"));
        // The same moment, said without the zone that the file has.
        let told = Harmless {
            local: at("2020-05-04T18:39:11Z"),
            at: at("2020-05-04T22:39:11Z"),
            ..Harmless::default()
        };
        let same = Metadata {
            captured_at: Moment::parse("2020-05-04T22:39:11Z"),
            ..Metadata::default()
        };
        let shown = metadata(Some(&kept(&told, None)), &same, true).unwrap();
        let captured_at = shown.captured_at.as_deref();
        assert_eq!(captured_at, Some("2020-05-04T18:39:11-04:00"));
        let silent = metadata(Some(&whole), &Metadata::default(), true).unwrap();
        assert_eq!(silent.location.map(|l| l.latitude), Some(54.0));
        // What is private is the policy's to show; what the owner says is his.
        let stripped = metadata(Some(&whole), &said, false).unwrap();
        assert_eq!(
            (stripped.location.map(|l| l.latitude), stripped.burst_id),
            (Some(1.0), None)
        );
        let stripped = metadata(Some(&whole), &Metadata::default(), false).unwrap();
        assert_eq!(stripped.location, None);
        assert!(metadata(None, &said, true).is_none());
    }
}
