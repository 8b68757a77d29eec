//! Tags: words of the owner's own for his assets.
//!
//! However a tag is typed, it is one: without spaces around it, with single spaces within, in lower case, and composed
//! (Unicode's NFC, since some systems write `é` as two characters).

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization as _;

use crate::limits;

/// Why a set of tags is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadTags {
    /// The tag in this place is empty, too long or has a control character.
    Tag(usize),
    /// They are more than [`limits::MAX_TAGS`].
    TooMany,
}

/// The tag that this text means; `None` if it is empty, longer than [`limits::MAX_TAG`] characters, or has a control
/// character.
#[must_use]
pub fn normalise(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let tag: String = words.join(" ").nfc().collect();
    let tag: String = tag.to_lowercase().nfc().collect();
    let good = !tag.is_empty()
        && tag.chars().count() <= limits::MAX_TAG
        && !tag.chars().any(char::is_control);
    good.then_some(tag)
}

/// The set of tags that these texts mean.
///
/// # Errors
/// If one is none, or they are too many.
pub fn set<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<BTreeSet<String>, BadTags> {
    let mut tags = BTreeSet::new();
    for (i, text) in texts.into_iter().enumerate() {
        tags.insert(normalise(text).ok_or(BadTags::Tag(i))?);
        if tags.len() > limits::MAX_TAGS {
            return Err(BadTags::TooMany);
        }
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn however_it_is_typed_it_is_one_tag() {
        for text in ["Café au Lait", "  cafe\u{301}  AU\tlait ", "CAFÉ au\nlait"] {
            assert_eq!(normalise(text).as_deref(), Some("café au lait"), "{text:?}");
        }
        assert_eq!(normalise("東京 🗼").as_deref(), Some("東京 🗼"));
        for wrong in ["", " \t", "a\u{0}b", "a\u{7}", &"x".repeat(65)] {
            assert_eq!(normalise(wrong), None, "{wrong:?}");
        }
        assert!(normalise(&"é".repeat(64)).is_some());
    }

    #[test]
    fn a_set_has_each_tag_once_and_a_limit() {
        let set_of = |texts: &[&str]| set(texts.iter().copied());
        let two = set_of(&["Sea", "sea ", "beach"]).unwrap();
        assert_eq!(two.into_iter().collect::<Vec<_>>(), ["beach", "sea"]);
        assert_eq!(set_of(&["sea", " "]), Err(BadTags::Tag(1)));
        let many: Vec<String> = (0..51).map(|n| n.to_string()).collect();
        assert_eq!(set(many.iter().map(String::as_str)), Err(BadTags::TooMany));
        assert!(set(many[1..].iter().map(String::as_str)).is_ok());
    }

    proptest! {
        /// What is normal stays as it is, whatever was typed.
        #[test]
        fn a_tag_is_its_own_normal_form(text in "\\PC{0,40}", more in any::<String>()) {
            for text in [text, more] {
                let Some(tag) = normalise(&text) else { continue };
                prop_assert_eq!(normalise(&tag), Some(tag.clone()));
                prop_assert_eq!(normalise(&format!("  {tag}\t")), Some(tag));
            }
        }

        /// Composed or not makes no difference.
        #[test]
        fn composition_makes_no_difference(text in "[a-zA-Zäöüéèçñå ]{1,30}") {
            let apart: String = text.nfd().collect();
            prop_assert_eq!(normalise(&text), normalise(&apart));
        }
    }
}
