//! Making a plan.

use super::{Bounds, File, Hints, Limit, Line, Plan, Policy, Transport, Why, fit, part_count};
use crate::limits;

/// S3's limit for one PUT.
const SINGLE_PUT_LIMIT: i64 = 5 * 1024 * 1024 * 1024;

impl Policy {
    /// The plan of a file.
    ///
    /// `append` where the client speaks it and its link is thin or lossy or the system sends in the background, but for
    /// small files, or where it speaks nothing else that can carry the file: the gateway's machines have to carry the
    /// bytes too. One request where the file is small and the link carries it soon. Else parts.
    ///
    /// `None` when the client speaks no transport that can carry it: `single` carries files of up to 5 GiB when nothing
    /// else is spoken, the others any size above zero.
    #[must_use]
    pub fn choose(&self, file: &File<'_>, hints: &Hints<'_>, bounds: Bounds) -> Option<Plan> {
        let line = Line::of(&hints.link, self);
        let (transport, why) = self.transport(file, hints, bounds, &line)?;
        let (concurrency, why_so_many) = self.concurrency(hints, &line);
        let (part_size_bytes, concurrency) = match transport {
            Transport::Single => (file.size_bytes, 1),
            // Its parts are the gateway's affair: one that broke leaves a gap in their numbers, so that twice as many
            // are kept free as are needed.
            Transport::Append => (self.part(file, &line, bounds, limits::MAX_PARTS / 2), 1),
            Transport::Multipart => {
                let part = self.part(file, &line, bounds, limits::MAX_PARTS);
                let parts = part_count(file.size_bytes, part);
                (
                    part,
                    concurrency.min(u32::try_from(parts).unwrap_or(u32::MAX)),
                )
            }
        };
        Some(Plan {
            transport,
            part_size_bytes,
            concurrency,
            compress: self.compress(file, hints, &line),
            why: [why, why_so_many],
        })
    }

    fn transport(
        &self,
        file: &File<'_>,
        hints: &Hints<'_>,
        bounds: Bounds,
        line: &Line,
    ) -> Option<(Transport, Why)> {
        let size = file.size_bytes;
        let speaks = |t| hints.spoken.contains(&t);
        let is_worth_resuming =
            u64::try_from(size).is_ok_and(|s| s > self.not_worth_resuming_bytes);
        let resumes = self.resumes(hints, line).filter(|_| is_worth_resuming);
        if let Some(why) = resumes.filter(|_| speaks(Transport::Append)) {
            return Some((Transport::Append, why));
        }
        let is_soon = line
            .bytes_in(self.single_seconds)
            .is_none_or(|soon| size <= soon);
        let is_small = size <= bounds.single_max_bytes && (is_soon || !is_worth_resuming);
        if speaks(Transport::Single) && is_small {
            return Some((Transport::Single, Why::Small));
        }
        if speaks(Transport::Multipart) {
            let other = speaks(Transport::Single) || speaks(Transport::Append);
            return Some((
                Transport::Multipart,
                if other { Why::Large } else { Why::OnlySpoken },
            ));
        }
        if speaks(Transport::Single) && size <= bounds.single_max_bytes {
            return Some((Transport::Single, Why::Small));
        }
        if speaks(Transport::Append) {
            return Some((Transport::Append, Why::OnlySpoken));
        }
        (speaks(Transport::Single) && size <= SINGLE_PUT_LIMIT)
            .then_some((Transport::Single, Why::OnlySpoken))
    }

    /// Why a cut must cost no more than what was under way, if so.
    fn resumes(&self, hints: &Hints<'_>, line: &Line) -> Option<Why> {
        let answers_slowly = hints
            .link
            .rtt_ms
            .is_some_and(|ms| u64::from(ms) >= self.slow_answer_ms);
        let loss = hints.link.loss_millionths.map_or(0, u64::from);
        match line.kbps {
            Some(kbps) if kbps < self.thin_kbps => Some(Why::ThinLink),
            None if answers_slowly => Some(Why::ThinLink),
            _ if loss >= self.lossy_millionths => Some(Why::LossyLink),
            _ if hints.background => Some(Why::Background),
            _ => None,
        }
    }

    /// How many connections a client had better use, and why.
    fn concurrency(&self, hints: &Hints<'_>, line: &Line) -> (u32, Why) {
        let why = match line.limit {
            Limit::Unknown => Why::Default,
            Limit::Bandwidth => Why::Bandwidth,
            Limit::Loss => Why::Loss,
            Limit::RoundTrip => Why::RoundTrip,
        };
        let battery = hints.battery;
        let is_low = battery
            .percent
            .is_some_and(|p| u64::from(p) <= self.low_battery_percent);
        let saved = u32::try_from(self.connections_on_low_battery).unwrap_or(1);
        if (is_low || battery.is_saving) && !battery.is_charging && line.flows > saved {
            return (saved, Why::Battery);
        }
        (line.flows, why)
    }

    /// How many files a client had better have under way at once. Where bandwidth is the limit, one after another: a
    /// link that is lost then costs one of them, not all. Where it is not, as many as are needed for the connections of
    /// all together to fill the link, when `plans` are those of the files.
    #[must_use]
    pub fn at_once(&self, plans: &[Plan], hints: &Hints<'_>) -> u32 {
        let line = Line::of(&hints.link, self);
        let (connections, _) = self.concurrency(hints, &line);
        if line.limit == Limit::Unknown {
            return u32::try_from(self.assets_at_once)
                .unwrap_or(1)
                .min(connections)
                .max(1);
        }
        let each = plans
            .iter()
            .map(|p| p.concurrency)
            .max()
            .unwrap_or(1)
            .max(1);
        (connections / each).max(1)
    }

    fn part(&self, file: &File<'_>, line: &Line, bounds: Bounds, most_parts: i64) -> i64 {
        const KIBIBYTE: i64 = 1024;
        let bytes = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let wanted = match line.bytes_in(self.part_seconds) {
            None => bytes(self.part_bytes),
            Some(carried) => (carried - carried % (256 * KIBIBYTE))
                .min(bytes(self.most_part_bytes))
                .max(bytes(self.least_part_bytes)),
        };
        fit(file.size_bytes, wanted, bounds.min_part_bytes, most_parts)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Battery, Link, NetworkKind};
    use super::*;

    const BOUNDS: Bounds = Bounds {
        single_max_bytes: limits::SINGLE_MAX_BYTES,
        min_part_bytes: 1,
    };
    const ALL: [Transport; 3] = [Transport::Single, Transport::Multipart, Transport::Append];

    fn plan(size_bytes: i64, hints: &Hints<'_>) -> Plan {
        let file = File {
            size_bytes,
            ..File::default()
        };
        Policy::default().choose(&file, hints, BOUNDS).unwrap()
    }

    fn over(link: Link) -> Hints<'static> {
        Hints {
            spoken: &ALL,
            link,
            ..Hints::default()
        }
    }

    fn measured(kbps: u32, rtt_ms: u32, loss_millionths: u32) -> Hints<'static> {
        over(Link {
            uplink_kbps: Some(kbps),
            rtt_ms: Some(rtt_ms),
            loss_millionths: Some(loss_millionths),
            ..Link::default()
        })
    }

    #[test]
    fn without_hints_it_is_the_plain_one() {
        let hints = over(Link::default());
        let small = plan(limits::SINGLE_MAX_BYTES, &hints);
        assert_eq!((small.transport, small.concurrency), (Transport::Single, 1));
        let large = plan(limits::SINGLE_MAX_BYTES + 1, &hints);
        assert_eq!(large.transport, Transport::Multipart);
        assert_eq!(
            (large.part_size_bytes, large.concurrency),
            (limits::PART_BYTES, 2)
        );
        assert_eq!(plan(100 << 20, &hints).concurrency, 4);
        assert_eq!(Policy::default().at_once(&[small, large], &hints), 2);
    }

    #[test]
    fn links_decide() {
        use Transport::{Append, Multipart, Single};
        const MIB: i64 = 1 << 20;
        for (name, hints, size, transport, part, at_once) in [
            (
                "2G",
                over(Link {
                    kind: NetworkKind::Cellular2g,
                    ..Link::default()
                }),
                3 * MIB,
                Append,
                MIB,
                1,
            ),
            ("thin", measured(900, 100, 0), 3 * MIB, Append, MIB, 1),
            (
                "thin, tiny",
                measured(900, 100, 0),
                MIB / 4,
                Single,
                MIB / 4,
                1,
            ),
            (
                "slow to answer",
                over(Link {
                    rtt_ms: Some(400),
                    ..Link::default()
                }),
                3 * MIB,
                Append,
                8 * MIB,
                1,
            ),
            (
                "satellite",
                measured(20_000, 600, 0),
                100 * MIB,
                Multipart,
                19_922_944,
                3,
            ),
            (
                "too slow for one",
                measured(1_500, 50, 0),
                8 * MIB,
                Multipart,
                1_310_720,
                1,
            ),
            (
                "bandwidth",
                measured(8_000, 50, 0),
                100 * MIB,
                Multipart,
                7_864_320,
                1,
            ),
            (
                "loss",
                measured(8_000, 200, 10_000),
                100 * MIB,
                Multipart,
                7_864_320,
                6,
            ),
            (
                "breaks",
                measured(8_000, 200, 50_000),
                100 * MIB,
                Append,
                7_864_320,
                1,
            ),
            (
                "fast",
                measured(900_000, 5, 0),
                1000 * MIB,
                Multipart,
                32 * MIB,
                2,
            ),
        ] {
            let plan = plan(size, &hints);
            let got = (plan.transport, plan.part_size_bytes, plan.concurrency);
            assert_eq!(got, (transport, part, at_once), "{name}: {plan:?}");
        }
    }

    #[test]
    fn small_files_fill_a_lossy_link_together_and_a_narrow_one_in_turn() {
        let policy = Policy::default();
        for (hints, files) in [
            (measured(8_000, 50, 0), 1),
            (measured(8_000, 200, 10_000), 6),
        ] {
            let small = plan(1 << 20, &hints);
            assert_eq!(small.transport, Transport::Single);
            assert_eq!(policy.at_once(&[small; 12], &hints), files);
        }
        // The connections of one large file fill it.
        let hints = measured(8_000, 200, 10_000);
        assert_eq!(policy.at_once(&[plan(100 << 20, &hints)], &hints), 1);
    }

    #[test]
    fn a_low_battery_takes_fewer_connections_unless_it_is_charged() {
        let with = |percent, is_charging, is_saving| Hints {
            battery: Battery {
                percent: Some(percent),
                is_charging,
                is_saving,
            },
            ..over(Link::default())
        };
        assert_eq!(plan(1 << 30, &with(20, false, false)).concurrency, 2);
        assert_eq!(plan(1 << 30, &with(20, false, false)).why[1], Why::Battery);
        assert_eq!(plan(1 << 30, &with(90, false, true)).concurrency, 2);
        assert_eq!(plan(1 << 30, &with(20, true, true)).concurrency, 4);
    }

    #[test]
    fn what_the_system_sends_in_the_background_is_one_resumable_request() {
        let hints = Hints {
            background: true,
            ..over(Link::default())
        };
        let plan = plan(3 << 20, &hints);
        assert_eq!(
            (plan.transport, plan.why[0]),
            (Transport::Append, Why::Background)
        );
    }

    #[test]
    fn what_is_not_spoken_is_not_chosen() {
        use Transport::{Append, Multipart, Single};
        let of = |size_bytes, spoken: &[Transport]| {
            let file = File {
                size_bytes,
                ..File::default()
            };
            let hints = Hints {
                spoken,
                ..measured(300, 800, 0)
            };
            Policy::default()
                .choose(&file, &hints, BOUNDS)
                .map(|p| p.transport)
        };
        assert_eq!(of(1 << 20, &[]), None);
        assert_eq!(of(1 << 20, &[Single, Multipart]), Some(Single));
        assert_eq!(of(2 << 20, &[Single, Multipart]), Some(Multipart));
        assert_eq!(of(2 << 20, &[Single]), Some(Single));
        assert_eq!(of(100 << 20, &[Single]), Some(Single));
        assert_eq!(of(6 << 30, &[Single]), None);
        assert_eq!(of(6 << 30, &[Single, Append]), Some(Append));
    }
}
