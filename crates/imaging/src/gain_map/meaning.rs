//! What the values of a gain map mean.

/// Beyond this, in stops, no screen and no camera goes.
const MOST_STOPS: f64 = 32.0;
/// Bounds of what makes sense of the others.
const MOST_GAMMA: f64 = 100.0;
const MOST_OFFSET: f64 = 1.0;

/// As ISO 21496-1 and Adobe's `hdrgm` have it. For red, green and blue each; where there is one for all, three times.
/// A stored value v of 0 to 1 stands for a gain of `min + (max - min) * v^(1 / gamma)` stops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Meaning {
    /// Gain at 0, in stops.
    pub min: [f64; 3],
    /// Gain at 1.
    pub max: [f64; 3],
    pub gamma: [f64; 3],
    /// What is added to linear light of the picture before the gain, and taken away behind it.
    pub offset_sdr: [f64; 3],
    pub offset_hdr: [f64; 3],
    /// How many stops more than the picture needs a screen must have for any gain to be applied, and for all of it.
    pub capacity_min: f64,
    pub capacity_max: f64,
}

impl Meaning {
    /// The same, if it makes sense: whoever shows the picture believes it.
    pub(super) fn checked(self) -> Option<Self> {
        let within = |values: &[f64], least: f64, most: f64| {
            values.iter().all(|value| (least..=most).contains(value))
        };
        let is_sound = within(&self.min, -MOST_STOPS, MOST_STOPS)
            && within(&self.max, -MOST_STOPS, MOST_STOPS)
            && within(&self.gamma, 1.0 / MOST_GAMMA, MOST_GAMMA)
            && within(&self.offset_sdr, 0.0, MOST_OFFSET)
            && within(&self.offset_hdr, 0.0, MOST_OFFSET)
            && within(&[self.capacity_min, self.capacity_max], 0.0, MOST_STOPS)
            && self.capacity_min < self.capacity_max
            && self.min.iter().zip(&self.max).all(|(min, max)| min <= max);
        is_sound.then_some(self)
    }

    /// Whether it differs between colours.
    pub(super) fn is_coloured(&self) -> bool {
        let all = [
            self.min,
            self.max,
            self.gamma,
            self.offset_sdr,
            self.offset_hdr,
        ];
        all.iter().any(|[r, g, b]| r != g || g != b)
    }
}

#[cfg(test)]
pub(super) fn plain(stops: f64) -> Meaning {
    Meaning {
        min: [0.0; 3],
        max: [stops; 3],
        gamma: [1.0; 3],
        offset_sdr: [0.015625; 3],
        offset_hdr: [0.015625; 3],
        capacity_min: 0.0,
        capacity_max: stops,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_nothing() {
        let sound = plain(2.0);
        assert_eq!(sound.checked(), Some(sound));
        assert!(!sound.is_coloured());
        let odd = [
            Meaning {
                min: [3.0; 3],
                ..sound
            },
            Meaning {
                max: [0.0, f64::NAN, 0.0],
                ..sound
            },
            Meaning {
                gamma: [0.0; 3],
                ..sound
            },
            Meaning {
                offset_hdr: [f64::INFINITY; 3],
                ..sound
            },
            Meaning {
                capacity_max: 0.0,
                ..sound
            },
            Meaning {
                capacity_max: 33.0,
                ..sound
            },
        ];
        for meaning in odd {
            assert_eq!(meaning.checked(), None, "{meaning:?}");
        }
    }
}
