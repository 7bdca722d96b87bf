//! What a thread remembers of a guard, so that a call need not look it all up again.
//!
//! A memory is the thread's own. It is good as long as nothing has changed that it is of: new rules and guards that are
//! retired count the segment's `changes` up, and every call looks at that one word.

use super::cell::{LATENCY, MAX_RATES, RUN};
use super::extra::{Further, Stages};
use super::handle::Guard;
use super::numbers::{Block, Flags, LAST_CALLS, NO_RULES};
use super::permit::{self, JUDGED, MORE, Marks};
use crate::breaker::window::LastBucket;
use crate::concurrency::fixed::MAX_LIMIT;
use crate::metrics::histogram::Remembered;
use crate::rate::token_bucket::One;
use crate::rules::Mode;
use crate::slot::lane::{Own, PAGE_WORDS, Run};
use std::cell::Cell;
use std::ptr::{from_ref, null};
use std::sync::atomic::{AtomicU64, Ordering::Acquire, fence};

/// Guards that a thread remembers.
pub const GUARDS: usize = 64;

/// A thread's memory of one guard.
pub struct Known {
    /// Whose it is.
    guard: Cell<*const Guard>,
    run: Cell<Own<'static, RUN>>,
    facts: Facts,
    /// To make its size a power of two, so that places need no division.
    _rest: [u64; (512 - 16 - size_of::<Facts>()) / 8],
}

const _: () = assert!(size_of::<Known>() == 512);

/// What a call has to know of its guard.
pub(super) struct Facts {
    /// The changes of the segment up to which it holds.
    changes: Cell<u64>,
    numbers: Cell<&'static Block>,
    tag: Cell<u64>,
    flags: Cell<Flags>,
    /// 0, [`BY_KEY`] or [`ELABORATE`].
    elaborate: Cell<u64>,
    limit: Cell<u64>,
    epoch: Cell<u64>,
    token: Cell<u64>,
    seal: Cell<u64>,
    marks: Cell<Marks>,
    /// The rate limits that are token buckets and refuse.
    rates: [Cell<One>; MAX_RATES],
    window: Cell<u64>,
    /// What else the guard has.
    further: Cell<Option<Further<'static>>>,
    /// The second run, where it is in the thread's own lane.
    second: Cell<Option<Own<'static, PAGE_WORDS>>>,
    /// And what of it takes part in a call.
    stages: Cell<Stages>,
    /// The window of the last so many calls; empty where there is none.
    last_calls: Cell<&'static [AtomicU64]>,
    /// Longer than so many ns is slow for the breaker; the most there is where it does not look at that.
    slow_over_ns: Cell<u64>,
    /// Where its window was counted in last.
    pub(super) bucket: LastBucket,
    /// Where its durations are counted.
    pub(super) latency: Remembered,
}

/// How elaborate the rules are: plain but for the one rate limit, which is by key.
const BY_KEY: u64 = 1;
/// More than that.
const ELABORATE: u64 = 2;
/// In place of an epoch: time changes it.
const TIMED: u64 = u64::MAX;
/// In place of a number of changes: no segment has had so many, and a closed one is all zeros.
const NEVER: u64 = u64::MAX;

/// The run of nobody.
static NOWHERE: [AtomicU64; RUN] = [const { AtomicU64::new(0) }; RUN];

/// Where threads remember the guard of an index.
pub(super) fn known_at(index: u32) -> u16 {
    (index as usize % GUARDS * size_of::<Known>()) as u16
}

impl Known {
    /// A memory of nothing.
    pub const fn nothing() -> Known {
        let (guard, run) = (Cell::new(null()), Cell::new(Own::new(&NOWHERE)));
        Known { guard, run, facts: Facts::none(), _rest: [0; _] }
    }

    /// Learns what there is to know. The run is the thread's own.
    pub(super) fn learn(
        &self,
        guard: &'static Guard,
        run: Own<'static, RUN>,
        second: Option<Run<'static>>,
        token: u64,
    ) -> &Facts {
        // A signal handler that calls in between finds nobody's memory, and learns it for itself.
        self.guard.set(null());
        self.run.set(run);
        self.facts.learn(guard, second, token);
        self.facts.latency.learn(&guard.view, run, LATENCY);
        self.guard.set(from_ref(guard));
        &self.facts
    }

    /// The guard, when it is of the one at this address, whatever is there, and nothing has changed since.
    #[inline(always)]
    pub(super) fn of(&self, guard: *const Guard, changes: u64) -> Option<&'static Guard> {
        let known = self.guard.get() == guard && self.facts.changes.get() == changes;
        // SAFETY: it was learnt of a handle, and handles are never unmapped.
        known.then(|| unsafe { &*guard })
    }

    /// The guard's run in the thread's own lane.
    #[inline(always)]
    pub(super) fn run(&self) -> Own<'static, RUN> {
        self.run.get()
    }

    /// What else is known.
    #[inline(always)]
    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }
}

impl Facts {
    const fn none() -> Facts {
        Facts {
            changes: Cell::new(NEVER),
            numbers: Cell::new(&NO_RULES),
            tag: Cell::new(0),
            flags: Cell::new(Flags::NONE),
            elaborate: Cell::new(ELABORATE),
            limit: Cell::new(0),
            epoch: Cell::new(TIMED),
            token: Cell::new(0),
            seal: Cell::new(0),
            marks: Cell::new(Marks::of(0)),
            rates: [const { Cell::new(One::NEVER) }; MAX_RATES],
            window: Cell::new(0),
            further: Cell::new(None),
            second: Cell::new(None),
            stages: Cell::new(Stages::NONE),
            last_calls: Cell::new(&[]),
            slow_over_ns: Cell::new(u64::MAX),
            bucket: LastBucket::first(),
            latency: Remembered::nothing(),
        }
    }

    /// All that is known of a guard by a thread that may not keep it.
    pub(super) fn of(guard: &'static Guard, second: Option<Run<'static>>, token: u64) -> Facts {
        let facts = Facts::none();
        facts.learn(guard, second, token);
        facts
    }

    fn learn(&self, guard: &'static Guard, second: Option<Run<'static>>, token: u64) {
        // First of all, so that what changes while the rest is read voids it.
        self.changes.set(Some(guard.changes()).filter(|&changes| changes != 0).unwrap_or(NEVER));
        let numbers = guard.numbers();
        let flags = numbers.flags().held_open(guard.is_held_open());
        self.numbers.set(numbers);
        self.tag.set(numbers.tag());
        self.flags.set(flags);
        let enforced = flags.concurrency() == Mode::Enforce;
        self.limit.set(if enforced { numbers.limit() } else { u64::MAX }.min(MAX_LIMIT.into()));
        self.epoch.set(if numbers.hold().passes() { TIMED } else { guard.epoch(numbers, 0) });
        let further = guard.extra(numbers).map(|(numbers, state)| Further { numbers, state, second });
        let stages =
            further.map_or(Stages::NONE, |further| Stages::of(further.numbers, numbers, guard.shared.allows_faults()));
        self.further.set(further);
        self.second.set(second.and_then(Run::own));
        self.stages.set(stages);
        self.last_calls.set(further.and_then(|further| further.table(&guard.view, LAST_CALLS)).unwrap_or_default());
        let slow = further.filter(|_| stages.has(Stages::SLOW));
        self.slow_over_ns.set(slow.map_or(u64::MAX, |further| further.numbers.slow_over_ns()));
        let are_plain = numbers.are_plain() && !numbers.hold().passes();
        // Without a run of its own, a thread looks at the calls that are running each time: in the whole pipeline.
        let is_late = if self.second().is_some() { Stages::LATE } else { Stages::LATE.without(Stages::SLOW) };
        self.elaborate.set(match stages.without(is_late) {
            Stages::NONE if are_plain => 0,
            Stages::BY_KEY if are_plain => BY_KEY,
            _ => ELABORATE,
        });
        self.token.set(token);
        self.seal.set(permit::seal_of(guard, token));
        let mark = |has, mark| if has { mark } else { 0 };
        let marks = mark(flags.has_breaker(), JUDGED) | mark(stages.without(Stages::BY_KEY) != Stages::NONE, MORE);
        self.marks.set(Marks::of(guard.known_at).with(marks));

        self.window.set(numbers.window());
        for (index, rate) in self.rates.iter().enumerate() {
            let refuses = numbers.rate(index).mode() == Mode::Enforce;
            rate.set(numbers.rate(index).one().filter(|_| refuses).unwrap_or(One::NEVER));
        }
    }

    /// The changes of the segment up to which it holds.
    #[inline(always)]
    pub(super) fn changes(&self) -> u64 {
        self.changes.get()
    }

    /// The numbers in force.
    #[inline(always)]
    pub(super) fn numbers(&self) -> &'static Block {
        self.numbers.get()
    }

    /// The tag that those had.
    pub(super) fn tag(&self) -> u64 {
        self.tag.get()
    }

    /// Whether what was read of the numbers is theirs: they have not been recycled meanwhile.
    #[inline(always)]
    pub(super) fn numbers_stand(&self) -> bool {
        fence(Acquire);
        self.numbers().tag() == self.tag()
    }

    /// Their modes; of the breaker also what an operator made of it.
    #[inline(always)]
    pub(super) fn flags(&self) -> Flags {
        self.flags.get()
    }

    /// 0, unless there is more to ask than a breaker, a concurrency limit and a rate limit, all of them enforced, and what is
    /// asked last.
    #[inline(always)]
    pub(super) fn elaborate(&self) -> u64 {
        self.elaborate.get()
    }

    /// Whether it is plain but for its one rate limit, which is by key.
    #[inline(always)]
    pub(super) fn is_plain_by_key(&self) -> bool {
        self.elaborate() == BY_KEY
    }

    /// The concurrency limit that refuses; as good as none where there is none.
    #[inline(always)]
    pub(super) fn limit(&self) -> u64 {
        self.limit.get()
    }

    /// The epoch of permits at `now`.
    #[inline(always)]
    pub(super) fn epoch(&self, guard: &Guard, now: u64) -> u64 {
        match self.epoch.get() {
            TIMED => guard.epoch(self.numbers(), now),
            epoch => epoch,
        }
    }

    /// The epoch of permits, where time does not change it.
    #[inline(always)]
    pub(super) fn timeless_epoch(&self) -> u64 {
        self.epoch.get()
    }

    /// The process's token.
    #[inline(always)]
    pub(super) fn token(&self) -> u64 {
        self.token.get()
    }

    /// What the seals of this process's permits of the guard have in common.
    #[inline(always)]
    pub(super) fn seal(&self) -> u64 {
        self.seal.get()
    }

    /// What the marks of its permits have in common.
    #[inline(always)]
    pub(super) fn marks(&self) -> Marks {
        self.marks.get()
    }

    /// A rate limit that is a token bucket and refuses, for calls that cost one token; of another it takes nothing.
    #[inline(always)]
    pub(super) fn rate(&self, index: usize) -> One {
        self.rates[index % MAX_RATES].get()
    }

    /// What else the guard has.
    #[inline(always)]
    pub(super) fn further(&self) -> Option<Further<'static>> {
        self.further.get()
    }

    /// The second run, where it is in the thread's own lane.
    #[inline(always)]
    pub(super) fn second(&self) -> Option<Own<'static, PAGE_WORDS>> {
        self.second.get()
    }

    /// What of it takes part in a call.
    #[inline(always)]
    pub(super) fn stages(&self) -> Stages {
        self.stages.get()
    }

    /// The words of the window of the last so many calls.
    #[inline(always)]
    pub(super) fn last_calls_words(&self) -> &'static [AtomicU64] {
        self.last_calls.get()
    }

    /// Longer than so many ns is slow for the breaker, where it looks at that.
    #[inline(always)]
    pub(super) fn slow_over_ns(&self) -> u64 {
        self.slow_over_ns.get()
    }

    /// The reciprocal of the breaker's window.
    #[inline(always)]
    pub(super) fn window(&self) -> u64 {
        self.window.get()
    }
}
