//! What a file tells of how it was taken, from the child's word to what is kept of it.

use safelight_catalog::file_metadata::Kept;
use safelight_catalog::live_halves::LiveHalf;
use safelight_imaging::{MediaType, Metadata, Place};
use safelight_model::clock::Micros;
use safelight_model::codes::Code;
use safelight_model::file_metadata::{FileMetadata, Harmless, MetadataPolicy, Private};
use safelight_model::metadata::Location;

/// Longer than what any camera or lens calls itself; as long as what the reader leaves of a text.
const MAX_CHARS: usize = 200;

/// What a child says of a file, believed as far as it can be shown: it may be no more than what its file made of it.
pub(super) fn believed(said: Metadata) -> FileMetadata {
    let moment = |at: Option<Micros>| at.filter(|at| is_writable(*at));
    let captured = said.captured;
    FileMetadata {
        harmless: Harmless {
            local: moment(captured.and_then(|c| c.local)),
            at: moment(captured.and_then(|c| c.at)),
            make: text(said.make),
            model: text(said.model),
            lens: text(said.lens),
            exposure_s: positive(said.exposure_s),
            f_number: positive(said.f_number),
            iso: said.iso,
            focal_length_mm: positive(said.focal_length_mm),
            orientation: Some(said.orientation.exif_value()),
            motion_photo: said.is_motion_photo,
            duration_ms: said.duration_ms.filter(|ms| i64::try_from(*ms).is_ok()),
        },
        private: Private {
            location: said.place.and_then(location),
            burst_id: text(said.burst_id),
            live_id: text(said.live_id),
        },
    }
}

/// What is kept of it under a policy.
pub(super) fn kept(read: &FileMetadata, policy: MetadataPolicy) -> Option<Kept> {
    let private = &read.private;
    let keeps = policy.keeps_private() && !private.is_nothing();
    // What was believed can be written.
    let harmless = serde_json::to_string(&read.harmless).ok()?;
    let private = keeps.then(|| serde_json::to_string(private).ok()).flatten();
    Some(Kept { harmless, private })
}

/// Which half of a Live Photo a file is, where it says so. Of what both halves say a digest is kept, whatever the policy: it tells
/// nothing of its own, and joins nothing but two files of one owner.
pub(super) fn live_half(
    tenant_id: &str,
    read: &FileMetadata,
    media: Option<MediaType>,
) -> Option<LiveHalf> {
    let (said, media) = (read.private.live_id.as_ref()?, media?);
    let said = said.trim().to_ascii_uppercase();
    let is_motion = media.is_clip();
    let hash = blake3::hash(format!("live\n{tenant_id}\n{said}").as_bytes());
    // Half of it leaves no two that are the same by chance.
    let key = hash.to_hex().get(..32)?.to_owned();
    (!said.is_empty()).then_some(LiveHalf { key, is_motion })
}

/// Whether a moment can be shown: within the years that RFC 3339 has, with a day to spare for any zone.
fn is_writable(at: Micros) -> bool {
    let (first, last) = ("0001-01-01T00:00:00Z", "9998-12-31T00:00:00Z");
    let bounds = Micros::parse_rfc3339(first).zip(Micros::parse_rfc3339(last));
    bounds.is_some_and(|(first, last)| first <= at && at <= last)
}

fn text(said: Option<String>) -> Option<String> {
    let said = said?;
    let plain: String = said
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_CHARS)
        .collect();
    (!plain.is_empty()).then_some(plain)
}

fn positive(said: Option<f64>) -> Option<f64> {
    said.filter(|number| number.is_finite() && *number > 0.0)
}

fn location(said: Place) -> Option<Location> {
    Location::of_degrees(said.latitude_deg, said.longitude_deg, said.altitude_m)
}

/// Why a clip is not taken that says that it runs for so long; a number of 0 takes every one.
pub(super) fn too_long(ms: Option<u64>, most_seconds: u64) -> Option<(Code, String)> {
    let ms = ms?;
    (most_seconds > 0 && ms > most_seconds.saturating_mul(1000)).then(|| {
        let detail = format!("{} seconds are more than {most_seconds}", ms.div_ceil(1000));
        (Code::DurationLimitExceeded, detail)
    })
}

#[cfg(test)]
mod tests {
    use safelight_imaging::Captured;

    use super::*;

    #[test]
    fn what_cannot_be_is_not_believed() {
        let said = Metadata {
            captured: Some(Captured {
                local: Some(Micros(i64::MAX)),
                at: Some(Micros(0)),
            }),
            make: Some("a\nb".repeat(1000)),
            model: Some("\u{1b}".into()),
            exposure_s: Some(f64::INFINITY),
            f_number: Some(-1.0),
            focal_length_mm: Some(f64::NAN),
            duration_ms: Some(u64::MAX),
            place: Some(Place {
                latitude_deg: f64::NAN,
                longitude_deg: 1.0,
                altitude_m: None,
            }),
            live_id: Some(String::new()),
            ..Metadata::default()
        };
        let read = believed(said);
        let Harmless {
            local, at, make, ..
        } = read.harmless.clone();
        assert_eq!((local, at), (None, Some(Micros(0))));
        assert_eq!(make.map(|make| make.len()), Some(MAX_CHARS));
        let left = Harmless {
            at,
            make: read.harmless.make.clone(),
            orientation: Some(1),
            ..Harmless::default()
        };
        assert_eq!(read.harmless, left);
        assert!(read.private.is_nothing());
        // A place may have an altitude that makes no sense.
        let place = location(Place {
            latitude_deg: -90.0,
            longitude_deg: 180.0,
            altitude_m: Some(1e9),
        });
        assert_eq!(place.map(|p| p.altitude_mm), Some(None));
    }

    #[test]
    fn halves_have_the_same_key() {
        let half = |tenant_id, said: &str, media| {
            let said = Metadata {
                live_id: Some(said.to_owned()),
                ..Metadata::default()
            };
            live_half(tenant_id, &believed(said), Some(media))
        };
        let id = "1745E022-9712-43C7-B024-F308EC6413CB";
        let still = half("ten", id, MediaType::Heic).unwrap();
        let lower = format!("{} ", id.to_lowercase());
        let motion = half("ten", &lower, MediaType::Mov).unwrap();
        assert_eq!((still.is_motion, motion.is_motion), (false, true));
        assert_eq!(still.key, motion.key);
        assert!(!still.key.to_uppercase().contains(&id[..8]));
        assert_ne!(half("other", id, MediaType::Heic), Some(still));
        assert_eq!(half("ten", " ", MediaType::Heic), None);
        assert_eq!(
            live_half("ten", &FileMetadata::default(), Some(MediaType::Mov)),
            None
        );
    }

    #[test]
    fn what_is_private_is_kept_where_the_policy_says_so() {
        let read = believed(Metadata {
            make: Some("Maker".into()),
            place: Some(Place {
                latitude_deg: 54.3,
                longitude_deg: 10.1,
                altitude_m: None,
            }),
            burst_id: Some("burst".into()),
            ..Metadata::default()
        });
        for policy in MetadataPolicy::ALL {
            let kept = kept(&read, policy).unwrap();
            assert!(kept.harmless.contains("Maker"));
            assert!(!kept.harmless.contains("burst") && !kept.harmless.contains("543"));
            let private = kept
                .private
                .map(|p| serde_json::from_str::<Private>(&p).unwrap());
            let expected = (policy != MetadataPolicy::Strip).then(|| read.private.clone());
            assert_eq!(private, expected, "{policy:?}");
        }
        let nothing = kept(&FileMetadata::default(), MetadataPolicy::Keep).unwrap();
        assert_eq!(
            (nothing.harmless.as_str(), nothing.private),
            ("{\"motion_photo\":false}", None)
        );
    }
}
