//! What a file tells of how, when and where it was taken, and what a tenant allows to be kept and shown of it.
//!
//! Nothing here has been proven: anybody can write it into a file. What tells of a place or joins pictures to one another is
//! [`Private`]; the rest, [`Harmless`], tells how a picture was made and when.

use serde::{Deserialize, Serialize};

use crate::clock::Micros;
use crate::metadata::Location;
use crate::per_tenant::PerTenant;

/// What every policy keeps and shows: it tells of the moment and the camera, not of the place or the people.
///
/// The capture time may come with its zone, which a coarse place follows from: about a twenty-fourth of the Earth.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Harmless {
    /// What a clock on the wall showed when it was taken, as if it were one of UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<Micros>,
    /// The moment when it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Micros>,
    /// The maker of the camera.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub make: Option<String>,
    /// The camera, as its maker calls it: the model, never the one device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The lens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lens: Option<String>,
    /// How long light fell in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure_s: Option<f64>,
    /// Focal length over aperture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub f_number: Option<f64>,
    /// Sensitivity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iso: Option<u32>,
    /// The focal length as it is, not as it would be on film.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub focal_length_mm: Option<f64>,
    /// How to turn what is stored upright, as EXIF counts: 1 to 8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orientation: Option<u8>,
    /// Whether the file of a picture holds a clip too.
    #[serde(default)]
    pub motion_photo: bool,
    /// How long a clip runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

/// What a policy has to allow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Private {
    /// Where it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// What the pictures of one burst share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst_id: Option<String>,
    /// What the still and the clip of a Live Photo share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_id: Option<String>,
}

impl Private {
    /// Whether nothing of it is known.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// All that is read of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileMetadata {
    /// What every policy keeps and shows.
    pub harmless: Harmless,
    /// What a policy has to allow.
    pub private: Private,
}

/// What becomes of what is private in the metadata of a tenant's files. Serial numbers, maker's notes and names of people are
/// never read, whatever the policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetadataPolicy {
    /// It is not kept, and so shown to nobody.
    #[default]
    Strip,
    /// It is kept, and shown to whoever may read the asset.
    Keep,
    /// It is kept, and shown to the owner alone: not to the tenant's keys, in whosever name they ask.
    OwnerOnly,
}

impl MetadataPolicy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Strip, Self::Keep, Self::OwnerOnly];

    /// As in settings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strip => "strip",
            Self::Keep => "keep",
            Self::OwnerOnly => "owner-only",
        }
    }

    /// The policy of this text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.as_str() == text)
    }

    /// Whether what is private is kept at all.
    #[must_use]
    pub fn keeps_private(self) -> bool {
        match self {
            Self::Strip => false,
            Self::Keep | Self::OwnerOnly => true,
        }
    }
}

/// The policy of each tenant.
pub type MetadataPolicies = PerTenant<MetadataPolicy>;

impl MetadataPolicies {
    /// Reads `strip`, or `strip,ten_a=keep,ten_b=owner-only`, as [`PerTenant::read`] does.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::read(text, MetadataPolicy::default(), MetadataPolicy::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_by_tenant() {
        for policy in MetadataPolicy::ALL {
            assert_eq!(MetadataPolicy::parse(policy.as_str()), Some(policy));
            let all = MetadataPolicies::parse(policy.as_str()).unwrap();
            assert_eq!(all.of("ten_1"), policy);
        }
        let some = MetadataPolicies::parse("ten_a=keep, owner-only,ten_b = strip").unwrap();
        assert_eq!(some.of("ten_a"), MetadataPolicy::Keep);
        assert_eq!(some.of("ten_b"), MetadataPolicy::Strip);
        assert_eq!(some.of("ten_c"), MetadataPolicy::OwnerOnly);
        // Nobody's word is nobody's leave.
        let one = MetadataPolicies::parse("ten_a=keep").unwrap();
        assert_eq!(one.of("ten_c"), MetadataPolicy::Strip);
        for wrong in [
            "",
            "Keep",
            "strip,keep",
            "ten_a=",
            "=keep",
            "ten_a=keep,ten_a=strip",
            "keep,",
        ] {
            assert_eq!(MetadataPolicies::parse(wrong), None, "{wrong:?}");
        }
    }
}
