//! The system stage, and the concurrency stage of a limit that adapts or sheds by criticality.
//!
//! Each of them says how many may be in flight for this call to pass. A place is taken by the smaller number, in one
//! step of the shared word: under any interleaving no more pass than both allow. What the stages learn from is counted when
//! a call ends; one caller turns each window.

use super::cell::SECOND;
use super::enter::shadowed;
use super::extra::{Further, LIMIT_SAMPLES, SYSTEM_SAMPLES, Stages, State};
use super::handle::Guard;
use super::known::Facts;
use super::numbers::{Block, ExtraBlock, LiveLimit};
use super::{Call, Outcome, Stage};
use crate::concurrency::adaptive::InForce;
use crate::concurrency::fixed::{Held, MAX_LIMIT};
use crate::concurrency::sample::{self, Sample, Sum};
use crate::concurrency::shed::{self, Priority};
use crate::concurrency::window;
use crate::rules::Mode;
use crate::slot::lane::{Run, each_run};
use std::sync::atomic::{AtomicU64, Ordering::*};

/// What one stage allows this call.
#[derive(Clone, Copy)]
struct Bound {
    mode: Mode,
    /// So many may be in flight with it.
    most: u64,
}

impl Bound {
    /// Of a stage that there is not.
    const NONE: Bound = Bound { mode: Mode::Off, most: u64::MAX };

    fn enforced(self) -> u64 {
        if self.mode == Mode::Enforce { self.most } else { u64::MAX }
    }

    /// Whether it would have refused a call that is the last of so many in flight.
    fn overlooks(self, inflight: u64) -> bool {
        self.mode == Mode::Shadow && inflight > self.most
    }
}

impl Guard {
    /// Takes a place in flight, if both stages have one, and tells its epoch; or which of them has not.
    #[inline(always)]
    pub(super) fn take_place_by_load(
        &self,
        facts: &Facts,
        run: Run<'_>,
        call: &Call<'_>,
        now: u64,
    ) -> Result<u64, Stage> {
        match self.take_place_at_once(facts, run, call, now) {
            Some(epoch) => Ok(epoch),
            None => self.take_place_with_care(facts, run, call, now),
        }
    }

    /// The same where both stages are enforced and let pass, as they mostly do. None: nothing was done.
    #[inline(always)]
    fn take_place_at_once(&self, facts: &Facts, run: Run<'_>, call: &Call<'_>, now: u64) -> Option<u64> {
        let (stages, further) = (facts.stages(), facts.further()?);
        if stages.has(Stages::LOAD_SHADOW) || stages.has(Stages::SYSTEM) && !self.is_calm(&further, now) {
            return None;
        }
        let most = match stages.has(Stages::LIMIT) {
            true => most_by_limit(stages, &further, priority_of(call)).min(MAX_LIMIT).into(),
            false => facts.limit(),
        };
        let epoch = facts.epoch(self, now);
        if !self.take_place_alone(run, most, epoch) {
            return None;
        }
        if stages.has(Stages::SHEDS) {
            shed::note(further.state.limit_words().priority, call.criticality, true);
        }
        Some(epoch)
    }

    /// Whether the protection of the process lets all pass.
    #[inline(always)]
    fn is_calm(&self, further: &Further<'_>, now: u64) -> bool {
        let numbers = further.system().map(|(numbers, _)| numbers);
        numbers.is_some_and(|numbers| further.state.system_words(self.load()).is_calm(&numbers, now))
    }

    #[inline(never)]
    fn take_place_with_care(&self, facts: &Facts, run: Run<'_>, call: &Call<'_>, now: u64) -> Result<u64, Stage> {
        let Some(further) = &facts.further() else { return self.take_place_by_number(facts, run, now) };
        let sheds = facts.stages().has(Stages::SHEDS);
        let unranked = Priority { class: Default::default(), level: shed::MAX_LEVEL };
        let priority = if sheds { priority_of(call) } else { unranked };
        let limit = bound_by_limit(facts, further, priority);
        let system = self.bound_by_system(further, priority, now);
        let most = limit.enforced().min(system.enforced()).min(MAX_LIMIT.into());
        let taken = self.take_place(run, most, facts.epoch(self, now));
        let inflight = taken.map_or_else(|others| others + 1, |taken| taken.inflight);
        if system.mode != Mode::Off && inflight > system.most {
            self.tell_system_of_refusal(further, now);
        }
        if sheds {
            let admitted = taken.is_ok() && inflight <= limit.most;
            shed::note(further.state.limit_words().priority, call.criticality, admitted);
        }
        if system.overlooks(inflight) {
            shadowed(run, Stage::System);
        }
        if taken.is_ok() && limit.overlooks(inflight) {
            shadowed(run, Stage::Concurrency);
        }
        let refused = if inflight > system.enforced() { Stage::System } else { Stage::Concurrency };
        taken.map(|taken| taken.epoch).map_err(|_| refused)
    }

    /// What the protection of the process allows: where the limit sheds, it does too.
    fn bound_by_system(&self, further: &Further<'_>, priority: Priority, now: u64) -> Bound {
        let Some((numbers, mode)) = further.system() else { return Bound::NONE };
        let most = match further.state.system_words(self.load()).most(&numbers, now) {
            u64::MAX => u64::MAX,
            most => {
                let most = most.min(MAX_LIMIT.into()) as u32;
                let word = further.state.limit_words().priority.load(Relaxed);
                shed::ceiling(word, InForce { critical: most, others: most }, priority).into()
            }
        };
        Bound { mode, most }
    }

    #[cold]
    fn tell_system_of_refusal(&self, further: &Further<'_>, now: u64) {
        if let Some((numbers, _)) = further.system() {
            further.state.system_words(self.load()).refused(&numbers, now);
        }
    }

    /// The container's load, as last sampled.
    fn load(&self) -> &AtomicU64 {
        &self.view.header().load
    }

    /// Counts how a call ended that gave its place back, and turns the windows that are over.
    #[inline(always)]
    pub(super) fn learn_load(&self, facts: &Facts, outcome: Outcome, duration_ns: u64, now: u64) {
        let (stages, Some(further)) = (facts.stages(), facts.further()) else { return };
        let inflight = Held::of(self.cell().hot.concurrency.load(Relaxed)).inflight() + 1;
        let sample = Sample { outcome, duration_ns, inflight };
        if stages.has(Stages::LIMIT) {
            self.learn_limit(facts, &further, &sample, now);
        }
        if stages.has(Stages::SYSTEM) {
            self.learn_system(facts, &further, &sample, now);
        }
    }

    #[inline(always)]
    fn learn_limit(&self, facts: &Facts, further: &Further<'_>, sample: &Sample, now: u64) {
        let words = further.state.limit_words();
        let window = words.window.load(Relaxed);
        if facts.stages().has(Stages::ADAPTS) {
            let round_trip = words.round_trip.load(Relaxed);
            count_sample(facts, LIMIT_SAMPLES, window::index_of(window), round_trip, sample);
        }
        if window::is_due(window, now) {
            self.turn_limit(facts, now);
        }
    }

    #[cold]
    fn turn_limit(&self, facts: &Facts, now: u64) {
        let Some(further) = facts.further() else { return };
        let words = further.state.limit_words();
        match further.limit().numbers() {
            Some(numbers) => {
                words.turn(&numbers, now, |index| self.sum_of_samples(LIMIT_SAMPLES, index));
            }
            None => words.turn_ceilings(now),
        }
    }

    #[inline(always)]
    fn learn_system(&self, facts: &Facts, further: &Further<'_>, sample: &Sample, now: u64) {
        let window = further.state.system_words(self.load()).window.load(Relaxed);
        count_sample(facts, SYSTEM_SAMPLES, window::index_of(window), 0, sample);
        if window::is_due(window, now) {
            self.turn_system(facts, now);
        }
    }

    #[cold]
    fn turn_system(&self, facts: &Facts, now: u64) {
        let Some(further) = facts.further() else { return };
        if let Some((numbers, _)) = further.system() {
            let words = further.state.system_words(self.load());
            words.turn(&numbers, now, |index| self.sum_of_samples(SYSTEM_SAMPLES, index));
        }
    }

    #[cold]
    fn sum_of_samples(&self, base: usize, index: u64) -> Sum {
        let mut sum = Sum::default();
        each_run(self.shared.segment(), self.second_place(), SECOND, self.generation, |_, run| {
            if let Some(words) = run.get(base..).and_then(<[AtomicU64]>::first_chunk) {
                sample::add_up(words, index, &mut sum);
            }
        });
        sum
    }
}

/// Counts a sample in the slot's window, mostly by plain stores.
#[inline(always)]
fn count_sample(facts: &Facts, base: usize, index: u64, round_trip: u64, sample: &Sample) {
    match facts.second() {
        Some(own) => sample::count(own, base, index, round_trip, sample),
        None => count_sample_elsewhere(facts, base, index, round_trip, *sample),
    }
}

/// The same where the slot's lane is shared.
#[cold]
fn count_sample_elsewhere(facts: &Facts, base: usize, index: u64, round_trip: u64, sample: Sample) {
    if let Some(second) = facts.further().and_then(|further| further.second) {
        sample::count(second, base, index, round_trip, &sample);
    }
}

#[inline(always)]
fn priority_of(call: &Call<'_>) -> Priority {
    Priority { class: call.criticality, level: call.level }
}

/// What the concurrency limit allows.
fn bound_by_limit(facts: &Facts, further: &Further<'_>, priority: Priority) -> Bound {
    let mode = facts.flags().concurrency();
    if mode == Mode::Off {
        return Bound::NONE;
    }
    if !facts.stages().has(Stages::LIMIT) {
        return Bound { mode, most: facts.numbers().limit() };
    }
    Bound { mode, most: most_by_limit(facts.stages(), further, priority).into() }
}

/// How many a limit that adapts or sheds lets be in flight for a call of this priority to pass.
#[inline(always)]
fn most_by_limit(stages: Stages, further: &Further<'_>, priority: Priority) -> u32 {
    let words = further.state.limit_words();
    let in_force = further.limit().in_force(words.limit.load(Relaxed));
    match stages.has(Stages::SHEDS) {
        true => shed::ceiling(words.priority.load(Relaxed), in_force, priority),
        false => in_force.others,
    }
}

/// The concurrency limit in force, by a guard's numbers and what stands beside them; 0: there is none.
pub(super) fn limit_in_force(numbers: &Block, extra: Option<(&ExtraBlock, &State)>) -> u64 {
    if numbers.concurrency_mode() == Mode::Off {
        return 0;
    }
    let live = extra.and_then(|(words, state)| {
        let limit = Some(LiveLimit::of(words.limit())).filter(|limit| limit.exists())?;
        Some(limit.in_force(state.limit_words().limit.load(Relaxed)).others.into())
    });
    live.unwrap_or_else(|| numbers.read_limit())
}

/// Brings a guard's adaptive limit into the range of its new numbers. **Cold.**
pub(crate) fn fit_limit(numbers: &ExtraBlock, state: &State) {
    if let Some(numbers) = LiveLimit::of(numbers.limit()).numbers() {
        state.limit_words().fit(&numbers);
    }
}
