//! What the host keeps for a policy, across swaps of its module.

use crate::error::PolicyError;
use crate::kv;
use crate::limiter::{self, Rate};
use crate::lock::{self, Table};
use crate::log::Ring;
use crossbeam_utils::CachePadded;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tidegate_core::policy::AttributeNames;

/// The most counters, and the most limiters, that one policy may have.
pub const WORDS_MAX: usize = 64;

/// A policy's counters, limiters, numbers and log; lives as long as the policy is loaded.
pub(crate) struct PolicyState {
    pub attributes: Arc<dyn AttributeNames>,
    pub log: Ring,
    pub numbers: kv::Store,
    counters: Words,
    limiters: Words,
}

impl PolicyState {
    pub fn new(attributes: Arc<dyn AttributeNames>) -> Self {
        Self {
            attributes,
            log: Ring::default(),
            numbers: kv::Store::default(),
            counters: Words::default(),
            limiters: Words::default(),
        }
    }

    /// The counter of this name, made when it is not there; `None` when there are too many.
    pub fn counter(&self, name: &str) -> Result<Option<usize>, PolicyError> {
        self.counters.named(name)
    }

    /// **Hot.** Adds to a counter; unknown ones and negative numbers are not counted.
    pub fn counter_add(&self, counter: usize, n: i64) {
        if let (Some(word), Ok(n)) = (self.counters.words.get(counter), u64::try_from(n)) {
            word.fetch_add(n, Relaxed);
        }
    }

    /// Every counter with its value.
    pub fn counters(&self) -> Result<Vec<(String, u64)>, PolicyError> {
        let names = self.counters.names.get()?;
        let value = |at: usize| self.counters.words[at].load(Relaxed);
        Ok(names.iter().enumerate().map(|(at, name)| (name.to_string(), value(at))).collect())
    }

    /// The limiter of this name, made full when it is not there; `None` when there are too many.
    pub fn limiter(&self, name: &str) -> Result<Option<usize>, PolicyError> {
        self.limiters.named(name)
    }

    /// **Hot.** Takes `cost` units of a limiter, by the numbers that the caller's generation gave.
    pub fn limiter_acquire(&self, limiter: usize, rate: &Rate, now_ns: u64, cost: u64) -> bool {
        let word = self.limiters.words.get(limiter);
        word.is_some_and(|word| limiter::acquire(word, rate, now_ns, cost))
    }
}

/// Named words.
struct Words {
    names: Table<Vec<Arc<str>>>,
    words: [CachePadded<AtomicU64>; WORDS_MAX],
}

impl Default for Words {
    fn default() -> Self {
        Self {
            names: Table::new("the table of a policy's names"),
            words: std::array::from_fn(|_| CachePadded::default()),
        }
    }
}

impl Words {
    fn named(&self, name: &str) -> Result<Option<usize>, PolicyError> {
        lock::position_or_push(&self.names, name, WORDS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_bounded_and_shared_by_name() {
        let state = PolicyState::new(Arc::new(crate::attributes::Interner::default()));
        for n in 0..WORDS_MAX {
            assert_eq!(state.counter(&format!("c{n}")), Ok(Some(n)));
        }
        assert_eq!(state.counter("one too many"), Ok(None));
        assert_eq!(state.counter("c3"), Ok(Some(3)));
        state.counter_add(3, 4);
        state.counter_add(3, -9);
        state.counter_add(WORDS_MAX, 1);
        assert_eq!(state.counters().expect("free")[3], ("c3".to_string(), 4));
    }

    #[test]
    fn a_limiter_outlives_the_numbers_it_was_asked_for_with() {
        let state = PolicyState::new(Arc::new(crate::attributes::Interner::default()));
        let id = state.limiter("l").expect("free").expect("room");
        let slow = Rate::new(1, 10 * limiter::LATE_NS as i64, 1).expect("valid");
        let fast = Rate::new(1, 1_000, 2).expect("valid");
        assert!(state.limiter_acquire(id, &slow, 0, 1));
        assert!(!state.limiter_acquire(id, &slow, 1, 1));
        assert!(!state.limiter_acquire(id, &fast, 1_001, 1), "the slow one's debt, cut to a burst");
        assert!(state.limiter_acquire(id, &fast, limiter::LATE_NS + 2_001, 1));
        assert!(!state.limiter_acquire(WORDS_MAX, &fast, 0, 1));
    }
}
