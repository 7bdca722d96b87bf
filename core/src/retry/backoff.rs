//! How long to wait before the next attempt.
//!
//! The names and forms are those of M. Brooker, "Exponential Backoff and Jitter" (AWS Architecture Blog, 2015). Waits are whole
//! nanoseconds, computed in integers from the wait before, so that every language comes to the same ones.

use crate::random::Draws;

/// Fractional bits of [`Growth::Exponential`]'s factor.
const FACTOR_BITS: u32 = 16;
/// The largest factor.
pub const MAX_FACTOR: f64 = 1000.0;

/// How waits grow from one retry to the next, before jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// Always `base`.
    Constant,
    /// `base`, 2 × `base`, 3 × `base` …
    Linear,
    /// `base`, `base` × factor, `base` × factor² … The factor in 2⁻¹⁶; make it with [`Growth::exponential`].
    Exponential(u32),
    /// Random between `base` and three times the wait before. It is its own jitter.
    Decorrelated,
}

impl Growth {
    /// Exponential growth by `factor`, from 1 to [`MAX_FACTOR`], kept to 2⁻¹⁶; None for others.
    pub fn exponential(factor: f64) -> Option<Growth> {
        let fits = (1.0..=MAX_FACTOR).contains(&factor);
        fits.then_some(Growth::Exponential((factor * f64::from(1u32 << FACTOR_BITS)).round() as u32))
    }
}

/// What chance does to a wait of `w`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Jitter {
    /// Nothing.
    None,
    /// Anything from 0 to `w`: spreads callers best, and waits half as long in the mean.
    #[default]
    Full,
    /// Anything from `w` / 2 to `w`.
    Equal,
}

/// A rule's numbers, ready for use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    growth: Growth,
    jitter: Jitter,
    base_ns: u64,
    max_ns: u64,
}

impl Backoff {
    /// Waits that begin at `base_ns` and never exceed `max_ns`.
    ///
    /// None when `max_ns` is under `base_ns`; when `base_ns` is 0 (try again at once) and there is something to
    /// grow or to spread; when [`Growth::Decorrelated`] is given another jitter than [`Jitter::None`]; when the factor is under 1.
    pub fn new(growth: Growth, jitter: Jitter, base_ns: u64, max_ns: u64) -> Option<Backoff> {
        let at_once = base_ns == 0 && growth == Growth::Constant && jitter == Jitter::None;
        let grows = !matches!(growth, Growth::Exponential(factor) if factor < 1 << FACTOR_BITS);
        let one_jitter = growth != Growth::Decorrelated || jitter == Jitter::None;
        let fits = (base_ns > 0 || at_once) && max_ns >= base_ns && grows && one_jitter;
        fits.then_some(Backoff { growth, jitter, base_ns, max_ns })
    }

    /// The wait before the next retry, and the step that it came from. `step_ns` is what the last call gave, 0 before the first.
    /// **Hot.** Overflow saturates at the longest wait.
    #[inline(always)]
    pub fn wait(&self, step_ns: u64, draws: &mut Draws) -> (u64, u64) {
        let step = self.step(step_ns, draws).min(self.max_ns);
        let wait = match self.jitter {
            Jitter::None => step,
            Jitter::Full => draws.between(0, step),
            Jitter::Equal => draws.between(step.div_ceil(2), step),
        };
        (wait, step)
    }

    /// As plain words, for a block in the segment.
    pub fn words(&self) -> [u64; 3] {
        let (kind, factor) = match self.growth {
            Growth::Constant => (0, 0),
            Growth::Linear => (1, 0),
            Growth::Exponential(factor) => (2, factor),
            Growth::Decorrelated => (3, 0),
        };
        [kind | (self.jitter as u64) << 8 | u64::from(factor) << 32, self.base_ns, self.max_ns]
    }

    /// From [`Backoff::words`]; garbage gives some backoff.
    #[inline(always)]
    pub fn of([kinds, base_ns, max_ns]: [u64; 3]) -> Backoff {
        let growth = match kinds & 3 {
            0 => Growth::Constant,
            1 => Growth::Linear,
            2 => Growth::Exponential((kinds >> 32) as u32),
            _ => Growth::Decorrelated,
        };
        let jitter = match kinds >> 8 & 3 {
            0 => Jitter::None,
            1 => Jitter::Full,
            _ => Jitter::Equal,
        };
        Backoff { growth, jitter, base_ns, max_ns }
    }

    #[inline(always)]
    fn step(&self, last: u64, draws: &mut Draws) -> u64 {
        match self.growth {
            Growth::Decorrelated => {
                draws.between(self.base_ns, last.max(self.base_ns).saturating_mul(3).min(self.max_ns))
            }
            Growth::Constant => self.base_ns,
            _ if last == 0 => self.base_ns,
            Growth::Linear => last.saturating_add(self.base_ns),
            Growth::Exponential(factor) => {
                let next = (u128::from(last) * u128::from(factor)) >> FACTOR_BITS;
                u64::try_from(next).unwrap_or(u64::MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    fn waits(backoff: Backoff, seed: u64, count: usize) -> Vec<u64> {
        let (mut draws, mut step) = (Draws(seed), 0);
        let mut next = || {
            let (wait, grown) = backoff.wait(step, &mut draws);
            step = grown;
            wait
        };
        (0..count).map(|_| next()).collect()
    }

    fn plain(growth: Growth, base: u64, max: u64) -> Backoff {
        Backoff::new(growth, Jitter::None, base, max).unwrap()
    }

    #[test]
    fn grows_as_its_name_says() {
        let double = Growth::exponential(2.0).unwrap();
        let half_more = Growth::exponential(1.5).unwrap();
        assert_eq!(waits(plain(Growth::Constant, 5, 9), 0, 3), [5, 5, 5]);
        assert_eq!(waits(plain(Growth::Linear, 5, 12), 0, 4), [5, 10, 12, 12]);
        assert_eq!(waits(plain(double, 50, 300), 0, 5), [50, 100, 200, 300, 300]);
        assert_eq!(waits(plain(half_more, 500, 9999), 0, 3), [500, 750, 1125]);
        assert_eq!(waits(plain(Growth::Constant, 0, 0), 0, 2), [0, 0], "at once");
    }

    #[test]
    fn contradictions_are_refused() {
        let double = Growth::exponential(2.0).unwrap();
        assert_eq!(Backoff::new(double, Jitter::None, 10, 9), None, "max under base");
        assert_eq!(Backoff::new(double, Jitter::None, 0, 9), None, "nothing to grow from");
        assert_eq!(Backoff::new(Growth::Constant, Jitter::Full, 0, 9), None, "nothing to spread");
        assert_eq!(Backoff::new(Growth::Decorrelated, Jitter::Full, 1, 9), None, "two jitters");
        assert_eq!(Backoff::new(Growth::Exponential(1), Jitter::None, 1, 9), None, "shrinks");
        for factor in [0.999, 0.0, -2.0, f64::NAN, f64::INFINITY, 1000.1] {
            assert_eq!(Growth::exponential(factor), None, "{factor}");
        }
    }

    #[test]
    fn overflow_saturates() {
        let top = Growth::exponential(MAX_FACTOR).unwrap();
        for growth in [Growth::Constant, Growth::Linear, top, Growth::Decorrelated] {
            let backoff = plain(growth, u64::MAX - 1, u64::MAX);
            assert!(waits(backoff, 3, 9).iter().all(|&wait| wait >= u64::MAX - 1), "{growth:?}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_waits() {
        let full = Backoff::new(Growth::exponential(2.0).unwrap(), Jitter::Full, 50 * MS, 2000 * MS).unwrap();
        assert_eq!(waits(full, 42, 4), waits(full, 42, 4));
        assert_ne!(waits(full, 42, 4), waits(full, 43, 4));
    }

    #[test]
    fn full_jitter_waits_half_as_long_in_the_mean() {
        for (jitter, share) in [(Jitter::Full, 0.5), (Jitter::Equal, 0.75)] {
            let backoff = Backoff::new(Growth::Constant, jitter, 1000 * MS, 1000 * MS).unwrap();
            let mean = waits(backoff, 1, 100_000).iter().map(|&wait| wait as f64).sum::<f64>() / 1e5;
            assert!((mean / (1000 * MS) as f64 - share).abs() < 0.003, "{jitter:?}: {mean}");
        }
    }

    proptest! {
        #[test]
        fn stays_within_its_bounds(
            growth in prop_oneof![
                Just(Growth::Constant), Just(Growth::Linear), Just(Growth::Decorrelated),
                (1.0f64..1000.0).prop_map(|factor| Growth::exponential(factor).unwrap()),
            ],
            jitter in prop_oneof![Just(Jitter::None), Just(Jitter::Full), Just(Jitter::Equal)],
            base in 1u64.., over: u64, seed: u64,
        ) {
            let max = base.saturating_add(over);
            let jitter = if growth == Growth::Decorrelated { Jitter::None } else { jitter };
            let backoff = Backoff::new(growth, jitter, base, max).unwrap();
            prop_assert_eq!(Backoff::of(backoff.words()), backoff);
            let least = match jitter { Jitter::None => base, Jitter::Full => 0, Jitter::Equal => base / 2 };
            for wait in waits(backoff, seed, 20) {
                prop_assert!(wait >= least && wait <= max, "{} of {}..{}", wait, base, max);
            }
        }

        #[test]
        fn garbage_gives_waits_too(words: [u64; 3], seed: u64) {
            let backoff = Backoff::of(words);
            prop_assert!(waits(backoff, seed, 9).iter().all(|&wait| wait <= backoff.max_ns));
        }

        #[test]
        fn exponential_agrees_with_powers(base in 1u64..1_000_000_000, factor in 1u32..5, max in 1u64 << 30..1 << 62) {
            let growth = Growth::exponential(f64::from(factor)).unwrap();
            for (n, wait) in waits(plain(growth, base, max), 0, 30).into_iter().enumerate() {
                let exact = u128::from(base) * u128::from(factor).pow(n as u32);
                prop_assert_eq!(u128::from(wait), exact.min(u128::from(max)));
            }
        }

        #[test]
        fn decorrelated_grows_at_most_threefold(base in 1u64..1 << 40, seed: u64) {
            let mut last = base;
            for wait in waits(plain(Growth::Decorrelated, base, u64::MAX), seed, 20) {
                prop_assert!(wait >= base && wait <= last.saturating_mul(3));
                last = wait;
            }
        }
    }
}
