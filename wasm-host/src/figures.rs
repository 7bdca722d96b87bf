//! What a policy did, for whoever exports metrics.

use crate::entry::{Entry, generation_of};
use crate::error::{Cause, PolicyError};
use crate::swap::read;
use crate::uses::Status;
use std::sync::atomic::Ordering::Relaxed;

/// The labels of [`Figures::calls`], in its order.
pub const ACTIONS: [&str; 4] = ["allow", "deny", "delay", "route"];

/// The figures of one policy since its first load. Sums over threads that are read while they
/// count: each is exact, but not all of the same instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// The policy's name.
    pub name: String,
    /// The generation that serves; 0: none (it failed too often and there was no earlier one).
    pub generation: u64,
    /// Answered calls, by action, in the order of [`ACTIONS`].
    pub calls: [u64; 4],
    /// Calls without an answer, by cause, in the order of [`Cause::ALL`].
    pub failures: [u64; 6],
    /// Calls whose end a guest heard of.
    pub observes: u64,
    /// Ends of calls whose generation was gone, or could not be told.
    pub late_observes: u64,
    /// Published loads.
    pub swaps: u64,
    /// Returns to an earlier generation, by hand or by themselves.
    pub rollbacks: u64,
    /// Generations that failed too often.
    pub quarantines: u64,
    /// Retired generations, or the instances of a kept one, that wait for their last call.
    pub retired_alive: u64,
    /// Retired generations that were freed before their last call ended, being too many.
    pub abandoned: u64,
    /// There is an earlier good generation to go back to.
    pub can_roll_back: bool,
    /// Instances of all generations.
    pub instances: u64,
    /// Lines of guests that were dropped since another thread wrote at the same moment.
    pub log_dropped: u64,
    /// Numbers of guests that were not kept, for want of room or since the shard was taken.
    pub kv_refused: u64,
    /// The guests' own counters.
    pub counters: Vec<(String, u64)>,
}

impl Figures {
    /// Calls that failed for this cause.
    pub fn failed(&self, cause: Cause) -> u64 {
        self.failures[cause.index()]
    }
}

impl Entry {
    /// Reads everything.
    pub(crate) fn figures(&self) -> Result<Figures, PolicyError> {
        let cold = self.cold()?;
        let alive = |at: usize| self.places[at].open.load(Relaxed) != 0;
        let kept_alive = cold.kept().is_some_and(alive);
        let waiting = cold.count(Status::Retired) + cold.count(Status::Closing);
        let mut figures = Figures {
            name: self.name.clone(),
            generation: generation_of(self.current.load(Relaxed)),
            failures: std::array::from_fn(|n| read(&self.counts.failures[n])),
            late_observes: read(&self.counts.late_observes),
            swaps: read(&self.counts.swaps),
            rollbacks: read(&self.counts.rollbacks),
            quarantines: read(&self.counts.quarantines),
            retired_alive: (waiting + usize::from(kept_alive)) as u64,
            abandoned: read(&self.counts.abandoned),
            can_roll_back: cold.kept().is_some(),
            log_dropped: self.state.log.dropped(),
            kv_refused: self.state.numbers.refused(),
            counters: self.state.counters()?,
            ..Figures::default()
        };
        drop(cold);
        self.sum_seats(&mut figures);
        Ok(figures)
    }

    fn sum_seats(&self, figures: &mut Figures) {
        for place in &self.places {
            let (calls, observes) = place.counts();
            figures.calls.iter_mut().zip(calls).for_each(|(sum, n)| *sum = sum.wrapping_add(n));
            figures.observes = figures.observes.wrapping_add(observes);
            figures.instances += place.instances() as u64;
        }
    }
}
