//! Text out of files, made harmless.

/// Longer than what any camera calls itself.
const MAX_CHARS: usize = 200;

/// Text without control characters, zeros and space around it; nothing where nothing is left.
pub(crate) fn plain(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.split(|byte| *byte == 0).next()?;
    let bytes = bytes.get(..MAX_CHARS * 4).unwrap_or(bytes);
    let text: String = String::from_utf8_lossy(bytes)
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_CHARS)
        .collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_text() {
        assert_eq!(plain(b" SM-G930F \0rest").as_deref(), Some("SM-G930F"));
        assert_eq!(plain(b"a\x1b\nb\xff").as_deref(), Some("ab\u{fffd}"));
        assert_eq!(plain(b"  \0x"), None);
        assert_eq!(plain(&[b'x'; 5000]).map(|text| text.len()), Some(MAX_CHARS));
    }
}
