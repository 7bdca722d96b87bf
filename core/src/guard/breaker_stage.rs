//! The breaker stage: asks whether a call may pass, and counts how it ended.

use super::cell::{RUN, SECOND, WINDOW};
use super::enter::shadowed;
use super::extra::{Further, RUNNING, RUNNING_SEEN, SlowCalls, Stages};
use super::handle::Guard;
use super::known::Facts;
use super::permit::{JUDGED, Marks, PROBE, Permit};
use super::turned_away::Ended;
use super::{Outcome, Stage};
use crate::breaker::consecutive;
use crate::breaker::last_calls::LastCalls;
use crate::breaker::running::{self, Running, Start};
use crate::breaker::state::{self, Admission, Breaker, Change, ProbeEnd, Reason, State};
use crate::breaker::transition::Forced;
use crate::breaker::window::{self, BAD, GOOD, Place, SLOW, Sum, Verdict};
use crate::error;
use crate::rules::Mode;
use crate::runtime::current;
use crate::slot::lane::{Count, Own, PAGE_WORDS, Run, each_run};
use crate::word::update;
use std::sync::atomic::{AtomicU64, Ordering::*, fence};

impl Guard {
    /// The marks of a call that may pass, and a word of the breaker's generation.
    pub(super) fn ask_breaker(&'static self, facts: &Facts, run: Run<'_>, now: u64) -> Result<(Marks, u64), Ended> {
        let word = &self.cell().hot.breaker;
        let seen = word.load(Acquire);
        let changed = facts.stages().has(Stages::SLOW)
            && facts.further().is_some_and(|further| self.finds_many_running(facts, &further, seen, now));
        if state::is_closed(seen) && !changed {
            return Ok((facts.marks(), seen));
        }
        let (admission, changed) = state::admit(word, &facts.numbers().timing(), now);
        self.note(changed);
        match admission {
            Admission::Pass(generation) => Ok((facts.marks(), state::word_of(generation))),
            Admission::Probe(generation) => Ok((facts.marks().with(PROBE), state::word_of(generation))),
            // What an operator says is not on trial.
            Admission::Refuse(retry_after_ns)
                if facts.flags().breaker() == Mode::Enforce || retry_after_ns == u64::MAX =>
            {
                Err(Ended::Refused { stage: Stage::Breaker, retry_after_ns, reason: 0 })
            }
            Admission::Unjudged => Ok((facts.marks().without(JUDGED), 0)),
            Admission::Refuse(_) => {
                shadowed(run, Stage::Breaker);
                Ok((facts.marks().without(JUDGED), 0))
            }
        }
    }

    /// The breaker's word where it is closed, and no calls that are running have to be looked at.
    #[inline(always)]
    pub(super) fn closed_breaker(&self, facts: &Facts, now: u64) -> Option<u64> {
        let seen = self.cell().hot.breaker.load(Acquire);
        (state::is_closed(seen) && !facts.is_time_to_look(now)).then_some(seen)
    }

    /// The word of the run in which a call that ended well counts one more, when that is all there is to it.
    #[inline(always)]
    pub(super) fn good_end_at<'a>(&self, facts: &Facts, run: impl Count<'a>, breaker: u64, now: u64) -> Option<usize> {
        let hot = &self.cell().hot;
        if hot.breaker.load(Relaxed) != breaker || hot.has_failures() {
            return None;
        }
        window::good_at(run, &facts.bucket, WINDOW, Place::of(now, facts.window(), breaker))
    }

    /// Counts a call that ended well, and not slowly, among the last so many. False: there is more to it.
    #[inline(always)]
    pub(super) fn counts_good_end(&'static self, facts: &Facts, breaker: u64, end: (Outcome, u64), now: u64) -> bool {
        let hot = &self.cell().hot;
        let Some(calls) = facts.last_calls().filter(|_| !facts.is_slow(end) && facts.numbers_stand()) else {
            return false;
        };
        if !calls.count(&hot.breaker, state::generation_of(breaker), GOOD) {
            return false;
        }
        // After it was counted, so that of two calls that end at once at least one sees both.
        if hot.has_failures() {
            self.end_failures(facts, breaker, Place::of(now, facts.window(), breaker), now);
        }
        true
    }

    /// Counts a call that was judged in the generation that `breaker`, a word of it, is of.
    pub(super) fn tell_breaker(&'static self, facts: &Facts, run: Run<'_>, breaker: u64, outcome: Outcome, now: u64) {
        let hot = &self.cell().hot;
        let current = hot.breaker.load(Relaxed);
        if current != breaker && state::generation_of(current) != state::generation_of(breaker) {
            return;
        }
        let place = Place::of(now, facts.window(), breaker);
        window::count(run, &facts.bucket, WINDOW, place, outcome.is_bad());
        if outcome.is_bad() {
            self.judge_failure(facts, breaker, place, now);
        } else if hot.has_failures() {
            self.end_failures(facts, breaker, place, now);
        }
    }

    /// The same of a slow call, or where the last so many calls are the window.
    #[inline(never)]
    pub(super) fn tell_whole_breaker(
        &'static self,
        facts: &Facts,
        run: Run<'_>,
        breaker: u64,
        (outcome, duration): (Outcome, u64),
        now: u64,
    ) {
        let (hot, generation) = (&self.cell().hot, state::generation_of(breaker));
        if state::generation_of(hot.breaker.load(Relaxed)) != generation {
            return;
        }
        let slow = facts.is_slow((outcome, duration));
        let ending = if outcome.is_bad() { BAD } else { GOOD } + if slow { SLOW } else { GOOD };
        let place = Place::of(now, facts.window(), breaker);
        if !facts.numbers_stand() {
            // Two sets of rules have come meanwhile: the place may be anything by now.
            return;
        }
        match facts.last_calls() {
            Some(calls) => _ = calls.count(&hot.breaker, generation, ending),
            None => window::count_as(run, &facts.bucket, WINDOW, place, ending),
        }
        if outcome.is_bad() {
            return self.judge_failure(facts, breaker, place, now);
        }
        if hot.has_failures() {
            self.end_failures(facts, breaker, place, now);
        }
        if slow {
            self.judge_window(facts, breaker, place, now);
        }
    }

    /// A call went well after others that had not.
    #[cold]
    fn end_failures(&'static self, facts: &Facts, breaker: u64, place: Place, now: u64) {
        let hot = &self.cell().hot;
        consecutive::succeeded(&hot.consecutive, &hot.breaker, state::generation_of(breaker));
        if hot.watch.load(Relaxed) == state::generation_of(breaker) + 1 {
            self.judge_window(facts, breaker, place, now);
        }
    }

    /// Tells the breaker how a probe ended.
    #[cold]
    pub(super) fn end_probe(&'static self, facts: &Facts, breaker: u64, end: (Outcome, u64), now: u64) {
        // A breaker that opened because of slow calls would close on a slow one, only to open again.
        let slow = facts.is_slow(end);
        let end = match (end.0.is_judged(), end.0.is_bad() || slow) {
            (false, _) => ProbeEnd::Unjudged,
            (true, true) => ProbeEnd::Failed,
            (true, false) => ProbeEnd::Passed,
        };
        let (timing, generation) = (facts.numbers().timing(), state::generation_of(breaker));
        self.note(state::end_probe(&self.cell().hot.breaker, &timing, generation, end, now));
    }

    #[cold]
    fn judge_failure(&'static self, facts: &Facts, breaker: u64, place: Place, now: u64) {
        let generation = state::generation_of(breaker);
        let (hot, most) = (&self.cell().hot, facts.numbers().consecutive());
        let in_a_row = consecutive::failed(&hot.consecutive, &hot.breaker, generation);
        if most != 0 && in_a_row >= most {
            return self.trip(generation, Reason::FailuresInARow, now);
        }
        let slow_too = facts.further().is_some_and(|further| further.slow().is_some());
        if slow_too || facts.numbers().threshold().looks_at_bad() {
            self.judge_window(facts, breaker, place, now);
        }
    }

    /// Sums the window and opens when it is bad.
    #[cold]
    fn judge_window(&'static self, facts: &Facts, breaker: u64, place: Place, now: u64) {
        let (watch, generation) = (&self.cell().hot.watch, state::generation_of(breaker));
        let verdict = match facts.further() {
            Some(further) => self.judge_all(facts, &further, generation, place, now),
            None => facts.numbers().threshold().judge(self.sum_of_window(place)),
        };
        match verdict {
            _ if !facts.numbers_stand() => {}
            Verdict::Bad(reason) => self.trip(generation, reason, now),
            Verdict::Undecided => watch.store(generation + 1, Relaxed),
            Verdict::Good if watch.load(Relaxed) != 0 => watch.store(0, Relaxed),
            Verdict::Good => {}
        }
    }

    /// The verdict where slow calls count, or the last so many calls are the window.
    fn judge_all(&self, facts: &Facts, further: &Further<'_>, generation: u64, place: Place, now: u64) -> Verdict {
        let mut threshold = facts.numbers().threshold();
        if let Some(slow) = further.slow() {
            (threshold.slow_ratio, threshold.slow_min_calls) = (slow.ratio, threshold.min_calls);
        }
        let sum = match facts.last_calls() {
            Some(calls) => calls.sum(generation),
            None => self.sum_of_window(place),
        };
        threshold.judge(sum.with_running(self.slow_running(further, generation, now)))
    }

    /// The slots' windows, summed. The fence puts our own count before the sum, so that of two calls that end at once at
    /// least one sees both.
    fn sum_of_window(&self, place: Place) -> Sum {
        fence(SeqCst);
        let mut sum = Sum::default();
        each_run(self.shared.segment(), self.place, RUN, self.generation, |_, run| {
            window::add_up(&run[WINDOW..WINDOW + window::WORDS], place, &mut sum);
        });
        sum
    }

    /// How many calls of this generation have been running for too long, by the rings of all slots.
    fn slow_running(&self, further: &Further<'_>, generation: u64, now: u64) -> u64 {
        let Some(slow) = further.slow() else { return 0 };
        let before = further.state.running_before[0].load(Acquire);
        let of_earlier = if before >> 32 == generation + 1 { before & COUNT_MASK } else { 0 };
        self.running(&slow, now).slow().saturating_sub(of_earlier)
    }

    /// The rings of all slots.
    fn running(&self, slow: &SlowCalls, now: u64) -> Running {
        let mut running = Running::default();
        each_run(self.shared.segment(), self.second_place(), SECOND, self.generation, |_, run| {
            running.add_up(&run[RUNNING..RUNNING + running::WORDS], &slow.ring, now);
        });
        running
    }

    /// The breaker lets pass again, in a new generation: calls that hang since before must not open it once more. They count as
    /// those of earlier generations until they end. Those that begin or end at this very moment may be
    /// taken for such, so that a verdict comes late by as many.
    pub(super) fn disregard_running(&'static self, change: &Change) {
        let begins = matches!(change.to, State::Closed | State::Recovering) && change.reason != Reason::Recovered;
        if let Some((numbers, state)) = self.extra(self.numbers()).filter(|_| begins)
            && let Some(slow) = (Further { numbers, state, second: None }).slow()
        {
            let all = self.running(&slow, self.now()).all();
            state.running_before[0].store((change.generation + 1) << 32 | all, Release);
        }
    }

    /// Looks at the calls that are running, once in a while ([`is_time_to_look`]): where all of them hang, none ends that would be
    /// judged. True: the breaker has changed.
    fn finds_many_running(&'static self, facts: &Facts, further: &Further<'_>, breaker: u64, now: u64) -> bool {
        let (Some(slow), Some(second)) = (further.slow(), further.second) else { return false };
        if !matches!(Breaker::of(breaker).state, State::Closed | State::Recovering) {
            return false;
        }
        let seen = second.word(RUNNING_SEEN);
        if !is_time_to_look(seen.load(Relaxed), slow.over_ns, now) {
            return false;
        }
        // As the epochs of the rings go.
        seen.store(now - now % between_looks(slow.over_ns), Relaxed);
        self.judge_window(facts, breaker, Place::of(now, facts.window(), breaker), now);
        self.cell().hot.breaker.load(Acquire) != breaker
    }

    /// Takes a call off again that [`Facts::begin_running`] counted.
    #[inline(always)]
    pub(super) fn end_running(&'static self, facts: &Facts, permit: &Permit) {
        if let Some(second) = facts.second() {
            running::exit(second, RUNNING, Start::of(permit.running));
        } else if let Some(second) = self.second(current(self.shared)) {
            running::exit(second, RUNNING, Start::of(permit.running));
        }
        let breaker = self.cell().hot.breaker.load(Relaxed);
        if breaker != permit.breaker {
            self.end_running_before(state::generation_of(permit.breaker), state::generation_of(breaker));
        }
    }

    /// The same in the count of those that began in an earlier generation.
    #[cold]
    fn end_running_before(&self, began: u64, current: u64) {
        let Some((_, state)) = self.extra(self.numbers()) else { return };
        if began != current {
            let _: Result<(), ()> = update(&state.running_before[0], |seen| {
                let counted = seen >> 32 == current + 1 && seen & COUNT_MASK != 0;
                if counted { Ok((seen - 1, ())) } else { Err(()) }
            });
        }
    }

    #[cold]
    fn trip(&'static self, generation: u64, reason: Reason, now: u64) {
        self.note(state::trip(&self.cell().hot.breaker, generation, reason, now));
        self.cell().hot.watch.store(0, Relaxed);
    }

    /// Forces the breaker's state, until [`Guard::reset_breaker`]: for operators. Forced open refuses whatever the rules say, also
    /// where they have the breaker in shadow mode or have none. What is in flight changes it no more. **Cold.**
    ///
    /// # Errors
    /// The guard is gone.
    pub fn force_breaker(&'static self, forced: Forced) -> error::Result<()> {
        self.alive()?;
        self.by_hand(|| state::force(&self.cell().hot.breaker, forced, self.now()))
    }

    /// Closes the breaker, whatever it was, with an empty window. **Cold.**
    ///
    /// # Errors
    /// The guard is gone.
    pub fn reset_breaker(&'static self) -> error::Result<()> {
        self.alive()?;
        self.by_hand(|| state::reset(&self.cell().hot.breaker, self.now()))
    }

    /// Makes a change under the cold lock, and has every thread look at the guard anew: whether it is held open is among
    /// what they remember.
    fn by_hand(&'static self, change: impl FnOnce() -> Option<Change>) -> error::Result<()> {
        let changed = {
            let _locked = self.shared.lock_directory()?;
            let changed = change();
            self.cell().hot.watch.store(0, Relaxed);
            self.view.header().changes.fetch_add(1, AcqRel);
            changed
        };
        self.note(changed);
        Ok(())
    }

    /// Whether an operator has it refuse everything.
    pub(super) fn is_held_open(&self) -> bool {
        Breaker::of(self.cell().hot.breaker.load(Acquire)).state == State::ForcedOpen
    }
}

impl Facts {
    /// Whether a call's end is not only one of the time window's.
    #[inline(always)]
    pub(super) fn takes_more_to_judge(&self, end: (Outcome, u64)) -> bool {
        self.stages().has(Stages::LAST_CALLS) || self.is_slow(end)
    }

    /// Whether a call was slow, where the breaker looks at that.
    #[inline(always)]
    fn is_slow(&self, (outcome, duration): (Outcome, u64)) -> bool {
        duration > self.slow_over_ns() || outcome == Outcome::Timeout && self.stages().has(Stages::SLOW)
    }

    /// The window, where it is the last so many calls.
    #[inline(always)]
    fn last_calls(&self) -> Option<LastCalls<'static, AtomicU64>> {
        LastCalls::new(self.last_calls_words())
    }

    /// Whether calls that are running have to be looked at, and this thread has not done so for a while.
    #[inline(always)]
    fn is_time_to_look(&self, now: u64) -> bool {
        let is_due = |second: Own<'_, PAGE_WORDS>| {
            is_time_to_look(second.word(RUNNING_SEEN).load(Relaxed), self.slow_over_ns(), now)
        };
        self.stages().has(Stages::SLOW) && self.second().is_none_or(is_due)
    }

    /// Counts a call among those that are running; the number is for its exit.
    #[inline(always)]
    pub(super) fn begin_running(&self, now: u64) -> u32 {
        let Some(further) = self.further() else { return 0 };
        let start = further.numbers.slow_running().start(now);
        match (self.second(), further.second) {
            (Some(own), _) => running::enter(own, RUNNING, start),
            (None, Some(second)) => running::enter(second, RUNNING, start),
            (None, None) => return 0,
        }
        start.number()
    }
}

/// The calls that are running are looked at once in a quarter of what is slow, but not more often than every 262 µs. Time that
/// goes back makes it due.
#[inline(always)]
fn is_time_to_look(seen: u64, over_ns: u64, now: u64) -> bool {
    now.wrapping_sub(seen) >= between_looks(over_ns)
}

#[inline(always)]
fn between_looks(over_ns: u64) -> u64 {
    (over_ns / 4).max(1 << 18)
}

/// The count in [`super::extra::State::running_before`].
const COUNT_MASK: u64 = (1 << 32) - 1;
