//! The throttle stage: what the callee refuses there is refused here, in part.

use super::enter::shadowed;
use super::extra::Further;
use super::handle::Guard;
use super::known::Facts;
use super::numbers::mode;
use super::turned_away::Ended;
use super::{Outcome, Stage};
use crate::retry::plan::bit;
use crate::rules::Mode;
use crate::slot::lane::Run;
use crate::throttle::Throttle;

/// The numbers, taken apart.
struct Rule {
    throttle: Throttle,
    /// Outcomes that are no accepts.
    refused_as: u8,
    mode: Mode,
}

impl Further<'_> {
    #[inline(always)]
    fn throttle(&self) -> Option<Rule> {
        let [k, reciprocal, seed, refused_as, bits] = self.numbers.throttle();
        let throttle = Throttle::of([k, reciprocal, seed, 0, 0, 0, 0, 0]);
        let rule = Rule { throttle, refused_as: refused_as as u8, mode: mode(bits) };
        (rule.mode != Mode::Off).then_some(rule)
    }

    /// A call that was asked for at `then` is not sent, for a reason that is not the callee's.
    pub(super) fn forget_throttled(&self, then: u64) {
        if let Some(rule) = self.throttle() {
            rule.throttle.forget(&self.state.throttle, then);
        }
    }
}

impl Guard {
    /// Counts a call that is asked for. True: it counts as accepted, until its end says otherwise.
    #[inline(always)]
    pub(super) fn ask_throttle(&self, facts: &Facts, run: Run<'_>, now: u64) -> Result<bool, Ended> {
        let Some(further) = facts.further() else { return Ok(false) };
        let Some(rule) = further.throttle() else { return Ok(false) };
        if rule.throttle.admits(&further.state.throttle, now) {
            return Ok(true);
        }
        if rule.mode == Mode::Enforce {
            return Err(Ended::by(Stage::Throttle));
        }
        shadowed(run, Stage::Throttle);
        Ok(false)
    }

    /// Counts the end of a call that was asked for at `then`.
    #[inline(always)]
    pub(super) fn tell_throttle(&self, facts: &Facts, outcome: Outcome, then: u64) {
        if let Some(further) = facts.further()
            && let Some(rule) = further.throttle()
            && rule.refused_as & bit(outcome) != 0
        {
            rule.throttle.refused_there(&further.state.throttle, then);
        }
    }
}
