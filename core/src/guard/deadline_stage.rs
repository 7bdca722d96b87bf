//! The deadline stage's second question: whether the time left is enough for what a call usually takes.

use super::Stage;
use super::enter::shadowed;
use super::handle::Guard;
use super::known::Facts;
use super::numbers::mode;
use super::turned_away::Ended;
use crate::deadline::enough::{Enough, Verdict};
use crate::deadline::remaining;
use crate::retry::quantile;
use crate::rules::Mode;
use crate::slot::lane::Run;

impl Guard {
    /// Refuses a call that can hardly end in time.
    #[inline(always)]
    pub(super) fn ask_time(&self, facts: &Facts, run: Run<'_>, now: u64, deadline_ns: u64) -> Result<(), Ended> {
        let Some(further) = facts.further() else { return Ok(()) };
        let [millionths, factor, bits] = further.numbers.deadline();
        let (mode, left) = (mode(bits), remaining(deadline_ns, now));
        let (Some(left), true) = (left, mode != Mode::Off) else { return Ok(()) };
        let [word, refused] = &further.state.usual;
        let usual = quantile::read(word, now, || self.usual_ns(millionths, now));
        match Enough::of(factor).judge(refused, left, usual) {
            Verdict::Refuse if mode == Mode::Enforce => Err(Ended::by(Stage::Deadline)),
            Verdict::Refuse => {
                shadowed(run, Stage::Deadline);
                Ok(())
            }
            Verdict::Enough | Verdict::LetThrough => Ok(()),
        }
    }
}
