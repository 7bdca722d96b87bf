//! The stage of faults on purpose. An abort is a refusal; a delay is the permit's wait, and holds its place among the
//! fault's delays until the call exits.

use super::enter::shadowed;
use super::extra::{DELAYED_CALLS, Further, Stages, State};
use super::handle::Guard;
use super::known::Facts;
use super::numbers::{ExtraBlock, MAX_FAULTS};
use super::turned_away::Ended;
use super::{Call, Outcome, Stage};
use crate::concurrency::fixed::{self, Held};
use crate::fault::{Effect, Injected, Words};
use crate::rules::Mode;
use crate::slot::lane::{Count, Run};
use std::sync::atomic::{AtomicU64, Ordering::*};

/// What a fault does to a call that passes.
#[derive(Clone, Copy, Default)]
pub(super) struct Delayed {
    /// For so many ns.
    pub wait_ns: u64,
    /// Its place: the number of the fault + 1 (upper 16 bits) | epoch; 0: it has none.
    pub place: u32,
}

impl Facts {
    /// Whether a fault might hit the call, by what can be seen at once.
    #[inline(always)]
    pub(super) fn may_be_hit(&self, call: &Call<'_>) -> bool {
        let spares = |further: Further<'_>, number| further.numbers.spares(number, call.seen_attributes());
        let hits = |further| self.stages().faults().any(|number| !spares(further, number));
        self.stages().has(Stages::FAULTS) && self.further().is_some_and(hits)
    }
}

impl Guard {
    /// Looks for the first fault that hits the call.
    #[inline(never)]
    pub(super) fn ask_faults(
        &self,
        facts: &Facts,
        run: Run<'_>,
        call: &Call<'_>,
        now: u64,
        deadline_ns: u64,
    ) -> Result<Delayed, Ended> {
        let Some(further) = facts.further() else { return Ok(Delayed::default()) };
        for number in facts.stages().faults() {
            let Some((fault, mode)) = further.numbers.fault(number) else { continue };
            let (words, active) = (words_of(further.state, number), words_of(further.state, number).active);
            let Effect::Hit(hit) = fault.inject(words, call.seen_attributes(), now) else { continue };
            if mode == Mode::Enforce {
                return self.hit(&further, hit, number, now, deadline_ns);
            }
            hit.place.into_iter().for_each(|place| fault.end_delay(active, place));
            if hit.abort.is_some() {
                shadowed(run, Stage::Fault);
            }
        }
        Ok(Delayed::default())
    }

    fn hit(
        &self,
        further: &Further<'_>,
        hit: Injected,
        number: usize,
        now: u64,
        deadline_ns: u64,
    ) -> Result<Delayed, Ended> {
        let refused =
            |outcome: Outcome| Ended::Refused { stage: Stage::Fault, retry_after_ns: 0, reason: outcome as u32 };
        let place = hit.place.map_or(0, |epoch| (number as u32 + 1) << 16 | epoch as u32);
        if let Some(abort) = hit.abort {
            return Err(refused(abort.outcome));
        }
        if deadline_ns != 0 && now.saturating_add(hit.delay_ns) >= deadline_ns {
            self.end_delay(place);
            return Err(refused(Outcome::Timeout));
        }
        if let Some(second) = further.second {
            second.add(DELAYED_CALLS, 1);
        }
        Ok(Delayed { wait_ns: hit.delay_ns, place })
    }

    /// A call that was delayed has ended. The fault may be gone by now, its words are not.
    pub(super) fn end_delay(&self, place: u32) {
        let state = self.view.at::<State>(self.cell().extra.load(Acquire));
        if let (Some(state), Some(number)) = (state, (place >> 16).checked_sub(1)) {
            // None: time has given it back already.
            let _ = fixed::give_back(words_of(state, number as usize).active, u64::from(place & 0xFFFF));
        }
    }
}

fn words_of(state: &State, number: usize) -> Words<'_, AtomicU64> {
    let at = number % MAX_FAULTS * 2;
    Words { matched: &state.faults[at], active: &state.faults[at + 1] }
}

/// Puts the words of faults that are not there at their beginning, and with `all` those of the others too.
pub(crate) fn begin_faults(state: &State, numbers: Option<&ExtraBlock>, all: bool, now: u64) {
    for number in 0..MAX_FAULTS {
        let fault = numbers.and_then(|numbers| numbers.fault(number));
        if all || fault.is_none() {
            let epoch = fault.map_or(0, |(fault, _)| fault.epoch(now));
            words_of(state, number).active.store(Held { epoch, ..Held::default() }.word(), Relaxed);
        }
    }
}
