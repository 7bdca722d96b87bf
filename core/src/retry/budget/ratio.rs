//! A budget as a share of first attempts, with a floor per second: the idea is that of Finagle's `RetryBudget`.
//!
//! The mathematics: the store holds L retries and begins with F = `min_per_sec` × `window`. A first attempt adds `ratio` to it, a
//! retry takes 1 and is refused where less is left (or less than its class must leave). Time moves L towards F, by ticks of
//! window / 256:
//!
//! - under F it gains F / 256 a tick, which is `min_per_sec`, and stops at F;
//! - over F what exceeds it is multiplied by 255/256 each tick: a deposit's mean life is `window`.
//!
//! So in any time T no more retries are made than L + `ratio` × first attempts + `min_per_sec` × T, under steady demand just
//! as many; and with r first attempts a second and no retries the store comes to rest at (`min_per_sec` + `ratio` × r) × `window`.
//!
//! What differs from Finagle: there a deposit lives for exactly the window and then goes at once, and so does a withdrawal, which
//! needs a list of buckets and reads their sum before it writes, so that callers at the same moment overdraw it. The
//! balance at rest and the sustained rate of retries are the same; one word makes it exact under any interleaving.
//!
//! The word: L in 2⁻¹² retries (36 bits: 16.7 million retries, more saturates) | tick (24 bits, modulo 2²⁴: 65 536 windows) |
//! generation of the rule (4 bits). All rounding is down, by less than 2⁻¹² retries a tick.

use super::{Exhausted, GENERATION_BITS, GENERATION_MASK, Reserve, left_by};
use crate::guard::Criticality;
use crate::word::{Word, update};

/// One retry, in units of the word.
const ONE: u64 = 1 << 12;
const LEVEL_AT: u32 = 28;
const LEVEL_MAX: u64 = (1 << 36) - 1;
const TICK_MASK: u64 = (1 << 24) - 1;
/// Ticks of a window.
const TICKS: u64 = 256;
/// After so many ticks q^n is less than a unit of the largest level.
const FORGOTTEN: u64 = 1 << 13;
/// Fractional bits of a power of q.
const POWER_BITS: u32 = 60;
/// q^(2^k).
const POWERS: [u64; 13] = powers();

/// The longest window: an hour.
pub const MAX_WINDOW_NS: u64 = 3_600_000_000_000;
/// The shortest: a millisecond.
pub const MIN_WINDOW_NS: u64 = 1_000_000;

const fn powers() -> [u64; 13] {
    let mut powers = [(TICKS - 1) << (POWER_BITS - 8); 13];
    let mut k = 1;
    while k < 13 {
        powers[k] = ((powers[k - 1] as u128 * powers[k - 1] as u128) >> POWER_BITS) as u64;
        k += 1;
    }
    powers
}

/// A rule's numbers, ready for use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    /// What a first attempt adds, in units.
    deposit: u64,
    /// F / 256, in units: what flows in by a tick.
    flow: u64,
    /// 2⁶⁴ / tick in ns, rounded up.
    reciprocal: u64,
    reserve: [u64; 3],
    generation: u64,
}

impl Ratio {
    /// A budget of `ratio` retries for a first attempt (0 to 10, kept to 2⁻¹²), and `min_per_sec` besides (kept to 1/16 a window), both
    /// rounded down; deposits live `window_ns` in the mean. The reserve is of the floor; where there is one, it is at least one retry for each class above.
    ///
    /// None when a number is negative, not finite or too large for the word, when no retry would ever be paid for, when the
    /// window is not between [`MIN_WINDOW_NS`] and [`MAX_WINDOW_NS`], or the generation is not 1 to 15.
    pub fn new(ratio: f64, min_per_sec: f64, window_ns: u64, reserve: Reserve, generation: u64) -> Option<Ratio> {
        let floor = min_per_sec * window_ns as f64 / 1e9 * ONE as f64;
        let deposit = ratio * ONE as f64;
        let sound = (0.0..=10.0).contains(&ratio) && (0.0..=(LEVEL_MAX / 2) as f64).contains(&floor);
        let pays = deposit >= 1.0 || floor >= ONE as f64;
        let timed = (MIN_WINDOW_NS..=MAX_WINDOW_NS).contains(&window_ns) && (1..16).contains(&generation);
        if !(sound && pays && timed) {
            return None;
        }
        let flow = floor as u64 / TICKS;
        let tick = window_ns / TICKS;
        Some(Ratio {
            deposit: deposit as u64,
            flow,
            reciprocal: (u128::from(u64::MAX) / u128::from(tick) + 1) as u64,
            reserve: reserve_of(reserve, flow * TICKS)?,
            generation,
        })
    }

    /// A first attempt is made: the store gains its share. **Hot.**
    #[inline(always)]
    pub fn deposit<W: Word>(&self, word: &W, now: u64) -> Result<(), Exhausted> {
        self.change(word, now, |level| Ok(level + self.deposit))
    }

    /// Takes one retry. **Hot.** After time went back nothing flows in until it comes up again; see [`Ratio::rebase`].
    #[inline(always)]
    pub fn spend<W: Word>(&self, word: &W, class: Criticality, now: u64) -> Result<u32, Exhausted> {
        let kept = left_by(&self.reserve, class);
        self.change(word, now, |level| level.checked_sub(ONE).filter(|&left| left >= kept).ok_or(Exhausted::Empty))?;
        Ok(1)
    }

    /// Puts retries back that were taken and not made.
    pub fn give_back<W: Word>(&self, word: &W, retries: u32, now: u64) -> Result<(), Exhausted> {
        self.change(word, now, |level| Ok(level + u64::from(retries) * ONE))
    }

    /// How many retries a critical call could make now.
    pub fn retries_left(&self, seen: u64, now: u64) -> u64 {
        self.level(seen, now).map_or(0, |(level, _)| level / ONE)
    }

    /// Whether a word is of these numbers; one that nobody has touched is of any.
    pub fn owns(&self, word: u64) -> bool {
        matches!(word & GENERATION_MASK, generation if generation == self.generation || generation == 0)
    }

    /// The word for these numbers that holds as many retries as `seen` holds under `old`. Words of any other generation stay
    /// as they are.
    pub fn rescale(&self, old: &Ratio, seen: u64, now: u64) -> u64 {
        match old.level(seen, now) {
            Ok((level, _)) if seen & GENERATION_MASK != 0 => self.word(level, self.tick(now)),
            _ => seen,
        }
    }

    /// Brings a word to the present that was written at a later time, because time went back: what it holds, it keeps, and time goes
    /// on from here. `clock` is read after the word, or a late thread would let the floor flow in twice.
    pub fn rebase<W: Word>(&self, word: &W, clock: impl Fn() -> u64) {
        let (seen, now) = (word.get(), clock());
        if let (true, Ok((level, tick))) = (seen & GENERATION_MASK != 0, self.level(seen, now))
            && tick != self.tick(now)
        {
            // Failing means that another did it, or time went on.
            let _ = word.swap_if(seen, self.word(level, self.tick(now)));
        }
    }

    /// As plain words, for a block in the segment.
    pub(super) fn words(&self) -> [u64; 7] {
        let [default, _, sheddable] = self.reserve;
        [self.generation, self.deposit, self.flow, self.reciprocal, default, sheddable, 0]
    }

    /// From [`Ratio::words`]; garbage gives some ratio.
    #[inline(always)]
    pub(super) fn of([generation, deposit, flow, reciprocal, default, sheddable, _]: [u64; 7]) -> Ratio {
        Ratio {
            deposit: deposit & LEVEL_MAX,
            flow: flow & (LEVEL_MAX / TICKS),
            reciprocal,
            reserve: [default, 0, sheddable],
            generation: generation & GENERATION_MASK,
        }
    }

    #[inline(always)]
    fn change<W: Word>(
        &self,
        word: &W,
        now: u64,
        step: impl Fn(u64) -> Result<u64, Exhausted>,
    ) -> Result<(), Exhausted> {
        update(word, |seen| {
            let (level, tick) = self.level(seen, now)?;
            Ok((self.word(step(level)?, tick), ()))
        })
    }

    /// What the store holds at `now`, and as of which tick that is.
    #[inline(always)]
    fn level(&self, seen: u64, now: u64) -> Result<(u64, u64), Exhausted> {
        let tick = self.tick(now);
        match seen & GENERATION_MASK {
            0 => return Ok((self.floor(), tick)),
            generation if generation != self.generation => return Err(Exhausted::Stale),
            _ => {}
        }
        let (level, since) = (seen >> LEVEL_AT, seen >> GENERATION_BITS & TICK_MASK);
        match tick.wrapping_sub(since) & TICK_MASK {
            0 => Ok((level, tick)),
            // The caller is late, or time went back.
            passed if passed > TICK_MASK / 2 => Ok((level, since)),
            passed => Ok((self.drift(level, passed), tick)),
        }
    }

    /// The level after so many ticks, rounded down.
    fn drift(&self, level: u64, passed: u64) -> u64 {
        let floor = self.floor();
        match level.checked_sub(floor) {
            Some(over) => floor + scaled(over, remaining(passed)),
            None => floor.min(level + passed * self.flow),
        }
    }

    /// F, in units.
    #[inline(always)]
    fn floor(&self) -> u64 {
        self.flow * TICKS
    }

    /// Which tick it is, modulo 2²⁴.
    #[inline(always)]
    fn tick(&self, now: u64) -> u64 {
        ((u128::from(now) * u128::from(self.reciprocal)) >> 64) as u64 & TICK_MASK
    }

    #[inline(always)]
    fn word(&self, level: u64, tick: u64) -> u64 {
        level.min(LEVEL_MAX) << LEVEL_AT | tick << GENERATION_BITS | self.generation
    }
}

/// See [`Ratio::new`]: a step between two classes that no retry fits into would not be one.
fn reserve_of(reserve: Reserve, floor: u64) -> Option<[u64; 3]> {
    let [default, critical, sheddable] = reserve.of(floor)?;
    let at_least = |share: u32, part: u64| if share > 0 { part.max(ONE) } else { part };
    let kept = at_least(reserve.for_critical, default);
    Some([kept, critical, kept + at_least(reserve.for_default, sheddable - default)])
}

/// q^passed in 2⁻⁶⁰, rounded down.
fn remaining(passed: u64) -> u64 {
    if passed >= FORGOTTEN {
        return 0;
    }
    let bits = POWERS.iter().enumerate().filter(|(k, _)| passed >> k & 1 == 1);
    bits.fold(1 << POWER_BITS, |product, (_, &power)| scaled(product, power))
}

fn scaled(value: u64, share: u64) -> u64 {
    ((u128::from(value) * u128::from(share)) >> POWER_BITS) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use Criticality::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    const SECOND: u64 = 1_000_000_000;
    const START: u64 = 12_345_678_901;

    fn ratio(share: f64, min: f64) -> Ratio {
        Ratio::new(share, min, 10 * SECOND, Reserve::default(), 3).unwrap()
    }

    fn spent(rule: &Ratio, word: &AtomicU64, class: Criticality, now: u64) -> u64 {
        (0..1_000_000).take_while(|_| rule.spend(word, class, now).is_ok()).count() as u64
    }

    #[test]
    fn begins_with_the_floor_and_earns_its_share() {
        let (rule, word) = (ratio(0.25, 10.0), AtomicU64::new(0));
        assert_eq!(spent(&rule, &word, Default, START), 100);
        for _ in 0..400 {
            rule.deposit(&word, START).unwrap();
        }
        assert_eq!(spent(&rule, &word, Default, START), 100);
        assert_eq!(rule.spend(&word, Critical, START), Err(Exhausted::Empty));
    }

    #[test]
    fn the_floor_flows_in_by_time() {
        let (rule, word) = (ratio(0.0, 10.0), AtomicU64::new(0));
        spent(&rule, &word, Default, START);
        let tenths: u64 = (1..=50).map(|i| spent(&rule, &word, Default, START + i * SECOND / 10)).sum();
        assert!((49..=50).contains(&tenths), "{tenths}");
        let later = spent(&rule, &word, Default, START + 200 * SECOND);
        assert_eq!(later, 100, "full again");
    }

    #[test]
    fn deposits_expire() {
        let (rule, word) = (ratio(0.5, 0.0), AtomicU64::new(0));
        for _ in 0..2000 {
            rule.deposit(&word, START).unwrap();
        }
        let left = |after| rule.retries_left(word.load(Ordering::Relaxed), START + after);
        assert_eq!(left(0), 1000);
        let third = left(10 * SECOND);
        assert!((365..=370).contains(&third), "1/e after the window: {third}");
        assert_eq!(left(100 * SECOND), 0);
    }

    #[test]
    fn comes_to_rest_where_finagle_does() {
        let (rule, word) = (ratio(0.2, 10.0), AtomicU64::new(0));
        for now in (START..START + 100 * SECOND).step_by(SECOND as usize / 100) {
            rule.deposit(&word, now).unwrap();
        }
        let rest = rule.retries_left(word.load(Ordering::Relaxed), START + 100 * SECOND);
        assert!((297..=300).contains(&rest), "(0.2 × 100 + 10) × 10 s: {rest}");
    }

    #[test]
    fn critical_calls_spend_last() {
        let reserve = Reserve { for_critical: 200, for_default: 300 };
        let rule = Ratio::new(0.1, 10.0, 10 * SECOND, reserve, 1).unwrap();
        let word = AtomicU64::new(0);
        assert_eq!(spent(&rule, &word, Sheddable, START), 50);
        assert_eq!(spent(&rule, &word, Default, START), 30);
        assert_eq!(spent(&rule, &word, Critical, START), 20);
        let without_floor = Ratio::new(0.1, 0.0, 10 * SECOND, reserve, 1).unwrap();
        assert_eq!(without_floor.reserve, [ONE, 0, 2 * ONE], "a step of one retry at least");
    }

    #[test]
    fn contradictions_are_refused() {
        let new = |share, min, window| Ratio::new(share, min, window, Reserve::default(), 1);
        for (share, min) in [(-0.1, 1.0), (10.1, 1.0), (f64::NAN, 1.0), (0.1, -1.0), (0.1, f64::INFINITY), (0.0, 0.0)] {
            assert_eq!(new(share, min, 10 * SECOND), None, "{share} {min}");
        }
        assert_eq!(new(0.0001, 0.05, 10 * SECOND), None, "nothing would ever be paid for");
        assert_eq!(new(0.1, 1.0, MIN_WINDOW_NS - 1), None);
        assert_eq!(new(0.1, 1.0, MAX_WINDOW_NS + 1), None);
        assert_eq!(Ratio::new(0.1, 1.0, SECOND, Reserve { for_critical: 1001, for_default: 0 }, 1), None);
        assert_eq!(Ratio::new(0.1, 1.0, SECOND, Reserve::default(), 16), None);
    }

    #[test]
    fn the_level_saturates() {
        let rule = ratio(0.1, 0.0);
        let word = AtomicU64::new(rule.word(LEVEL_MAX, rule.tick(START)));
        rule.give_back(&word, u32::MAX, START).unwrap();
        assert_eq!(rule.retries_left(word.load(Ordering::Relaxed), START), LEVEL_MAX / ONE);
    }

    #[test]
    fn time_that_goes_back_gives_nothing_and_is_taken_up_again() {
        let (rule, word) = (ratio(0.1, 10.0), AtomicU64::new(0));
        let late = 3600 * SECOND;
        assert_eq!(spent(&rule, &word, Default, late), 100);
        assert_eq!(spent(&rule, &word, Default, late - 60 * SECOND), 0);
        assert_eq!(spent(&rule, &word, Default, late), 0, "a late caller turned no time back");
        rule.rebase(&word, || SECOND);
        assert_eq!(spent(&rule, &word, Default, SECOND), 0);
        assert!(spent(&rule, &word, Default, 2 * SECOND) >= 9, "flows in from there");
        let seen = word.load(Ordering::Relaxed);
        rule.rebase(&word, || 2 * SECOND);
        assert_eq!(word.load(Ordering::Relaxed), seen, "nothing to rebase");
    }

    #[test]
    fn the_end_of_time_is_like_any_other() {
        let (rule, word) = (ratio(0.5, 1.0), AtomicU64::new(0));
        assert_eq!(spent(&rule, &word, Default, u64::MAX - SECOND), 10);
        rule.deposit(&word, u64::MAX).unwrap();
        assert_eq!(spent(&rule, &word, Default, u64::MAX), 1);
    }

    #[test]
    fn a_change_keeps_the_store_and_fails_the_late() {
        let (old, word) = (ratio(0.1, 10.0), AtomicU64::new(0));
        old.spend(&word, Default, START).unwrap();
        let new = Ratio::new(0.5, 1.0, 20 * SECOND, Reserve::default(), 4).unwrap();
        let seen = word.load(Ordering::Relaxed);
        word.store(new.rescale(&old, seen, START), Ordering::Relaxed);
        assert_eq!(old.spend(&word, Default, START), Err(Exhausted::Stale));
        assert_eq!(old.deposit(&word, START), Err(Exhausted::Stale));
        assert_eq!(spent(&new, &word, Default, START), 99);
        assert_eq!(new.rescale(&old, 0, START), 0, "untouched stays so");
        assert!(new.owns(word.load(Ordering::Relaxed)) && !old.owns(word.load(Ordering::Relaxed)));
    }

    /// While time stands still the storm makes exactly as many retries as were there and earned.
    #[test]
    fn a_storm_spends_what_was_earned() {
        let (rule, word) = (ratio(0.25, 10.0), AtomicU64::new(0));
        let storm = || {
            let earn_and_spend = |_: &u32| {
                rule.deposit(&word, START).unwrap();
                rule.spend(&word, Default, START).is_ok()
            };
            (0..2000).filter(earn_and_spend).count() as u64
        };
        let made: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(storm)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(made + spent(&rule, &word, Default, START), 100 + 8000 / 4);
    }

    /// While it runs, no more than the mathematics, and with demand at all times no less but by rounding.
    #[test]
    fn a_storm_amid_running_time_keeps_to_the_mathematics() {
        let (rule, word, clock) = (ratio(0.25, 10.0), AtomicU64::new(0), AtomicU64::new(START));
        let storm = || {
            let earn_and_spend = |call: &u32| {
                let now = clock.fetch_add(SECOND / 1000, Ordering::Relaxed);
                if call.is_multiple_of(4) {
                    rule.deposit(&word, now).unwrap();
                }
                rule.spend(&word, Default, now).is_ok()
            };
            (0..4000).filter(earn_and_spend).count() as u64
        };
        let made: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(storm)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        // The floor, a quarter for each of 4000 first attempts, and ten a second for sixteen seconds.
        assert!((1256..=1260).contains(&made), "{made}");
    }

    fn drifted(level: f64, floor: f64, ticks: i32) -> f64 {
        if level < floor {
            floor.min(level + floor / 256.0 * f64::from(ticks))
        } else {
            floor + (level - floor) * (255.0f64 / 256.0).powi(ticks)
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_mathematics(
            share in 0.0f64..1.0, min in 1.0f64..100.0, window in 1u64..100,
            steps in prop::collection::vec((0u8..4, 0u64..3 * SECOND), 1..400),
        ) {
            let rule = Ratio::new(share, min, window * SECOND, Reserve::default(), 1).unwrap();
            let (word, mut now, mut last) = (AtomicU64::new(0), START, rule.tick(START));
            let (floor, deposit) = (rule.floor() as f64 / ONE as f64, (share * ONE as f64).floor() / ONE as f64);
            let (mut level, mut rounded) = (floor, 2.0);
            for (step, pause) in steps {
                now += if step == 3 { pause } else { pause / 1000 };
                let passed = (rule.tick(now) - last) as i32;
                last += passed as u64;
                level = drifted(level, floor, passed);
                rounded += 2.0;
                let slack = rounded / ONE as f64;
                if step % 2 == 0 {
                    rule.deposit(&word, now).unwrap();
                    level += deposit;
                } else if rule.spend(&word, Default, now).is_ok() {
                    prop_assert!(level >= 1.0 - 1e-6, "never more than the mathematics: {}", level);
                    level -= 1.0;
                } else {
                    prop_assert!(level < 1.0 + slack, "fewer only by rounding: {} {}", level, slack);
                }
            }
        }

        #[test]
        fn looking_often_rounds_down_only(level in 0u64..1 << 36, floor in 0.0f64..1e6, passed in 0u64..3000, parts in 1u64..50) {
            let rule = Ratio::new(0.1, floor, SECOND, Reserve::default(), 1).unwrap();
            let at_once = rule.drift(level, passed) as f64;
            let exact = drifted(level as f64, rule.floor() as f64, passed as i32);
            prop_assert!(at_once <= exact + 1e-3 && at_once >= exact - 3.0, "{} {}", at_once, exact);
            let mut often = level;
            for part in 0..parts {
                often = rule.drift(often, passed * (part + 1) / parts - passed * part / parts);
            }
            prop_assert!(often as f64 <= exact + 1e-3 && often as f64 >= exact - 3.0 * parts as f64);
        }
    }
}
