//! Object keys: the only place where they are built and read.
//!
//! `o/{tenant}/{yyyy}/{mm}/{dd}/{random}` originals, `r/{tenant}/{blob}/{preset}@{version}.{ext}`
//! renditions, `x/{tenant}/{random}` temporary, `c/mark` what the catalog leaves of itself. Every segment is checked, so that no id, whatever
//! it holds, makes a key leave its prefix.

use std::fmt;

use safelight_model::clock::Micros;
use safelight_model::entropy::Entropy;
use safelight_model::ids;
use safelight_model::preset::{self, Label};

/// The key of an object. Holds only letters, digits, `-`, `_`, `/`, `@` and one `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(String);

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Bytes exactly as received.
    Original,
    /// Something derived from an original.
    Rendition,
    /// Something that may be removed at any time.
    Temporary,
    /// What the catalog leaves of itself.
    Mark,
}

/// Text that cannot be part of a key, or is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// An id or name that is not 1 to 64 letters, digits, `-` and `_`.
    #[error("{what} cannot be part of an object key: {text:?}")]
    Segment {
        /// What the text stands for.
        what: &'static str,
        /// The text.
        text: String,
    },
    /// Text that this module did not build.
    #[error("not an object key: {0:?}")]
    Form(String),
}

impl ObjectKey {
    /// A fresh key for an original; the date spreads listings, the rest is random.
    ///
    /// # Errors
    /// [`KeyError::Segment`] when the tenant's id is not one.
    pub fn original(tenant: &str, now: Micros, source: &dyn Entropy) -> Result<Self, KeyError> {
        let tenant = segment("tenant", tenant)?;
        let (year, month, day) = now.date();
        let year = year.clamp(0, 9999);
        let random = ids::public_id(source);
        Ok(Self(format!(
            "o/{tenant}/{year:04}/{month:02}/{day:02}/{random}"
        )))
    }

    /// The key of a blob's rendition: the same for the same blob, preset and version, so that making it
    /// again replaces it.
    ///
    /// # Errors
    /// [`KeyError::Segment`] when an id or the preset's name cannot be part of a key.
    pub fn rendition(tenant: &str, blob: &str, of: &Label) -> Result<Self, KeyError> {
        let tenant = segment("tenant", tenant)?;
        let blob = segment("blob", blob)?;
        let name = segment("preset", of.name)?;
        let extension = of.format.extension();
        Ok(Self(format!(
            "r/{tenant}/{blob}/{name}@{}.{extension}",
            of.version
        )))
    }

    /// The key of a blob's cleaned original of this kind, which stands beside its renditions.
    ///
    /// # Errors
    /// [`KeyError::Segment`] when an id or the extension cannot be part of a key.
    pub fn cleaned(tenant: &str, blob: &str, extension: &str) -> Result<Self, KeyError> {
        let tenant = segment("tenant", tenant)?;
        let blob = segment("blob", blob)?;
        let extension = segment("extension", extension)?;
        let (name, version) = (preset::CLEANED, preset::CLEANED_VERSION);
        Ok(Self(format!(
            "r/{tenant}/{blob}/{name}@{version}.{extension}"
        )))
    }

    /// A fresh key for something that may be removed at any time.
    ///
    /// # Errors
    /// [`KeyError::Segment`] when the tenant's id is not one.
    pub fn temporary(tenant: &str, source: &dyn Entropy) -> Result<Self, KeyError> {
        let tenant = segment("tenant", tenant)?;
        Ok(Self(format!("x/{tenant}/{}", ids::public_id(source))))
    }

    /// The key of the catalog's mark. It belongs to no tenant.
    #[must_use]
    pub fn mark() -> Self {
        Self("c/mark".to_owned())
    }

    /// Reads a key back from a row or a listing.
    ///
    /// # Errors
    /// [`KeyError::Form`] for anything that the constructors could not have made.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let parts: Vec<&str> = text.split('/').collect();
        let sound = match parts.as_slice() {
            ["o", tenant, year, month, day, random] => {
                is_segment(tenant)
                    && is_number(year, 4)
                    && is_number(month, 2)
                    && is_number(day, 2)
                    && is_segment(random)
            }
            ["r", tenant, blob, name] => {
                is_segment(tenant) && is_segment(blob) && is_rendition(name)
            }
            ["x", tenant, random] => is_segment(tenant) && is_segment(random),
            ["c", "mark"] => true,
            _ => false,
        };
        if sound {
            Ok(Self(text.to_owned()))
        } else {
            Err(KeyError::Form(text.to_owned()))
        }
    }

    /// The key as it stands in rows and requests.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the key is for.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        match self.0.as_bytes().first() {
            Some(b'o') => KeyKind::Original,
            Some(b'r') => KeyKind::Rendition,
            Some(b'c') => KeyKind::Mark,
            _ => KeyKind::Temporary,
        }
    }

    /// The id of the tenant whose object this is; empty for the catalog's mark.
    #[must_use]
    pub fn tenant(&self) -> &str {
        match self.kind() {
            KeyKind::Mark => "",
            _ => self.0.split('/').nth(1).unwrap_or_default(),
        }
    }

    /// Whether it is that of a cleaned original.
    #[must_use]
    pub fn is_cleaned(&self) -> bool {
        let name = self.blob().and_then(|_| self.0.rsplit('/').next());
        let preset = name.and_then(|name| name.split_once('@'));
        preset.is_some_and(|(preset, _)| preset == preset::CLEANED)
    }

    /// Whether it is that of a rendition by this preset and in this format, of whatever version.
    #[must_use]
    pub fn is_of(&self, of: &Label) -> bool {
        let file = self.blob().and_then(|_| self.0.rsplit('/').next());
        let parts = file.and_then(|file| file.split_once('@'));
        parts.is_some_and(|(name, rest)| {
            let extension = rest.split_once('.').map(|(_, extension)| extension);
            name == of.name && extension == Some(of.format.extension())
        })
    }

    /// The id of the blob that this is a rendition of.
    #[must_use]
    pub fn blob(&self) -> Option<&str> {
        match self.kind() {
            KeyKind::Rendition => self.0.split('/').nth(2),
            _ => None,
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The letter that all keys of a kind begin with.
#[must_use]
pub fn letter(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Original => "o",
        KeyKind::Rendition => "r",
        KeyKind::Temporary => "x",
        KeyKind::Mark => "c",
    }
}

/// The prefix of all of a tenant's objects of one kind, for listings.
///
/// # Errors
/// [`KeyError::Segment`] when the tenant's id is not one.
pub fn prefix(kind: KeyKind, tenant: &str) -> Result<String, KeyError> {
    let tenant = segment("tenant", tenant)?;
    Ok(format!("{}/{tenant}/", letter(kind)))
}

fn segment<'a>(what: &'static str, text: &'a str) -> Result<&'a str, KeyError> {
    if is_segment(text) {
        Ok(text)
    } else {
        Err(KeyError::Segment {
            what,
            text: text.to_owned(),
        })
    }
}

fn is_segment(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn is_number(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_rendition(name: &str) -> bool {
    name.split_once('@')
        .and_then(|(preset, rest)| Some((preset, rest.split_once('.')?)))
        .is_some_and(|(preset, (version, extension))| {
            is_segment(preset)
                && version
                    .parse::<u32>()
                    .is_ok_and(|v| v.to_string() == version)
                && (1..=8).contains(&extension.len())
                && extension
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use safelight_model::entropy::SeededEntropy;

    use super::*;

    const TENANT: &str = "ten_0123456789abcdefghjkmnpqrs";

    #[test]
    fn keys_have_the_agreed_forms_and_read_back() {
        let source = SeededEntropy::new(1);
        let now = Micros::parse_rfc3339("2026-11-03T10:00:00Z").unwrap();
        let original = ObjectKey::original(TENANT, now, &source).unwrap();
        assert!(
            original
                .as_str()
                .starts_with(&format!("o/{TENANT}/2026/11/03/")),
            "{original}"
        );
        assert_ne!(original, ObjectKey::original(TENANT, now, &source).unwrap());
        let rendition = ObjectKey::rendition(TENANT, "blb_1", &preset::LARGE.label()).unwrap();
        assert_eq!(rendition.as_str(), format!("r/{TENANT}/blb_1/large@1.jpg"));
        let later = Label {
            version: 12,
            ..preset::LARGE.label()
        };
        let later = ObjectKey::rendition(TENANT, "blb_1", &later).unwrap();
        assert_eq!(later.as_str(), format!("r/{TENANT}/blb_1/large@12.jpg"));
        for key in [&rendition, &later] {
            assert!(key.is_of(&preset::LARGE.label()) && !key.is_of(&preset::COVER.label()));
        }
        let cleaned = ObjectKey::cleaned(TENANT, "blb_1", "3gp").unwrap();
        assert_eq!(cleaned.as_str(), format!("r/{TENANT}/blb_1/cleaned@1.3gp"));
        assert!(cleaned.is_cleaned() && !rendition.is_cleaned() && !original.is_cleaned());
        assert_eq!(ObjectKey::parse(cleaned.as_str()), Ok(cleaned));
        let temporary = ObjectKey::temporary(TENANT, &source).unwrap();
        assert_eq!((rendition.blob(), original.blob()), (Some("blb_1"), None));
        let mark = ObjectKey::mark();
        assert_eq!(ObjectKey::parse(mark.as_str()), Ok(mark.clone()));
        assert_eq!((mark.kind(), mark.tenant()), (KeyKind::Mark, ""));
        for (key, kind) in [
            (original, KeyKind::Original),
            (rendition, KeyKind::Rendition),
            (temporary, KeyKind::Temporary),
        ] {
            assert_eq!(ObjectKey::parse(key.as_str()), Ok(key.clone()));
            assert_eq!((key.kind(), key.tenant()), (kind, TENANT));
            assert!(key.as_str().starts_with(&prefix(kind, TENANT).unwrap()));
        }
    }

    #[test]
    fn foreign_keys_are_refused() {
        for text in [
            "",
            "o",
            "o/t",
            "o/t/2026/1/03/x",
            "o/t/2026/11/03/../x",
            "r/t/b/cover@1",
            "r/t/b/cover@01.webp",
            "r/t/b/cover@1.webp/x",
            "r/t/b/../cover@1.webp",
            "r/t/b/cover@1.w.p",
            "x//a",
            "x/t/a b",
            "/x/t/a",
            "x/t/a/",
            "y/t/a",
            "c/other",
            "c/mark/a",
        ] {
            assert!(ObjectKey::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_input_makes_a_key_leave_its_prefix(
            tenant in "\\PC{0,80}|[a-z_./%@\\\\\u{0}]{0,9}",
            blob in "\\PC{0,80}|[a-z_./%@\\\\\u{0}]{0,9}",
            micros in any::<i64>(),
            seed in any::<u64>(),
        ) {
            let source = SeededEntropy::new(seed);
            let made = [
                ("o", ObjectKey::original(&tenant, Micros(micros), &source)),
                ("r", ObjectKey::rendition(&tenant, &blob, &preset::COVER.label())),
                ("x", ObjectKey::temporary(&tenant, &source)),
            ];
            for (letter, key) in made {
                let Ok(key) = key else { continue };
                let start = format!("{letter}/{tenant}/");
                prop_assert!(key.as_str().starts_with(&start));
                prop_assert!(!tenant.contains('/') && !tenant.contains('.'));
                prop_assert!(key.as_str().split('/').all(|part| !part.is_empty() && part != "." && part != ".."));
                prop_assert_eq!(ObjectKey::parse(key.as_str()), Ok(key.clone()));
                prop_assert_eq!(key.tenant(), tenant.as_str());
            }
        }

        #[test]
        fn what_parses_stays_in_its_tenant(text in "\\PC{0,60}|[orx]/[a-z./@1]{0,20}") {
            if let Ok(key) = ObjectKey::parse(&text) {
                prop_assert!(key.as_str().split('/').all(|part| !part.is_empty() && part != "." && part != ".."));
            }
        }
    }
}
