//! Hedges of a guard: another attempt while the first is out, paid from the guard's budget.

use super::attempts::{Head, budget_of, traits_of};
use super::extra::{Further, HEDGES};
use super::handle::Guard;
use super::{Call, Outcome};
use crate::error::ErrorKind;
use crate::retry::hedge::Hedge;
use crate::retry::plan::{Reason, Traits};
use crate::retry::quantile;
use crate::slot::lane::Count;

/// The hedges of one logical call: plain data of its caller's.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Hedging {
    head: Head<SEAL>,
    last_sent: u64,
    hedges: u32,
    taken: u32,
    traits: Traits,
}

const SEAL: u64 = u64::from_le_bytes(*b"tg_hedge");

impl Guard {
    /// Begins a logical call that may be hedged: it earns the budget its share. The first attempt counts as sent now. **Hot.**
    ///
    /// # Errors
    /// The guard is gone, or its rules change all the time.
    #[inline(always)]
    pub fn begin_hedge(&'static self, call: &Call<'_>) -> Result<Hedging, ErrorKind> {
        let (last_sent, ()) = self.begin_attempts(|_, _| ())?;
        Ok(Hedging { head: Head::of(self, call, last_sent), last_sent, hedges: 0, taken: 0, traits: traits_of(call) })
    }
}

/// What to do about a further attempt while others are out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hedged {
    /// Send one now: it is paid for.
    Send,
    /// Ask again after so many ns.
    Wait(u64),
    /// There is none: [`Reason::Attempts`], [`Reason::Deadline`], [`Reason::Budget`] or [`Reason::NotIdempotent`].
    Stop(Reason),
}

impl Hedging {
    /// Whether the first two words of a caller's memory are those of one that was begun; if so, all of it is one.
    pub fn is_begun(words: [u64; 2]) -> bool {
        Head::<SEAL>::is_at(words)
    }

    /// Says whether another attempt is due. **Hot.**
    ///
    /// # Errors
    /// It was never begun, or the guard is gone.
    #[inline]
    pub fn ask(&mut self) -> Result<Hedged, ErrorKind> {
        let guard = self.head.guard()?;
        if !self.traits.idempotent {
            return Ok(Hedged::Stop(Reason::NotIdempotent));
        }
        if let Some((facts, now)) = guard.at_once()
            && let Err(nothing_to_pay) = self.due(guard, facts.further().as_ref(), now)
        {
            return Ok(nothing_to_pay);
        }
        self.ask_with_care(guard)
    }

    #[inline(never)]
    fn ask_with_care(&mut self, guard: &'static Guard) -> Result<Hedged, ErrorKind> {
        let asked = guard.settled(|further, moment| {
            let now = moment.now();
            match self.due(guard, further, now) {
                Ok(Some(hedge)) => {
                    let (budget, word) = budget_of(further);
                    let taken = hedge.pay((&budget, word), self.traits.criticality, now)?;
                    further.and_then(|further| further.second).into_iter().for_each(|second| second.add(HEDGES, 1));
                    Ok((Hedged::Send, taken, now))
                }
                Ok(None) => Ok((Hedged::Stop(Reason::Attempts), 0, now)),
                Err(other) => Ok((other, 0, now)),
            }
        })?;
        let Some((hedged, taken, now)) = asked else { return Ok(Hedged::Stop(Reason::Budget)) };
        if hedged == Hedged::Send {
            (self.hedges, self.last_sent) = (self.hedges + 1, now);
            self.taken = self.taken.saturating_add(taken);
        }
        Ok(hedged)
    }

    /// The hedge that is due now; None: the guard has no hedges; Err: what else there is to do.
    #[inline(always)]
    fn due(&self, guard: &Guard, further: Option<&Further<'_>>, now: u64) -> Result<Option<Hedge>, Hedged> {
        let Some((hedge, millionths, further)) = further.and_then(|f| f.hedge().map(|(h, q)| (h, q, f))) else {
            return Ok(None);
        };
        let read = || quantile::read(&further.state.hedge[0], now, || guard.usual_ns(millionths, now));
        let live = if millionths == 0 { None } else { read() };
        match hedge.next(self.hedges, self.last_sent, live, now, self.head.deadline_ns) {
            Some(0) => Ok(Some(hedge)),
            Some(wait_ns) => Err(Hedged::Wait(wait_ns)),
            None if hedge.allows(self.hedges) => Err(Hedged::Stop(Reason::Deadline)),
            None => Err(Hedged::Stop(Reason::Attempts)),
        }
    }

    /// The call has ended, with the outcome of the answer that counts. **Hot.**
    ///
    /// # Errors
    /// As [`Hedging::ask`].
    #[inline]
    pub fn end(&mut self, outcome: Outcome) -> Result<(), ErrorKind> {
        let guard = self.head.guard()?;
        let taken = std::mem::take(&mut self.taken);
        self.head.end();
        let knows = guard.known().and_then(|(_, known)| known.facts().further());
        if knows.is_some_and(|further| outcome != Outcome::Success || !further.hears_of_success()) {
            return Ok(());
        }
        end_with_care(guard, taken, outcome)
    }
}

#[inline(never)]
fn end_with_care(guard: &'static Guard, taken: u32, outcome: Outcome) -> Result<(), ErrorKind> {
    guard.settled(|further, _| {
        let (budget, word) = budget_of(further);
        if outcome == Outcome::Success { budget.succeed(word, taken) } else { Ok(()) }
    })?;
    Ok(())
}

impl Further<'_> {
    #[inline(always)]
    fn hedge(&self) -> Option<(Hedge, u64)> {
        let words = self.numbers.hedge();
        (words[0] != 0).then(|| (Hedge::of(words), words[7]))
    }
}
