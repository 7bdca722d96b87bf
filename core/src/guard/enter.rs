//! Entering a guard.

use super::cell::{EXPIRED, HELD, MAX_RATES, REJECTED, RUN, SHADOWED};
use super::handle::Guard;
use super::numbers::Block;
use super::permit::{JUDGED, PROBE, Permit, PermitState};
use super::policy_stage::{Said, key_hash};
use super::{Call, NotEntered, Stage};
use crate::breaker::state::{self, Admission, ProbeEnd};
use crate::concurrency::fixed::{self, Held, MAX_LIMIT, PENDING, Taken};
use crate::error::ErrorKind;
use crate::policy::{RECORD_VERSION, Record};
use crate::rate::token_bucket::Refusal;
use crate::rules::Mode;
use crate::runtime::{Local, current};
use crate::slot::lane::Run;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// How often enter begins again when rules change under it, before it goes on with what it has.
const TRIES: u32 = 16;

/// One attempt to enter, with what it has taken so far.
struct Attempt<'a> {
    guard: &'static Guard,
    numbers: &'a Block,
    run: Run<'a>,
    now: u64,
    cost: u64,
    /// Rate limits that gave their tokens.
    taken: usize,
}

enum Ended {
    Refused(Stage),
    /// The numbers were replaced meanwhile.
    Again,
}

impl Guard {
    /// Asks to pass. On `Ok` the permit holds a place until [`Permit::exit`]; it is initialised in any case. **Hot.**
    #[inline]
    pub fn enter(&'static self, call: &Call<'_>, permit: &mut Permit) -> Result<(), NotEntered> {
        *permit = Permit::default();
        if !self.is_alive() {
            return Err(NotEntered::Failed(ErrorKind::Closed));
        }
        let local = current(self.shared);
        for _ in 0..TRIES {
            match self.attempt(local, call, permit) {
                Ok(()) => return Ok(()),
                Err(Ended::Refused(stage)) => return Err(NotEntered::Refused(stage)),
                Err(Ended::Again) if !self.is_alive() => return Err(NotEntered::Failed(ErrorKind::Closed)),
                Err(Ended::Again) => *permit = Permit::default(),
            }
        }
        Err(NotEntered::Failed(ErrorKind::Busy))
    }

    #[inline(always)]
    fn attempt(&'static self, local: &Local, call: &Call<'_>, permit: &mut Permit) -> Result<(), Ended> {
        let numbers = self.numbers();
        let tag = numbers.tag();
        let now = self.shared.clock().now();
        let run = local.run(self.place, RUN, &self.cell().cell.generation, self.generation);
        let mut attempt = Attempt { guard: self, numbers, run, now, cost: call.cost.max(1), taken: 0 };
        permit.guard = self;
        permit.token = local.token;
        permit.start_ns = now;
        permit.cost = attempt.cost;
        let ended = attempt.stages(call, permit);
        let unchanged = numbers.tag() == tag && self.cell().cell.generation.load(Acquire) == self.generation;
        match ended {
            Ok(()) if unchanged => {
                permit.seal_as(PermitState::Held);
                Ok(())
            }
            Ok(()) => {
                attempt.give_all_back(permit);
                Err(Ended::Again)
            }
            Err(Ended::Refused(stage)) if unchanged => {
                attempt.run.add(REJECTED + stage as usize, 1);
                permit.stage = stage as u8;
                permit.seal_as(PermitState::Refused);
                Err(Ended::Refused(stage))
            }
            Err(_) => Err(Ended::Again),
        }
    }
}

impl Attempt<'_> {
    #[inline(always)]
    fn stages(&mut self, call: &Call<'_>, permit: &mut Permit) -> Result<(), Ended> {
        self.deadline(call, permit)?;
        self.breaker(permit)?;
        if self.numbers.policy_mode() != Mode::Off {
            self.policy(call, permit).inspect_err(|_| self.give_probe_back(permit))?;
        }
        self.concurrency(permit).inspect_err(|_| {
            self.give_probe_back(permit);
            self.release_policy(permit);
        })?;
        if self.numbers.rate_count() > 0 {
            self.rates(permit)?;
        }
        Ok(())
    }

    #[inline(always)]
    fn deadline(&mut self, call: &Call<'_>, permit: &mut Permit) -> Result<(), Ended> {
        let timeout = self.numbers.timeout_ns();
        if timeout | call.timeout_ns | call.deadline_ns == 0 {
            return Ok(());
        }
        let from_now = |ns: u64| if ns == 0 { u64::MAX } else { self.now.saturating_add(ns) };
        let absolute = if call.deadline_ns == 0 { u64::MAX } else { call.deadline_ns };
        permit.deadline_ns = absolute.min(from_now(timeout)).min(from_now(call.timeout_ns));
        if permit.deadline_ns <= self.now {
            return Err(Ended::Refused(Stage::Deadline));
        }
        Ok(())
    }

    #[inline(always)]
    fn breaker(&mut self, permit: &mut Permit) -> Result<(), Ended> {
        let mode = self.numbers.breaker_mode();
        if mode == Mode::Off {
            return Ok(());
        }
        let word = &self.guard.cell().hot.breaker;
        let (admission, _) = state::admit(word, &self.numbers.timing(), self.now);
        match admission {
            Admission::Pass(generation) => {
                permit.breaker_generation = generation as u16;
                permit.flags = JUDGED;
            }
            Admission::Probe(generation) => {
                permit.breaker_generation = generation as u16;
                permit.flags = JUDGED | PROBE;
            }
            Admission::Refuse(retry_after_ns) if mode == Mode::Enforce => {
                permit.retry_after_ns = retry_after_ns;
                return Err(Ended::Refused(Stage::Breaker));
            }
            Admission::Refuse(_) => self.shadowed(Stage::Breaker),
        }
        Ok(())
    }

    fn policy(&mut self, call: &Call<'_>, permit: &mut Permit) -> Result<(), Ended> {
        let said = self.guard.ask_policy(self.numbers, &self.run, call, self.now, permit.deadline_ns);
        permit.key_hash = key_hash(call.key);
        permit.criticality = call.criticality as u8;
        let enforce = self.numbers.policy_mode() == Mode::Enforce;
        match said {
            Said::Go { observer, .. } if !enforce => permit.observer = observer,
            Said::Go { wait_ns, route, observer } => {
                (permit.wait_ns, permit.route, permit.observer) = (wait_ns, route, observer);
                if permit.deadline_ns != 0 && self.now.saturating_add(wait_ns) >= permit.deadline_ns {
                    self.release_policy(permit);
                    return Err(Ended::Refused(Stage::Deadline));
                }
            }
            Said::Deny { observer, .. } if !enforce => {
                permit.observer = observer;
                self.shadowed(Stage::Policy);
            }
            Said::Deny { retry_after_ns, reason, observer } => {
                (permit.retry_after_ns, permit.reason, permit.observer) = (retry_after_ns, reason, observer);
                self.release_policy(permit);
                return Err(Ended::Refused(Stage::Policy));
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn concurrency(&mut self, permit: &mut Permit) -> Result<(), Ended> {
        let epoch = self.guard.epoch(self.numbers, self.now);
        let mode = self.numbers.concurrency_mode();
        let limit = if mode == Mode::Enforce { self.numbers.limit() } else { u64::from(MAX_LIMIT) };
        let Some(taken) = self.take_place(limit, epoch) else {
            return Err(Ended::Refused(Stage::Concurrency));
        };
        if mode == Mode::Shadow && taken.inflight > self.numbers.limit() {
            self.shadowed(Stage::Concurrency);
        }
        permit.hold_epoch = taken.epoch as u16;
        Ok(())
    }

    #[inline(always)]
    fn take_place(&self, limit: u64, epoch: u64) -> Option<Taken> {
        mark_pending(&self.run);
        let taken = fixed::take(&self.guard.cell().hot.concurrency, limit, epoch);
        match taken {
            Ok(taken) => {
                self.run.change(HELD, |word| Held::of(word).at(taken.epoch).plus().word());
                if taken.expired != 0 {
                    self.run.add(EXPIRED, taken.expired);
                }
                Some(taken)
            }
            Err(_) => {
                self.run.change(HELD, |word| word & !PENDING);
                None
            }
        }
    }

    #[inline(always)]
    fn rates(&mut self, permit: &mut Permit) -> Result<(), Ended> {
        let tag = self.numbers.tag();
        for index in 0..self.numbers.rate_count().min(MAX_RATES) {
            let mode = self.numbers.rate_mode(index);
            if mode == Mode::Off {
                self.taken = index + 1;
                continue;
            }
            let word = &self.guard.cell().hot.rates[index];
            let refusal = match self.numbers.bucket(index).take(word, self.now, self.cost) {
                Ok(()) => {
                    self.taken = index + 1;
                    continue;
                }
                Err(refusal) => refusal,
            };
            if refusal == Refusal::Stale {
                self.bring_over(index, tag);
                self.give_all_back(permit);
                return Err(Ended::Again);
            }
            if mode == Mode::Shadow {
                self.shadowed(Stage::Rate);
                self.taken = index + 1;
                continue;
            }
            return Err(self.refused_by_rate(permit, index, refusal));
        }
        Ok(())
    }

    #[cold]
    fn refused_by_rate(&mut self, permit: &mut Permit, index: usize, refusal: Refusal) -> Ended {
        self.give_all_back(permit);
        permit.reason = index as u32;
        permit.retry_after_ns = match refusal {
            Refusal::Empty(ns) => ns,
            _ => u64::MAX,
        };
        Ended::Refused(Stage::Rate)
    }

    /// Brings a word over that is of other numbers, unless it is ours that are old.
    #[cold]
    fn bring_over(&self, index: usize, tag: u64) {
        if self.guard.numbers().tag() == tag {
            bring_word_over(&self.guard.cell().hot.rates[index], self.numbers, index, self.now);
        }
    }

    #[cold]
    fn shadowed(&self, stage: Stage) {
        self.run.add(SHADOWED + stage as usize, 1);
    }

    /// Gives back everything, in the order opposite to that of the stages.
    #[cold]
    fn give_all_back(&mut self, permit: &mut Permit) {
        for index in (0..self.taken).rev().filter(|&index| self.numbers.rate_mode(index) == Mode::Enforce) {
            let word = &self.guard.cell().hot.rates[index];
            self.numbers.bucket(index).give_back(word, self.now, self.cost);
        }
        self.taken = 0;
        give_place_back(self.guard, &self.run, permit.hold_epoch.into());
        self.release_policy(permit);
        self.give_probe_back(permit);
    }

    fn give_probe_back(&self, permit: &Permit) {
        if permit.flags & PROBE != 0 {
            let (timing, generation) = (self.numbers.timing(), permit.breaker_generation.into());
            let word = &self.guard.cell().hot.breaker;
            state::transition(word, |breaker| {
                (breaker.end_probe(&timing, generation, ProbeEnd::Unjudged, self.now), ())
            });
        }
    }

    fn release_policy(&self, permit: &mut Permit) {
        let observer = std::mem::take(&mut permit.observer);
        if observer != 0 {
            self.guard.tell_policy(observer, &record_of(permit), 255, 0);
        }
    }
}

/// Says in the slot's own word that the shared one is about to change.
#[inline(always)]
fn mark_pending(run: &Run<'_>) {
    if !run.is_shared() {
        run.change(HELD, |word| word | PENDING);
    }
}

/// Gives a place in flight back; false when `max_hold` had done so.
#[inline(always)]
pub(super) fn give_place_back(guard: &Guard, run: &Run<'_>, epoch: u64) -> bool {
    mark_pending(run);
    let mut now = 0;
    let given = crate::word::update(&guard.cell().hot.concurrency, |seen| {
        now = Held::of(seen).epoch;
        Held::of(seen).minus(epoch).map(|next| (next.word(), ())).ok_or(())
    });
    run.change(HELD, |word| match given {
        Ok(()) => {
            let held = Held::of(word).at(now);
            held.minus(epoch).unwrap_or(held).word()
        }
        Err(()) => word & !PENDING,
    });
    given.is_ok()
}

/// Makes a rate's word one of these numbers: rescaled from those before the last change, so that the tokens stay;
/// full when it is of older ones still (a publisher died before it brought the words over).
pub(crate) fn bring_word_over(word: &AtomicU64, numbers: &Block, index: usize, now: u64) {
    let bucket = numbers.bucket(index);
    let seen = word.load(Acquire);
    if bucket.owns(seen) {
        return;
    }
    let next = match numbers.bucket_before(index) {
        Some(before) if before.owns(seen) => bucket.rescale(&before, seen, now),
        _ => 0,
    };
    // Failing means that another was faster, or took a token meanwhile; whoever meets the word again tries again.
    let _ = word.compare_exchange(seen, next, AcqRel, Acquire);
}

/// The record of a call that was decided, as far as the permit remembers it.
pub(super) fn record_of(permit: &Permit) -> Record {
    Record {
        size: size_of::<Record>() as u16,
        version: RECORD_VERSION,
        criticality: permit.criticality.into(),
        now_ns: permit.start_ns,
        key_hash: permit.key_hash,
        remaining_ns: u64::MAX,
        cost: u32::try_from(permit.cost).unwrap_or(u32::MAX),
        ..Record::default()
    }
}
