//! A rule's numbers for one key: how its bucket fills, in ticks of its own.
//!
//! A bucket is [`Pace::burst`] tokens deep and a token is a whole number of ticks, so that costs do not round:
//! 2²⁶ to 2²⁷ ticks fill an empty bucket. (Of more than 2²⁷ tokens several share a tick, and a cost rounds up to whole
//! ticks: by less than burst / 2²⁷ tokens a call.) Two roundings remain. Time is read in whole ticks, so a call may
//! be admitted up to one tick, 2⁻²⁶ of the time to fill, before an exact clock would; this does not add up over
//! calls. And the rate is rounded down by less than one part in 2⁴⁹.

/// The most ticks that fill a bucket.
pub(super) const MAX_FILL: u64 = 1 << 27;
/// The longest time to fill an empty bucket, in nanoseconds: nine years.
const LONGEST: f64 = (1u64 << 58) as f64;
/// The deepest bucket.
const DEEPEST: u64 = 1 << 36;

/// How nanoseconds become ticks: all that a word of earlier numbers needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticking {
    /// Ticks a nanosecond, times 2^shift; 0: not known.
    rate: u64,
    shift: u32,
    /// Ticks that fill an empty bucket.
    pub(super) fill: u32,
}

/// The numbers of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    pub(super) ticking: Ticking,
    /// Ticks a token; 0: less than one.
    unit: u64,
    /// The same, rounded up.
    one: i32,
    fill_ns: u64,
    burst: u64,
}

impl Ticking {
    /// Of numbers that nobody knows any more.
    pub(super) const UNKNOWN: Ticking = Ticking { rate: 0, shift: 0, fill: 1 };

    /// Whether the numbers are known.
    pub(super) fn known(&self) -> bool {
        self.rate != 0
    }

    /// The tick of a time (ns), modulo 2⁶⁴.
    #[inline(always)]
    pub(super) fn tick(&self, now: u64) -> u64 {
        ((u128::from(now) * u128::from(self.rate)) >> self.shift) as u64
    }
}

impl Pace {
    /// The pace of a bucket that gains `limit` tokens in `per_ns` and holds `burst`. None when one of them is zero, the
    /// burst is over 2³⁶, or filling an empty bucket takes under a nanosecond or over nine years.
    pub fn new(limit: f64, per_ns: u64, burst: u64) -> Option<Pace> {
        let fill_ns = burst as f64 * per_ns as f64 / limit;
        if !(limit > 0.0 && (1.0..=LONGEST).contains(&fill_ns) && burst <= DEEPEST) {
            return None;
        }
        let unit = MAX_FILL / burst;
        let fill = if unit == 0 { MAX_FILL } else { unit * burst };
        let (rate, shift) = fixed(fill as f64 / fill_ns);
        let ticking = Ticking { rate, shift, fill: fill as u32 };
        Some(Pace { ticking, unit, one: unit.max(1) as i32, fill_ns: fill_ns.ceil() as u64, burst })
    }

    /// How many tokens a full bucket holds.
    pub fn burst(&self) -> u64 {
        self.burst
    }

    /// The ticks of one token, rounded up.
    #[inline(always)]
    pub(super) fn one(&self) -> i32 {
        self.one
    }

    /// The ticks that `cost` tokens take, rounded up; None for more than a bucket holds.
    #[inline(always)]
    pub(super) fn cost(&self, cost: u64) -> Option<i32> {
        if cost > self.burst {
            return None;
        }
        let ticks = if self.unit > 0 { cost * self.unit } else { (cost * MAX_FILL).div_ceil(self.burst) };
        Some(ticks as i32)
    }

    /// The whole tokens that so many ticks are.
    pub(super) fn tokens(&self, ticks: i32) -> u64 {
        let exact = u128::from(ticks.max(0) as u32) * u128::from(self.burst) / u128::from(self.ticking.fill);
        exact as u64
    }

    /// The nanoseconds after which so many ticks have surely passed.
    pub(super) fn wait(&self, ticks: i32) -> u64 {
        let ns = u128::from(ticks.max(0) as u32) * u128::from(self.fill_ns) / u128::from(self.ticking.fill);
        // The rate is rounded down, the division as well.
        let ns = u64::try_from(ns).unwrap_or(u64::MAX);
        ns.saturating_add(ns >> 48).saturating_add(2)
    }
}

/// A positive number as mantissa (63 bits, rounded down) and shift.
fn fixed(number: f64) -> (u64, u32) {
    // A little less than what comes out, so that the roundings of floating point never make a rate larger.
    let number = number * (1.0 - f64::EPSILON * 4.0);
    let shift = (62 - number.log2().floor() as i32).clamp(0, 127);
    ((number * f64::from(shift).exp2()) as u64, shift as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn refuses_what_no_bucket_can_be() {
        for (limit, per, burst) in
            [(0.0, 1, 1), (-1.0, 1, 1), (f64::NAN, 1, 1), (1.0, 0, 1), (1.0, 1, 0), (1e9, 1, 1), (1e-9, SECOND, 1)]
        {
            assert_eq!(Pace::new(limit, per, burst), None, "{limit} in {per}, {burst}");
        }
        assert_eq!(Pace::new(1.0, SECOND, DEEPEST + 1), None);
        assert_eq!(Pace::new(f64::INFINITY, SECOND, 1), None);
    }

    proptest! {
        #[test]
        fn a_burst_of_single_tokens_is_exactly_a_bucket(burst in 1u64..=MAX_FILL) {
            let pace = Pace::new(1000.0, SECOND, burst).unwrap();
            prop_assert_eq!(pace.cost(1).unwrap() as u64 * burst, u64::from(pace.ticking.fill));
            prop_assert_eq!(pace.cost(burst).unwrap() as u32, pace.ticking.fill);
            prop_assert_eq!(pace.cost(burst + 1), None);
            prop_assert!(pace.ticking.fill > 1 << 26 && u64::from(pace.ticking.fill) <= MAX_FILL);
        }

        #[test]
        fn of_a_deep_bucket_a_cost_rounds_up(burst in MAX_FILL..DEEPEST, cost in 1u64..DEEPEST) {
            let (pace, cost) = (Pace::new(1e9, SECOND, burst).unwrap(), cost.min(burst));
            let exact = cost as f64 * MAX_FILL as f64 / burst as f64;
            let told = f64::from(pace.cost(cost).unwrap());
            prop_assert!(told >= exact - 0.001 && told < exact + 1.001, "{} for {}", told, exact);
        }

        #[test]
        fn a_wait_is_long_enough_and_hardly_longer(limit in 1u64..1_000_000, burst in 1u64..10_000, ticks in 1i32..1 << 26, now in 0u64..1 << 60) {
            let pace = Pace::new(limit as f64, SECOND, burst).unwrap();
            let passed = |ns| pace.ticking.tick(now + ns) - pace.ticking.tick(now);
            let wait = pace.wait(ticks);
            prop_assert!(passed(wait) >= ticks as u64);
            let less = wait.saturating_sub(4 + wait / 1_000_000);
            prop_assert!(passed(less) <= ticks as u64);
        }
    }
}
