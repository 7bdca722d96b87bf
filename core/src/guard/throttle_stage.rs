//! The throttle stage: what the callee refuses there is refused here, in part.

use super::enter::shadowed;
use super::extra::Further;
use super::known::Facts;
use super::numbers::mode;
use super::turned_away::Ended;
use super::{Outcome, Stage};
use crate::retry::plan::bit;
use crate::rules::Mode;
use crate::slot::lane::Run;
use crate::throttle::Throttle;

impl Further<'_> {
    #[inline(always)]
    fn throttle(&self) -> Throttle {
        let [k, reciprocal, seed, ..] = self.numbers.throttle();
        Throttle::of([k, reciprocal, seed, 0, 0, 0, 0, 0])
    }

    /// A call that was asked for at `then` is not sent, for a reason that is not the callee's.
    pub(super) fn forget_throttled(&self, then: u64) {
        self.throttle().forget(&self.state.throttle, then);
    }
}

impl Facts {
    /// Counts a call that is asked for. True: it counts as accepted, until its end says otherwise.
    #[inline(always)]
    pub(super) fn ask_throttle(&self, run: Run<'_>, now: u64) -> Result<bool, Ended> {
        let Some(further) = self.further() else { return Ok(false) };
        match further.throttle().admits(&further.state.throttle, now) {
            true => Ok(true),
            false => self.throttled(run),
        }
    }

    /// Counts the end of a call that was asked for at `then`.
    #[inline(always)]
    pub(super) fn tell_throttle(&self, outcome: Outcome, then: u64) {
        let Some(further) = self.further() else { return };
        let [.., refused_as, _] = further.numbers.throttle();
        if refused_as as u8 & bit(outcome) != 0 {
            further.throttle().refused_there(&further.state.throttle, then);
        }
    }

    /// The throttle refuses; its mode says what that means.
    #[cold]
    fn throttled(&self, run: Run<'_>) -> Result<bool, Ended> {
        let mode = self.further().map_or(Mode::Off, |further| mode(further.numbers.throttle()[4]));
        if mode == Mode::Enforce {
            return Err(Ended::by(Stage::Throttle));
        }
        shadowed(run, Stage::Throttle);
        Ok(false)
    }
}
