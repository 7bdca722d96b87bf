//! A limiter's cell: one word that decides, and the numbers for it twice.
//!
//! The lowest 4 bits of the word tell the change of the numbers that it is of, 1 to 14 in a circle; 0 is 1 and nobody has taken from it. Numbers stand
//! at the side of their parity, under a tag that only grows. Changing them:
//! 1. the side that is not in force gets the new numbers, its tag 0 meanwhile;
//! 2. one compare-and-swap rescales the word to them.
//!
//! Changers exclude each other (the cold lock); one that dies in between leaves the old numbers in force. Who takes reads the word, then the side that it names,
//! whole when its tag was the same before and after; and swaps the word, which fails when the numbers were changed meanwhile. So each decision is made by
//! the numbers that were in force at its swap. (A taker that sleeps through 14 changes, and finds the very word that it knew, decides by numbers that
//! were replaced.)
//!
//! Bindings may decide on this cell by themselves: docs/limiters.md has its layout.

use super::numbers::Numbers;
use super::options::{Algorithm, Options};
use crate::rate::common::{GENERATION_BITS, GENERATION_MASK};
use crate::rate::fixed_window::FixedWindow;
use crate::rate::pacing::Pacing;
use crate::rate::reserve::Reserving;
use crate::rate::sliding_counter::SlidingCounter;
use crate::rate::sliding_window::SlidingWindow;
use crate::rate::warm_up::WarmUp;
use crate::rate::{OneWord, Refusal};
use crate::segment::Shared;
use crate::segment::directory::Cell;
use crate::tagged;
use crate::word::{Word, update};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// Changes of the numbers are told apart modulo this: an even number, so that those of neighbours stand at different sides.
const GENERATIONS: u64 = 14;

/// The cell.
#[repr(C, align(64))]
pub struct LimiterCell {
    /// What every cell has.
    pub cell: Cell,
    /// Decides.
    pub word: AtomicU64,
    /// The table of a sliding window's buckets; 0: none yet. It stays with the cell.
    pub buckets: AtomicU32,
    spare: AtomicU32,
    spares: [AtomicU64; 6],
    /// The numbers of odd and even generations.
    pub sides: [Side; 2],
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for LimiterCell {}

/// The numbers of one change.
#[repr(C, align(64))]
pub struct Side {
    /// The number of the change, from 1 up; 0: being written.
    tag: AtomicU64,
    kind: AtomicU64,
    words: [AtomicU64; 8],
    /// When the change was made, in ns.
    since: AtomicU64,
    /// How long taking may wait.
    max_wait: AtomicU64,
    /// The options: the limit as a float's bits.
    limit: AtomicU64,
    per: AtomicU64,
    /// All ones: not said.
    burst: AtomicU64,
    /// Algorithm (8 bits) | buckets (8).
    algorithm: AtomicU64,
    /// In ns.
    warm_up: AtomicU64,
    /// A float's bits.
    cold_factor: AtomicU64,
    rejected: AtomicU64,
    spare: [AtomicU64; 5],
}

const _: () = assert!(size_of::<Side>() == 192 && size_of::<LimiterCell>() == 512);

/// The most buckets of a sliding window.
pub const BUCKETS: usize = 60;

/// The table of a sliding window's buckets.
#[repr(C, align(64))]
pub struct Buckets(pub [AtomicU64; 64]);

// SAFETY: repr(C), atomics only.
unsafe impl Shared for Buckets {}

/// No burst was said.
pub const UNSAID: u64 = u64::MAX;

/// A side's numbers, read whole.
#[derive(Clone, Copy, Debug)]
pub struct Set {
    /// For decisions.
    pub numbers: Numbers,
    /// Of them, as in the word.
    pub generation: u64,
    /// How long taking may wait, in ns.
    pub max_wait: u64,
    /// When they came in force, in ns.
    pub since: u64,
}

/// A side's tag: how many changes there have been | the generation (4 bits).
#[inline(always)]
fn generation_of(tag: u64) -> u64 {
    tag & GENERATION_MASK
}

/// The tag of the numbers that follow: of the other side.
fn tag_after(tag: u64) -> u64 {
    ((tag >> GENERATION_BITS) + 1) << GENERATION_BITS | (generation_of(tag) % GENERATIONS + 1)
}

/// The generation of the numbers that a word wants.
#[inline(always)]
fn wanted(word: u64) -> u64 {
    (word & GENERATION_MASK).max(1)
}

impl LimiterCell {
    /// A cell of no life and no numbers.
    pub fn empty() -> LimiterCell {
        // SAFETY: atomics, valid as zeros.
        unsafe { std::mem::zeroed() }
    }

    #[inline(always)]
    fn side(&self, generation: u64) -> &Side {
        &self.sides[(generation & 1) as usize]
    }

    /// The numbers that `word` is of; None: they were changed meanwhile.
    #[inline(always)]
    pub fn set_of(&self, word: u64) -> Option<Set> {
        let generation = wanted(word);
        self.side(generation).read(generation)
    }

    /// Takes by the numbers in force and tells the wait in ns, as [`Numbers::reserve`] does, without a look at any other algorithm's.
    /// [`Refusal::Stale`]: that has to tell, as they are of an algorithm without such a way, were changed meanwhile, or need more than
    /// the word.
    #[inline(always)]
    pub fn take_at_once(&self, now: u64, cost: u64) -> Result<u64, Refusal> {
        let generation = wanted(self.word.get());
        let side = self.side(generation);
        match side.kind.load(Relaxed) {
            Reserving::KIND => side.take::<Reserving>(generation, &self.word, now, cost),
            Pacing::KIND => side.take::<Pacing>(generation, &self.word, now, cost),
            FixedWindow::KIND => side.take::<FixedWindow>(generation, &self.word, now, cost),
            SlidingCounter::KIND => side.take::<SlidingCounter>(generation, &self.word, now, cost),
            SlidingWindow::KIND => side.take::<SlidingWindow>(generation, &self.word, now, cost),
            WarmUp::KIND => side.take::<WarmUp>(generation, &self.word, now, cost),
            _ => Err(Refusal::Stale),
        }
    }

    /// The token bucket in force; None: it is another algorithm, or without tokens or limit, or changed meanwhile.
    #[inline(always)]
    pub fn flowing(&self) -> Option<Reserving> {
        let generation = wanted(self.word.get());
        self.side(generation).numbers::<Reserving>(generation).map(|(bucket, _)| bucket)
    }

    /// The numbers of a generation that may not be in force any more; None: they are gone.
    pub fn set_of_generation(&self, generation: u64) -> Option<Set> {
        self.side(generation).read(generation)
    }

    /// How often taking or reserving was refused. It stands at the first side, in a line that no decision reads: one that refuses
    /// would take the word's line from those that pass.
    pub fn rejected(&self) -> &AtomicU64 {
        &self.sides[0].rejected
    }

    /// Begins a life, before anybody can find it.
    pub fn begin(&self, options: &Options, numbers: &Numbers, now: u64) {
        self.word.store(0, Relaxed);
        self.rejected().store(0, Relaxed);
        self.sides[0].tag.store(0, Relaxed);
        self.side(1).write(1, options, numbers, now);
    }

    /// Puts other numbers in force at `now`, of options that were checked. To be called under the lock of its changers.
    pub fn change(&self, options: &Options, buckets: &[AtomicU64], now: u64) -> crate::Result<()> {
        let mut seen = self.word.get();
        let side = self.side(wanted(seen));
        let tag = side.tag.load(Acquire);
        let Some(old) = self.set_of(seen) else { return Err(super::options::invalid("limiter: its cell is spoiled")) };
        let next = tag_after(tag);
        let numbers = options.numbers(generation_of(next))?;
        self.side(generation_of(next)).write(next, options, &numbers, now);
        loop {
            match self.word.swap_if(seen, numbers.rescale(&old.numbers, seen, buckets, now)) {
                Ok(()) => return Ok(()),
                Err(other) => seen = other,
            }
        }
    }

    /// As if nobody had taken anything. Under the same lock.
    pub fn start_afresh(&self, now: u64) {
        let seen = self.word.get();
        if let Some(set) = self.set_of(seen) {
            self.word.store(set.numbers.fresh(now), Release);
        }
    }

    /// The options in force; None: they were changed meanwhile.
    pub fn options(&self) -> Option<Options> {
        let generation = wanted(self.word.get());
        self.side(generation).options(generation)
    }
}

impl Side {
    #[inline(always)]
    fn read(&self, generation: u64) -> Option<Set> {
        self.whole(generation, || {
            let words = self.words.each_ref().map(|word| word.load(Relaxed));
            let numbers = Numbers::of(self.kind.load(Relaxed), words)?;
            let (max_wait, since) = (self.max_wait.load(Relaxed), self.since.load(Relaxed));
            Some(Set { numbers, generation, max_wait, since })
        })
    }

    /// The numbers of an algorithm and how long taking may wait; None: they are of another, or gone.
    #[inline(always)]
    fn numbers<R: OneWord>(&self, generation: u64) -> Option<(R, u64)> {
        self.whole(generation, || {
            let at = |index: usize| if index < R::WORDS { self.words[index].load(Relaxed) } else { 0 };
            let numbers = (R::of(std::array::from_fn(at))?, self.max_wait.load(Relaxed));
            (self.kind.load(Relaxed) == R::KIND).then_some(numbers)
        })
    }

    #[inline(never)]
    fn take<R: OneWord>(&self, generation: u64, word: &AtomicU64, now: u64, cost: u64) -> Result<u64, Refusal> {
        let (rate, max_wait) = self.numbers::<R>(generation).ok_or(Refusal::Stale)?;
        let taken = update(word, |seen| match rate.step(seen, now, cost)? {
            // The numbers of all others say themselves how long a call may wait.
            (_, wait) if R::KIND == Reserving::KIND && wait > max_wait => Err(Refusal::Empty(wait - max_wait)),
            taken => Ok(taken),
        });
        taken.map(|wait| rate.nanos(wait))
    }

    fn options(&self, generation: u64) -> Option<Options> {
        self.whole(generation, || {
            let algorithm = self.algorithm.load(Relaxed);
            let burst = self.burst.load(Relaxed);
            Some(Options {
                algorithm: Algorithm::of((algorithm & 0xFF) as u32)?,
                limit: f64::from_bits(self.limit.load(Relaxed)),
                per_ns: self.per.load(Relaxed),
                burst: (burst != UNSAID).then_some(burst),
                max_wait_ns: self.max_wait.load(Relaxed),
                buckets: (algorithm >> 8 & 0xFF) as u32,
                warm_up_ns: self.warm_up.load(Relaxed),
                cold_factor: f64::from_bits(self.cold_factor.load(Relaxed)),
            })
        })
    }

    /// What `read` finds, if it stood there all the while.
    #[inline(always)]
    fn whole<T>(&self, generation: u64, read: impl FnOnce() -> Option<T>) -> Option<T> {
        tagged::read(&self.tag, |tag| generation_of(tag) == generation, read)
    }

    fn write(&self, tag: u64, options: &Options, numbers: &Numbers, now: u64) {
        tagged::write(&self.tag, tag, || {
            self.kind.store(numbers.kind(), Relaxed);
            self.words.iter().zip(numbers.words()).for_each(|(to, from)| to.store(from, Relaxed));
            self.since.store(now, Relaxed);
            self.max_wait.store(options.max_wait_ns, Relaxed);
            self.limit.store(options.limit.to_bits(), Relaxed);
            self.per.store(options.per_ns, Relaxed);
            self.burst.store(options.burst.unwrap_or(UNSAID), Relaxed);
            self.algorithm.store(options.algorithm as u64 | u64::from(options.buckets) << 8, Relaxed);
            self.warm_up.store(options.warm_up_ns, Relaxed);
            self.cold_factor.store(options.cold_factor.to_bits(), Relaxed);
        });
    }
}
