//! The words of an adaptive limit, and how a window's sum reaches them.
//!
//! | word | bits |
//! |---|---|
//! | window | see [`super::window`] |
//! | limit | window's index (16) \| limit for critical calls (24) \| for all others (24) |
//! | memory | limit as f32 (32) \| phase (2) \| windows since the last probe (14) \| window's index (16) |
//! | round trip | baseline (32) \| recent (32), each in 2⁵ ns, up to 137 s |
//! | priority | see [`super::shed`] |
//!
//! All are 0 to begin with. The hot path reads the window, the limit, the round trip and the priority. Who turned a window
//! replaces memory, round trip and limit as it saw them before it turned; when it was so slow that a later window's caller
//! has been there, its compare-and-swap fails and what it computed is dropped. Garbage in a word is brought
//! back into range when it is read.

use super::adapt::{Numbers, Phase, State};
use super::sample::{CLIP, Sum};
use super::{shed, window};
use crate::word::{Word, replace};

const LIMIT_MASK: u64 = (1 << 24) - 1;
const WAITED_MASK: u64 = (1 << 14) - 1;
/// Nanoseconds of a unit of a round trip, as a power of two.
const UNIT_BITS: u32 = 5;
/// A window of a limit that does not adapt, in ns.
const CEILINGS_NS: u64 = 100_000_000;

/// The words, on one cache line in the segment.
#[derive(Debug)]
pub struct Words<'a, W> {
    /// Which window it is and when it is due.
    pub window: &'a W,
    /// The limit in force.
    pub limit: &'a W,
    /// What is kept of it.
    pub memory: &'a W,
    /// Baseline and recent round trip.
    pub round_trip: &'a W,
    /// The ceilings of the classes.
    pub priority: &'a W,
}

/// A limit word taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InForce {
    /// For critical calls.
    pub critical: u32,
    /// For all others.
    pub others: u32,
}

impl InForce {
    /// Reads a word; one that nobody wrote yet says `initial`. Each limit is 1 or more. **Hot.**
    #[inline(always)]
    pub fn of(word: u64, initial: u32) -> InForce {
        let limit = |bits: u64| if bits == 0 { initial.max(1) } else { bits as u32 };
        InForce { critical: limit(word >> 24 & LIMIT_MASK), others: limit(word & LIMIT_MASK) }
    }

    fn word(self, index: u64) -> u64 {
        index << 48 | (u64::from(self.critical) & LIMIT_MASK) << 24 | u64::from(self.others) & LIMIT_MASK
    }
}

/// A round-trip word taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RoundTrip {
    /// Without a queue, in ns; 0: unknown.
    pub baseline_ns: u64,
    /// At present, in ns; 0: unknown.
    pub recent_ns: u64,
}

impl RoundTrip {
    /// Reads a word.
    pub const fn of(word: u64) -> RoundTrip {
        RoundTrip { baseline_ns: word >> 32 << UNIT_BITS, recent_ns: (word & 0xFFFF_FFFF) << UNIT_BITS }
    }

    /// Writes it. What is known stays known: 1 ns is a unit.
    pub fn word(self) -> u64 {
        let bits = |ns: u64| ns.div_ceil(1 << UNIT_BITS).min(0xFFFF_FFFF);
        bits(self.baseline_ns) << 32 | bits(self.recent_ns)
    }

    /// What a sample counts for at most, in ns, by a round-trip word. **Hot.**
    #[inline(always)]
    pub const fn clip_ns(word: u64) -> u64 {
        match word & 0xFFFF_FFFF {
            0 => u64::MAX >> 20,
            recent => (recent << UNIT_BITS) * CLIP,
        }
    }
}

impl State {
    /// Reads memory and round trip; where nobody wrote yet, what the rule begins with.
    fn of(memory: u64, round_trip: u64, numbers: &Numbers) -> State {
        let round_trip = RoundTrip::of(round_trip);
        let limit = match memory >> 32 {
            0 => f64::from(numbers.initial),
            bits => f64::from(f32::from_bits(bits as u32)),
        };
        State {
            limit: numbers.clamp(limit),
            phase: match memory >> 30 & 3 {
                1 => Phase::Draining,
                2 => Phase::Measuring,
                _ => Phase::Steady,
            },
            waited: (memory >> 16 & WAITED_MASK) as u32,
            baseline_ns: round_trip.baseline_ns as f64,
            recent_ns: round_trip.recent_ns as f64,
        }
    }

    fn memory(&self, index: u64) -> u64 {
        let limit = u64::from((self.limit as f32).to_bits());
        let waited = u64::from(self.waited).min(WAITED_MASK);
        limit << 32 | (self.phase as u64) << 30 | waited << 16 | index & 0xFFFF
    }

    fn round_trip(&self) -> RoundTrip {
        RoundTrip { baseline_ns: self.baseline_ns as u64, recent_ns: self.recent_ns as u64 }
    }
}

/// A window that this caller turned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turned {
    /// Its index.
    pub index: u64,
    /// What it held.
    pub sum: Sum,
    /// What became of the limit.
    pub state: State,
}

impl<W: Word> Words<'_, W> {
    /// What is kept, as it stands. **Cold.**
    pub fn state(&self, numbers: &Numbers) -> State {
        State::of(self.memory.get(), self.round_trip.get(), numbers)
    }

    /// Turns the window when it is due and holds enough: to be called after an exit that finds [`window::is_due`].
    /// `sum` adds up the slots' samples of a window's index. Exactly one caller turns each window. **Cold**, no lock.
    pub fn turn(&self, numbers: &Numbers, now: u64, sum: impl FnOnce(u64) -> Sum) -> Option<Turned> {
        let length = numbers.window_ns.clamp(window::SHORTEST_NS, window::LONGEST_NS);
        let lease = window::lease(self.window, now, length / 8)?;
        let (memory, round_trip, limit) = (self.memory.get(), self.round_trip.get(), self.limit.get());
        let (index, before) = (lease.index(), State::of(memory, round_trip, numbers));
        let sum = sum(index);
        if !numbers.suffices(&sum, before.limit) {
            return None;
        }
        let state = before.next(numbers, &sum);
        let wait = length.max(2 * state.recent_ns as u64);
        if !lease.turn(self.window, now, wait) {
            return None;
        }
        let spared = shed::turn(self.priority);
        let others = state.in_force(numbers, false);
        let critical = match spared {
            true => lagging(InForce::of(limit, numbers.initial).critical, state.in_force(numbers, true), numbers),
            false => others,
        };
        let in_force = InForce { critical, others };
        let _ = replace(self.memory, memory, state.memory(index))
            && replace(self.round_trip, round_trip, state.round_trip().word())
            && replace(self.limit, limit, in_force.word(index));
        Some(Turned { index, sum, state })
    }

    /// Turns the window of a limit that does not adapt and sheds: only the ceilings are looked at. **Cold.**
    pub fn turn_ceilings(&self, now: u64) {
        let lease = window::lease(self.window, now, CEILINGS_NS / 8);
        if lease.is_some_and(|lease| lease.turn(self.window, now, CEILINGS_NS)) {
            shed::turn(self.priority);
        }
    }

    /// Brings the limit into the range of new numbers, and keeps it where it is in it. To be called when the rules
    /// change. **Cold.**
    pub fn fit(&self, numbers: &Numbers) {
        loop {
            let (memory, limit) = (self.memory.get(), self.limit.get());
            let state = State::of(memory, self.round_trip.get(), numbers);
            let seen = InForce::of(limit, numbers.initial);
            let fit = |limit: u32| numbers.clamp(f64::from(limit)) as u32;
            let in_force = InForce { critical: fit(seen.critical), others: fit(seen.others) };
            if replace(self.memory, memory, state.memory(memory))
                && replace(self.limit, limit, in_force.word(limit >> 48))
            {
                return;
            }
        }
    }
}

/// A limit for critical calls that falls by no more than a twentieth a window: while others are there, they make the
/// room. Where it fell at once, the critical calls would be refused until what is in flight has ended.
fn lagging(before: u32, now: u32, numbers: &Numbers) -> u32 {
    now.max(numbers.clamp(f64::from(before) * 0.95) as u32)
}

#[cfg(test)]
mod tests {
    use super::super::adapt::Algorithm;
    use super::super::sample::{self, Sample};
    use super::*;
    use crate::guard::Outcome;
    use crate::slot::lane::Own;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU64, Ordering::*};

    const MS: u64 = 1_000_000;

    fn numbers() -> Numbers {
        Numbers { window_ns: 10 * MS, ..Numbers::new(Algorithm::Gradient2(Default::default())) }
    }

    fn words(all: &[AtomicU64; 5]) -> Words<'_, AtomicU64> {
        let [window, limit, memory, round_trip, priority] = all;
        Words { window, limit, memory, round_trip, priority }
    }

    fn good(peak: u64) -> Sum {
        Sum { samples: 100, drops: 0, total_ns: 100 * MS, peak }
    }

    fn limit_of(words: &Words<AtomicU64>) -> u32 {
        InForce::of(words.limit.load(Relaxed), 20).others
    }

    #[test]
    fn a_window_moves_the_limit_and_one_with_too_few_calls_waits() {
        let all = Default::default();
        let words = words(&all);
        let few = Sum { samples: 19, ..good(20) };
        assert_eq!(words.turn(&numbers(), 50 * MS, |_| few), None);
        assert_eq!(words.turn(&numbers(), 50 * MS, |_| panic!("leased")), None);
        let turned = words.turn(&numbers(), 60 * MS, |_| good(20)).unwrap();
        assert_eq!((turned.index, limit_of(&words)), (0, 20), "20.9 as yet");
        let turned = words.turn(&numbers(), 80 * MS, |_| good(20)).unwrap();
        assert_eq!((turned.index, limit_of(&words)), (1, 21));
    }

    #[test]
    fn a_window_lasts_two_round_trips_at_least() {
        let all = Default::default();
        let words = words(&all);
        let slow = Sum { total_ns: 100 * 500 * MS, ..good(20) };
        words.turn(&numbers(), MS, |_| slow).unwrap();
        assert_eq!(words.turn(&numbers(), 990 * MS, |_| panic!("not due")), None);
        assert!(words.turn(&numbers(), 1100 * MS, |_| slow).is_some());
    }

    #[test]
    fn new_numbers_keep_the_limit_within_their_range() {
        let all = Default::default();
        let words = words(&all);
        words.turn(&numbers(), MS, |_| good(20)).unwrap();
        for (min, max, kept) in [(1, 1000, 20), (1, 10, 10), (15, 1000, 15)] {
            let numbers = Numbers { min, max, initial: 500, ..numbers() };
            words.fit(&numbers);
            assert_eq!((limit_of(&words), words.state(&numbers).limit as u32), (kept, kept));
        }
    }

    #[test]
    fn for_critical_calls_a_limit_falls_slowly_while_there_are_others() {
        let all = Default::default();
        let words = words(&all);
        let dropped = Sum { drops: 100, ..good(20) };
        for (second, (critical, others)) in [(19, 18), (18, 16), (14, 14)].into_iter().enumerate() {
            if second < 2 {
                shed::note(words.priority, crate::Criticality::Sheddable, true);
            }
            words.turn(&numbers(), (1 + second as u64) * 1000 * MS, |_| dropped).unwrap();
            assert_eq!(InForce::of(words.limit.get(), 20), InForce { critical, others });
        }
    }

    #[test]
    fn who_turned_a_window_long_ago_overwrites_nothing() {
        let all = Default::default();
        let words = words(&all);
        let before = words.memory.get();
        words.turn(&numbers(), MS, |_| good(20)).unwrap();
        assert!(!replace(words.memory, before, 1));
    }

    #[test]
    fn a_storm_turns_each_window_once_and_keeps_the_limit_in_its_range() {
        let all: [AtomicU64; 5] = Default::default();
        let lanes: [[AtomicU64; 4]; 8] = Default::default();
        let (clock, numbers) = (AtomicU64::new(0), Numbers { max: 300, ..numbers() });
        let sum = |index| {
            let mut sum = Sum::default();
            lanes.iter().for_each(|lane| sample::add_up(lane.first_chunk().unwrap(), index, &mut sum));
            sum
        };
        let storm = |lane: &[AtomicU64; 4]| {
            let mut turned = vec![];
            for call in 0..20_000 {
                let now = clock.fetch_add(MS / 16, AcqRel);
                let word = all[0].load(Relaxed);
                let outcome = if call % 97 == 0 { Outcome::Timeout } else { Outcome::Success };
                let sample = Sample { outcome, duration_ns: MS + call % 7, inflight: 200 };
                sample::count(Own::new(lane), 0, window::index_of(word), all[3].load(Relaxed), &sample);
                if window::is_due(word, now) {
                    turned.extend(words(&all).turn(&numbers, now, sum));
                }
                assert!((1..=300).contains(&limit_of(&words(&all))));
            }
            turned
        };
        let turned: Vec<Turned> = std::thread::scope(|scope| {
            let threads: Vec<_> = lanes.iter().map(|lane| scope.spawn(|| storm(lane))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let mut indices: Vec<u64> = turned.iter().map(|turned| turned.index).collect();
        indices.sort_unstable();
        assert_eq!(indices, (0..window::index_of(all[0].load(Relaxed))).collect::<Vec<_>>());
        assert!(indices.len() > 100 && limit_of(&words(&all)) > 100, "{} windows", indices.len());
        let calls: u64 = turned.iter().map(|turned| turned.sum.samples + turned.sum.drops).sum();
        assert!(calls <= 8 * 20_000, "none counted twice");
    }

    proptest! {
        #[test]
        fn garbage_in_the_words_is_brought_into_range(garbage in any::<[u64; 5]>(), now in any::<u64>(), peak in any::<u64>()) {
            let all = garbage.map(AtomicU64::new);
            let words = words(&all);
            let later = now.saturating_add(2 * window::LONGEST_NS);
            words.turn(&numbers(), now, |_| good(peak));
            prop_assert!(words.turn(&numbers(), later, |_| good(peak)).is_some() || later == u64::MAX);
            let state = words.state(&numbers());
            prop_assert!((1.0..=1000.0).contains(&state.limit) && state.baseline_ns.is_finite() && state.recent_ns.is_finite());
            words.fit(&numbers());
            prop_assert!((1..=1000).contains(&limit_of(&words)));
        }

        #[test]
        fn a_state_is_kept(limit in 1.0f64..16e6, phase in 0usize..3, waited in 0u32..1 << 14, baseline in 0u64..137_000_000_000, recent in 0u64..137_000_000_000) {
            let phase = [Phase::Steady, Phase::Draining, Phase::Measuring][phase];
            let state = State { limit, phase, waited, baseline_ns: baseline as f64, recent_ns: recent as f64 };
            let wide = Numbers { max: 16_000_000, ..numbers() };
            let read = State::of(state.memory(7), state.round_trip().word(), &wide);
            prop_assert_eq!((read.phase, read.waited), (phase, waited));
            prop_assert!((read.limit / limit - 1.0).abs() < 1e-6);
            prop_assert!(read.baseline_ns - state.baseline_ns < 32.0 && read.baseline_ns >= state.baseline_ns);
            prop_assert_eq!(read.recent_ns == 0.0, recent == 0);
        }
    }
}
