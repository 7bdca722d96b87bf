//! Gradient: the limit follows the ratio of the round trip without a queue to the present one.
//!
//! gradient = tolerance × baseline / mean, within ½ and 1; limit' = limit × gradient + √limit (room to grow), of which a
//! share of `smoothing` is taken over. It comes to rest where the round trip is about `tolerance` times the baseline.
//!
//! What differs from the original: there the long average of all round trips is the baseline. Under an overload that
//! lasts it follows the short one, the gradient says that all is well, and the limit grows without bound (NC#134). Here the
//! baseline is learnt by [`super::adapt`] and cannot be raised by load alone.
//!
//! Source: `Gradient2Limit` of Netflix's concurrency-limits (tolerance 1.5, smoothing 0.2, a queue of 4 or a root).

use super::adapt::View;

/// The numbers of the rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gradient2 {
    /// How much longer than the baseline a round trip may be, 1 or more.
    pub tolerance: f64,
    /// The share of a new limit that is taken over, over 0 to 1.
    pub smoothing: f64,
}

impl Default for Gradient2 {
    fn default() -> Self {
        Gradient2 { tolerance: 1.5, smoothing: 0.2 }
    }
}

impl Gradient2 {
    /// What becomes of the limit after a window.
    pub fn step(&self, view: &View) -> f64 {
        let gradient = (self.tolerance * view.baseline_ns / view.mean_ns).clamp(0.5, 1.0);
        let wanted = view.limit * gradient + view.limit.sqrt();
        view.limit + (wanted - view.limit) * self.smoothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(limit: f64, mean_ns: f64) -> f64 {
        Gradient2::default().step(&View { limit, mean_ns, baseline_ns: 1000.0, backoff: 0.9 })
    }

    #[test]
    fn grows_within_the_tolerance_and_falls_over_it() {
        assert_eq!(step(100.0, 1500.0), 102.0);
        assert_eq!(step(100.0, 2000.0), 97.0);
        assert_eq!(step(100.0, 1e9), 92.0, "by no more than half, smoothed");
    }
}
