//! Vegas: the limit minus what the round trip without a queue would need is the queue; it is kept between two bounds.
//!
//! queue = limit × (1 − baseline / mean). Below α the limit rises by β when there is next to no queue, by 1 × log₁₀ else;
//! above β it falls. Both bounds grow with log₁₀(limit), as in Netflix's version; what differs from it: a queue
//! far over β is taken down by half of what it is over, not by one a window, and the baseline is learnt by
//! [`super::adapt`], so that load alone cannot raise it.
//!
//! Sources: L. S. Brakmo, L. L. Peterson, *TCP Vegas: end to end congestion avoidance on a global Internet*, 1995;
//! `VegasLimit` of Netflix's concurrency-limits (α = 3 log₁₀, β = 6 log₁₀).

use super::adapt::View;

/// The numbers of the rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vegas {
    /// Queue below which the limit rises, in units of log₁₀(limit).
    pub alpha: f64,
    /// Queue over which it falls, in the same unit; over `alpha`.
    pub beta: f64,
}

impl Default for Vegas {
    fn default() -> Self {
        Vegas { alpha: 3.0, beta: 6.0 }
    }
}

impl Vegas {
    /// What becomes of the limit after a window.
    pub fn step(&self, view: &View) -> f64 {
        let unit = view.limit.log10().max(1.0);
        let queue = view.limit * (1.0 - (view.baseline_ns / view.mean_ns).min(1.0));
        let (alpha, beta) = (self.alpha * unit, self.beta * unit);
        match queue {
            _ if queue <= unit => view.limit + beta,
            _ if queue < alpha => view.limit + unit,
            _ if queue > beta => view.limit - ((queue - beta) / 2.0).max(unit),
            _ => view.limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(limit: f64, mean_ns: f64) -> f64 {
        Vegas::default().step(&View { limit, mean_ns, baseline_ns: 1000.0, backoff: 0.9 })
    }

    #[test]
    fn keeps_the_queue_between_its_bounds() {
        assert_eq!(step(100.0, 1000.0), 112.0, "no queue");
        assert_eq!(step(100.0, 1000.0 / 0.96), 102.0, "a short one");
        assert_eq!(step(100.0, 1000.0 / 0.91), 100.0, "between");
        assert_eq!(step(100.0, 1000.0 / 0.86), 98.0, "a long one");
        assert_eq!(step(100.0, 2000.0), 81.0, "by half of what is over");
    }

    #[test]
    fn a_faster_service_is_no_negative_queue() {
        assert_eq!(step(100.0, 10.0), 112.0);
    }
}
