//! The rate stage: a call passes all limits of its guard, or takes from none.

use super::cell::{GuardCell, MAX_RATES};
use super::enter::shadowed;
use super::extra::Stages;
use super::follow;
use super::handle::Guard;
use super::keyed_stage::OF_KEY;
use super::numbers::{Block, ExtraBlock, OF_RATES, RateWords};
use super::permit::{FOLLOWED, Permit};
use super::taken::{Taken, Tokens};
use super::turned_away::Ended;
use super::{Call, NotEntered, Stage};
use crate::rate::{NotWithin, Rate, Refusal};
use crate::rules::Mode;
use crate::segment::{Offset, View};
use std::sync::atomic::{AtomicU64, Ordering::*};

/// One rate limit of a guard, ready to be asked.
pub(crate) struct Limit<'a> {
    rate: Rate,
    /// Where its numbers before the last change stand too.
    words: &'a RateWords,
    pub(super) mode: Mode,
    word: &'a AtomicU64,
    /// Of a sliding window.
    buckets: &'a [AtomicU64],
}

impl<'a> Limit<'a> {
    /// The limit of an index; None: there is none that could be asked.
    pub(crate) fn of(view: &'a View, cell: &'a GuardCell, numbers: &'a Block, index: usize) -> Option<Limit<'a>> {
        let words = numbers.rate(index);
        let (rate, word) = (words.rate()?, cell.hot.rates.get(index)?);
        let buckets = match rate.buckets() {
            0 => &[],
            count => {
                let [at, _] = view.at::<ExtraBlock>(numbers.extra())?.table(OF_RATES + index);
                view.words(at as Offset, count)?
            }
        };
        Some(Limit { rate, words, mode: words.mode(), word, buckets })
    }

    /// Takes what a call costs that has so many ns left; where nothing is refused it is not asked how long it would wait.
    fn take(&self, now: u64, cost: u64, left: u64) -> Result<u64, NotWithin> {
        let left = if self.mode == Mode::Shadow { u64::MAX } else { left };
        self.rate.take_within(self.word, self.buckets, now, cost, left)
    }

    /// The used share in thousandths.
    pub(super) fn pressure(&self, now: u64) -> u32 {
        self.rate.pressure(self.word.load(Relaxed), self.buckets, now)
    }

    /// Makes its word one of these numbers: rescaled from those before the last change, so that what was used stays used; afresh
    /// when it is of older ones still (a publisher died before it brought the words over).
    pub(crate) fn bring_word_over(&self, now: u64) {
        let seen = self.word.load(Acquire);
        if self.rate.owns(seen) {
            return;
        }
        let next = match &self.words.before() {
            Some(before) if before.owns(seen) => self.rate.rescale(before, seen, self.buckets, now),
            _ => 0,
        };
        // Failing means that another was faster, or took something meanwhile; whoever meets the word again tries again.
        let _ = self.word.compare_exchange(seen, next, AcqRel, Acquire);
    }

    /// Whether its word is of these numbers.
    pub(crate) fn owns_its_word(&self) -> bool {
        self.rate.owns(self.word.load(Acquire))
    }
}

impl Guard {
    /// One of its rate limits.
    pub(super) fn rate_limit<'a>(&'a self, numbers: &'a Block, index: usize) -> Option<Limit<'a>> {
        Limit::of(&self.view, self.cell(), numbers, index)
    }

    /// Gives back what a call took at `taken` of the first limits, with the wait that each told it and what it cost there.
    pub(super) fn give_rates_back(&self, numbers: &Block, waits: &[u64], costs: &[u64], taken: u64) {
        for (index, (&wait, &cost)) in waits.iter().zip(costs).enumerate().take(numbers.rate_count()).rev() {
            if let Some(limit) = self.enforced_limit(numbers, index) {
                limit.rate.give_back(limit.word, self.now(), cost, taken, wait);
            }
        }
    }

    /// Gives back what a call took that leaves while it waits. Where a rate follows another guard it had cost more: that part stays
    /// used. The permit knows the longest of the limits' waits: of shorter ones places in queues stay used, and as many tokens as
    /// are owed.
    pub(super) fn leave_rates(&self, numbers: &Block, permit: &Permit) {
        for index in (0..numbers.rate_count()).rev() {
            let wait = if permit.marks.waits_for() == index { permit.rate_wait_ns } else { 0 };
            if let Some(limit) = self.enforced_limit(numbers, index) {
                limit.rate.leave(limit.word, self.now(), permit.followed.cost, permit.start_ns, wait);
            }
        }
    }

    fn enforced_limit<'a>(&'a self, numbers: &'a Block, index: usize) -> Option<Limit<'a>> {
        self.rate_limit(numbers, index).filter(|limit| limit.mode == Mode::Enforce)
    }
}

impl Taken<'_> {
    /// Takes what the call costs of every limit, and ends. The first `asked` limits have not had it at once.
    #[inline(never)]
    pub(super) fn take_tokens(mut self, asked: usize, call: &Call<'_>, permit: &mut Permit) -> Result<(), NotEntered> {
        if self.go.wait_ns >= self.left() {
            return self.turn_away(too_late(self.go.wait_ns), &Tokens::NONE, call, permit);
        }
        let (mut tokens, mut longest) = (Tokens::of(self.cost), (0, 0));
        for index in 0..self.facts.flags().rates() {
            tokens.limits = index;
            match self.take_of_limit(index, index < asked, call, permit.again_count()) {
                Ok((wait, cost)) => {
                    (tokens.waits[index], tokens.costs[index]) = (wait, cost);
                    if !self.numbers().rate(index).is_keyed() {
                        longest = longest.max((wait, index));
                    }
                }
                Err(ended) => return self.turn_away(ended, &tokens, call, permit),
            }
        }
        tokens.limits = MAX_RATES;
        self.go.wait_ns = self.go.wait_ns.max(longest.0);
        match self.go.wait_ns {
            0 => self.end(&tokens, call, permit),
            _ => self.wait(longest, &tokens, call, permit),
        }
    }

    /// Takes what the call costs of one limit, which may have been asked for it at once; and tells the wait and the cost, as
    /// [`Tokens`] has them.
    #[inline(always)]
    fn take_of_limit(&self, index: usize, was_asked: bool, call: &Call<'_>, tries: u64) -> Result<(u64, u64), Ended> {
        if !was_asked && self.takes_one_at_once(index) {
            return Ok((0, 1));
        }
        if !was_asked && self.takes_key_at_once(index, call) {
            return Ok((OF_KEY, 1));
        }
        if self.numbers().rate(index).is_keyed() {
            return self.take_of_key(index, call, tries);
        }
        self.take_of_all(index)
    }

    /// The same of a limit that is one for all callers.
    fn take_of_all(&self, index: usize) -> Result<(u64, u64), Ended> {
        let Some(limit) = self.guard.rate_limit(self.numbers(), index).filter(|limit| limit.mode != Mode::Off) else {
            return Ok((0, self.cost));
        };
        let cost = self.cost_at(index, || limit.rate.most());
        match limit.take(self.now, cost, self.left()) {
            Ok(_) if limit.mode == Mode::Shadow => Ok((0, cost)),
            Ok(wait) => Ok((wait, cost)),
            Err(NotWithin::Wait(wait)) => Err(too_late(wait)),
            Err(NotWithin::Refused(Refusal::Empty(_) | Refusal::Never)) if limit.mode == Mode::Shadow => {
                shadowed(self.run, Stage::Rate);
                Ok((0, cost))
            }
            Err(NotWithin::Refused(refusal)) => Err(self.refused_by(&limit, refusal, index)),
        }
    }

    /// How many ns the call has left.
    fn left(&self) -> u64 {
        if self.deadline_ns == 0 { u64::MAX } else { self.deadline_ns.saturating_sub(self.now) }
    }

    /// What the call costs at one of the limits.
    #[inline(always)]
    pub(super) fn cost_at(&self, index: usize, most: impl Fn() -> u64) -> u64 {
        match self.is_at_ease(index) {
            true => self.cost,
            false => follow::cost(&self.guard.view, self.numbers(), index, self.cost, most),
        }
    }

    /// Whether no guard is so much pressed that calls cost more than they say at one of the limits.
    #[inline(always)]
    fn is_at_ease(&self, index: usize) -> bool {
        !self.facts.stages().has(Stages::FOLLOW) || self.guard.follows_at_ease(self.facts, index)
    }

    /// Whether the call costs one token there.
    #[inline(always)]
    pub(super) fn costs_one_at(&self, index: usize) -> bool {
        self.cost == 1 && self.is_at_ease(index)
    }

    /// Ends with a wait, of which `(wait, limit)` is the longest that a limit tells.
    fn wait(
        mut self,
        (wait, limit): (u64, usize),
        tokens: &Tokens,
        call: &Call<'_>,
        permit: &mut Permit,
    ) -> Result<(), NotEntered> {
        self.marks = self.marks.with(FOLLOWED).of_criticality(call.criticality as u8).waiting_for(limit);
        self.end(tokens, call, permit)?;
        permit.rate_wait_ns = wait;
        Ok(())
    }

    /// Whether there is one limit, and nothing to wait for so far.
    #[inline(always)]
    pub(super) fn has_one_limit(&self) -> bool {
        self.facts.flags().rates() == 1 && self.go.wait_ns == 0
    }

    /// Takes what the call costs where that is at most one token of one bucket, and there is nothing to wait for, as it mostly is.
    /// False: nothing was taken.
    #[inline(always)]
    pub(super) fn takes_at_once(&self) -> bool {
        if !self.facts.flags().has_rates() {
            return self.go.wait_ns == 0;
        }
        self.has_one_limit() && self.takes_one_at_once(0)
    }

    /// Whether it was one token of a bucket that the call had to take at that limit, and has it.
    #[inline(always)]
    fn takes_one_at_once(&self, index: usize) -> bool {
        let rates = &self.guard.cell().hot.rates;
        self.costs_one_at(index) && self.facts.rate(index).take(&rates[index % MAX_RATES], self.now)
    }

    /// A rate limit said no, or is of other numbers.
    #[cold]
    fn refused_by(&self, limit: &Limit<'_>, refusal: Refusal, index: usize) -> Ended {
        let retry_after_ns = match refusal {
            Refusal::Empty(ns) => {
                limit.rate.rebase(limit.word, || self.guard.now());
                ns
            }
            Refusal::Never => u64::MAX,
            Refusal::Stale => {
                // Unless it is our numbers that are old.
                if std::ptr::eq(self.guard.numbers(), self.numbers()) {
                    limit.bring_word_over(self.now);
                }
                return Ended::Again;
            }
        };
        Ended::Refused { stage: Stage::Rate, retry_after_ns, reason: index as u32 }
    }
}

/// A wait leads to the call's deadline or past it.
fn too_late(wait_ns: u64) -> Ended {
    Ended::Refused { stage: Stage::Rate, retry_after_ns: wait_ns, reason: 0 }
}
