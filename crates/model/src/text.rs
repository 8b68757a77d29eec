//! Small rules about text from outside.

/// Whether `text` is a lower-case hexadecimal SHA-256.
#[must_use]
pub fn is_sha256_hex(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Whether `text` may name something of a client's: 1 to `max` characters, none of them a control character.
#[must_use]
pub fn is_reference(text: &str, max: usize) -> bool {
    !text.is_empty() && text.chars().count() <= max && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_and_references() {
        assert!(is_sha256_hex(&"a0".repeat(32)));
        assert!(!is_sha256_hex(&"A0".repeat(32)));
        assert!(!is_sha256_hex("a0"));
        assert!(
            is_reference("IMG_1", 8)
                && !is_reference("", 8)
                && !is_reference("a\nb", 8)
                && !is_reference("123456789", 8)
        );
    }
}
