//! What the sum of a window means.

use super::transition::Reason;

/// Calls of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Sum {
    /// All that count.
    pub calls: u64,
    /// Of them failures, timeouts and overloads.
    pub bad: u64,
    /// Of them slow ones, bad or not.
    pub slow: u64,
}

impl Sum {
    /// The same with calls that are slow already and have not ended: see [`running`](super::running).
    pub fn with_running(self, slow: u64) -> Sum {
        Sum { calls: self.calls.saturating_add(slow), bad: self.bad, slow: self.slow.saturating_add(slow) }
    }
}

/// When a window is worth opening for: any of three criteria, each from a number of calls on. Zero switches one off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// Bad share in 32-bit fixed point (1 to 2³²).
    pub ratio: u64,
    /// Calls that a verdict on the bad share needs.
    pub min_calls: u64,
    /// Number of bad calls.
    pub count: u64,
    /// Calls that a verdict on their number needs.
    pub count_min_calls: u64,
    /// Slow share in 32-bit fixed point (1 to 2³²).
    pub slow_ratio: u64,
    /// Calls that a verdict on the slow share needs.
    pub slow_min_calls: u64,
}

/// What a sum means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Well.
    Good,
    /// Bad enough, but of too few calls: whoever ends next looks again.
    Undecided,
    /// Open, for this reason.
    Bad(Reason),
}

impl Threshold {
    /// Looks at nothing.
    pub const NONE: Threshold =
        Threshold { ratio: 0, min_calls: 0, count: 0, count_min_calls: 0, slow_ratio: 0, slow_min_calls: 0 };

    /// Whether a bad call may mean that it opens.
    pub fn looks_at_bad(&self) -> bool {
        self.ratio | self.count != 0
    }

    /// Whether a slow call may mean that it opens.
    pub fn looks_at_slow(&self) -> bool {
        self.slow_ratio != 0
    }

    /// Judges a sum: by number, by bad share, by slow share; the first that opens is the reason.
    pub fn judge(&self, sum: Sum) -> Verdict {
        let count = match self.count != 0 && sum.bad >= self.count {
            false => Verdict::Good,
            true if sum.calls >= self.count_min_calls => Verdict::Bad(Reason::ErrorCount),
            true => Verdict::Undecided,
        };
        let ratio = judge_share(sum.bad, sum.calls, self.ratio, self.min_calls, Reason::ErrorRatio);
        let slow = judge_share(sum.slow, sum.calls, self.slow_ratio, self.slow_min_calls, Reason::SlowRatio);
        count.or(ratio).or(slow)
    }
}

impl Verdict {
    fn or(self, other: Verdict) -> Verdict {
        match (self, other) {
            (Verdict::Bad(_), _) | (_, Verdict::Good) => self,
            _ => other,
        }
    }
}

/// A share of too few calls is undecided also where it is small yet: good calls may leave the window before the others.
fn judge_share(part: u64, calls: u64, ratio: u64, min_calls: u64, reason: Reason) -> Verdict {
    if ratio == 0 || part == 0 {
        return Verdict::Good;
    }
    let bad_enough = u128::from(part) << 32 >= u128::from(calls) * u128::from(ratio);
    match (bad_enough, calls >= min_calls) {
        (true, true) => Verdict::Bad(reason),
        (false, true) => Verdict::Good,
        (_, false) => Verdict::Undecided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(calls: u64, bad: u64, slow: u64) -> Sum {
        Sum { calls, bad, slow }
    }

    #[test]
    fn judges_shares_from_the_minimum_on() {
        let rule = Threshold { ratio: 1 << 31, min_calls: 10, ..Threshold::NONE };
        let bad = Verdict::Bad(Reason::ErrorRatio);
        assert_eq!(rule.judge(sum(9, 9, 0)), Verdict::Undecided);
        assert_eq!(rule.judge(sum(9, 0, 9)), Verdict::Good);
        assert_eq!(rule.judge(sum(10, 4, 10)), Verdict::Good);
        assert_eq!(rule.judge(sum(10, 5, 0)), bad);
        assert_eq!(Threshold { ratio: 0, min_calls: 1, ..Threshold::NONE }.judge(sum(10, 10, 10)), Verdict::Good);
        let all = Threshold { ratio: 1 << 32, min_calls: 2, ..Threshold::NONE };
        assert_eq!(all.judge(sum(2, 2, 0)), bad);
        assert_eq!(all.judge(sum(3, 2, 0)), Verdict::Good);
    }

    #[test]
    fn judges_the_number_of_bad_calls() {
        let rule = Threshold { count: 5, count_min_calls: 8, ..Threshold::NONE };
        assert_eq!(rule.judge(sum(100, 4, 100)), Verdict::Good);
        assert_eq!(rule.judge(sum(7, 5, 0)), Verdict::Undecided);
        assert_eq!(rule.judge(sum(8, 5, 0)), Verdict::Bad(Reason::ErrorCount));
    }

    #[test]
    fn judges_the_slow_share_with_calls_that_run_still() {
        let rule = Threshold { slow_ratio: 1 << 31, slow_min_calls: 4, ..Threshold::NONE };
        assert_eq!(rule.judge(sum(4, 4, 1)), Verdict::Good);
        assert_eq!(rule.judge(sum(4, 4, 1).with_running(2)), Verdict::Bad(Reason::SlowRatio));
        assert_eq!(rule.judge(sum(0, 0, 0).with_running(3)), Verdict::Undecided);
        assert_eq!(rule.judge(sum(0, 0, 0).with_running(4)), Verdict::Bad(Reason::SlowRatio));
        assert_eq!(sum(u64::MAX, 0, u64::MAX).with_running(1), sum(u64::MAX, 0, u64::MAX));
    }

    #[test]
    fn one_criterion_is_enough() {
        let rule = Threshold {
            ratio: 1 << 32,
            min_calls: 90,
            count: 3,
            count_min_calls: 1,
            slow_ratio: 1,
            slow_min_calls: 50,
        };
        assert_eq!(rule.judge(sum(3, 3, 3)), Verdict::Bad(Reason::ErrorCount), "though two are undecided");
        assert_eq!(rule.judge(sum(50, 2, 1)), Verdict::Bad(Reason::SlowRatio));
        assert_eq!(rule.judge(sum(49, 2, 1)), Verdict::Undecided);
        assert_eq!(rule.judge(sum(90, 2, 0)), Verdict::Good);
        assert!(rule.looks_at_bad() && rule.looks_at_slow());
        assert!(!Threshold::NONE.looks_at_bad() && !Threshold::NONE.looks_at_slow());
    }

    proptest! {
        #[test]
        fn agrees_with_fractions(calls in any::<u64>(), bad in any::<u64>(), part in 1u64..=64, min_calls in any::<u64>()) {
            let (bad, rule) = (bad.min(calls), Threshold { ratio: part << 26, min_calls, ..Threshold::NONE });
            let opens = bad > 0 && calls >= min_calls && u128::from(bad) * 64 >= u128::from(calls) * u128::from(part);
            prop_assert_eq!(rule.judge(sum(calls, bad, 0)) == Verdict::Bad(Reason::ErrorRatio), opens);
        }
    }
}
