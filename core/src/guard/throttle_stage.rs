//! The throttle stage: what the callee refuses there is refused here, in part.

use super::enter::shadowed;
use super::extra::Further;
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
    fn throttle(&self) -> Option<Rule> {
        let [k, reciprocal, seed, refused_as, bits] = self.numbers.throttle();
        let throttle = Throttle::of([k, reciprocal, seed, 0, 0, 0, 0, 0]);
        let rule = Rule { throttle, refused_as: refused_as as u8, mode: mode(bits) };
        (rule.mode != Mode::Off).then_some(rule)
    }

    /// Counts a call that is asked for. True: it counts as accepted, until its end says otherwise.
    pub(super) fn ask_throttle(&self, run: Run<'_>, now: u64) -> Result<bool, Ended> {
        let Some(rule) = self.throttle() else { return Ok(false) };
        if rule.throttle.admits(&self.state.throttle, now) {
            return Ok(true);
        }
        if rule.mode == Mode::Enforce {
            return Err(Ended::by(Stage::Throttle));
        }
        shadowed(run, Stage::Throttle);
        Ok(false)
    }

    /// A call that was asked for at `then` is not sent, for a reason that is not the callee's.
    pub(super) fn forget_throttled(&self, then: u64) {
        if let Some(rule) = self.throttle() {
            rule.throttle.forget(&self.state.throttle, then);
        }
    }

    /// Counts the end of a call that was asked for at `then`.
    pub(super) fn tell_throttle(&self, outcome: Outcome, then: u64) {
        if let Some(rule) = self.throttle()
            && rule.refused_as & bit(outcome) != 0
        {
            rule.throttle.refused_there(&self.state.throttle, then);
        }
    }
}
