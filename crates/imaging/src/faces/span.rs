//! Which square of a picture keeps its faces.

/// So much of a face's size is hair, chin and ears on each side, which the finding leaves out.
const AROUND: f64 = 0.35;

/// What a face takes of the longer side of a picture, in pixels, and how much it counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    from: f64,
    to: f64,
    counts: f64,
}

impl Span {
    /// Of a face of this size that begins there: larger ones, which are nearer, count more, by their area.
    pub(super) fn of(from: i32, size: u32) -> Self {
        let (from, size) = (f64::from(from), f64::from(size));
        Self {
            from: from - size * AROUND,
            to: from + size * (1.0 + AROUND),
            counts: size * size,
        }
    }

    fn middle(self) -> f64 {
        f64::midpoint(self.from, self.to)
    }
}

/// Where the square begins, of how far it could be moved: where most of what counts is whole in it, and what is in it has its middle in the
/// middle. Nothing where there are none.
pub(super) fn start(faces: &[Span], long: u32, short: u32) -> Option<f64> {
    let room = long.saturating_sub(short);
    if faces.is_empty() || room == 0 {
        return None;
    }
    let side = f64::from(short);
    let clamp = |face: &Span| {
        // Of one that is larger than the square its middle counts; and what the picture's edge cuts is whole as far as it can be.
        let half = ((face.to - face.from) / 2.0).min((side - 1.0) / 2.0);
        Span {
            from: (face.middle() - half).max(0.0),
            to: (face.middle() + half).min(f64::from(long)),
            counts: face.counts,
        }
    };
    let faces: Vec<Span> = faces.iter().map(clamp).collect();
    let best = (0..=room)
        .map(|start| {
            let from = f64::from(start);
            let inside = faces
                .iter()
                .filter(|f| from <= f.from && f.to <= from + side);
            let (mut counts, mut moment) = (0.0, 0.0);
            for face in inside {
                counts += face.counts;
                moment += face.counts * face.middle();
            }
            let off = match counts > 0.0 {
                true => (moment / counts - from - side / 2.0).abs(),
                false => f64::INFINITY,
            };
            (counts, -off, from)
        })
        .max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)))?;
    // A face that lies beyond the picture is in no square.
    (best.0 > 0.0).then(|| best.2 / f64::from(room))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The columns of the square of a picture of 300 by 100.
    fn columns(faces: &[(i32, u32)]) -> Option<(f64, f64)> {
        let spans: Vec<Span> = faces.iter().map(|(x, size)| Span::of(*x, *size)).collect();
        let from = start(&spans, 300, 100)? * 200.0;
        Some((from, from + 100.0))
    }

    #[test]
    fn a_face_is_in_the_middle_as_far_as_the_picture_reaches() {
        assert_eq!(columns(&[]), None);
        assert_eq!(columns(&[(130, 40)]), Some((100.0, 200.0)));
        assert_eq!(columns(&[(0, 30)]), Some((0.0, 100.0)));
        assert_eq!(columns(&[(-10, 40)]), Some((0.0, 100.0)));
        assert_eq!(columns(&[(270, 40)]), Some((200.0, 300.0)));
        // Too large to be whole; and so beside a small one.
        for faces in [&[(100, 100)][..], &[(100, 100), (270, 20)]] {
            let (from, to) = columns(faces).unwrap();
            assert!((from - 100.0).abs() <= 1.0 && (to - 200.0).abs() <= 1.0);
        }
        assert_eq!(start(&[Span::of(10, 30)], 100, 100), None);
    }

    #[test]
    fn as_many_faces_are_whole_as_there_is_room_for_and_near_ones_first() {
        // Both fit.
        let (from, to) = columns(&[(100, 25), (150, 25)]).unwrap();
        assert!(from <= 91.0 && to >= 184.0, "{from} {to}");
        // Two small ones, or one large one.
        assert_eq!(
            columns(&[(20, 20), (60, 20), (230, 40)]),
            Some((200.0, 300.0))
        );
        // A third that lies apart does not move the square.
        let together = columns(&[(100, 30), (140, 30)]);
        assert_eq!(columns(&[(100, 30), (140, 30), (270, 22)]), together);
    }

    proptest! {
        #[test]
        fn the_square_is_within_the_picture_and_has_a_face(
            faces in prop::collection::vec((-50..350_i32, 20..120_u32), 1..6),
            (long, short) in (100..400_u32, 40..100_u32),
        ) {
            let spans: Vec<Span> = faces.iter().map(|(x, size)| Span::of(*x, *size)).collect();
            let part = start(&spans, long, short);
            prop_assert!(part.is_none_or(|part| (0.0..=1.0).contains(&part)));
            let is_in = |span: &Span| (0.0..=f64::from(long)).contains(&span.middle());
            prop_assert!(long == short || part.is_some() || !spans.iter().any(is_in));
        }
    }
}
