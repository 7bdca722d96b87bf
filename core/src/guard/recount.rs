//! What a dead process held is given back: its slots' own words say what it was.
//!
//! A slot marks its word as pending before it changes the shared one and clears the mark when both agree. Without a
//! mark the dead process's share is simply taken off. With one, nobody can tell whether the change of the shared
//! word landed, so it is made anew from the words of the living.

use super::cell::{GuardCell, HELD, RUN, SECOND};
use super::extra::RUNNING;
use crate::breaker::running;
use crate::concurrency::fixed::{Held, PENDING};
use crate::segment::Segment;
use crate::segment::directory::{Directory, Found, Kind};
use crate::slot::lane::{RunPlace, each_run};
use crate::slot::{process, thread};
use crate::word::update;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Tries to find a moment at which no living slot is half-way.
const TRIES: u32 = 10_000;

/// Takes back all that the process in a slot held, and frees its slots. To be called under the cold lock.
pub fn reap(segment: &Segment, index: usize) {
    let slots = thread::of_process(segment, index);
    Directory(segment).each(Kind::Guard, |found, _| give_back_share(segment, found, &slots));
    slots.iter().for_each(|&slot| thread::release(segment, slot));
    process::release(segment, index);
    segment.header().reaped.fetch_add(1, Relaxed);
}

fn give_back_share(segment: &Segment, found: Found, dead: &[usize]) {
    let Some(guard) = segment.at::<GuardCell>(found.at) else { return };
    let shared = &guard.hot.concurrency;
    let mut pending = false;
    let mut share = Held::of(shared.load(Acquire));
    (share.old, share.new) = (0, 0);
    each_held(segment, found, guard, |slot, held| {
        if dead.contains(&slot) {
            let word = held.load(Acquire);
            pending |= word & PENDING != 0;
            share = share.joined_with(Held::of(word).at(share.epoch));
            if word != 0 {
                held.store(word | PENDING, Release);
            }
        }
    });
    if !pending || !recount(segment, found, guard, dead) {
        take_off(shared, share);
    }
    each_held(segment, found, guard, |slot, held| {
        if dead.contains(&slot) {
            held.store(0, Release);
        }
    });
    let second = RunPlace(guard.second.load(Relaxed));
    each_run(segment, second, SECOND, found.generation, |slot, run| {
        if dead.contains(&slot) {
            run[RUNNING..RUNNING + running::WORDS].iter().for_each(|word| word.store(0, Release));
        }
    });
}

fn take_off(shared: &AtomicU64, share: Held) {
    let _: Result<(), ()> = update(shared, |seen| {
        let (now, share) = (Held::of(seen), share.at(Held::of(seen).epoch));
        let left = Held { old: now.old.wrapping_sub(share.old), new: now.new.wrapping_sub(share.new), ..now };
        Ok((left.word(), ()))
    });
}

/// Makes the shared word the sum of the living slots' words; false when they never stood still.
fn recount(segment: &Segment, found: Found, guard: &GuardCell, dead: &[usize]) -> bool {
    let shared = &guard.hot.concurrency;
    (0..TRIES).any(|_| {
        let seen = shared.load(Acquire);
        let first = sum_of_living(segment, found, guard, dead, seen);
        let again = sum_of_living(segment, found, guard, dead, seen);
        let whole = first.is_some() && first == again;
        whole && first.is_some_and(|sum| shared.compare_exchange(seen, sum.word(), AcqRel, Acquire).is_ok())
    })
}

fn sum_of_living(segment: &Segment, found: Found, guard: &GuardCell, dead: &[usize], shared: u64) -> Option<Held> {
    let mut sum = Held { epoch: Held::of(shared).epoch, old: 0, new: 0 };
    let mut pending = false;
    each_held(segment, found, guard, |slot, held| {
        if !dead.contains(&slot) {
            let word = held.load(Acquire);
            pending |= word & PENDING != 0;
            sum = sum.joined_with(Held::of(word).at(sum.epoch));
        }
    });
    (!pending).then_some(sum)
}

fn each_held(segment: &Segment, found: Found, guard: &GuardCell, mut see: impl FnMut(usize, &AtomicU64)) {
    let place = RunPlace(guard.cell.run.load(Relaxed));
    each_run(segment, place, RUN, found.generation, |slot, run| see(slot, &run[HELD]));
}
