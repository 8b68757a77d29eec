//! Which steps are taken, and how often.

use proptest::prelude::*;

use super::step::{KEYS, Loose, Step};

fn loose() -> impl Strategy<Value = Loose> {
    prop_oneof![
        6 => Just(Loose::None),
        2 => Just(Loose::Current),
        1 => Just(Loose::Other),
        1 => Just(Loose::Any),
    ]
}

fn seeded_body() -> impl Strategy<Value = (u64, usize)> {
    let length = prop_oneof![1 => Just(0_usize), 8 => 1_usize..2000, 1 => 250_000_usize..600_000];
    (any::<u64>(), length)
}

fn rarely<T: std::fmt::Debug + Clone + 'static>(
    strategy: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Option<T>> {
    prop::option::weighted(0.25, strategy)
}

/// A step that is one moment's change or look.
pub fn atomic() -> impl Strategy<Value = Step> {
    let (key, upload) = (0_usize..KEYS.len(), 0_usize..8);
    let number = 1_i32..5;
    let range = || (0_u64..1500, 0_u64..1500);
    prop_oneof![
        6 => (key.clone(), seeded_body(), any::<bool>(), rarely(any::<u8>()), loose(), prop::bool::weighted(0.15), prop::bool::weighted(0.2))
            .prop_map(|(key, body, note, tags, if_match, if_none_match, sha256)| Step::Put { key, body, note, tags, if_match, if_none_match, sha256 }),
        3 => (key.clone(), rarely(range()), rarely(number.clone()), loose(), loose())
            .prop_map(|(key, range, part, if_match, if_none_match)| Step::Get { key, range, part, if_match, if_none_match }),
        2 => (key.clone(), loose()).prop_map(|(key, if_match)| Step::Delete { key, if_match }),
        4 => (key.clone(), key.clone(), rarely(any::<bool>()), rarely(any::<u8>()), prop::bool::weighted(0.2), loose())
            .prop_map(|(from, to, note, tags, sha256, if_match)| Step::Copy { from, to, note, tags, sha256, if_match }),
        1 => key.clone().prop_map(|key| Step::Tags { key }),
        3 => (key.clone(), prop::option::of(any::<u8>())).prop_map(|(key, tags)| Step::Retag { key, tags }),
        3 => (key.clone(), any::<bool>(), rarely(any::<u8>())).prop_map(|(key, note, tags)| Step::Create { key, note, tags }),
        8 => (upload.clone(), number.clone(), seeded_body()).prop_map(|(upload, number, body)| Step::Part { upload, number, body }),
        3 => (upload.clone(), number, key.clone(), rarely(range())).prop_map(|(upload, number, from, range)| Step::PartCopy { upload, number, from, range }),
        1 => upload.clone().prop_map(|upload| Step::ListParts { upload }),
        5 => (upload.clone(), prop_oneof![Just(0_u8), any::<u8>()], prop::bool::weighted(0.1), prop::bool::weighted(0.15))
            .prop_map(|(upload, leave_out, wrong, if_none_match)| Step::Complete { upload, leave_out, wrong, if_none_match }),
        1 => key.prop_map(|key| Step::Recomplete { key }),
        1 => upload.prop_map(|upload| Step::Abort { upload }),
    ]
}

/// Steps for taking one after another.
pub fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let key = 0_usize..KEYS.len();
    let step = prop_oneof![
        40 => atomic(),
        1 => (prop::collection::btree_map(key.clone(), loose(), 1..4), any::<bool>()).prop_map(|(keys, quiet)| Step::DeleteMany { keys: keys.into_iter().collect(), quiet }),
        4 => (0_usize..8, 0_usize..8, rarely(key), 1_i32..5, any::<bool>())
            .prop_map(|(prefix, delimiter, after, page, first_version)| Step::List { prefix, delimiter, after, page, first_version }),
        2 => (0_usize..8, 1_i32..4).prop_map(|(prefix, page)| Step::ListUploads { prefix, page }),
    ];
    prop::collection::vec(step, 1..most)
}
