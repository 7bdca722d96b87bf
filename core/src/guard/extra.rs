//! The state of disciplines that only some guards have: words beside the cell, which come with the first rules that need
//! them and then stay with it, so that whoever is late writes into nobody else's; and a second run in each slot's lane.

use super::cell::{MAX_RATES, SECOND};
use super::numbers::{Block, ExtraBlock, LAST_CALLS, LiveLimit, MAX_FAULTS, RateWords, SystemNumbers, mode};
use crate::breaker::running::{self, Slow};
use crate::concurrency::{adaptive, sample};
use crate::rules::Mode;
use crate::segment::{Offset, Shared, View};
use crate::slot::lane::Run;
use crate::system::gate;
use crate::throttle;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Bytes of it.
pub const STATE_BYTES: usize = size_of::<State>();

/// Each discipline has so many words, all zeros to begin with.
macro_rules! states {
    ($($(#[$doc:meta])* $name:ident: $words:expr,)*) => {
        /// The words.
        #[repr(C, align(64))]
        pub struct State {
            $($(#[$doc])* pub $name: [AtomicU64; $words],)*
        }

        impl State {
            /// As at the beginning.
            pub fn clear(&self) {
                $(self.$name.iter().for_each(|word| word.store(0, Relaxed));)*
            }
        }
    };
}

// The words of a limit that adapts and those of the system's protection share the first cache line.
states! {
    /// See [`crate::concurrency::adaptive`].
    limit: 5,
    /// See [`crate::system::gate`]: what is single.
    system: 3,
    /// See [`crate::system::gate`]: the ring.
    system_ring: gate::RING,
    /// See [`crate::throttle`].
    throttle: throttle::WORDS,
    /// Breaker generation + 1 (32 bits) | calls of earlier generations that still run (32 bits).
    running_before: 1,
    /// What calls usually take, see [`crate::retry::quantile`]; and how many would have been refused for it.
    usual: 2,
    /// For each fault the calls that matched, then the delays in progress: see [`crate::fault`].
    faults: 2 * MAX_FAULTS,
    /// What retries and hedges are paid from, see [`crate::retry::budget`]; and how many logical calls have begun.
    budget: 2,
    /// When a hedge is due: see [`crate::retry::quantile`].
    hedge: 1,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for State {}

/// In the second run: calls that are running, by when they started (see [`crate::breaker::running`]).
pub const RUNNING: usize = 1;
/// When this slot looked at them last.
pub const RUNNING_SEEN: usize = RUNNING + running::WORDS;
/// What was decided after attempts: to try again, then each reason against it (see [`crate::retry::plan::Reason`]).
pub const RETRIES: usize = RUNNING_SEEN + 1;
/// Attempts that were followed by another, by how they ended (failure, timeout, overloaded, refused).
pub const RETRIED: usize = RETRIES + 8;
/// Hedges that were sent.
pub const HEDGES: usize = RETRIED + 4;
/// Calls that a fault delayed.
pub const DELAYED_CALLS: usize = HEDGES + 1;

/// Samples of the window of a limit that adapts (see [`crate::concurrency::sample`]), from the end of the run.
pub const LIMIT_SAMPLES: usize = SECOND - sample::WORDS;
/// Those of the window of the process's protection.
pub const SYSTEM_SAMPLES: usize = LIMIT_SAMPLES - sample::WORDS;
/// Calls whose keys found no place, by rate limit (see [`crate::rate::keyed`]).
pub const OVERFLOWED: usize = SYSTEM_SAMPLES - MAX_RATES;

const _: () = assert!(DELAYED_CALLS < OVERFLOWED);

impl State {
    /// The words of a limit that adapts, or sheds by criticality.
    #[inline(always)]
    pub fn limit_words(&self) -> adaptive::Words<'_, AtomicU64> {
        let [window, limit, memory, round_trip, priority] = &self.limit;
        adaptive::Words { window, limit, memory, round_trip, priority }
    }

    /// The words of the process's protection; the load stands in the segment's header.
    #[inline(always)]
    pub fn system_words<'a>(&'a self, load: &'a AtomicU64) -> gate::Words<'a, AtomicU64> {
        let [guarding, window, capacity] = &self.system;
        gate::Words { load, guarding, window, capacity, ring: &self.system_ring }
    }
}

/// A guard's further disciplines: their numbers and their state.
#[derive(Clone, Copy)]
pub struct Further<'a> {
    /// Immutable.
    pub numbers: &'a ExtraBlock,
    /// What all its callers share.
    pub state: &'a State,
    /// The second run in the calling thread's lane; None: there is no room.
    pub second: Option<Run<'a>>,
}

/// Where the bits of faults begin.
const FAULTS_AT: u32 = 16;

/// Which of the further disciplines take part in a call, a bit each: so that one look tells those that do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stages(u32);

impl Stages {
    /// None of them.
    pub const NONE: Stages = Stages(0);
    /// The time left has to be enough.
    pub const TIME: Stages = Stages(1);
    /// A rate limit follows another guard.
    pub const FOLLOW: Stages = Stages(1 << 1);
    /// The throttle.
    pub const THROTTLE: Stages = Stages(1 << 2);
    /// The breaker looks at slow calls.
    pub const SLOW: Stages = Stages(1 << 3);
    /// The breaker's window is the last so many calls.
    pub const LAST_CALLS: Stages = Stages(1 << 4);
    /// A concurrency limit that adapts, or sheds by criticality.
    pub const LIMIT: Stages = Stages(1 << 5);
    /// It adapts.
    pub const ADAPTS: Stages = Stages(1 << 6);
    /// It sheds.
    pub const SHEDS: Stages = Stages(1 << 7);
    /// The protection of the process.
    pub const SYSTEM: Stages = Stages(1 << 8);
    /// One of those two, which learn from how calls end.
    pub const LOAD: Stages = Stages::LIMIT.and(Stages::SYSTEM);
    /// One of those two is in shadow mode.
    pub const LOAD_SHADOW: Stages = Stages(1 << 9);
    /// The only rate limit is by key, and enforced.
    pub const BY_KEY: Stages = Stages(1 << 10);
    /// Those that are asked last, when everything is taken; or only when a call ends.
    pub const LATE: Stages = Stages::SLOW.and(Stages::LAST_CALLS);
    /// Faults on purpose, where the runtime allows them: a bit each.
    pub const FAULTS: Stages = Stages(((1 << MAX_FAULTS) - 1) << FAULTS_AT);

    /// Those that the numbers bring, beside the plain ones.
    pub fn of(numbers: &ExtraBlock, plain: &Block, allows_faults: bool) -> Stages {
        let (limit, system) = (LiveLimit::of(numbers.limit()), SystemNumbers::of(numbers.system()));
        let has_breaker = plain.breaker_mode() != Mode::Off;
        let is_shadow =
            plain.concurrency_mode() == Mode::Shadow || system.is_some_and(|(_, mode)| mode == Mode::Shadow);
        let bits = [
            (Stages::TIME, mode(numbers.deadline()[2]) != Mode::Off),
            (Stages::THROTTLE, mode(numbers.throttle()[4]) != Mode::Off),
            (Stages::LIMIT, limit.exists()),
            (Stages::ADAPTS, limit.adapts()),
            (Stages::SHEDS, limit.sheds()),
            (Stages::SYSTEM, system.is_some()),
            (Stages::LOAD_SHADOW, is_shadow),
            (Stages::SLOW, has_breaker && numbers.slow()[0] != 0),
            (Stages::LAST_CALLS, has_breaker && numbers.table(LAST_CALLS)[1] != 0),
            (Stages::FOLLOW, (0..MAX_RATES).any(|index| numbers.follow_of(index)[1] != 0)),
            (Stages::BY_KEY, plain.only_rate().is_some_and(RateWords::is_keyed)),
        ];
        let faults = (0..MAX_FAULTS).filter(|&number| allows_faults && numbers.fault(number).is_some());
        let faults = faults.map(|number| (Stages::fault(number), true));
        bits.into_iter()
            .chain(faults)
            .filter(|&(_, is_there)| is_there)
            .fold(Stages::NONE, |all, (one, _)| all.and(one))
    }

    fn fault(number: usize) -> Stages {
        Stages(1 << (FAULTS_AT + number as u32))
    }

    /// The numbers of the faults that take part.
    #[inline(always)]
    pub fn faults(self) -> impl Iterator<Item = usize> {
        (0..MAX_FAULTS).filter(move |&number| self.has(Stages::fault(number)))
    }

    /// These and others.
    pub const fn and(self, others: Stages) -> Stages {
        Stages(self.0 | others.0)
    }

    /// These but for others.
    pub const fn without(self, others: Stages) -> Stages {
        Stages(self.0 & !others.0)
    }

    /// Whether any of others is among them.
    #[inline(always)]
    pub fn has(self, others: Stages) -> bool {
        self.0 & others.0 != 0
    }
}

/// Which calls a breaker takes for slow.
pub struct SlowCalls {
    /// Longer than so many ns.
    pub over_ns: u64,
    /// The share that opens it, in 32-bit fixed point.
    pub ratio: u64,
    /// For those that are running.
    pub ring: Slow,
}

impl Further<'_> {
    /// The breaker's slow calls, if it looks at them.
    #[inline(always)]
    pub fn slow(&self) -> Option<SlowCalls> {
        let [ratio, over_ns, reciprocal, turn] = self.numbers.slow();
        (ratio != 0).then(|| SlowCalls { over_ns, ratio, ring: Slow::of([reciprocal, turn]) })
    }

    /// The concurrency limit, where it adapts or sheds by criticality ([`Stages::LIMIT`]).
    #[inline(always)]
    pub fn limit(&self) -> LiveLimit {
        LiveLimit::of(self.numbers.limit())
    }

    /// The protection of the process, and its mode.
    #[inline(always)]
    pub fn system(&self) -> Option<(gate::Numbers, Mode)> {
        SystemNumbers::of(self.numbers.system())
    }

    /// The words of a table, if the numbers have it.
    pub fn table<'v>(&self, view: &'v View, number: usize) -> Option<&'v [AtomicU64]> {
        let [at, words] = self.numbers.table(number);
        view.words(at as Offset, words as usize)
    }
}
