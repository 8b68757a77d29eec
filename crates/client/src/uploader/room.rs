//! Captures for which the server has no room, in the order in which they are asked for again.
//!
//! Who was refused goes behind those that were not asked since. So a capture that is too large for what others leave free keeps no
//! smaller one out, and each has its turn.

use std::collections::VecDeque;

use super::Known;

/// Those that wait for room.
#[derive(Debug, Default)]
pub(super) struct NoRoom {
    passed_over: VecDeque<Known>,
    refused: VecDeque<Known>,
}

impl NoRoom {
    /// One more waits, which the server has refused just now; or which it was not asked for, as it had refused another.
    pub(super) fn wait(&mut self, known: Known, was_refused: bool) {
        if was_refused {
            self.refused.push_back(known);
        } else {
            self.passed_over.push_back(known);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.passed_over.len() + self.refused.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes all of them, in the order in which they are asked for again.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Known> + use<> {
        let Self {
            passed_over,
            refused,
        } = std::mem::take(self);
        passed_over.into_iter().chain(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_refused_goes_behind_those_that_were_not_asked() {
        let mut no_room = NoRoom::default();
        let mut order: Vec<i64> = vec![1, 2, 3, 4, 5];
        let mut asked = Vec::new();
        for _ in 0..5 {
            // The first two are asked, and refused.
            asked.extend_from_slice(&order[..2]);
            for (place, seq) in order.drain(..).enumerate() {
                let known = Known {
                    seq,
                    files: Vec::new(),
                };
                no_room.wait(known, place < 2);
            }
            assert_eq!(no_room.len(), 5);
            order = no_room.take().map(|known| known.seq).collect();
            assert!(no_room.is_empty());
        }
        assert_eq!(asked, [1, 2, 3, 4, 5, 1, 2, 3, 4, 5]);
    }
}
