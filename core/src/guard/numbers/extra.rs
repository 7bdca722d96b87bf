//! The numbers of disciplines that only some guards have, in a block of their own beside the guard's.

use super::mode;
use crate::breaker::running::Slow;
use crate::fault::Fault;
use crate::fault::when::When;
use crate::guard::cell::MAX_RATES;
use crate::policy::Attribute;
use crate::rules::Mode;
use crate::segment::Shared;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Bytes of a block.
pub const EXTRA_BYTES: usize = size_of::<ExtraBlock>();

/// Each discipline is so many words, which it makes of its numbers and reads back itself. All zeros: the guard has it not.
macro_rules! disciplines {
    ($($(#[$doc:meta])* $name:ident: $words:expr,)*) => {
        /// The numbers as plain words.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Extra {
            $($(#[$doc])* pub $name: [u64; $words],)*
        }

        /// The same in the segment.
        #[repr(C, align(64))]
        pub struct ExtraBlock {
            $($name: [AtomicU64; $words],)*
        }

        impl Extra {
            /// Nothing.
            pub const NONE: Extra = Extra { $($name: [0; $words],)* };
        }

        impl ExtraBlock {
            /// Everything.
            pub fn read(&self) -> Extra {
                Extra { $($name: self.$name(),)* }
            }

            /// Fills a new block.
            pub fn write(&self, extra: &Extra) {
                $(self.$name.iter().zip(extra.$name).for_each(|(to, from)| to.store(from, Relaxed));)*
            }

            $($(#[$doc])*
            #[inline]
            pub fn $name(&self) -> [u64; $words] {
                self.$name.each_ref().map(|word| word.load(Relaxed))
            })*
        }
    };
}

disciplines! {
    /// Slow calls of the breaker: share in 32-bit fixed point, nanoseconds that are slow, and the two numbers of
    /// [`crate::breaker::running::Slow`].
    slow: 4,
    /// Two words for each rate limit: see [`crate::rate::follow`].
    follow: 2 * MAX_RATES,
    /// A concurrency limit that adapts, or sheds by criticality: see [`super::LiveLimit`].
    limit: 4,
    /// Protection of the process: see [`super::SystemNumbers`].
    system: 2,
    /// Place and words of each table.
    tables: 2 * TABLES,
    /// Place and words of each [`super::KeyedNumbers`].
    keyed: 2 * MAX_RATES,
    /// Enough time left: the quantile that is usual in millionths, the factor (see [`crate::deadline::enough`]), the mode.
    deadline: 3,
    /// The faults, [`FAULT_WORDS`] each: see [`crate::fault::Fault::words`]; the last word is the mode.
    faults: FAULT_WORDS * MAX_FAULTS,
    /// The throttle (3 words, see [`crate::throttle`]), the outcomes that it takes for refusals (a bit each), its mode.
    throttle: 5,
    /// See [`crate::retry::plan`].
    retry: 8,
    /// What retries and hedges are paid from: see [`crate::retry::budget`].
    budget: 8,
    /// The budget before the last change.
    budget_before: 8,
    /// See [`crate::retry::hedge`]; the last word is the quantile in millionths, 0: a fixed delay.
    hedge: 8,
}

/// The most faults of one guard.
pub const MAX_FAULTS: usize = 4;
/// Words of one.
pub const FAULT_WORDS: usize = 16;
/// In them: the mode.
const FAULT_MODE: usize = 15;

/// Tables of a guard: one for the breaker's last calls, one for each rate limit.
pub const TABLES: usize = 1 + MAX_RATES;
/// The breaker's last calls.
pub const LAST_CALLS: usize = 0;
/// That of the first rate limit; the others follow.
pub const OF_RATES: usize = 1;

impl Extra {
    /// Place (0: none yet) and words (0: none is wanted) of a table.
    pub fn table(&self, number: usize) -> [u64; 2] {
        [self.tables[2 * number], self.tables[2 * number + 1]]
    }

    /// Puts a table's place and words.
    pub fn set_table(&mut self, number: usize, [at, words]: [u64; 2]) {
        (self.tables[2 * number], self.tables[2 * number + 1]) = (at, words);
    }

    /// Place (0: none yet) and words (0: it is not by key) of the numbers by key of a rate limit.
    pub fn keyed_at(&self, index: usize) -> [u64; 2] {
        [self.keyed[2 * index], self.keyed[2 * index + 1]]
    }

    /// Puts their place and words.
    pub fn set_keyed(&mut self, index: usize, [at, words]: [u64; 2]) {
        (self.keyed[2 * index], self.keyed[2 * index + 1]) = (at, words);
    }

    /// The same without places.
    pub fn unplaced(mut self) -> Extra {
        (0..MAX_RATES).for_each(|index| self.keyed[2 * index] = 0);
        (0..TABLES).for_each(|number| self.tables[2 * number] = 0);
        self
    }
}

impl Extra {
    /// One fault's words; all zeros: there is none.
    pub fn fault(&self, number: usize) -> [u64; FAULT_WORDS] {
        let from = number % MAX_FAULTS * FAULT_WORDS;
        std::array::from_fn(|index| self.faults[from + index])
    }

    /// Puts one fault's words.
    pub fn set_fault(&mut self, number: usize, fault: &Fault, mode: Mode) {
        let from = number % MAX_FAULTS * FAULT_WORDS;
        self.faults[from..from + FAULT_WORDS].copy_from_slice(&fault.words());
        self.faults[from + FAULT_MODE] = mode as u64;
    }
}

impl ExtraBlock {
    /// Over how many ns a call is slow for the breaker.
    #[inline]
    pub fn slow_over_ns(&self) -> u64 {
        self.slow[1].load(Relaxed)
    }

    /// How the breaker counts calls that are running.
    #[inline]
    pub fn slow_running(&self) -> Slow {
        Slow::of([self.slow[2].load(Relaxed), self.slow[3].load(Relaxed)])
    }

    /// The first word of the budget, which tells its kind.
    #[inline]
    pub fn budget_kind(&self) -> u64 {
        self.budget[0].load(Relaxed)
    }

    /// What a rate limit follows: see [`crate::guard::follow`].
    #[inline]
    pub fn follow_of(&self, index: usize) -> [u64; 2] {
        let at = 2 * (index % MAX_RATES);
        [self.follow[at].load(Relaxed), self.follow[at + 1].load(Relaxed)]
    }

    /// Place and words of the numbers by key of a rate limit.
    #[inline]
    pub fn keyed_at(&self, index: usize) -> [u64; 2] {
        let at = 2 * (index % MAX_RATES);
        [self.keyed[at].load(Relaxed), self.keyed[at + 1].load(Relaxed)]
    }

    /// Whether a fault spares calls with these attributes for certain: a look that decodes little.
    #[inline]
    pub fn spares(&self, number: usize, attributes: &[Attribute<'_>]) -> bool {
        When::spares(self.faults[number % MAX_FAULTS * FAULT_WORDS].load(Relaxed), attributes)
    }

    /// A fault and its mode, if there is one of this number.
    #[inline]
    pub fn fault(&self, number: usize) -> Option<(Fault, Mode)> {
        let from = number % MAX_FAULTS * FAULT_WORDS;
        let mode = mode(self.faults[from + FAULT_MODE].load(Relaxed));
        let words = || std::array::from_fn(|index| self.faults[from + index].load(Relaxed));
        (mode != Mode::Off).then(|| (Fault::of(words()), mode))
    }

    /// Place and words of a table.
    #[inline]
    pub fn table(&self, number: usize) -> [u64; 2] {
        let at = 2 * (number % TABLES);
        [self.tables[at].load(Relaxed), self.tables[at + 1].load(Relaxed)]
    }
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for ExtraBlock {}
