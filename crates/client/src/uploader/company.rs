//! Whether other files go beside a key frame. It goes alone, since it is what is waited for; but where one connection does not
//! fill the link, as with loss on a long round trip, others take nothing from it. Which of both it is, is measured: when the
//! key frame has gone alone for a while and has some way to go yet, another file tries, in small pieces.

use std::time::Duration;

/// Only a key frame that would go on for so long is worth a trial.
const WORTH_A_TRIAL: Duration = Duration::from_secs(4);
/// A trial that says nothing within this has failed.
const LONGEST_TRIAL: Duration = Duration::from_secs(12);
/// What goes by one request on trial is what the key frame carries in a second, but no less or more than this, in bytes.
const LEAST_PIECE_BYTES: u64 = 64 * 1024;
const MOST_PIECE_BYTES: u64 = 1024 * 1024;

/// What goes beside a key frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Company {
    /// Nothing.
    Alone,
    /// One other file, this much of it at a time, until it is known whether that slows the key frame.
    OnTrial {
        /// In bytes.
        piece_bytes: u64,
    },
    /// As many as carry more together.
    Welcome,
}

/// What is known while a key frame is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// Whether more connections carry more, as was measured of late.
    pub(super) more_carry_more: Option<bool>,
    /// Whether the server said that loss or the round trip holds connections down, by what it was told of the link.
    pub(super) is_held_down: bool,
    /// What the key frame carried alone, in bytes a second.
    pub(super) alone_bytes_per_s: Option<f64>,
    /// What of it has not gone out, in bytes.
    pub(super) left_bytes: u64,
    /// How long the trial has gone on.
    pub(super) tried: Duration,
    /// Whether the others can go in pieces.
    pub(super) has_pieces: bool,
}

/// The company after `now`.
pub(super) fn next(now: Company, facts: &Facts) -> Company {
    match facts.more_carry_more {
        Some(true) => return Company::Welcome,
        Some(false) => return Company::Alone,
        None if facts.is_held_down => return Company::Welcome,
        None => {}
    }
    let is_over = facts.tried >= LONGEST_TRIAL;
    match now {
        Company::Alone if !is_over && facts.has_pieces => trial(facts).unwrap_or(now),
        Company::OnTrial { .. } if is_over => Company::Alone,
        other => other,
    }
}

fn trial(facts: &Facts) -> Option<Company> {
    let rate = facts.alone_bytes_per_s.filter(|rate| *rate > 0.0)?;
    let left_s = facts.left_bytes as f64 / rate;
    let piece_bytes = (rate as u64).clamp(LEAST_PIECE_BYTES, MOST_PIECE_BYTES);
    (left_s >= WORTH_A_TRIAL.as_secs_f64()).then_some(Company::OnTrial { piece_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts = Facts {
        more_carry_more: None,
        is_held_down: false,
        alone_bytes_per_s: None,
        left_bytes: 3_000_000,
        tried: Duration::ZERO,
        has_pieces: true,
    };
    const TRIAL: Company = Company::OnTrial {
        piece_bytes: 125_000,
    };

    #[test]
    fn it_is_tried_once_what_it_carries_alone_is_known_and_much_is_left() {
        assert_eq!(next(Company::Alone, &FACTS), Company::Alone);
        let known = Facts {
            alone_bytes_per_s: Some(125_000.0),
            ..FACTS
        };
        assert_eq!(next(Company::Alone, &known), TRIAL);
        for facts in [
            Facts {
                left_bytes: 400_000,
                ..known
            },
            Facts {
                has_pieces: false,
                ..known
            },
            Facts {
                tried: LONGEST_TRIAL,
                ..known
            },
        ] {
            assert_eq!(next(Company::Alone, &facts), Company::Alone, "{facts:?}");
        }
        let slow = Facts {
            alone_bytes_per_s: Some(9_000.0),
            ..FACTS
        };
        let piece_bytes = LEAST_PIECE_BYTES;
        assert_eq!(
            next(Company::Alone, &slow),
            Company::OnTrial { piece_bytes }
        );
    }

    #[test]
    fn what_was_measured_decides() {
        let of = |more_carry_more| Facts {
            more_carry_more,
            ..FACTS
        };
        for now in [Company::Alone, TRIAL, Company::Welcome] {
            assert_eq!(next(now, &of(Some(true))), Company::Welcome);
            assert_eq!(next(now, &of(Some(false))), Company::Alone);
        }
        assert_eq!(next(TRIAL, &FACTS), TRIAL);
        let late = Facts {
            tried: LONGEST_TRIAL,
            ..FACTS
        };
        assert_eq!(next(TRIAL, &late), Company::Alone);
    }

    #[test]
    fn the_servers_word_of_loss_holds_until_something_was_measured() {
        let said = Facts {
            is_held_down: true,
            ..FACTS
        };
        assert_eq!(next(Company::Alone, &said), Company::Welcome);
        let measured = Facts {
            more_carry_more: Some(false),
            ..said
        };
        assert_eq!(next(Company::Welcome, &measured), Company::Alone);
    }
}
