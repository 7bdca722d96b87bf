//! The deadline stage's second question: whether the time left is enough for what a call usually takes.

use super::Stage;
use super::cell::{LATENCY, RUN};
use super::enter::shadowed;
use super::extra::Further;
use super::handle::Guard;
use super::numbers::mode;
use super::turned_away::Ended;
use crate::deadline::enough::{Enough, Verdict};
use crate::deadline::remaining;
use crate::metrics::histogram::Counts;
use crate::retry::quantile;
use crate::rules::Mode;
use crate::slot::lane::{Run, each_run};

/// So many durations make a quantile.
const MIN_DURATIONS: u64 = 32;

impl Guard {
    /// Refuses a call that can hardly end in time.
    pub(super) fn ask_time(
        &self,
        further: &Further<'_>,
        run: Run<'_>,
        now: u64,
        deadline_ns: u64,
    ) -> Result<(), Ended> {
        let [millionths, factor, bits] = further.numbers.deadline();
        let (mode, left) = (mode(bits), remaining(deadline_ns, now));
        let (Some(left), true) = (left, mode != Mode::Off) else { return Ok(()) };
        let [word, refused] = &further.state.usual;
        let usual = quantile::read(word, now, || self.usual_ns(millionths));
        match Enough::of(factor).judge(refused, left, usual) {
            Verdict::Refuse if mode == Mode::Enforce => Err(Ended::by(Stage::Deadline)),
            Verdict::Refuse => {
                shadowed(run, Stage::Deadline);
                Ok(())
            }
            Verdict::Enough | Verdict::LetThrough => Ok(()),
        }
    }

    /// A quantile, in millionths, of the durations so far, in ns; None: there are too few. Sums all slots' histograms.
    #[cold]
    #[inline(never)]
    pub(super) fn usual_ns(&self, millionths: u64) -> Option<u64> {
        let (segment, mut counts) = (self.shared.segment(), Counts::new());
        each_run(segment, self.place, RUN, self.generation, |_, run| counts.add(segment, run, LATENCY));
        let known = counts.count() >= MIN_DURATIONS;
        let seconds = counts.quantile(millionths as f64 / 1e6).filter(|_| known)?;
        Some(((seconds * 1e9) as u64).max(1))
    }
}
