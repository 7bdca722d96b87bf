//! Calls that have not ended and run too long already: a callee that hangs is seen before its calls come back (the complaint
//! of go-zero#5011).
//!
//! Each thread slot counts its calls in flight by when they started, in epochs of a quarter of `slow_over`. Nine words of the
//! slot's run: eight buckets, one an epoch in a circle, each calls in flight (32 bits, modulo 2³²) | tag (32 bits); and one for
//! the calls of all earlier epochs. The tag holds the epoch (29 bits) and a turn (2 bits) that the rules change with
//! `slow_over`. When a bucket is needed for another epoch, what is in it goes to the earlier ones. So starting and ending a
//! call are an addition each, in the slot's own word by a plain store.
//!
//! A call that ends on another thread than it began on takes one off there, of the same epoch or of the earlier ones: what a
//! slot holds may be below 0, and only the sum over all slots, modulo 2³², means something.
//!
//! **Error.** A call is counted as running slow once five epochs have begun after its own: not before it has run
//! for `slow_over`, and at the latest when it has run for five quarters of that. A sum taken while calls
//! begin and end may miss those (late, never early, as it reads the earlier calls first). A call that ends on another slot whose
//! bucket has gone on is taken off the earlier ones, which is where it was. At a change of `slow_over`, calls in
//! flight are not counted until their buckets are needed again, and then as slow; if one ends on another slot before that, one
//! slow call too few is counted until then. After 2²⁸ epochs
//! (18 hours for 1 ms) a call in a slot that has been idle since counts as young again. A lost permit counts as slow until its
//! slot starts anew.

use crate::slot::lane::Count;
use crate::word::{Word, update};
use std::convert::Infallible;
use std::sync::atomic::Ordering::*;

/// Buckets of the ring: five would do, but eight need no division.
const BUCKETS: u64 = 8;
/// Epochs, its own among them, in which a call is not yet slow.
const YOUNG: u64 = 5;
/// Words of a slot's ring.
pub const WORDS: usize = BUCKETS as usize + 1;
/// Where the calls of all earlier epochs are counted.
const EARLIER: usize = BUCKETS as usize;
const EPOCH_MASK: u64 = (1 << 29) - 1;
const TAG_MASK: u64 = (1 << 32) - 1;

/// The rule's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slow {
    /// 2⁶⁴ / (a quarter of `slow_over` in ns), rounded up.
    reciprocal: u64,
    /// Changes with `slow_over`, modulo 4.
    turn: u64,
}

/// When a call started: what its end has to name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start(u32);

impl Slow {
    /// For calls that are slow over so many ns (at least 8). The turn must be another than that of the rule before, unless
    /// `slow_over` is the same.
    pub fn new(slow_over_ns: u64, turn: u64) -> Slow {
        let width = (slow_over_ns / 4).max(2);
        Slow { reciprocal: (u128::from(u64::MAX) / u128::from(width) + 1) as u64, turn: turn & 3 }
    }

    /// The rule's numbers as plain words.
    pub fn words(&self) -> [u64; 2] {
        [self.reciprocal, self.turn]
    }

    /// The rule of such words.
    #[inline(always)]
    pub fn of([reciprocal, turn]: [u64; 2]) -> Slow {
        Slow { reciprocal, turn: turn & 3 }
    }

    #[inline(always)]
    fn epoch(&self, now: u64) -> u64 {
        ((u128::from(now) * u128::from(self.reciprocal)) >> 64) as u64 & EPOCH_MASK
    }

    /// A call that starts at `now`.
    #[inline(always)]
    pub fn start(&self, now: u64) -> Start {
        Start((self.turn << 30 | self.epoch(now) << 1 | 1) as u32)
    }
}

impl Start {
    /// As it stands in a permit.
    pub fn number(self) -> u32 {
        self.0
    }

    /// Of such a number; any will do.
    pub fn of(number: u32) -> Start {
        Start(number)
    }

    fn tag(self) -> u64 {
        u64::from(self.0)
    }

    fn epoch(self) -> u64 {
        self.tag() >> 1 & EPOCH_MASK
    }

    fn bucket(self) -> usize {
        (self.epoch() % BUCKETS) as usize
    }

    /// Whether a bucket of this tag is to become one of this start's epoch. A call that starts goes by the rule in force; one
    /// that ends may be of the rule before, and then leaves the bucket to the present one.
    fn takes_over(self, tag: u64, starts: bool) -> bool {
        let ahead = self.epoch().wrapping_sub(tag >> 1) & EPOCH_MASK;
        match (tag & 1, tag >> 30 == self.tag() >> 30) {
            (0, _) => true,
            (_, false) => starts,
            (_, true) => ahead <= EPOCH_MASK / 2,
        }
    }
}

/// What becomes of a bucket by `n` calls more (1, or -1 modulo 2⁶⁴) that started so, and what of all goes to the earlier ones.
#[inline(always)]
fn step(seen: u64, start: Start, n: u64) -> (u64, u64) {
    let (tag, count) = (seen & TAG_MASK, seen >> 32);
    if tag == start.tag() {
        return (seen.wrapping_add(n << 32), 0);
    }
    if start.takes_over(tag, n == 1) { (n << 32 | start.tag(), count) } else { (seen, n) }
}

/// Counts a call that starts, in the nine words from `base` of the run. **Hot.**
#[inline(always)]
pub fn enter<'a>(run: impl Count<'a>, base: usize, start: Start) {
    change(run, base, start, 1);
}

/// Takes off a call that ended, on whatever slot. **Hot.**
#[inline(always)]
pub fn exit<'a>(run: impl Count<'a>, base: usize, start: Start) {
    change(run, base, start, u64::MAX);
}

#[inline(always)]
fn change<'a>(run: impl Count<'a>, base: usize, start: Start, n: u64) {
    let (bucket, earlier) = (run.word(base + start.bucket()), run.word(base + EARLIER));
    if run.is_shared() {
        return change_shared(bucket, earlier, start, n);
    }
    let (next, moved) = step(bucket.load(Relaxed), start, n);
    // First out of the bucket, then to the earlier ones: whoever reads those first misses some, and counts none twice.
    bucket.store(next, Release);
    if moved != 0 {
        earlier.store(earlier.load(Relaxed).wrapping_add(moved), Release);
    }
}

/// Counts `n` calls more (1, or -1 modulo 2⁶⁴) that started so, in words that other threads write too: the bucket of the start and the
/// earlier ones.
#[cold]
pub fn change_shared<W: Word>(bucket: &W, earlier: &W, start: Start, n: u64) {
    let moved: Result<u64, Infallible> = update(bucket, |seen| Ok(step(seen, start, n)));
    match moved {
        Ok(0) => {}
        Ok(moved) => {
            earlier.add(moved);
        }
        Err(never) => match never {},
    }
}

/// The sum of all slots' rings at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Running {
    slow: u64,
    all: u64,
}

impl Running {
    /// Adds one slot's ring. Others than nine words add nothing.
    pub fn add_up<W: Word>(&mut self, ring: &[W], rule: &Slow, now: u64) {
        let [buckets @ .., earlier] = ring else { return };
        if buckets.len() != EARLIER {
            return;
        }
        let start = rule.start(now);
        let earlier = earlier.get();
        (self.slow, self.all) = (self.slow.wrapping_add(earlier), self.all.wrapping_add(earlier));
        for bucket in buckets.iter().map(W::get) {
            self.all = self.all.wrapping_add(bucket >> 32);
            if is_slow(bucket & TAG_MASK, start) {
                self.slow = self.slow.wrapping_add(bucket >> 32);
            }
        }
    }

    /// How many calls run too long. A sum below 0 was taken while calls ended: it is none.
    pub fn slow(self) -> u64 {
        u64::try_from(self.slow as u32 as i32).unwrap_or(0)
    }

    /// How many calls run, likewise.
    pub fn all(self) -> u64 {
        u64::try_from(self.all as u32 as i32).unwrap_or(0)
    }
}

/// Whether the calls of a bucket have run too long for a call that starts now.
fn is_slow(tag: u64, now: Start) -> bool {
    let age = now.epoch().wrapping_sub(tag >> 1) & EPOCH_MASK;
    tag & 1 == 1 && tag >> 30 == now.tag() >> 30 && (YOUNG..=EPOCH_MASK / 2).contains(&age)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::lane::{PAGE_WORDS, Page, Run};
    use proptest::prelude::*;
    use std::sync::atomic::AtomicU64;

    const OVER: u64 = 1_000_000;
    const QUARTER: u64 = OVER / 4;

    fn pages(count: usize) -> Vec<Page> {
        (0..count).map(|_| Page([const { AtomicU64::new(0) }; PAGE_WORDS])).collect()
    }

    fn slow(pages: &[Page], rule: &Slow, now: u64) -> u64 {
        let mut running = Running::default();
        pages.iter().for_each(|page| running.add_up(&page.0[1..1 + WORDS], rule, now));
        running.slow()
    }

    #[test]
    fn a_call_is_slow_not_before_its_time_and_at_most_a_quarter_after_it() {
        for begin in [0, 1, QUARTER - 1, QUARTER, 123_456_789] {
            let (pages, rule) = (pages(1), Slow::new(OVER, 0));
            enter(Run::for_test(&pages[0]), 1, rule.start(begin));
            assert_eq!(slow(&pages, &rule, begin + OVER - 1), 0);
            assert_eq!(slow(&pages, &rule, begin + OVER + QUARTER), 1);
            exit(Run::for_test(&pages[0]), 1, rule.start(begin));
            assert_eq!(slow(&pages, &rule, begin + OVER + QUARTER), 0);
        }
    }

    #[test]
    fn a_call_may_end_on_another_slot() {
        let (pages, rule) = (pages(2), Slow::new(OVER, 0));
        let [here, there] = [0, 1].map(|slot| Run::for_test(&pages[slot]));
        for call in 0..100 {
            enter(here, 1, rule.start(call * QUARTER));
        }
        let late = 200 * QUARTER;
        assert_eq!(slow(&pages, &rule, late), 100);
        for call in 0..100 {
            exit(there, 1, rule.start(call * QUARTER));
            assert_eq!(slow(&pages, &rule, late), 99 - call);
        }
        enter(there, 1, rule.start(late));
        exit(here, 1, rule.start(late));
        assert_eq!(slow(&pages, &rule, late), 0, "young on both");
        assert_eq!(slow(&pages, &rule, late + 2 * OVER), 0);
    }

    #[test]
    fn a_rule_that_changes_finds_the_calls_of_the_one_before() {
        let (pages, old, new) = (pages(1), Slow::new(OVER, 3), Slow::new(10 * OVER, 0));
        let run = Run::for_test(&pages[0]);
        let started = old.start(100 * OVER);
        enter(run, 1, started);
        assert_eq!(slow(&pages, &new, 100 * OVER), 0);
        for epoch in 0..5 {
            enter(run, 1, new.start(101 * OVER + epoch * 10 * QUARTER));
        }
        assert_eq!(slow(&pages, &new, 101 * OVER), 1);
        exit(run, 1, Start::of(started.number()));
        assert_eq!(slow(&pages, &new, 101 * OVER), 0);
    }

    #[test]
    fn time_that_goes_back_makes_no_call_slow() {
        let (pages, rule) = (pages(1), Slow::new(OVER, 0));
        let run = Run::for_test(&pages[0]);
        enter(run, 1, rule.start(100 * OVER));
        assert_eq!(slow(&pages, &rule, OVER), 0);
        let back = rule.start(0);
        enter(run, 1, back);
        exit(run, 1, back);
        exit(run, 1, rule.start(100 * OVER));
        assert_eq!(slow(&pages, &rule, 200 * OVER), 0);
    }

    #[test]
    fn epochs_and_counts_go_round() {
        let (pages, rule) = (pages(1), Slow::new(8, 0));
        let run = Run::for_test(&pages[0]);
        let begin = EPOCH_MASK * 2 - 3;
        pages[0].0[1 + EARLIER].store(u64::MAX, Relaxed);
        for call in 0..8 {
            enter(run, 1, rule.start(begin + 2 * call));
        }
        assert_eq!(slow(&pages, &rule, begin + 14), 2, "three earlier, and one below 0 of another slot's");
        assert_eq!(slow(&pages, &rule, begin + 30), 7);
    }

    #[test]
    fn a_shared_lane_is_counted_exactly() {
        let (page, rule) = (Page([const { AtomicU64::new(0) }; PAGE_WORDS]), Slow::new(OVER, 0));
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let (run, rule) = (Shared(&page), rule);
                scope.spawn(move || {
                    for call in 0..10_000 {
                        let start = rule.start((call * 7 + thread) * QUARTER);
                        enter(run, 1, start);
                        if call % 100 != 0 {
                            exit(run, 1, start);
                        }
                    }
                });
            }
        });
        assert_eq!(slow(std::slice::from_ref(&page), &rule, 1 << 40), 400);
    }

    #[derive(Clone, Copy)]
    struct Shared<'a>(&'a Page);

    impl<'a> Count<'a> for Shared<'a> {
        fn word(self, index: usize) -> &'a AtomicU64 {
            &self.0.0[index]
        }
        fn is_shared(self) -> bool {
            true
        }
        fn is_read(self) -> bool {
            true
        }
    }

    proptest! {
        /// Calls begin and end on any of three slots.
        #[test]
        fn agrees_with_a_list_of_calls(steps in prop::collection::vec((0u64..3 * QUARTER, 0usize..3, any::<u16>(), any::<bool>()), 1..300)) {
            let (pages, rule) = (pages(3), Slow::new(OVER, 1));
            let (mut now, mut list) = (0, vec![]);
            for (pause, slot, pick, starts) in steps {
                now += pause;
                let run = Run::for_test(&pages[slot]);
                if starts || list.is_empty() {
                    enter(run, 1, rule.start(now));
                    list.push(now);
                } else {
                    let began = list.swap_remove(usize::from(pick) % list.len());
                    exit(run, 1, rule.start(began));
                }
                let counted = slow(&pages, &rule, now);
                let model = list.iter().filter(|&&began| now / QUARTER >= began / QUARTER + YOUNG).count() as u64;
                prop_assert_eq!(counted, model);
            }
        }
    }
}
