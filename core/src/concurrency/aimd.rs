//! Additive increase, multiplicative decrease.
//!
//! A window whose calls took longer than `timeout` on average takes the limit down by the rule's `backoff` (drops do the
//! same for every algorithm, see [`super::adapt`]); one that used the limit raises it by its square root. A
//! plain + 1 a window, as a window is many round trips, would take minutes to reach a limit of thousands.
//!
//! Sources: D.-M. Chiu, R. Jain, *Analysis of the increase and decrease algorithms for congestion avoidance*, 1989;
//! `AIMDLimit` of Netflix's concurrency-limits.

use super::adapt::View;

/// The numbers of the rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aimd {
    /// The mean duration in ns that says that there is too much to do; `u64::MAX`: only drops say so.
    pub timeout_ns: u64,
}

impl Aimd {
    /// What becomes of the limit after a window.
    pub fn step(&self, view: &View) -> f64 {
        if view.mean_ns > self.timeout_ns as f64 {
            return view.limit * view.backoff;
        }
        view.limit + view.limit.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_by_addition_and_falls_by_multiplication() {
        let rule = Aimd { timeout_ns: 1000 };
        let view = |mean_ns| View { limit: 100.0, mean_ns, baseline_ns: 10.0, backoff: 0.9 };
        assert_eq!(rule.step(&view(1000.0)), 110.0);
        assert_eq!(rule.step(&view(1001.0)), 90.0);
    }
}
