//! The decision: in the manner of BBR, what the process can bear in flight is the most that it lately served a second
//! times the shortest it lately took (by windows). While the CPU is over its threshold, more than that is refused.
//!
//! | word | bits |
//! |---|---|
//! | load | sampled at (40 bits, in 2²⁰ ns) \| CPU (12) \| memory (12), each in thousandths |
//! | guarding | until when the gate guards, in ns |
//! | window | see [`window`] |
//! | capacity | what is borne in flight (24) \| when the window began (40, in 2¹⁶ ns) |
//! | ring | one a window: index (16) \| calls a second (24) \| mean duration (24, in 2¹⁰ ns) |
//!
//! What differs from the peers: what is borne is multiplied by threshold / CPU (within ¾ and 5⁄4). Under an overload
//! that lasts, all of the ring's windows are overloaded, and rate × duration is just what is in flight: nothing would be
//! shed. So it shrinks until the CPU is at its threshold, and grows again below it. And the gate guards on for a while
//! after the last refusal, as a smoothed CPU tells of a new flood only after it. A load that nobody has sampled for
//! [`STALE_NS`] is none: the gate opens.
//!
//! Sources: N. Cardwell et al., *BBR: congestion-based congestion control*, 2016; the adaptive protections of Sentinel,
//! go-kratos/aegis (CPU over 800, window 10 s) and go-zero (CPU over 900, window 5 s, cool-off 1 s).

use crate::concurrency::sample::Sum;
use crate::concurrency::window;
use crate::word::{Word, replace, update};

/// Windows that are looked back on.
pub const RING: usize = 16;
/// A load that is older than this (ns) is not believed.
pub const STALE_NS: u64 = 10_000_000_000;
const BEGAN_MASK: u64 = (1 << 40) - 1;
const FIELD_MASK: u64 = (1 << 24) - 1;

/// The numbers of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// CPU over which it guards, in thousandths; 0: the CPU is not looked at.
    pub cpu: u32,
    /// Memory over which it guards, likewise.
    pub memory: u32,
    /// A window lasts at least so long, in ns (1 ms to 60 s).
    pub window_ns: u64,
    /// How long it guards after the last refusal, in ns.
    pub cool_off_ns: u64,
}

impl Default for Numbers {
    fn default() -> Self {
        Numbers { cpu: 900, memory: 0, window_ns: 500_000_000, cool_off_ns: 1_000_000_000 }
    }
}

/// The words.
#[derive(Debug)]
pub struct Words<'a, W> {
    /// What the sampler says.
    pub load: &'a W,
    /// Until when the gate guards.
    pub guarding: &'a W,
    /// Which window it is.
    pub window: &'a W,
    /// What is borne in flight.
    pub capacity: &'a W,
    /// What the last windows held.
    pub ring: &'a [W; RING],
}

/// What the sampler saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Load {
    /// The container's CPU in thousandths; 0: unknown.
    pub cpu: u32,
    /// Its memory, likewise.
    pub memory: u32,
}

impl Load {
    /// The word of a load that was sampled at `now`.
    pub fn word(self, now: u64) -> u64 {
        let bits = |permille: u32| u64::from(permille.min(1000));
        (now >> 20) << 24 | bits(self.cpu) << 12 | bits(self.memory)
    }

    /// Reads a word; one that is stale, or of the future, says nothing. **Hot.**
    #[inline(always)]
    pub fn of(word: u64, now: u64) -> Load {
        let age = (now >> 20).wrapping_sub(word >> 24) & BEGAN_MASK;
        if age > STALE_NS >> 20 {
            return Load::default();
        }
        Load { cpu: (word >> 12 & 0xFFF) as u32, memory: (word & 0xFFF) as u32 }
    }

    /// How much of what is borne counts, in 2⁻¹⁰: threshold over load, within ¾ and 5⁄4.
    fn gain(self, numbers: &Numbers) -> u64 {
        let of = |load: u32, threshold: u32| match (load, threshold) {
            (_, 0) | (0, _) => 1280,
            _ => (u64::from(threshold) << 10) / u64::from(load),
        };
        of(self.cpu, numbers.cpu).min(of(self.memory, numbers.memory)).clamp(768, 1280)
    }

    fn is_high(self, numbers: &Numbers) -> bool {
        let high = |load: u32, threshold: u32| threshold > 0 && load > threshold;
        high(self.cpu, numbers.cpu) || high(self.memory, numbers.memory)
    }
}

impl<W: Word> Words<'_, W> {
    /// Whether a call may enter that finds `inflight` others. Two reads while the load is low. **Hot.**
    #[inline]
    pub fn admits(&self, numbers: &Numbers, inflight: u64, now: u64) -> bool {
        let admitted = inflight < self.most(numbers, now);
        if !admitted {
            self.refused(numbers, now);
        }
        admitted
    }

    /// Whether all may enter: the load is low, and was so for a while. **Hot.**
    #[inline(always)]
    pub fn is_calm(&self, numbers: &Numbers, now: u64) -> bool {
        !self.guards(Load::of(self.load.get(), now), numbers, now)
    }

    /// Whether the load is high, or was so lately.
    #[inline(always)]
    fn guards(&self, load: Load, numbers: &Numbers, now: u64) -> bool {
        let until = self.guarding.get();
        // A time that lies further ahead than any cool-off is of a clock that went back.
        load.is_high(numbers) || until.saturating_sub(now).wrapping_sub(1) < numbers.cool_off_ns
    }

    /// How many may be in flight, for whom it takes a place by the same number: 2 or more; all while the load is low. **Hot.**
    #[inline]
    pub fn most(&self, numbers: &Numbers, now: u64) -> u64 {
        let load = Load::of(self.load.get(), now);
        if !self.guards(load, numbers, now) {
            return u64::MAX;
        }
        match bears(self.capacity.get(), load.gain(numbers)) {
            0 => u64::MAX,
            bears => bears.max(2),
        }
    }

    /// Notes that a call was refused by that number.
    #[inline]
    pub fn refused(&self, numbers: &Numbers, now: u64) {
        self.guard(self.guarding.get(), now.saturating_add(numbers.cool_off_ns), numbers.cool_off_ns);
    }

    /// Guards until a later time, where that is later by an eighth of the cool-off or more.
    #[cold]
    fn guard(&self, seen: u64, until: u64, cool_off_ns: u64) {
        if until.abs_diff(seen) > cool_off_ns / 8 {
            let _ = replace(self.guarding, seen, until);
        }
    }

    /// Stores what the sampler saw. **Cold.**
    pub fn sampled(&self, load: Load, now: u64) {
        let _ = update(self.load, |_| Ok::<_, ()>((load.word(now), ())));
    }

    /// Turns the window when it is due and holds ten calls or more; `sum` adds up its samples, and is given its index. Tells what is borne in
    /// flight. Exactly one caller turns each window. **Cold**, no lock.
    pub fn turn(&self, numbers: &Numbers, now: u64, sum: impl FnOnce(u64) -> Sum) -> Option<u64> {
        let length = numbers.window_ns.clamp(window::SHORTEST_NS, window::LONGEST_NS);
        let lease = window::lease(self.window, now, length / 8)?;
        let (index, seen) = (lease.index(), self.capacity.get());
        let sum = sum(index);
        if sum.samples + sum.drops < 10 || !lease.turn(self.window, now, length) {
            return None;
        }
        if sum.drops <= sum.samples {
            self.keep(index, &sum, seen, now);
        }
        let bears = match self.borne(index) {
            0 if sum.drops > sum.samples => halved(seen >> 40, sum.peak),
            known => known,
        };
        let _ = replace(self.capacity, seen, bears << 40 | now >> 16 & BEGAN_MASK);
        Some(bears)
    }

    fn keep(&self, index: u64, sum: &Sum, seen: u64, now: u64) {
        // The first window of all began nobody knows when.
        let lasted = if seen == 0 { 0 } else { ((now >> 16).wrapping_sub(seen) & BEGAN_MASK) << 16 };
        if let Some(place) = self.ring.get(index as usize % RING) {
            let _ = update(place, |_| Ok::<_, ()>((bucket(index, sum, lasted), ())));
        }
    }

    /// The most calls a second, times the shortest mean duration, of the windows up to this one; rounded up.
    fn borne(&self, index: u64) -> u64 {
        let (mut most, mut shortest) = (0, FIELD_MASK);
        for word in self.ring.iter().map(Word::get) {
            let age = index.wrapping_sub(word >> 48) & 0xFFFF;
            let (rate, duration) = (word >> 24 & FIELD_MASK, word & FIELD_MASK);
            if age < RING as u64 && rate > 0 {
                most = most.max(rate);
                shortest = shortest.min(duration);
            }
        }
        ((most * shortest) << 10).div_ceil(1_000_000_000).min(FIELD_MASK)
    }
}

/// How many may be in flight; 0: unknown.
#[inline(always)]
fn bears(capacity: u64, gain: u64) -> u64 {
    ((capacity >> 40) * gain).div_ceil(1 << 10)
}

/// What is borne when of all windows that are looked back on most calls were dropped: half of what was borne, or else of
/// what was in flight. Such windows have no durations; to wait for others would leave the gate open in a collapse.
fn halved(bears: u64, peak: u64) -> u64 {
    let known = if bears > 0 { bears } else { peak.min(FIELD_MASK) };
    known.div_ceil(2)
}

/// The ring's word of a window; one that lasted nobody knows how long does not count.
fn bucket(index: u64, sum: &Sum, lasted_ns: u64) -> u64 {
    let is_known = (1..10 * window::LONGEST_NS).contains(&lasted_ns);
    let rate = u128::from(sum.samples) * 1_000_000_000 / u128::from(lasted_ns.max(1));
    let rate = if is_known { rate.min(u128::from(FIELD_MASK)) as u64 } else { 0 };
    let duration = sum.mean_ns().div_ceil(1 << 10).min(FIELD_MASK);
    (index & 0xFFFF) << 48 | rate << 24 | duration
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU64, Ordering::*};

    const MS: u64 = 1_000_000;
    const SECOND: u64 = 1000 * MS;

    #[derive(Default)]
    struct All {
        single: [AtomicU64; 4],
        ring: [AtomicU64; RING],
    }

    impl All {
        fn words(&self) -> Words<'_, AtomicU64> {
            let [load, guarding, window, capacity] = &self.single;
            Words { load, guarding, window, capacity, ring: &self.ring }
        }

        /// Three windows of a second, of so many calls of so many ms each.
        fn after(windows: [(u64, u64); 3]) -> (All, u64) {
            let all = All::default();
            let mut bears = 0;
            all.words().turn(&NUMBERS, SECOND, |_| sum(10, 1));
            for (window, (calls, ms)) in windows.into_iter().enumerate() {
                let now = (window as u64 * 2 + 3) * SECOND;
                bears = all.words().turn(&NUMBERS, now, |_| sum(2 * calls, ms)).unwrap();
            }
            (all, bears)
        }
    }

    const NUMBERS: Numbers = Numbers { cpu: 800, memory: 900, window_ns: SECOND, cool_off_ns: SECOND };

    fn sum(samples: u64, ms: u64) -> Sum {
        Sum { samples, drops: 0, total_ns: samples * ms * MS, peak: 9 }
    }

    #[test]
    fn bears_the_most_it_served_times_the_shortest_it_took() {
        let (_, bears) = All::after([(1000, 10), (2000, 50), (500, 90)]);
        assert!((20..=21).contains(&bears), "2000 a second, 10 ms: {bears}");
    }

    #[test]
    fn refuses_only_what_is_too_much_while_the_cpu_is_high() {
        let (all, bears) = All::after([(1000, 20); 3]);
        let (words, now) = (all.words(), 8 * SECOND);
        assert!(words.admits(&NUMBERS, 1_000_000, now), "no load known");
        words.sampled(Load { cpu: 800, memory: 900 }, now);
        assert!(words.admits(&NUMBERS, 1_000_000, now), "at its thresholds");
        words.sampled(Load { cpu: 801, memory: 0 }, now);
        assert!(words.admits(&NUMBERS, bears - 1, now) && !words.admits(&NUMBERS, bears, now));
        words.sampled(Load { cpu: 1000, memory: 0 }, now);
        let most = bears * 8 / 10;
        assert!(words.admits(&NUMBERS, most - 1, now) && !words.admits(&NUMBERS, most + 1, now), "less, the higher");
        words.sampled(Load { cpu: 1, memory: 901 }, now);
        assert!(!words.admits(&NUMBERS, bears, now), "memory counts too");
    }

    #[test]
    fn guards_on_for_a_while_and_bears_more_then() {
        let (all, bears) = All::after([(1000, 20); 3]);
        let (words, now) = (all.words(), 8 * SECOND);
        words.sampled(Load { cpu: 900, memory: 0 }, now);
        assert!(!words.admits(&NUMBERS, 100, now));
        words.sampled(Load { cpu: 400, memory: 0 }, now);
        assert!(words.admits(&NUMBERS, bears * 5 / 4 - 1, now + SECOND / 2));
        assert!(!words.admits(&NUMBERS, 100, now + SECOND / 2));
        assert!(!words.admits(&NUMBERS, 100, now + SECOND), "a second after the last refusal");
        assert!(words.admits(&NUMBERS, 100, now + 2 * SECOND + 1));
    }

    #[test]
    fn one_call_always_passes_and_an_unknown_capacity_refuses_nothing() {
        let all = All::default();
        all.words().sampled(Load { cpu: 1000, memory: 1000 }, SECOND);
        assert!(all.words().admits(&NUMBERS, 1_000_000, SECOND));
        let (all, _) = All::after([(10, 1); 3]);
        all.words().sampled(Load { cpu: 1000, memory: 1000 }, SECOND);
        assert!(all.words().admits(&NUMBERS, 1, SECOND) && !all.words().admits(&NUMBERS, 2, SECOND));
    }

    #[test]
    fn a_sampler_that_died_opens_the_gate() {
        let (all, bears) = All::after([(1000, 20); 3]);
        all.words().sampled(Load { cpu: 1000, memory: 0 }, SECOND);
        assert!(!all.words().admits(&NUMBERS, bears, SECOND + STALE_NS - SECOND));
        assert!(all.words().admits(&NUMBERS, bears, 2 * SECOND + STALE_NS));
    }

    #[test]
    fn a_clock_that_went_back_does_not_guard_for_ever() {
        let (all, bears) = All::after([(1000, 20); 3]);
        all.words().sampled(Load { cpu: 1000, memory: 0 }, 3600 * SECOND);
        assert!(!all.words().admits(&NUMBERS, bears, 3600 * SECOND));
        all.words().sampled(Load { cpu: 100, memory: 0 }, SECOND);
        assert!(all.words().admits(&NUMBERS, 1_000_000, SECOND));
    }

    #[test]
    fn a_collapse_in_which_nothing_succeeds_closes_the_gate() {
        let all = All::default();
        all.words().sampled(Load { cpu: 1000, memory: 0 }, SECOND);
        let dropped = Sum { samples: 0, drops: 100, total_ns: 0, peak: 1000 };
        let bears: Vec<_> = (1..4).map(|second| all.words().turn(&NUMBERS, second * 2 * SECOND, |_| dropped)).collect();
        assert_eq!(bears, [Some(500), Some(250), Some(125)]);
        assert!(!all.words().admits(&NUMBERS, 125, 2 * SECOND) && all.words().admits(&NUMBERS, 99, 2 * SECOND));
    }

    #[test]
    fn windows_of_long_ago_are_forgotten() {
        let (all, _) = All::after([(1000, 10); 3]);
        let mut bears = 0;
        for window in 0..RING as u64 {
            bears = all.words().turn(&NUMBERS, (20 + 2 * window) * SECOND, |_| sum(200, 10)).unwrap();
        }
        assert!(bears <= 2, "{bears}");
    }

    #[test]
    fn a_storm_turns_each_window_once() {
        let (all, clock) = (All::default(), AtomicU64::new(0));
        let turned: u64 = std::thread::scope(|scope| {
            let storm = || {
                let turn = |_| all.words().turn(&NUMBERS, clock.fetch_add(40 * MS, AcqRel), |_| sum(100, 5));
                (0..5_000).filter_map(turn).count() as u64
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(storm)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        let windows = window::index_of(all.single[2].load(Relaxed));
        assert!(turned == windows && windows > 500, "{turned} of {windows}");
    }

    proptest! {
        #[test]
        fn garbage_harms_nobody(words in any::<[u64; 4]>(), ring in any::<[u64; RING]>(), inflight in any::<u64>(), now in any::<u64>(), samples in any::<u64>()) {
            let all = All { single: words.map(AtomicU64::new), ring: ring.map(AtomicU64::new) };
            let sum = Sum { samples, drops: 0, total_ns: inflight, peak: 0 };
            all.words().turn(&NUMBERS, now, |_| sum);
            all.words().admits(&NUMBERS, inflight, now);
            prop_assert!(all.words().admits(&NUMBERS, 0, now));
        }
    }
}
