//! The breaker stage: asks whether a call may pass, and counts how it ended.

use super::cell::{RUN, WINDOW};
use super::enter::shadowed;
use super::handle::Guard;
use super::known::Facts;
use super::numbers::Block;
use super::permit::{JUDGED, Marks, PROBE};
use super::turned_away::Ended;
use super::{Outcome, Stage};
use crate::breaker::consecutive;
use crate::breaker::state::{self, Admission, ProbeEnd, Reason};
use crate::breaker::window::{self, Place, Sum, Verdict};
use crate::rules::Mode;
use crate::slot::lane::{Count, Run, each_run};
use std::sync::atomic::{Ordering::*, fence};

impl Guard {
    /// The marks of a call that may pass, and a word of the breaker's generation.
    pub(super) fn ask_breaker(&self, facts: &Facts, run: Run<'_>, now: u64) -> Result<(Marks, u64), Ended> {
        let word = &self.cell().hot.breaker;
        let seen = word.load(Acquire);
        if state::is_closed(seen) {
            return Ok((facts.marks(), seen));
        }
        let (admission, changed) = state::admit(word, &facts.numbers().timing(), now);
        self.cell().note(changed);
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
        &self,
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
            self.judge_failure(facts.numbers(), breaker, place, now);
        } else if hot.consecutive.load(Relaxed) | hot.watch.load(Relaxed) != 0 {
            self.end_failures(facts.numbers(), breaker, place, now);
        }
    }

    /// A call went well after others that had not.
    #[cold]
    fn end_failures(&self, numbers: &Block, breaker: u64, place: Place, now: u64) {
        let hot = &self.cell().hot;
        consecutive::succeeded(&hot.consecutive, &hot.breaker, state::generation_of(breaker));
        if hot.watch.load(Relaxed) == state::generation_of(breaker) + 1 {
            self.judge_window(numbers, breaker, place, now);
        }
    }

    /// Tells the breaker how a probe ended.
    #[cold]
    pub(super) fn end_probe(&self, numbers: &Block, breaker: u64, outcome: Outcome, now: u64) {
        let end = match (outcome.is_judged(), outcome.is_bad()) {
            (false, _) => ProbeEnd::Unjudged,
            (true, true) => ProbeEnd::Failed,
            (true, false) => ProbeEnd::Passed,
        };
        let (timing, generation) = (numbers.timing(), state::generation_of(breaker));
        self.cell().note(state::end_probe(&self.cell().hot.breaker, &timing, generation, end, now));
    }

    #[cold]
    fn judge_failure(&self, numbers: &Block, breaker: u64, place: Place, now: u64) {
        let generation = state::generation_of(breaker);
        let (hot, most) = (&self.cell().hot, numbers.consecutive());
        let in_a_row = consecutive::failed(&hot.consecutive, &hot.breaker, generation);
        if most != 0 && in_a_row >= most {
            return self.trip(generation, Reason::FailuresInARow, now);
        }
        if numbers.threshold().looks_at_bad() {
            self.judge_window(numbers, breaker, place, now);
        }
    }

    /// Sums the slots' windows and opens when they are bad. The fence puts our own count before the sum, so that of
    /// two calls that end at once at least one sees both.
    #[cold]
    fn judge_window(&self, numbers: &Block, breaker: u64, place: Place, now: u64) {
        fence(SeqCst);
        let mut sum = Sum::default();
        each_run(self.shared.segment(), self.place, RUN, self.generation, |_, run| {
            window::add_up(&run[WINDOW..WINDOW + window::WORDS], place, &mut sum);
        });
        let (watch, generation) = (&self.cell().hot.watch, state::generation_of(breaker));
        match numbers.threshold().judge(sum) {
            Verdict::Bad(reason) => self.trip(generation, reason, now),
            Verdict::Undecided => watch.store(generation + 1, Relaxed),
            Verdict::Good if watch.load(Relaxed) != 0 => watch.store(0, Relaxed),
            Verdict::Good => {}
        }
    }

    #[cold]
    fn trip(&self, generation: u64, reason: Reason, now: u64) {
        self.cell().note(state::trip(&self.cell().hot.breaker, generation, reason, now));
        self.cell().hot.watch.store(0, Relaxed);
    }
}
