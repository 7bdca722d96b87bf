//! An attempt to enter, and what it has taken on its way: the rate limits are its last stage, and the permit its end.

use super::cell::MAX_RATES;
use super::extra::Stages;
use super::fault_stage::Delayed;
use super::handle::Guard;
use super::keyed_stage::OF_KEY;
use super::known::Facts;
use super::numbers::Block;
use super::permit::{FOLLOWED, Followed, JUDGED, Marks, Permit, PermitState, seal_in};
use super::policy_stage::{Go, key_hash};
use super::turned_away::Ended;
use super::{Call, NotEntered};
use crate::slot::lane::Run;

/// An attempt, and what it has taken.
#[derive(Clone, Copy)]
pub(super) struct Taken<'a> {
    pub(super) guard: &'static Guard,
    pub(super) facts: &'a Facts,
    pub(super) run: Run<'a>,
    pub(super) now: u64,
    pub(super) cost: u64,
    /// 0: none.
    pub deadline_ns: u64,
    /// What the breaker said.
    pub marks: Marks,
    /// In what generation.
    pub breaker: u64,
    /// What the policy said.
    pub go: Go,
    /// What a fault did to it.
    pub delayed: Delayed,
    /// The epoch of its place in flight.
    pub place: Option<u64>,
}

/// What an attempt has taken of the rate limits.
pub(super) struct Tokens {
    /// How long each lets it wait; of a limit by key, what it took.
    pub waits: [u64; MAX_RATES],
    /// What each took for it.
    pub costs: [u64; MAX_RATES],
    /// How many limits it passed.
    pub limits: usize,
}

impl Tokens {
    /// It has not come to them.
    pub(super) const NONE: Tokens = Tokens { waits: [0; MAX_RATES], costs: [0; MAX_RATES], limits: 0 };

    /// At most one token of one limit.
    pub(super) const ONE: Tokens = Tokens { waits: [0; MAX_RATES], costs: [1; MAX_RATES], limits: MAX_RATES };
    /// One token of a key's own bucket, where that is the only limit.
    pub(super) const ONE_OF_KEY: Tokens = Tokens { waits: [OF_KEY; MAX_RATES], ..Tokens::ONE };

    /// An attempt that costs so much, before the first limit.
    pub(super) fn of(cost: u64) -> Tokens {
        Tokens { costs: [cost; MAX_RATES], ..Tokens::NONE }
    }
}

impl<'a> Taken<'a> {
    /// An attempt at its start.
    #[inline(always)]
    pub(super) fn nothing(guard: &'static Guard, facts: &'a Facts, run: Run<'a>, now: u64, cost: u64) -> Self {
        let (marks, go, place) = (facts.marks(), Go::NOTHING, None);
        let delayed = Delayed { wait_ns: 0, place: 0 };
        Taken { guard, facts, run, now, cost, deadline_ns: 0, marks, breaker: 0, go, delayed, place }
    }

    /// The numbers that it goes by.
    #[inline(always)]
    pub(super) fn numbers(&self) -> &'static Block {
        self.facts.numbers()
    }

    /// Ends an attempt that has taken everything.
    #[inline(always)]
    pub(super) fn end(self, tokens: &Tokens, call: &Call<'_>, permit: &mut Permit) -> Result<(), NotEntered> {
        if self.marks.has(FOLLOWED) {
            permit.followed = followed(&self.go, call.key, self.cost);
            permit.rate_wait_ns = 0;
        }
        self.finish(tokens, call, permit)
    }

    /// Writes the permit, unless what the attempt went by has changed meanwhile.
    #[inline(always)]
    fn finish(self, tokens: &Tokens, call: &Call<'_>, permit: &mut Permit) -> Result<(), NotEntered> {
        if !self.guard.is_as(self.facts) {
            return self.turn_away(Ended::Again, tokens, call, permit);
        }
        self.write(permit);
        permit.fault = self.delayed.place;
        if self.slow_calls_count() {
            permit.running = self.facts.begin_running(self.now);
        }
        Ok(())
    }

    #[inline(always)]
    fn slow_calls_count(&self) -> bool {
        self.facts.stages().has(Stages::SLOW) && self.marks.has(JUDGED)
    }

    /// Writes the permit.
    #[inline(always)]
    pub(super) fn write(&self, permit: &mut Permit) {
        let (facts, go) = (self.facts, self.go);
        (permit.guard, permit.token, permit.start_ns) = (self.guard, facts.token(), self.now);
        (permit.marks, permit.epoch, permit.breaker) = (self.marks, self.place.unwrap_or(0), self.breaker);
        (permit.deadline_ns, permit.wait_ns, permit.route) = (self.deadline_ns, go.wait_ns, go.route);
        (permit.retry_after_ns, permit.reason, permit.running) = (0, 0, 0);
        permit.seal = seal_in(PermitState::Held, facts.seal(), self.now);
    }
}

/// What the policy's observer will be told.
fn followed(go: &Go, key: &[u8], cost: u64) -> Followed {
    let key_hash = if go.observer == 0 { 0 } else { key_hash(key) };
    Followed { observer: go.observer, key_hash, cost }
}
