//! By which versions of `display` and `large` a tenant's pictures are made: the built-in ones, or an operator's own numbers.
//!
//! Numbers stand under a version, and links, rows, keys and tags carry it: whoever has a picture by one version is never sent that of
//! another for it. So a version means the same numbers for all tenants and for ever, and 1 means the built-in ones.

use crate::per_tenant::PerTenant;
use crate::preset::{CHANGEABLE, DISPLAY, Format, LARGE, Preset};
use crate::variant::{self, COVER_JPEG, DISPLAY_AVIF, DISPLAY_JPEG, LEAN};

/// The least and the longest edge that `display` may be given, in pixels.
pub const DISPLAY_EDGES: (u32, u32) = (480, 2048);
/// The least and the longest edge that `large` may be given, in pixels: what a picture of the longest takes to be made is within what
/// decoders have.
pub const LARGE_EDGES: (u32, u32) = (1280, 4096);
/// The least and the highest quality. Below it pictures fall apart into blocks, above it they grow without getting better.
pub const QUALITIES: (u8, u8) = (30, 95);
/// The least quality that is sent to who would rather have fewer bytes, however low that of the others is.
const LEAST_LEAN: u8 = 20;

/// What cannot be read as presets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TenantPresetsError {
    /// It has another form.
    #[error("{0:?} is not of the form NAME@VERSION:LONG_EDGE/QUALITY, such as display@2:1440/78")]
    Form(String),
    /// The numbers of a preset are fixed, or there is none of this name.
    #[error("{0:?} cannot be changed: only display and large can")]
    Fixed(String),
    /// Version 1 is given numbers.
    #[error(
        "{name}@1 is the built-in one, {built_in}: write {name}@1 for that, or give other numbers a higher version"
    )]
    BuiltIn {
        /// The preset's name.
        name: &'static str,
        /// Its numbers.
        built_in: String,
    },
    /// A number is out of bounds.
    #[error("the {what} of {name} must be {least} to {most}, not {given}")]
    Bounds {
        /// Which number.
        what: &'static str,
        /// The preset's name.
        name: &'static str,
        /// The least that it may be.
        least: u32,
        /// The most that it may be.
        most: u32,
        /// What it was to be.
        given: u32,
    },
    /// One tenant is given one preset twice.
    #[error("{whose} {name} is given twice")]
    Twice {
        /// Whose: a tenant's, or that of all others.
        whose: String,
        /// The preset's name.
        name: &'static str,
    },
    /// A version has two meanings.
    #[error(
        "{name}@{version} is {one} in one place and {other} in another: give one of them a version of its own"
    )]
    TwoMeanings {
        /// The preset's name.
        name: &'static str,
        /// The version.
        version: u32,
        /// What it means first.
        one: String,
        /// What it means then.
        other: String,
    },
    /// A tenant's `large` is smaller than the `display`.
    #[error("{whose} large would be smaller than display")]
    Order {
        /// Whose: a tenant's, or that of all others.
        whose: String,
    },
}

/// The numbers of a preset as they stand in settings.
#[must_use]
pub fn numbers(of: &Preset) -> String {
    format!("{}/{}", of.long_edge, of.quality)
}

/// By what a tenant's pictures are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TenantPresets {
    /// The tenant's `display`.
    pub display: Preset,
    /// The tenant's `large`.
    pub large: Preset,
}

impl Default for TenantPresets {
    fn default() -> Self {
        Self {
            display: DISPLAY,
            large: LARGE,
        }
    }
}

impl TenantPresets {
    /// What `derive` makes.
    #[must_use]
    pub fn derived(&self) -> [Preset; 2] {
        [self.display, self.large]
    }

    /// The version that is made of the preset of this name.
    #[must_use]
    pub fn version(&self, name: &str) -> u32 {
        let mut own = self.derived().into_iter();
        own.find(|p| p.name == name).map_or(1, |p| p.version)
    }

    /// What is made in the bulk lane, once everything that users wait for is there.
    #[must_use]
    pub fn in_bulk(&self) -> [Preset; 1] {
        [in_other_format(&self.display, &DISPLAY_AVIF)]
    }

    /// What is made when it is first asked for by who shows nothing else.
    #[must_use]
    pub fn on_request(&self) -> [Preset; 2] {
        [in_other_format(&self.display, &DISPLAY_JPEG), COVER_JPEG]
    }

    /// What is made of `display` when who would rather have fewer bytes first asks for it.
    #[must_use]
    pub fn lean(&self) -> Preset {
        let lean = in_other_format(&self.display, &LEAN);
        Preset {
            quality: lean.quality.max(LEAST_LEAN),
            ..lean
        }
    }

    fn set(&mut self, preset: Preset) {
        match preset.name == DISPLAY.name {
            true => self.display = preset,
            false => self.large = preset,
        }
    }
}

/// `own` in the format of an alternative and under its name, at a quality as far from the alternative's as `own`'s is from the built-in one.
fn in_other_format(own: &Preset, alternative: &Preset) -> Preset {
    let built_in = CHANGEABLE.iter().find(|p| p.name == own.name);
    let usual = built_in.map_or(own.quality, |p| p.quality);
    let quality = i16::from(alternative.quality) + i16::from(own.quality) - i16::from(usual);
    Preset {
        name: alternative.name,
        format: alternative.format,
        quality: u8::try_from(quality.clamp(1, 100)).unwrap_or(alternative.quality),
        ..*own
    }
}

impl PerTenant<TenantPresets> {
    /// Reads `display@2:1440/78,large@2:2560/82,ten_a=display@3:1600/80`: what has no tenant before it holds for all that have nothing
    /// of their own, and what is not named is as built in. Nothing at all leaves everything so.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_setting(text: &str) -> Result<Self, TenantPresetsError> {
        let mut given: Vec<(String, Preset)> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let (tenant, preset) = match part.split_once('=') {
                Some((tenant, _)) if tenant.trim().is_empty() => {
                    return Err(TenantPresetsError::Form(part.to_owned()));
                }
                Some((tenant, preset)) => (tenant.trim(), preset.trim()),
                None => ("", part),
            };
            let preset = one(preset)?;
            if given
                .iter()
                .any(|(t, p)| t == tenant && p.name == preset.name)
            {
                return Err(TenantPresetsError::Twice {
                    whose: whose(tenant),
                    name: preset.name,
                });
            }
            if let Some((_, other)) = given
                .iter()
                .find(|(_, p)| p.label() == preset.label() && *p != preset)
            {
                return Err(TenantPresetsError::TwoMeanings {
                    name: preset.name,
                    version: preset.version,
                    one: numbers(other),
                    other: numbers(&preset),
                });
            }
            given.push((tenant.to_owned(), preset));
        }
        let mut read = Self::all(TenantPresets::default());
        for (_, preset) in given.iter().filter(|(tenant, _)| tenant.is_empty()) {
            read.of_others.set(*preset);
        }
        for (tenant, preset) in given.iter().filter(|(tenant, _)| !tenant.is_empty()) {
            let of_others = read.of_others;
            let own = read.of_tenants.entry(tenant.clone());
            own.or_insert(of_others).set(*preset);
        }
        let everyone = std::iter::once(("", &read.of_others));
        let tenants = read.of_tenants.iter().map(|(t, p)| (t.as_str(), p));
        for (tenant, presets) in everyone.chain(tenants) {
            if presets.large.long_edge < presets.display.long_edge {
                let whose = whose(tenant);
                return Err(TenantPresetsError::Order { whose });
            }
        }
        Ok(read)
    }

    /// Every preset that is not built in.
    #[must_use]
    pub fn own(&self) -> Vec<Preset> {
        let everyone = std::iter::once(&self.of_others).chain(self.of_tenants.values());
        let mut own: Vec<Preset> = Vec::new();
        for preset in everyone.flat_map(TenantPresets::derived) {
            if !CHANGEABLE.contains(&preset) && !own.contains(&preset) {
                own.push(preset);
            }
        }
        own
    }
}

fn whose(tenant: &str) -> String {
    match tenant {
        "" => "the tenants'".to_owned(),
        id => format!("{id}'s"),
    }
}

/// Whether these numbers are within bounds: those of a preset that can be changed, and of what else there is of it.
#[must_use]
pub fn are_possible(built_in: &Preset, version: u32, long_edge: u32, quality: u8) -> bool {
    let is_built_in =
        (version, long_edge, quality) == (built_in.version, built_in.long_edge, built_in.quality);
    let beside = variant::beside(&built_in.label());
    let own = CHANGEABLE.iter().find(|p| p.name == beside);
    let is_own = own.is_some_and(|p| {
        let (least, most) = edges(p);
        version > 1 && (least..=most).contains(&long_edge) && (1..=100).contains(&quality)
    });
    is_built_in || is_own
}

/// The bounds of a preset's longer edge.
fn edges(of: &Preset) -> (u32, u32) {
    match of.format {
        Format::Jpeg => LARGE_EDGES,
        _ => DISPLAY_EDGES,
    }
}

/// Reads `display@2:1440/78` or `display@1`.
fn one(text: &str) -> Result<Preset, TenantPresetsError> {
    let form = || TenantPresetsError::Form(text.to_owned());
    let (name, rest) = text.split_once('@').ok_or_else(form)?;
    let mut changeable = CHANGEABLE.into_iter();
    let built_in = changeable.find(|p| p.name == name);
    let built_in = built_in.ok_or_else(|| TenantPresetsError::Fixed(name.to_owned()))?;
    let (version, numbers_of) = match rest.split_once(':') {
        Some((version, numbers)) => (version, Some(numbers)),
        None => (rest, None),
    };
    let version: u32 = number(version).ok_or_else(form)?;
    let Some(numbers_of) = numbers_of else {
        return match version == built_in.version {
            true => Ok(built_in),
            false => Err(form()),
        };
    };
    let (long_edge, quality) = numbers_of.split_once('/').ok_or_else(form)?;
    let long_edge: u32 = number(long_edge).ok_or_else(form)?;
    let quality: u32 = number(quality).ok_or_else(form)?;
    if version <= built_in.version {
        return Err(TenantPresetsError::BuiltIn {
            name: built_in.name,
            built_in: numbers(&built_in),
        });
    }
    let within = |what, (least, most): (u32, u32), given| match (least..=most).contains(&given) {
        true => Ok(given),
        false => Err(TenantPresetsError::Bounds {
            what,
            name: built_in.name,
            least,
            most,
            given,
        }),
    };
    let (worst, best) = QUALITIES;
    let quality = within("quality", (worst.into(), best.into()), quality)?;
    Ok(Preset {
        version,
        long_edge: within("long edge", edges(&built_in), long_edge)?,
        quality: u8::try_from(quality).unwrap_or(built_in.quality),
        ..built_in
    })
}

/// A number as it is written here, without zeros before it.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|n: &u32| n.to_string() == text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Presets = PerTenant<TenantPresets>;

    fn own(of: &Presets, tenant: &str) -> [(u32, u32, u8); 2] {
        let presets = of.of(tenant).derived();
        presets.map(|p| (p.version, p.long_edge, p.quality))
    }

    #[test]
    fn tenants_have_their_own_and_others_what_is_left() {
        let read = Presets::of_setting(
            "display@2:1440/78, large@2:2560/82,ten_a=display@3:1600/80,ten_b = display@1",
        );
        let read = read.unwrap();
        let large = (2, 2560, 82);
        assert_eq!(own(&read, "ten_a"), [(3, 1600, 80), large]);
        assert_eq!(own(&read, "ten_b"), [(1, 1080, 75), large]);
        assert_eq!(own(&read, "ten_c"), [(2, 1440, 78), large]);
        assert_eq!(read.own().len(), 3);
        // The order does not matter.
        let turned = Presets::of_setting(
            "ten_b=display@1,ten_a=display@3:1600/80,large@2:2560/82,display@2:1440/78",
        );
        assert_eq!(turned.as_ref(), Ok(&read));
        for nothing in ["", " ", "display@1,large@1"] {
            let all = Presets::of_setting(nothing).unwrap();
            assert_eq!(all, Presets::all(TenantPresets::default()));
            assert!(all.own().is_empty());
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_reason() {
        for (wrong, why) in [
            ("display", "NAME@VERSION"),
            ("display@2", "NAME@VERSION"),
            ("display@2:1440", "NAME@VERSION"),
            ("display@2:1440/", "NAME@VERSION"),
            ("display@02:1440/78", "NAME@VERSION"),
            ("display@-2:1440/78", "NAME@VERSION"),
            ("display@2:1440/78.5", "NAME@VERSION"),
            ("=display@2:1440/78", "NAME@VERSION"),
            ("cover@2:400/75", "only display and large"),
            ("square@1", "only display and large"),
            ("display@1:1440/78", "built-in one, 1080/75"),
            ("display@0:1440/78", "built-in one"),
            (
                "display@2:479/78",
                "long edge of display must be 480 to 2048, not 479",
            ),
            ("display@2:2049/78", "2049"),
            ("large@2:4097/80", "1280 to 4096"),
            ("large@2:1279/80", "1279"),
            ("display@2:1440/29", "quality of display must be 30 to 95"),
            ("display@2:1440/300", "300"),
            (
                "display@2:1440/78,display@3:1600/78",
                "the tenants' display is given twice",
            ),
            (
                "ten_a=large@2:2560/80,ten_a=large@1",
                "ten_a's large is given twice",
            ),
            (
                "display@2:1440/78,ten_a=display@2:1440/79",
                "display@2 is 1440/78 in one place and 1440/79",
            ),
            (
                "display@2:1600/78,large@2:1280/80",
                "the tenants' large would be smaller",
            ),
            (
                "display@2:1600/78,ten_a=large@2:1280/80",
                "ten_a's large would be smaller",
            ),
        ] {
            let error = Presets::of_setting(wrong).unwrap_err().to_string();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }

    #[test]
    fn other_formats_follow() {
        let usual = TenantPresets::default();
        assert_eq!(usual.in_bulk(), crate::variant::IN_BULK);
        assert_eq!(usual.on_request(), crate::variant::ON_REQUEST);
        let read = Presets::of_setting("display@4:1440/85").unwrap().of_others;
        let [avif] = read.in_bulk();
        assert_eq!((avif.version, avif.long_edge, avif.quality), (4, 1440, 68));
        let [jpeg, cover] = read.on_request();
        assert_eq!((jpeg.version, jpeg.long_edge, jpeg.quality), (4, 1440, 90));
        assert_eq!(cover, COVER_JPEG);
        assert_eq!(usual.lean(), LEAN);
        let lean = read.lean();
        let numbers = (lean.version, lean.long_edge, lean.quality);
        assert_eq!(numbers, (4, 1440, LEAN.quality + 10));
        let low = Presets::of_setting("display@2:1080/40").unwrap().of_others;
        assert_eq!(low.lean().quality, LEAST_LEAN);
        let versions = ["display", "large", "cover", "none"].map(|name| read.version(name));
        assert_eq!(versions, [4, 1, 1, 1]);
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_within_bounds(text in "((ten_[ab]=)?(display|large)@([1-4]:(480|1300|1440|2048|2560|4096)/[3-9]5|1),){0,4}") {
            let Ok(read) = Presets::of_setting(&text) else { return Ok(()) };
            for tenant in ["ten_a", "ten_b", "ten_c"] {
                let presets = read.of(tenant);
                prop_assert!(presets.display.long_edge <= presets.large.long_edge);
                prop_assert!(presets.display.long_edge > crate::preset::COVER.long_edge);
                for made in presets.derived().into_iter().chain(presets.in_bulk()).chain(presets.on_request()).chain([presets.lean()]) {
                    let built_in = crate::variant::built_in(crate::variant::slot(&made.label())).unwrap();
                    prop_assert!(are_possible(&built_in, made.version, made.long_edge, made.quality), "{made:?}");
                    prop_assert_eq!(made.version == 1, made == built_in);
                }
            }
        }

        #[test]
        fn no_text_stops_it(text in "\\PC{0,60}") {
            let _ = Presets::of_setting(&text);
        }

        #[test]
        fn what_was_written_is_read(version in 2..u32::MAX, edge in 1280..=2048_u32, quality in 30..=95_u8) {
            let text = format!("display@{version}:{edge}/{quality},large@{version}:{edge}/{quality}");
            let read = Presets::of_setting(&text).unwrap();
            prop_assert_eq!(own(&read, "x"), [(version, edge, quality); 2]);
            prop_assert_eq!(numbers(&read.of_others.display), format!("{edge}/{quality}"));
        }
    }
}
