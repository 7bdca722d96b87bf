//! The breaker stage: asks whether a call may pass, and counts how it ended.

use super::cell::{RUN, SECOND, WINDOW};
use super::enter::shadowed;
use super::extra::{Further, RUNNING, RUNNING_SEEN};
use super::handle::Guard;
use super::known::Facts;
use super::numbers::Block;
use super::permit::{JUDGED, Marks, PROBE};
use super::turned_away::Ended;
use super::{Outcome, Stage};
use crate::breaker::consecutive;
use crate::breaker::last_calls::LastCalls;
use crate::breaker::running::{self, Running, Start};
use crate::breaker::state::{self, Admission, ProbeEnd, Reason};
use crate::breaker::transition::Forced;
use crate::breaker::window::{self, BAD, GOOD, Place, SLOW, Sum, Verdict};
use crate::error;
use crate::rules::Mode;
use crate::runtime::Local;
use crate::slot::lane::{Count, Run, each_run};
use std::sync::atomic::{Ordering::*, fence};

impl Guard {
    /// The marks of a call that may pass, and a word of the breaker's generation.
    pub(super) fn ask_breaker(&'static self, facts: &Facts, run: Run<'_>, now: u64) -> Result<(Marks, u64), Ended> {
        let word = &self.cell().hot.breaker;
        let seen = word.load(Acquire);
        if state::is_closed(seen) {
            match facts.further() {
                Some(further) if self.finds_many_running(facts, &further, seen, now) => {}
                _ => return Ok((facts.marks(), seen)),
            }
        }
        let (admission, changed) = state::admit(word, &facts.numbers().timing(), now);
        self.note(changed);
        match admission {
            Admission::Pass(generation) => Ok((facts.marks(), state::word_of(generation))),
            Admission::Probe(generation) => Ok((facts.marks().with(PROBE), state::word_of(generation))),
            Admission::Refuse(retry_after_ns) if facts.flags().breaker() == Mode::Enforce => {
                Err(Ended::Refused { stage: Stage::Breaker, retry_after_ns, reason: 0 })
            }
            Admission::Unjudged => Ok((facts.marks().without(JUDGED), 0)),
            Admission::Refuse(_) => {
                shadowed(run, Stage::Breaker);
                Ok((facts.marks().without(JUDGED), 0))
            }
        }
    }

    /// Counts a call that was judged in the generation that `breaker`, a word of it, is of.
    #[inline(always)]
    pub(super) fn tell_breaker<'a>(
        &'static self,
        facts: &Facts,
        run: impl Count<'a>,
        breaker: u64,
        outcome: Outcome,
        now: u64,
    ) {
        let hot = &self.cell().hot;
        let current = hot.breaker.load(Relaxed);
        if current != breaker && state::generation_of(current) != state::generation_of(breaker) {
            return;
        }
        let place = Place::of(now, facts.window(), breaker);
        window::count(run, &facts.bucket, WINDOW, place, outcome.is_bad());
        if outcome.is_bad() {
            self.judge_failure(facts, breaker, place, now);
        } else if hot.consecutive.load(Relaxed) | hot.watch.load(Relaxed) != 0 {
            self.end_failures(facts, breaker, place, now);
        }
    }

    /// The same where slow calls count, or the last so many calls are the window.
    #[inline(never)]
    pub(super) fn tell_whole_breaker(
        &'static self,
        facts: &Facts,
        further: &Further<'_>,
        run: Run<'_>,
        breaker: u64,
        (outcome, duration): (Outcome, u64),
        now: u64,
    ) {
        let (hot, generation) = (&self.cell().hot, state::generation_of(breaker));
        if state::generation_of(hot.breaker.load(Relaxed)) != generation {
            return;
        }
        let slow = further.slow().is_some_and(|slow| duration > slow.over_ns || outcome == Outcome::Timeout);
        let ending = if outcome.is_bad() { BAD } else { GOOD } + if slow { SLOW } else { GOOD };
        let place = Place::of(now, facts.window(), breaker);
        match further.last_calls(&self.view) {
            Some(calls) => {
                calls.count(&hot.breaker, generation, ending);
            }
            None => window::count_as(run, &facts.bucket, WINDOW, place, ending),
        }
        if outcome.is_bad() {
            return self.judge_failure(facts, breaker, place, now);
        }
        if hot.consecutive.load(Relaxed) | hot.watch.load(Relaxed) != 0 {
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
    pub(super) fn end_probe(&'static self, numbers: &Block, breaker: u64, outcome: Outcome, now: u64) {
        let end = match (outcome.is_judged(), outcome.is_bad()) {
            (false, _) => ProbeEnd::Unjudged,
            (true, true) => ProbeEnd::Failed,
            (true, false) => ProbeEnd::Passed,
        };
        let (timing, generation) = (numbers.timing(), state::generation_of(breaker));
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
        let sum = match further.last_calls(&self.view) {
            Some(calls) => calls.sum(generation),
            None => self.sum_of_window(place),
        };
        threshold.judge(sum.with_running(self.slow_running(further, now)))
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

    /// How many calls have been running for too long, by the rings of all slots.
    fn slow_running(&self, further: &Further<'_>, now: u64) -> u64 {
        let Some(rule) = further.slow().map(|slow| slow.ring) else { return 0 };
        let mut running = Running::default();
        each_run(self.shared.segment(), self.second_place(), SECOND, self.generation, |_, run| {
            running.add_up(&run[RUNNING..RUNNING + running::WORDS], &rule, now);
        });
        running.slow()
    }

    /// Looks at the calls that are running, once in a quarter of what is slow: where all of them hang, none ends that
    /// would be judged. True: the breaker has changed.
    fn finds_many_running(&'static self, facts: &Facts, further: &Further<'_>, breaker: u64, now: u64) -> bool {
        let (Some(slow), Some(second)) = (further.slow(), further.second) else { return false };
        let start = u64::from(slow.ring.start(now).number());
        let seen = second.word(RUNNING_SEEN);
        if seen.load(Relaxed) == start {
            return false;
        }
        seen.store(start, Relaxed);
        self.judge_window(facts, breaker, Place::of(now, facts.window(), breaker), now);
        self.cell().hot.breaker.load(Acquire) != breaker
    }

    /// Counts a call among those that are running; the number is for its exit.
    pub(super) fn begin_running(&self, further: &Further<'_>, now: u64) -> u32 {
        let (Some(slow), Some(second)) = (further.slow(), further.second) else { return 0 };
        let start = slow.ring.start(now);
        running::enter(second, RUNNING, start);
        start.number()
    }

    /// Takes it off again.
    pub(super) fn end_running(&self, local: &Local, number: u32) {
        if let Some(second) = self.second(local) {
            running::exit(second, RUNNING, Start::of(number));
        }
    }

    #[cold]
    fn trip(&'static self, generation: u64, reason: Reason, now: u64) {
        self.note(state::trip(&self.cell().hot.breaker, generation, reason, now));
        self.cell().hot.watch.store(0, Relaxed);
    }

    /// Forces the breaker's state, until [`Guard::reset_breaker`]: for operators, whatever the rules say. What is in flight
    /// changes it no more. **Cold.**
    ///
    /// # Errors
    /// The guard is gone.
    pub fn force_breaker(&'static self, forced: Forced) -> error::Result<()> {
        self.alive()?;
        self.note(state::force(&self.cell().hot.breaker, forced, self.now()));
        Ok(())
    }

    /// Closes the breaker, whatever it was, with an empty window. **Cold.**
    ///
    /// # Errors
    /// The guard is gone.
    pub fn reset_breaker(&'static self) -> error::Result<()> {
        self.alive()?;
        self.note(state::reset(&self.cell().hot.breaker, self.now()));
        self.cell().hot.watch.store(0, Relaxed);
        Ok(())
    }
}

/// The window of the last calls, where the numbers have one.
impl Further<'_> {
    fn last_calls<'v>(&self, view: &'v crate::segment::View) -> Option<LastCalls<'v, std::sync::atomic::AtomicU64>> {
        LastCalls::new(self.table(view, super::numbers::LAST_CALLS)?)
    }
}
