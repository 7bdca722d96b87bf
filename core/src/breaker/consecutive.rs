//! Failures in a row: one word, written only when it changes.
//!
//! The word: breaker generation (32 bits) | count (32 bits, saturating); 0 when there is none. A count of another generation
//! counts as none.
//!
//! Only calls of the present generation change it, also when the generation changes at the same moment: the breaker is
//! looked at after the count was read and before it is replaced. Who replaces it in a later generation has seen that one, so
//! a late caller sees it as well, or finds the count changed.

use super::state;
use crate::word::Word;

const COUNT_MASK: u64 = (1 << 32) - 1;

/// The word after one more failure in `generation`, and how many it makes in a row.
pub fn one_more(seen: u64, generation: u64) -> (u64, u64) {
    let before = in_a_row(seen, generation);
    let count = if before == COUNT_MASK { before } else { before + 1 };
    (generation << 32 | count, count)
}

/// How many failures in a row the word holds of `generation`.
pub fn in_a_row(seen: u64, generation: u64) -> u64 {
    if seen >> 32 == generation & COUNT_MASK { seen & COUNT_MASK } else { 0 }
}

/// Counts a failure of a call that was admitted in `generation`; tells how many it makes in a row, or 0 when `breaker`, the
/// state word, is in another generation by now.
pub fn failed<W: Word>(word: &W, breaker: &W, generation: u64) -> u64 {
    change(word, breaker, generation, |seen| one_more(seen, generation))
}

/// A call that was admitted in `generation` went well: the row ends, unless `breaker` is in another generation by now.
pub fn succeeded<W: Word>(word: &W, breaker: &W, generation: u64) {
    change(word, breaker, generation, |_| (0, 0));
}

fn change<W: Word>(word: &W, breaker: &W, generation: u64, step: impl Fn(u64) -> (u64, u64)) -> u64 {
    let mut seen = word.get();
    loop {
        let (next, count) = step(seen);
        if !state::is_of(breaker, generation) {
            return 0;
        }
        if next == seen {
            return count;
        }
        match word.swap_if(seen, next) {
            Ok(()) => return count,
            Err(now) => seen = now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU64, Ordering::*};

    fn closed(generation: u64) -> AtomicU64 {
        AtomicU64::new(state::word_of(generation))
    }

    #[test]
    fn saturates() {
        let (word, breaker) = (AtomicU64::new(3 << 32 | 0xFFFF_FFFE), closed(3));
        assert_eq!(failed(&word, &breaker, 3), 0xFFFF_FFFF);
        assert_eq!(failed(&word, &breaker, 3), 0xFFFF_FFFF);
        assert_eq!(word.load(Relaxed) >> 32, 3);
    }

    #[test]
    fn a_late_call_neither_counts_nor_ends_a_row() {
        let (word, breaker) = (AtomicU64::new(0), closed(4));
        assert_eq!(failed(&word, &breaker, 4), 1);
        assert_eq!(failed(&word, &breaker, 3), 0);
        succeeded(&word, &breaker, 3);
        assert_eq!(failed(&word, &breaker, 4), 2);
        let later = closed(5);
        succeeded(&word, &later, 5);
        assert_eq!(word.load(Relaxed), 0, "what is left of another generation goes too");
    }

    #[test]
    fn a_storm_of_failures_is_counted_exactly() {
        let (word, breaker) = (AtomicU64::new(9), closed(7));
        let storm = || assert!((0..5000).all(|_| failed(&word, &breaker, 7) > 0));
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(storm))));
        assert_eq!(in_a_row(word.load(Relaxed), 7), 20_000);
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_row(steps in prop::collection::vec((any::<bool>(), 0u64..4), 1..200)) {
            let word = AtomicU64::new(0);
            let (mut current, mut row) = (1000, 0);
            for (good, later) in steps {
                if later == 3 {
                    (current, row) = (current + 1, 0);
                }
                let breaker = closed(current);
                if good {
                    succeeded(&word, &breaker, current & 1023);
                    row = 0;
                } else {
                    row += 1;
                    prop_assert_eq!(failed(&word, &breaker, current & 1023), row);
                }
                prop_assert_eq!(in_a_row(word.load(Relaxed), current & 1023), row);
            }
        }
    }
}
