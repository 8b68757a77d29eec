//! Which frame of a capture is the best one, by what its pictures measure.
//!
//! A frame's worth is its own, whatever the others are: so the choice does not depend on the order in which frames arrive, and
//! a frame that is added or deleted changes nothing between the rest. But faces count only where they were looked for in all of them.

/// What a picture measures, on its lightness at the size of `display` (less, where the original is smaller): smaller sizes hide the
/// blur of a hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct FrameScores {
    /// How sharp it is: the variance of its Laplacian in thousandths of the variance of its lightness, so that neither contrast nor
    /// exposure counts. Says something beside other pictures of the same scene only.
    pub sharpness: u32,
    /// The mean of its lightness, 0 to 255.
    pub mean_luma: u8,
    /// Thousandths of its pixels that are black, or nearly.
    pub dark_permille: u16,
    /// Thousandths of its pixels that are white, or nearly.
    pub bright_permille: u16,
    /// How many faces look out of it; nothing where they were not looked for.
    #[serde(default)]
    pub faces: Option<u8>,
}

/// Pictures whose mean lightness is between these are well exposed by it.
const MEAN_LUMA: [u32; 2] = [64, 192];
/// So many steps of worth double it; within one step frames are equally good.
const STEPS: u32 = 8;
/// What faces are worth, in steps, by how many there are: who is alone and looks at the camera makes up for 1.3 times the sharpness, three and
/// more for twice, so that a blurred frame is none the better for whom it shows, nor for one more or less of a crowd.
const STEPS_OF_FACES: [u32; 4] = [0, 3, 6, 8];
/// More faces than these count no more.
pub const MAX_FACES: u8 = 16;

impl FrameScores {
    /// Whether these can be measures of a picture: for what comes from a process that is not believed.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.sharpness <= MAX_SHARPNESS
            && self.dark_permille.saturating_add(self.bright_permille) <= 1000
            && self.faces.is_none_or(|faces| faces <= MAX_FACES)
    }

    /// Thousandths of a picture's sharpness that count: all of a well exposed one's, less for each pixel that is clipped and where
    /// the whole is very dark or very light.
    fn exposure_permille(&self) -> u64 {
        let clipped = u64::from(self.dark_permille) + u64::from(self.bright_permille);
        let [low, high] = MEAN_LUMA;
        let mean = u32::from(self.mean_luma);
        let by_mean = if mean < low {
            mean * 1000 / low
        } else if mean > high {
            (255 - mean) * 1000 / (255 - high)
        } else {
            1000
        };
        1000_u64.saturating_sub(clipped) * u64::from(by_mean) / 1000
    }

    /// What it is worth, in steps of a tenth or so: what differs by less is chance. In whole numbers throughout, so that every
    /// machine comes to the same.
    fn worth(&self, with_faces: bool) -> u32 {
        let worth = u64::from(self.sharpness) * self.exposure_permille();
        let count = usize::from(self.faces.filter(|_| with_faces).unwrap_or(0));
        let [.., most] = STEPS_OF_FACES;
        let faces = STEPS_OF_FACES.get(count).copied().unwrap_or(most);
        let Some(octave) = worth.checked_ilog2() else {
            return faces;
        };
        // The part within the octave, linear.
        let within = (worth * u64::from(STEPS)) >> octave;
        // At least `STEPS`, less than twice as much.
        octave * STEPS + u32::try_from(within).unwrap_or(0) + faces
    }
}

/// No picture has more: four neighbours apart as far as can be, times four, on both sides, are 64 times the variance.
pub const MAX_SHARPNESS: u32 = 64_000;

/// A frame as it stands in its capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its place in the capture; no two have the same.
    pub position: i64,
    /// Whether the client said that it is the key frame.
    pub is_key: bool,
    /// What it measures.
    pub scores: FrameScores,
}

/// The place of the best frame: the one worth most; of equally good ones the client's key frame, which its camera has chosen by
/// more than can be measured afterwards; else the first.
#[must_use]
pub fn best(frames: &[Frame]) -> Option<i64> {
    let with_faces = frames.iter().all(|f| f.scores.faces.is_some());
    let rank = |f: &&Frame| {
        let first = std::cmp::Reverse(f.position);
        (f.scores.worth(with_faces), f.is_key, first)
    };
    frames.iter().max_by_key(rank).map(|f| f.position)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scores(sharpness: u32, mean_luma: u8, dark: u16, bright: u16) -> FrameScores {
        FrameScores {
            sharpness,
            mean_luma,
            dark_permille: dark,
            bright_permille: bright,
            faces: None,
        }
    }

    fn frame(position: i64, is_key: bool, scores: FrameScores) -> Frame {
        Frame {
            position,
            is_key,
            scores,
        }
    }

    #[test]
    fn sharper_and_better_exposed_frames_are_better() {
        let good = scores(700, 120, 10, 10);
        for (what, worse) in [
            ("blurred", scores(400, 120, 10, 10)),
            ("dark", scores(700, 30, 10, 10)),
            ("black in half of it", scores(700, 120, 500, 10)),
            ("burnt out", scores(700, 120, 10, 400)),
            ("pale", scores(700, 230, 10, 10)),
            ("nothing", scores(0, 0, 1000, 0)),
        ] {
            let frames = [frame(0, true, worse), frame(1, false, good)];
            assert_eq!(best(&frames), Some(1), "{what}");
        }
        assert_eq!(best(&[]), None);
    }

    #[test]
    fn of_equally_good_frames_the_clients_key_then_the_first() {
        let (one, other) = (scores(1000, 120, 0, 0), scores(1040, 121, 0, 0));
        let frames = [frame(0, false, other), frame(1, true, one)];
        assert_eq!(best(&frames), Some(1));
        let frames = [frame(2, false, other), frame(1, false, one)];
        assert_eq!(best(&frames), Some(1));
    }

    #[test]
    fn who_looks_at_the_camera_counts() {
        let with = |sharpness, faces| FrameScores {
            faces: Some(faces),
            ..scores(sharpness, 120, 0, 0)
        };
        let best_of = |one, other| best(&[frame(0, true, one), frame(1, false, other)]);
        // Someone looked away in the sharper one.
        assert_eq!(best_of(with(800, 2), with(740, 3)), Some(1));
        // All did in one that is not much less sharp; but a blurred one is none the better for them.
        assert_eq!(best_of(with(800, 3), with(820, 2)), Some(0));
        assert_eq!(best_of(with(300, 3), with(800, 2)), Some(1));
        assert_eq!(best_of(with(300, 10), with(800, 6)), Some(1));
        // Where they were not looked for in all, nobody is better for them.
        assert_eq!(best_of(scores(800, 120, 0, 0), with(700, 3)), Some(0));
    }

    #[test]
    fn worth_grows_by_steps_of_a_tenth_or_so() {
        let mut steps = Vec::new();
        for sharpness in 100..=MAX_SHARPNESS {
            let worth = scores(sharpness, 128, 0, 0).worth(true);
            match steps.last() {
                Some((last, _)) if *last == worth => {}
                last => {
                    assert!(last.is_none_or(|(last, _)| worth == last + 1));
                    steps.push((worth, sharpness));
                }
            }
        }
        for pair in steps.windows(2).skip(1) {
            let grown = f64::from(pair[1].1) / f64::from(pair[0].1);
            assert!((1.04..1.15).contains(&grown), "{pair:?}");
        }
    }

    fn any_scores() -> impl Strategy<Value = FrameScores> {
        let light = (any::<u8>(), 0_u16..=500, 0_u16..=500);
        let faces = prop::option::of(0..=MAX_FACES);
        (0..=MAX_SHARPNESS, light, faces).prop_map(|(sharpness, (mean, dark, bright), faces)| {
            FrameScores {
                faces,
                ..scores(sharpness, mean, dark, bright)
            }
        })
    }

    /// Few values, so that ties are common.
    fn any_frames() -> impl Strategy<Value = Vec<Frame>> {
        let few = (0_u32..4, 100_u8..104).prop_map(|(s, mean)| scores(s * 300, mean, 0, 0));
        let one = (prop_oneof![any_scores(), few], any::<bool>());
        let all = (prop::collection::vec(one, 1..20), any::<bool>());
        all.prop_map(|(all, with_faces)| {
            let numbered = (0..).zip(all);
            let frame = |(n, (scores, is_key)): (i64, (FrameScores, bool))| {
                // In all or in none.
                let faces = with_faces.then(|| scores.faces.unwrap_or(1));
                frame(n, is_key, FrameScores { faces, ..scores })
            };
            numbered.map(frame).collect()
        })
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_count(
            (frames, mixed) in any_frames().prop_flat_map(|f| (Just(f.clone()), Just(f).prop_shuffle()))
        ) {
            prop_assert_eq!(best(&frames), best(&mixed));
        }

        /// What is best of all is best of any that it is among; and the best of two parts' best is the best of all.
        #[test]
        fn others_do_not_count(frames in any_frames(), at in 0_usize..20) {
            let all = best(&frames);
            let (some, rest) = frames.split_at(at.min(frames.len()));
            let finalists: Vec<Frame> = frames
                .iter()
                .filter(|f| [best(some), best(rest)].contains(&Some(f.position)))
                .copied()
                .collect();
            prop_assert_eq!(best(&finalists), all);
        }

        #[test]
        fn nothing_that_a_picture_measures_is_too_much(one in any_scores()) {
            prop_assert!(one.is_possible());
            let most = FrameScores { faces: Some(MAX_FACES), ..scores(MAX_SHARPNESS, 128, 0, 0) };
            prop_assert!(one.worth(true) <= most.worth(true));
            let more = FrameScores { sharpness: one.sharpness.saturating_mul(2), ..one };
            prop_assert!(more.worth(true) >= one.worth(true));
        }
    }
}
