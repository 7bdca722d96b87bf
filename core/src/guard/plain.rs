//! The plain way into a guard, which most calls go; and the ways that lead on from where it ends.
//!
//! ```text
//! time, breaker ─ place in flight ─ token ─ permit        nothing but these, all of them as they mostly are
//!     │               │               └ of a key: the same in a way of its own
//!     │               └ slow calls are counted, or the token is not to be had at once: asked with the place held
//!     └ anything else: the whole pipeline
//! ```

use super::cell::HELD;
use super::concurrency_stage::{give_place_back, mark_pending, settle, unmark};
use super::extra::Stages;
use super::handle::Guard;
use super::keyed_limit::Kept;
use super::known::Known;
use super::permit::Permit;
use super::taken::{Taken, Tokens};
use super::turned_away::Ended;
use super::{Call, NotEntered};
use crate::breaker::state;
use crate::clock::ticks;
use crate::concurrency::fixed::{self, Held};
use crate::rate::keyed::Key;
use crate::slot::lane::Count;
use std::sync::atomic::Ordering::*;

/// Where the plain way ended without a permit.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Stopped {
    /// What the thread knows of the guard, so that nobody looks it up again; None: it did not come so far.
    known: Option<&'static Known>,
    with: With,
}

/// What it had taken by then. Two registers.
#[derive(Clone, Copy)]
#[repr(C)]
struct With {
    /// When; 0: the clock was not read.
    now: u64,
    /// Epoch of the place in flight.
    epoch: u32,
    taken: Part,
}

/// How far the plain way went.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
enum Part {
    Nothing,
    /// The slot's word is marked.
    Mark,
    /// A place in flight is taken.
    Place,
    /// And a token, where there is a rate limit.
    All,
}

impl Stopped {
    const AT_ONCE: Stopped = Stopped { known: None, with: With::NOTHING };
}

impl With {
    const NOTHING: With = With { now: 0, epoch: 0, taken: Part::Nothing };
}

impl Guard {
    /// Asks to pass. On `Ok` the permit holds a place until [`Permit::exit`]; it is initialised in any case. **Hot.**
    #[inline(always)]
    pub fn enter(&'static self, call: &Call<'_>, permit: &mut Permit) -> Result<(), NotEntered> {
        let then = |permit: &mut Permit, stopped| self.enter_after(stopped, call, permit);
        if is_plain(call) { self.take_all(permit, then) } else { self.enter_whole(call, permit) }
    }

    /// The pipeline for what most calls and guards are: one token, no time limit, no policy, nothing in shadow mode; on a
    /// thread that knows the guard. What else it meets it leaves to [`Guard::enter_after`], which has to be called then. It calls
    /// nothing, so that its caller needs no stack for it.
    #[inline(always)]
    pub fn enter_plain(&'static self, permit: &mut Permit) -> Result<(), Stopped> {
        self.take_all(permit, |_, stopped| Err(stopped))
    }

    /// The same, and `then` where it stops.
    #[inline(always)]
    fn take_all<E>(
        &'static self,
        permit: &mut Permit,
        then: impl Fn(&mut Permit, Stopped) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some((local, known)) = self.known() else { return then(permit, Stopped::AT_ONCE) };
        let (facts, hot) = (known.facts(), &self.cell().hot);
        let breaker = if facts.flags().has_breaker() { hot.breaker.load(Acquire) } else { 0 };
        let Some(now) = local.time_at_once(ticks()) else { return then(permit, Stopped::AT_ONCE) };
        let stopped = |with| Stopped { known: Some(known), with };
        if facts.elaborate() != 0 || !state::is_closed(breaker) {
            return then(permit, stopped(With { now, ..With::NOTHING }));
        }
        self.take_with_place(known, breaker, now, permit, None)
            .or_else(|taken| then(permit, stopped(With { now, epoch: facts.timeless_epoch() as u32, taken })))
    }

    /// Takes a place in flight and a token, of its key where it has one, and writes the permit; or tells how far it went.
    #[inline(always)]
    fn take_with_place(
        &'static self,
        known: &'static Known,
        breaker: u64,
        now: u64,
        permit: &mut Permit,
        key: Option<(&Kept, &Key<'_>)>,
    ) -> Result<(), Part> {
        let (facts, run) = (known.facts(), known.run());
        let epoch = facts.timeless_epoch();
        if !Held::has_room(run.word(HELD).load(Relaxed), epoch) {
            return Err(Part::Nothing);
        }
        let seen = mark_pending(run);
        if fixed::take_alone(&self.cell().hot.concurrency, facts.limit(), epoch).is_none() {
            return Err(Part::Mark);
        }
        settle(run, seen, |word| word + 1);
        let takes_token = !facts.stages().has(Stages::SLOW)
            && match key {
                Some((limit, key)) => limit.takes_at_once(key, now),
                None => !facts.flags().has_rates() || facts.rate(0).take(&self.cell().hot.rates[0], now),
            };
        if !takes_token {
            return Err(Part::Place);
        }
        if self.changes() != facts.changes() {
            return Err(Part::All);
        }
        self.with_place(known, breaker, now, epoch).write(permit);
        Ok(())
    }

    /// An attempt that has its place in flight.
    #[inline(always)]
    fn with_place(&'static self, known: &'static Known, breaker: u64, now: u64, epoch: u64) -> Taken<'static> {
        let nothing = Taken::nothing(self, known.facts(), known.run().into(), now, 1);
        Taken { breaker, place: Some(epoch), ..nothing }
    }

    /// Enters where the plain way ended. The call is as plain as that takes them.
    #[inline(always)]
    pub fn enter_after(
        &'static self,
        stopped: Stopped,
        call: &Call<'_>,
        permit: &mut Permit,
    ) -> Result<(), NotEntered> {
        match (stopped.known, stopped.with.taken) {
            (Some(known), Part::Nothing) if known.facts().is_plain_by_key() => {
                self.enter_by_key(known, stopped.with.now, call, permit)
            }
            (Some(known), Part::Nothing) => self.enter_known(known, stopped.with.now, call, permit),
            (Some(known), _) => self.enter_on(known, stopped.with, call, permit),
            (None, _) => self.enter_whole(call, permit),
        }
    }

    /// The plain way with a limit by key for the token.
    #[inline(never)]
    fn enter_by_key(
        &'static self,
        known: &'static Known,
        now: u64,
        call: &Call<'_>,
        permit: &mut Permit,
    ) -> Result<(), NotEntered> {
        let facts = known.facts();
        let limit = self.keyed_limit(facts.numbers(), facts.tag(), 0);
        let key = limit.and_then(|limit| Some((limit, limit.key_of(call)?)));
        let (Some((limit, key)), Some(breaker)) = (key, self.closed_breaker(facts, now)) else {
            return self.enter_known(known, now, call, permit);
        };
        let epoch = facts.timeless_epoch();
        match self.take_with_place(known, breaker, now, permit, Some((limit, &key))) {
            Ok(()) => Ok(()),
            Err(Part::Nothing) => self.enter_known(known, now, call, permit),
            Err(Part::All) => {
                let taken = self.with_place(known, breaker, now, epoch);
                taken.turn_away(Ended::Again, &Tokens::ONE_OF_KEY, call, permit)
            }
            Err(taken) => self.enter_on(known, With { now, epoch: epoch as u32, taken }, call, permit),
        }
    }

    /// Goes on with what the plain way had taken: asks what is asked last.
    #[inline(never)]
    fn enter_on(
        &'static self,
        known: &'static Known,
        with: With,
        call: &Call<'_>,
        permit: &mut Permit,
    ) -> Result<(), NotEntered> {
        if with.taken == Part::Place
            && let Some(breaker) = self.closed_breaker(known.facts(), with.now)
        {
            return self.with_place(known, breaker, with.now, with.epoch.into()).ask_rates(call, permit);
        }
        self.take_back(with);
        self.enter_whole(call, permit)
    }

    /// Gives back what the plain way had taken.
    #[cold]
    fn take_back(&'static self, with: With) {
        match with.taken {
            Part::Nothing => {}
            Part::Mark => self.look_up(|_, run| unmark(run)),
            Part::Place | Part::All => self.look_up(|facts, run| {
                if with.taken == Part::All && facts.flags().has_rates() {
                    self.give_rates_back(facts.numbers(), &[0], &[1], with.now);
                }
                give_place_back(self, run, with.epoch.into());
            }),
        }
    }
}

/// Whether a call costs at most one token and brings no time limit.
#[inline(always)]
fn is_plain(call: &Call<'_>) -> bool {
    call.timeout_ns | call.deadline_ns | call.cost >> 1 == 0
}
