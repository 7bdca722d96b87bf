//! The concurrency stage: a place in flight is taken and given back, in the shared word and in the slot's own, which says
//! beforehand that the shared one is about to change.

use super::cell::{EXPIRED, HELD};
use super::handle::Guard;
use crate::concurrency::fixed::{self, Held, PENDING};
use crate::slot::lane::{Count, Run};
use std::sync::atomic::Ordering::*;

impl Guard {
    /// Takes a place in flight where that is simple, as it mostly is; false: nothing was done.
    #[inline(always)]
    pub(super) fn take_place_alone<'a>(&self, run: impl Count<'a>, limit: u64, epoch: u64) -> bool {
        let seen = mark_pending(run);
        let taken = fixed::take_alone(&self.cell().hot.concurrency, limit, epoch).is_some();
        match taken {
            true => settle(run, seen, |word| Held::plus_one(word, epoch)),
            false => unmark(run),
        }
        taken
    }

    /// Takes a place in flight, if there is one; Err tells how many are in flight.
    #[inline(never)]
    pub(super) fn take_place(&self, run: Run<'_>, limit: u64, epoch: u64) -> Result<fixed::Taken, u64> {
        let seen = mark_pending(run);
        let taken = fixed::take(&self.cell().hot.concurrency, limit, epoch);
        match taken {
            Ok(taken) => {
                settle(run, seen, |word| Held::plus_one(word, taken.epoch));
                if taken.expired != 0 {
                    run.add(EXPIRED, taken.expired);
                }
            }
            Err(_) => unmark(run),
        }
        taken
    }
}

/// Says in the slot's own word that the shared one is about to change; and tells what the word was.
#[inline(always)]
pub(super) fn mark_pending<'a>(run: impl Count<'a>) -> u64 {
    let word = run.word(HELD);
    let seen = word.load(Relaxed);
    if !run.is_shared() {
        word.store(seen | PENDING, Relaxed);
    }
    seen
}

/// Takes the mark away, and changes the word as the shared one was. `seen` is what it was when it was marked.
#[inline(always)]
pub(super) fn settle<'a>(run: impl Count<'a>, seen: u64, step: impl Fn(u64) -> u64) {
    if run.is_shared() {
        run.change(HELD, step);
    } else {
        run.word(HELD).store(step(seen), Release);
    }
}

/// The same when the shared word stayed as it was.
#[cold]
pub(super) fn unmark<'a>(run: impl Count<'a>) {
    run.change(HELD, |word| word & !PENDING);
}

/// Gives a place in flight back where that is simple, as it mostly is; false: nothing was done.
#[inline(always)]
pub(super) fn give_place_back_alone<'a>(guard: &Guard, run: impl Count<'a>, epoch: u64) -> bool {
    let seen = mark_pending(run);
    let is_alone = Held::has_some(seen, epoch) && fixed::give_back_alone(&guard.cell().hot.concurrency, epoch);
    settle(run, seen, |word| if is_alone { word - 1 } else { word });
    is_alone
}

/// Gives a place in flight back; false when `max_hold` had done so.
pub(super) fn give_place_back(guard: &Guard, run: Run<'_>, epoch: u64) -> bool {
    // In a shared lane the word may be another one by then.
    let is_simple = !run.is_shared() && give_place_back_alone(guard, run, epoch);
    is_simple || give_place_back_across(guard, run, epoch)
}

#[cold]
fn give_place_back_across(guard: &Guard, run: Run<'_>, epoch: u64) -> bool {
    let seen = mark_pending(run);
    let given = fixed::give_back(&guard.cell().hot.concurrency, epoch);
    match given {
        Some(now) => settle(run, seen, |word| Held::minus_one_across(word, now, epoch)),
        None => unmark(run),
    }
    given.is_some()
}
