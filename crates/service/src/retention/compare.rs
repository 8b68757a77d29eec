//! Compares a page of the store's list with a page of rows, both in the order of keys. Pure.

use std::cmp::Ordering;

/// A page of one side.
#[derive(Clone, Debug)]
pub(super) struct Page<T> {
    /// Its items, in the order of their keys.
    pub(super) items: Vec<T>,
    /// Whether nothing comes behind it.
    pub(super) is_last: bool,
}

/// What of two pages is on one side only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Compared<L, R> {
    /// In the store, and no row.
    pub(super) listed: Vec<L>,
    /// A row, and not in the store.
    pub(super) rows: Vec<R>,
    /// How far both pages reach: the next ones begin behind this key. `None` at the end of both.
    pub(super) until: Option<String>,
}

/// Compares two pages that begin at the same place. What one of them does not reach is left to the next.
pub(super) fn compare<L, R>(
    listed: Page<L>,
    rows: Page<R>,
    listed_key: impl Fn(&L) -> &str,
    row_key: impl Fn(&R) -> &str,
) -> Compared<L, R> {
    let end =
        |is_last: bool, last: Option<&str>| (!is_last).then(|| last.unwrap_or_default().to_owned());
    let ends = [
        end(listed.is_last, listed.items.last().map(&listed_key)),
        end(rows.is_last, rows.items.last().map(&row_key)),
    ];
    let until = ends.into_iter().flatten().min();
    let reaches = |key: &str| until.as_deref().is_none_or(|until| key <= until);
    let mut found = Compared {
        listed: Vec::new(),
        rows: Vec::new(),
        until: until.clone(),
    };
    let mut left = listed
        .items
        .into_iter()
        .filter(|item| reaches(listed_key(item)))
        .peekable();
    let mut right = rows
        .items
        .into_iter()
        .filter(|row| reaches(row_key(row)))
        .peekable();
    loop {
        let order = match (left.peek(), right.peek()) {
            (None, None) => return found,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(item), Some(row)) => listed_key(item).cmp(row_key(row)),
        };
        match order {
            Ordering::Less => found.listed.extend(left.next()),
            Ordering::Greater => found.rows.extend(right.next()),
            // Several rows may hold one key.
            Ordering::Equal => {
                let item = left.next();
                let key = item.as_ref().map(&listed_key).unwrap_or_default();
                while right.next_if(|row| row_key(row) == key).is_some() {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// All that is found page by page, as a sweep does it.
    fn sweep(
        store: &BTreeSet<String>,
        catalog: &BTreeSet<String>,
        sizes: [usize; 2],
    ) -> (Vec<String>, Vec<String>, usize) {
        let page = |of: &BTreeSet<String>, after: &str, size: usize| {
            let behind: Vec<String> = of.iter().filter(|k| k.as_str() > after).cloned().collect();
            Page {
                is_last: behind.len() <= size,
                items: behind.into_iter().take(size).collect(),
            }
        };
        let (mut cursor, mut orphans, mut missing) = (String::new(), Vec::new(), Vec::new());
        for steps in 1.. {
            let (listed, rows) = (
                page(store, &cursor, sizes[0]),
                page(catalog, &cursor, sizes[1]),
            );
            let found = compare(listed, rows, |k| k, |k| k);
            orphans.extend(found.listed);
            missing.extend(found.rows);
            match found.until {
                Some(until) => {
                    assert!(until > cursor, "it moves on");
                    cursor = until;
                }
                None => return (orphans, missing, steps),
            }
        }
        unreachable!()
    }

    proptest! {
        #[test]
        fn pages_of_any_size_find_what_sets_differ_in(
            store in proptest::collection::btree_set("[a-c]{1,3}", 0..30),
            catalog in proptest::collection::btree_set("[a-c]{1,3}", 0..30),
            sizes in [1_usize..8, 1_usize..8],
        ) {
            let (orphans, missing, _) = sweep(&store, &catalog, sizes);
            prop_assert_eq!(orphans, store.difference(&catalog).cloned().collect::<Vec<_>>());
            prop_assert_eq!(missing, catalog.difference(&store).cloned().collect::<Vec<_>>());
        }
    }
}
