//! Where a page of a list ended, as a text that says nothing to its holder.
//!
//! A cursor belongs to the list that it was given with: the same owner, filters and order. It is checked for that, since
//! a place in one list is none in another. It is no secret: what it holds, its holder was shown.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// Bytes of the check in front of the place.
const CHECK_BYTES: usize = 8;

/// Which list.
#[derive(Clone, Debug)]
pub struct List(Vec<String>);

impl List {
    /// The list that these texts tell from all others, in this order.
    #[must_use]
    pub fn of(told_by: &[&str]) -> Self {
        Self(told_by.iter().map(|t| (*t).to_owned()).collect())
    }

    fn check(&self, place: &[u8]) -> [u8; CHECK_BYTES] {
        let mut hash = blake3::Hasher::new();
        for part in self.0.iter().map(String::as_bytes).chain([place]) {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let mut check = [0; CHECK_BYTES];
        check.copy_from_slice(&hash.finalize().as_bytes()[..CHECK_BYTES]);
        check
    }

    /// The cursor of a place in this list.
    #[must_use]
    pub fn cursor(&self, place: &str) -> String {
        let mut bytes = self.check(place.as_bytes()).to_vec();
        bytes.extend(place.as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place of a cursor, if it is one of this list.
    #[must_use]
    pub fn place(&self, cursor: &str) -> Option<String> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (check, place) = bytes.split_at_checked(CHECK_BYTES)?;
        (self.check(place) == check).then(|| String::from_utf8(place.to_vec()).ok())?
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cursor_is_of_its_list() {
        let list = List::of(&["assets", "ten_1", "ann", "tag=sea"]);
        let cursor = list.cursor("5.ast_1");
        assert_eq!(list.place(&cursor).as_deref(), Some("5.ast_1"));
        for other in [
            List::of(&["assets", "ten_1", "bob", "tag=sea"]),
            List::of(&["assets", "ten_1", "ann", ""]),
            List::of(&["assets", "ten_1", "annt", "ag=sea"]),
            List::of(&[]),
        ] {
            assert_eq!(other.place(&cursor), None);
        }
        for wrong in ["", "x", "ast_1", &cursor[1..], &format!("{cursor}A")] {
            assert_eq!(list.place(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn nothing_else_is_taken(text in "\\PC{0,60}") {
            prop_assert_eq!(List::of(&["a"]).place(&text), None);
        }
    }
}
