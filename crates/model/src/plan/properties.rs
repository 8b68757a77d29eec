//! What holds of every plan.

use proptest::prelude::*;

use super::{
    Battery, Bounds, File, Hints, Limit, Line, Link, Plan, Policy, Transport, fit, part_count,
    part_length,
};
use crate::limits;

const ALL: [Transport; 3] = [Transport::Single, Transport::Multipart, Transport::Append];

fn links() -> impl Strategy<Value = Link> {
    (
        proptest::option::of(1_u32..2_000_000),
        proptest::option::of(0_u32..3_000),
        proptest::option::of(0_u32..1_000_000),
        any::<bool>(),
    )
        .prop_map(|(uplink_kbps, rtt_ms, loss_millionths, is_dear)| Link {
            uplink_kbps,
            rtt_ms,
            loss_millionths,
            is_dear,
            ..Link::default()
        })
}

fn batteries() -> impl Strategy<Value = Battery> {
    (
        proptest::option::of(0_u8..=100),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(percent, is_charging, is_saving)| Battery {
            percent,
            is_charging,
            is_saving,
        })
}

fn bounds() -> impl Strategy<Value = Bounds> {
    (
        0_i64..5_000_000_000,
        prop_oneof![Just(1_i64), 1_i64..100_000_000],
    )
        .prop_map(|(single_max_bytes, min_part_bytes)| Bounds {
            single_max_bytes,
            min_part_bytes,
        })
}

/// How many bytes of the file one request carries.
fn carried(plan: &Plan, size_bytes: i64) -> i64 {
    plan.part_size_bytes.min(size_bytes)
}

proptest! {
    #[test]
    fn a_plan_is_one_that_can_be_carried_out(
        size_bytes in 1_i64..200_000_000_000,
        mask in 0_usize..8,
        link in links(),
        battery in batteries(),
        background in any::<bool>(),
        bounds in bounds(),
    ) {
        let spoken: Vec<Transport> =
            ALL.into_iter().enumerate().filter(|(i, _)| mask & (1 << i) != 0).map(|(_, t)| t).collect();
        let hints = Hints { spoken: &spoken, link, battery, background, purpose: None };
        let policy = Policy::default();
        let file = File { size_bytes, ..File::default() };
        let plan = policy.choose(&file, &hints, bounds);
        let carries = spoken.iter().any(|t| *t != Transport::Single || size_bytes <= 5 << 30);
        prop_assert_eq!(plan.is_some(), carries);
        let Some(plan) = plan else { return Ok(()) };
        prop_assert!(spoken.contains(&plan.transport));
        prop_assert!((1..=6).contains(&plan.concurrency));
        prop_assert!((1..=6).contains(&policy.at_once(&[plan], &hints)));
        prop_assert!(plan.concurrency * policy.at_once(&[plan], &hints) <= 8);
        let parts = part_count(size_bytes, plan.part_size_bytes);
        match plan.transport {
            Transport::Single => prop_assert_eq!((parts, plan.concurrency), (1, 1)),
            Transport::Multipart => prop_assert!(parts <= limits::MAX_PARTS && i64::from(plan.concurrency) <= parts),
            Transport::Append => prop_assert!(parts <= limits::MAX_PARTS / 2 && plan.concurrency == 1),
        }
        prop_assert!(plan.transport == Transport::Single || plan.part_size_bytes >= bounds.min_part_bytes);
        // And the same again.
        prop_assert_eq!(policy.choose(&file, &hints, bounds), Some(plan));
    }

    #[test]
    fn a_thinner_link_never_gets_larger_parts_nor_more_connections(
        size_bytes in 1_i64..200_000_000_000,
        link in links(),
        battery in batteries(),
        bounds in bounds(),
        (thin, wide) in (1_u32..2_000_000, 1_u32..2_000_000).prop_map(|(a, b)| (a.min(b), a.max(b))),
    ) {
        let file = File { size_bytes, ..File::default() };
        let policy = Policy::default();
        let of = |kbps| {
            let link = Link { uplink_kbps: Some(kbps), ..link };
            let hints = Hints { spoken: &ALL, link, battery, ..Hints::default() };
            (policy.choose(&file, &hints, bounds), Line::of(&link, &policy))
        };
        let ((Some(thin), thin_line), (Some(wide), wide_line)) = (of(thin), of(wide)) else {
            return Err(TestCaseError::fail("no plan"));
        };
        prop_assert!(
            wide.transport != Transport::Multipart || carried(&thin, size_bytes) <= carried(&wide, size_bytes)
                // Twice as many numbers are kept free for what is appended to.
                || thin.transport == Transport::Append && size_bytes > 5_000 * (1 << 20),
            "{:?} {:?}", thin, wide
        );
        prop_assert!(thin_line.flows <= wide_line.flows);
        prop_assert!(wide_line.limit != Limit::Bandwidth || thin_line.limit == Limit::Bandwidth);
    }

    #[test]
    fn parts_cover_the_file_exactly(
        size in 1_i64..200_000_000_000,
        wanted in 1_i64..100_000_000,
        least in prop_oneof![Just(1_i64), 1_i64..100_000_000],
        most in 1_i64..=limits::MAX_PARTS,
    ) {
        let part = fit(size, wanted, least, most);
        prop_assert!(part >= least && part >= wanted);
        let count = part_count(size, part);
        prop_assert!(count <= most);
        let total: i64 = (1..=count).filter_map(|n| part_length(size, part, n)).sum();
        prop_assert_eq!(total, size);
        prop_assert!((1..=count).all(|n| part_length(size, part, n).is_some_and(|l| l > 0)));
        prop_assert_eq!(part_length(size, part, count + 1), None);
        prop_assert_eq!(part_length(size, part, 0), None);
    }
}
