//! In which order the files of a capture are sent.

/// Places in the sending order, from 0, for files of these roles and sizes: the key frame first, since it is what is
/// waited for; then files that go by one request before those that go in parts, so that a clip does not hold up twelve
/// stills; then as the capture names them. Each file has one place.
#[must_use]
pub fn order<'a>(files: impl IntoIterator<Item = (&'a str, bool)>) -> Vec<usize> {
    let keys: Vec<(bool, bool)> = files
        .into_iter()
        .map(|(role, is_large)| (role != "key", is_large))
        .collect();
    let mut sequence: Vec<usize> = (0..keys.len()).collect();
    sequence.sort_by_key(|i| keys.get(*i).copied());
    let mut places = vec![0; keys.len()];
    for (place, i) in sequence.into_iter().enumerate() {
        if let Some(slot) = places.get_mut(i) {
            *slot = place;
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::order;

    #[test]
    fn the_key_frame_then_small_files_then_as_they_came() {
        let files = [
            ("frame", false),
            ("clip", true),
            ("frame", false),
            ("key", true),
            ("still", false),
        ];
        assert_eq!(order(files), [1, 4, 2, 0, 3]);
        assert!(order([]).is_empty());
    }
}
