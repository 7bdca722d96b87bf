//! Lists of outcomes.

use crate::guard::Outcome;
use crate::retry::plan::bit;
use crate::rules::kind::{Choice, List};

/// One to three of the outcomes that are bad.
pub(super) const BAD_OUTCOMES: List<Choice<Outcome>> = List {
    item: Choice {
        words: &[("failure", Outcome::Failure), ("timeout", Outcome::Timeout), ("overloaded", Outcome::Overloaded)],
    },
    min: 1,
    max: 3,
};

/// As bits, see [`bit`].
pub(super) fn bits(outcomes: &[Outcome]) -> u8 {
    outcomes.iter().fold(0, |bits, &outcome| bits | bit(outcome))
}
