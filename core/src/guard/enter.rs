//! Entering a guard.
//!
//! What the stages take and find stays in registers and is written into the permit once, at the end: a store
//! before a locked instruction has to be drained by it. So the stages of `pass` are inlined, and what is
//! not the common way is handed over by value to functions that are not inlined.

use super::cell::{HELD, RUN, SHADOWED};
use super::concurrency_stage::{give_place_back, mark_pending, settle, unmark};
use super::extra::Stages;
use super::handle::Guard;
use super::keyed_limit::Kept;
use super::known::{Facts, Known};
use super::permit::{DELAYED, FOLLOWED, Permit, THROTTLED};
use super::taken::{Taken, Tokens};
use super::turned_away::Ended;
use super::{Call, NotEntered, Stage};
use crate::breaker::state;
use crate::clock::ticks;
use crate::concurrency::fixed::{self, Held};
use crate::error::ErrorKind;
use crate::rate::keyed::Key;
use crate::rules::Mode;
use crate::runtime::current;
use crate::slot::lane::{Count, Run};
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
        Taken { breaker, place: Some(epoch), ..Taken::nothing(self, facts, run.into(), now, 1) }.write(permit);
        Ok(())
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

    /// Enters by the whole pipeline, on a thread that knows the guard. The call is plain.
    #[inline(never)]
    fn enter_known(
        &'static self,
        known: &'static Known,
        now: u64,
        call: &Call<'_>,
        permit: &mut Permit,
    ) -> Result<(), NotEntered> {
        self.pass::<false, true>(known.facts(), known.run().into(), now, call, permit)
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
                Taken { breaker, place: Some(epoch), ..Taken::nothing(self, facts, known.run().into(), now, 1) }
                    .turn_away(Ended::Again, &Tokens::ONE_OF_KEY, call, permit)
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
        let (facts, place) = (known.facts(), Some(with.epoch.into()));
        if with.taken == Part::Place
            && let Some(breaker) = self.closed_breaker(facts, with.now)
        {
            return Taken { breaker, place, ..Taken::nothing(self, facts, known.run().into(), with.now, 1) }
                .ask_rates(call, permit);
        }
        self.take_back(with);
        self.enter_whole(call, permit)
    }

    /// Enters by the whole pipeline, with any call.
    #[inline(never)]
    fn enter_whole(&'static self, call: &Call<'_>, permit: &mut Permit) -> Result<(), NotEntered> {
        let Some((local, known)) = self.known() else { return self.enter_anew(call, permit) };
        self.pass::<false, false>(known.facts(), known.run().into(), local.time_of(ticks()), call, permit)
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

    /// Enters on a thread that does not know the guard, or not as it is now.
    #[cold]
    #[inline(never)]
    pub(super) fn enter_anew(&'static self, call: &Call<'_>, permit: &mut Permit) -> Result<(), NotEntered> {
        if !self.is_alive() {
            *permit = Permit::default();
            return Err(NotEntered::Failed(ErrorKind::Closed));
        }
        self.look_up(|facts, run| self.pass_with_care(facts, run, self.now(), call, permit))
    }

    /// Calls `then` with what the calling thread knows of the guard, looked up. It is remembered where the thread's
    /// lane is its own.
    pub(super) fn look_up<T>(&'static self, then: impl FnOnce(&Facts, Run<'static>) -> T) -> T {
        let local = current(self.shared);
        let run = local.run(self.place, RUN, &self.cell().cell.generation, self.generation);
        let second = self.second(local);
        match run.own() {
            Some(own) => then(local.known(self.known_at).learn(self, own, second, local.token), run),
            None => then(&Facts::of(self, second, local.token), run),
        }
    }

    /// The pipeline. Without `ALL` it first makes sure that what is rare is not there. With `PLAIN` the call is known to be
    /// plain.
    #[inline(always)]
    fn pass<const ALL: bool, const PLAIN: bool>(
        &'static self,
        facts: &Facts,
        run: Run<'static>,
        now: u64,
        call: &Call<'_>,
        permit: &mut Permit,
    ) -> Result<(), NotEntered> {
        let cost = if PLAIN { 1 } else { call.cost.max(1) };
        let mut taken = Taken::nothing(self, facts, run, now, cost);
        match taken.ask_stages::<ALL, PLAIN>(call) {
            Ok(true) => taken.ask_rates(call, permit),
            Ok(false) => self.pass_with_care(facts, run, now, call, permit),
            Err(ended) => taken.turn_away(ended, &Tokens::NONE, call, permit),
        }
    }

    /// The pipeline with all that there can be.
    #[inline(never)]
    fn pass_with_care(
        &'static self,
        facts: &Facts,
        run: Run<'static>,
        now: u64,
        call: &Call<'_>,
        permit: &mut Permit,
    ) -> Result<(), NotEntered> {
        self.pass::<true, false>(facts, run, now, call, permit)
    }

    /// Takes a place in flight by a limit that neither adapts nor sheds.
    #[inline(always)]
    pub(super) fn take_place_by_number(&self, facts: &Facts, run: Run<'_>, now: u64) -> Result<u64, Stage> {
        let (epoch, is_shadow) = (facts.epoch(self, now), facts.flags().concurrency() == Mode::Shadow);
        if !is_shadow && self.take_place_alone(run, facts.limit(), epoch) {
            return Ok(epoch);
        }
        let place = self.take_place(run, facts.limit(), epoch).map_err(|_| Stage::Concurrency)?;
        if is_shadow && place.inflight > facts.numbers().limit() {
            shadowed(run, Stage::Concurrency);
        }
        Ok(place.epoch)
    }
}

impl Taken<'_> {
    /// Asks the stages before the rate limits, in their order, and keeps what they said. `Ok(false)`: it has met a fault that
    /// may hit, a breaker that is not closed or has to look at the calls that are running, or a policy, which only `ALL` asks;
    /// nothing was taken.
    #[inline(always)]
    fn ask_stages<const ALL: bool, const PLAIN: bool>(&mut self, call: &Call<'_>) -> Result<bool, Ended> {
        let Taken { guard, facts, run, now, .. } = *self;
        let flags = facts.flags();
        // First of all, as every stage is to be asked once.
        if !ALL && (flags.has_policy() || facts.may_be_hit(call)) {
            return Ok(false);
        }
        if !ALL && flags.has_breaker() {
            let Some(breaker) = guard.closed_breaker(facts, now) else { return Ok(false) };
            self.breaker = breaker;
        }
        let given = if PLAIN { const { &Call::PLAIN } } else { call };
        self.deadline_ns = deadline(facts.numbers().timeout_ns(), given, now).ok_or(Ended::by(Stage::Deadline))?;
        if facts.stages().has(Stages::TIME) {
            guard.ask_time(facts, run, now, self.deadline_ns)?;
        }
        if ALL {
            self.ask_rare_stages(call)?;
        }
        // Who watches the breaker may have changed the rules by now, and what is known of them with it.
        let mut stages = facts.stages();
        if stages.has(Stages::THROTTLE) && facts.ask_throttle(run, now)? {
            self.marks = self.marks.with(THROTTLED);
        }
        if ALL {
            self.ask_policy_and_wait(call)?;
            stages = facts.stages();
        }
        let place = match stages.has(Stages::LOAD) {
            true => guard.take_place_by_load(facts, run, call, now),
            false => guard.take_place_by_number(facts, run, now),
        };
        self.place = Some(place.map_err(Ended::by)?);
        Ok(true)
    }

    /// Faults, and the breaker in any state.
    #[inline(always)]
    fn ask_rare_stages(&mut self, call: &Call<'_>) -> Result<(), Ended> {
        let Taken { guard, facts, run, now, .. } = *self;
        if facts.stages().has(Stages::FAULTS) {
            self.delayed = guard.ask_faults(facts, run, call, now, self.deadline_ns)?;
        }
        if facts.flags().has_breaker() {
            (self.marks, self.breaker) = guard.ask_breaker(facts, run, now)?;
        }
        Ok(())
    }

    /// The policy, and what a fault or it has the call wait.
    #[inline(always)]
    fn ask_policy_and_wait(&mut self, call: &Call<'_>) -> Result<(), Ended> {
        if self.facts.flags().has_policy() {
            self.ask_policy(call)?;
        }
        if self.delayed.wait_ns != 0 {
            self.go.wait_ns = self.go.wait_ns.saturating_add(self.delayed.wait_ns);
            self.marks = self.marks.with(FOLLOWED | DELAYED);
        }
        Ok(())
    }

    /// Asks the rate limits, and ends.
    #[inline(always)]
    fn ask_rates(self, call: &Call<'_>, permit: &mut Permit) -> Result<(), NotEntered> {
        let is_by_key = self.facts.flags().has_rates() && self.facts.stages().has(Stages::BY_KEY);
        match if is_by_key { self.takes_only_key_at_once(call) } else { self.takes_at_once() } {
            true => self.end(if is_by_key { &Tokens::ONE_OF_KEY } else { &Tokens::ONE }, call, permit),
            false => self.take_tokens(self.has_one_limit().into(), call, permit),
        }
    }
}

/// Whether a call costs at most one token and brings no time limit.
#[inline(always)]
fn is_plain(call: &Call<'_>) -> bool {
    call.timeout_ns | call.deadline_ns | call.cost >> 1 == 0
}

/// The earliest of the caller's and the rule's deadlines; 0: there is none. None: no time is left.
#[inline(always)]
fn deadline(timeout: u64, call: &Call<'_>, now: u64) -> Option<u64> {
    if timeout | call.timeout_ns | call.deadline_ns == 0 {
        return Some(0);
    }
    let from_now = |ns: u64| if ns == 0 { u64::MAX } else { now.saturating_add(ns) };
    let absolute = if call.deadline_ns == 0 { u64::MAX } else { call.deadline_ns };
    let deadline = absolute.min(from_now(timeout)).min(from_now(call.timeout_ns));
    (deadline > now).then_some(deadline)
}

/// Counts what a stage in shadow mode would have refused.
#[cold]
pub(super) fn shadowed(run: Run<'_>, stage: Stage) {
    run.add(SHADOWED + stage as usize, 1);
}
