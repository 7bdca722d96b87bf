//! What each place of a policy is used for: one word a place, so that a fork finds each as it was or as it is to be.

use crate::entry::PLACES;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// What a place is used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Status {
    #[default]
    Free,
    Preparing,
    Serving,
    Kept,
    /// Still enterable for the calls that it decided.
    Retired,
    /// Not enterable; freed as soon as nobody is in it.
    Closing,
}

const STATUS_BITS: u32 = 3;
const STATUSES: [Status; 6] =
    [Status::Free, Status::Preparing, Status::Serving, Status::Kept, Status::Retired, Status::Closing];

/// What is behind a policy's cold lock.
#[derive(Default)]
pub(crate) struct Uses {
    /// The last generation's number.
    last: u64,
    /// Of each place, the number of the generation in it and, below, the place's status.
    words: [AtomicU64; PLACES],
}

impl Uses {
    /// What a place is used for.
    pub fn status(&self, at: usize) -> Status {
        let status = self.words[at].load(Relaxed) as usize % (1 << STATUS_BITS);
        STATUSES.get(status).copied().unwrap_or_default()
    }

    /// The number of the generation in a place.
    pub fn number(&self, at: usize) -> u64 {
        self.words[at].load(Relaxed) >> STATUS_BITS
    }

    /// Uses a place for something else; its generation stays.
    pub fn set(&mut self, at: usize, status: Status) {
        self.put(at, status, self.number(at));
    }

    /// Gives a place to the next generation; its number.
    pub fn prepare(&mut self, at: usize) -> u64 {
        self.last += 1;
        self.put(at, Status::Preparing, self.last);
        self.last
    }

    /// Has a place ready for another generation.
    pub fn free(&mut self, at: usize) {
        self.put(at, Status::Free, 0);
    }

    /// The first place that is used so.
    pub fn find(&self, status: Status) -> Option<usize> {
        (0..PLACES).find(|at| self.status(*at) == status)
    }

    /// How many places are used so.
    pub fn count(&self, status: Status) -> usize {
        (0..PLACES).filter(|at| self.status(*at) == status).count()
    }

    /// The place of the generation to go back to.
    pub fn kept(&self) -> Option<usize> {
        self.find(Status::Kept)
    }

    /// The place of the retired generation that was loaded first.
    pub fn oldest_retired(&self) -> Option<usize> {
        (0..PLACES).filter(|at| self.status(*at) == Status::Retired).min_by_key(|at| self.number(*at))
    }

    /// Behind everything that was written to the place.
    fn put(&mut self, at: usize, status: Status, number: u64) {
        self.words[at].store(number << STATUS_BITS | status as u64, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_keeps_its_generation_through_its_uses() {
        let mut uses = Uses::default();
        assert_eq!((uses.prepare(3), uses.prepare(1)), (1, 2));
        for status in STATUSES {
            uses.set(3, status);
            assert_eq!((uses.status(3), uses.number(3)), (status, 1));
        }
        uses.free(3);
        assert_eq!((uses.status(3), uses.number(3), uses.prepare(0)), (Status::Free, 0, 3));
    }

    #[test]
    fn the_oldest_retired_is_the_one_loaded_first() {
        let mut uses = Uses::default();
        for at in [5, 2, 9] {
            uses.prepare(at);
            uses.set(at, Status::Retired);
        }
        assert_eq!((uses.oldest_retired(), uses.count(Status::Retired)), (Some(5), 3));
    }
}
