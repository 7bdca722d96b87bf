//! What a window does to an adaptive limit: a pure function, which all algorithms share but for one step.
//!
//! - **Drops** come first: when more than `drop_share` of the calls were dropped, the limit falls by `backoff`, whatever
//!   the latency says (NC#176). A few drops in a thousand are everyday life and do not wear the limit down.
//! - **Growth** only where the limit was used: at least half of it in flight. A limit that was not used may fall, to twice
//!   what was.
//! - **The baseline** is the round trip without a queue of our making. It falls towards shorter means, and rises with means
//!   that are near it; load alone cannot raise it (NC#134). That a service became slower shows in a *probe*: for a
//!   window to drain and one to measure, half of the limit is in force, and what is measured is the new baseline.
//!   Probes come every `probe_every` windows in which the limit is used, and ten times as often while the limit falls.
//!
//! ```text
//!            probe is due              window                window: baseline = mean
//!   steady ───────────────▶ draining ─────────▶ measuring ──────────────────────────▶ steady
//! ```
//!
//! Sources: BBR's ProbeRTT (N. Cardwell et al., *BBR: congestion-based congestion control*, 2016) for the probe;
//! the algorithms' own pages.

use super::aimd::Aimd;
use super::fixed::MAX_LIMIT;
use super::gradient2::Gradient2;
use super::sample::Sum;
use super::vegas::Vegas;

/// Means within this share of the baseline move it both ways.
const NEAR: f64 = 0.2;
/// How many windows one counts for in which the limit fell.
const FALLING: u32 = 10;
/// The share of the limit that is in force during a probe.
const PROBED: f64 = 0.5;
/// A limit counts as used with this share of it in flight.
const USED: f64 = 0.5;

/// How a limit adapts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Algorithm {
    /// See [`super::aimd`].
    Aimd(Aimd),
    /// See [`super::vegas`].
    Vegas(Vegas),
    /// See [`super::gradient2`].
    Gradient2(Gradient2),
}

/// The numbers of an adaptive limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Numbers {
    /// The algorithm and its own numbers.
    pub algorithm: Algorithm,
    /// The lowest limit, 1 or more.
    pub min: u32,
    /// The highest, up to [`MAX_LIMIT`]; `min` counts where it is lower than that.
    pub max: u32,
    /// The limit to begin with.
    pub initial: u32,
    /// A window lasts at least so long, in ns (1 ms to 60 s), and twice the recent round trip.
    pub window_ns: u64,
    /// And until so many calls have ended; four times the limit suffices, so that a low limit is not slow to rise.
    pub min_samples: u32,
    /// What a window with drops, or over AIMD's timeout, multiplies the limit by: ½ to below 1.
    pub backoff: f64,
    /// The share of dropped calls that is too much, 0 to 1.
    pub drop_share: f64,
    /// Windows between probes of the baseline.
    pub probe_every: u32,
}

impl Numbers {
    /// The usual numbers: 1 to 1000, from 20, windows of 100 ms and 20 calls.
    pub const fn new(algorithm: Algorithm) -> Numbers {
        Numbers {
            algorithm,
            min: 1,
            max: 1000,
            initial: 20,
            window_ns: 100_000_000,
            min_samples: 20,
            backoff: 0.9,
            drop_share: 0.02,
            probe_every: 50,
        }
    }

    /// The nearest limit within the range; the initial one for what is no number.
    pub fn clamp(&self, limit: f64) -> f64 {
        let min = self.min.clamp(1, MAX_LIMIT);
        let max = self.max.clamp(min, MAX_LIMIT);
        let limit = if limit.is_nan() { f64::from(self.initial) } else { limit };
        limit.clamp(f64::from(min), f64::from(max))
    }

    /// Whether so many calls suffice for a verdict at this limit.
    pub fn suffices(&self, sum: &Sum, limit: f64) -> bool {
        let enough = (4.0 * limit).min(f64::from(self.min_samples)).max(1.0);
        (sum.samples + sum.drops) as f64 >= enough
    }
}

/// Where the limit stands between probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Phase {
    /// The algorithm adapts it.
    #[default]
    Steady,
    /// Half of it is in force, and what was admitted before ends.
    Draining,
    /// Half of it is in force, and the round trip is measured.
    Measuring,
}

/// What is kept from window to window.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct State {
    /// The limit; fractions add up.
    pub limit: f64,
    /// Draining and measuring are a probe.
    pub phase: Phase,
    /// Towards the next probe.
    pub waited: u32,
    /// The round trip without a queue in ns; 0: unknown.
    pub baseline_ns: f64,
    /// The present one in ns, smoothed over a few windows; 0: unknown.
    pub recent_ns: f64,
}

/// What an algorithm's step sees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// The limit.
    pub limit: f64,
    /// The window's mean round trip in ns, over 0.
    pub mean_ns: f64,
    /// The round trip without a queue in ns, over 0.
    pub baseline_ns: f64,
    /// See [`Numbers::backoff`].
    pub backoff: f64,
}

impl State {
    /// The limit that is in force. `spared` calls (the critical ones, while others are there to probe with) do not
    /// take part in probes.
    pub fn in_force(&self, numbers: &Numbers, spared: bool) -> u32 {
        let share = if self.phase == Phase::Steady || spared { 1.0 } else { PROBED };
        numbers.clamp(self.limit * share) as u32
    }

    /// What becomes of it after a window.
    pub fn next(&self, numbers: &Numbers, sum: &Sum) -> State {
        let limit = numbers.clamp(self.limit);
        let before = State { limit, ..*self };
        let learnt = if sum.samples == 0 { before } else { before.with_recent(sum.mean_ns() as f64) };
        if sum.drop_share() > numbers.drop_share {
            let limit = numbers.clamp(limit * numbers.backoff.clamp(0.1, 0.99));
            // What a probe measures now would say little: it is put off.
            let steady = State { limit, phase: Phase::Steady, ..learnt };
            return steady.pass_time(numbers, sum, false);
        }
        if sum.samples == 0 {
            return before;
        }
        learnt.after_round_trips(numbers, sum)
    }

    fn with_recent(self, mean: f64) -> State {
        let known = self.recent_ns > 0.0;
        State { recent_ns: if known { (self.recent_ns + mean) / 2.0 } else { mean }, ..self }
    }

    fn after_round_trips(self, numbers: &Numbers, sum: &Sum) -> State {
        let mean = sum.mean_ns() as f64;
        match self.phase {
            Phase::Draining => State { phase: Phase::Measuring, ..self },
            Phase::Measuring => self.measured(mean, sum.peak),
            Phase::Steady => {
                let learnt = self.with_baseline_near(mean);
                let limit = learnt.adapted(numbers, mean, sum.peak as f64);
                let falls = limit < self.limit * 0.97;
                State { limit, ..learnt }.pass_time(numbers, sum, falls)
            }
        }
    }

    /// The limit after the algorithm's step, which grows only when it was used, and falls no deeper than what was.
    fn adapted(&self, numbers: &Numbers, mean: f64, peak: f64) -> f64 {
        let backoff = numbers.backoff.clamp(0.1, 0.99);
        let view = View { limit: self.limit, mean_ns: mean.max(1.0), baseline_ns: self.baseline_ns.max(1.0), backoff };
        let wanted = match &numbers.algorithm {
            Algorithm::Aimd(aimd) => aimd.step(&view),
            Algorithm::Vegas(vegas) => vegas.step(&view),
            Algorithm::Gradient2(gradient) => gradient.step(&view),
        };
        let is_used = peak >= self.limit * USED;
        numbers.clamp(if is_used { wanted } else { wanted.max(2.0 * peak).min(self.limit) })
    }

    /// The baseline after a window without a probe.
    fn with_baseline_near(self, mean: f64) -> State {
        let away = mean - self.baseline_ns;
        let share = match () {
            _ if self.baseline_ns <= 0.0 => 1.0,
            _ if away.abs() <= NEAR * self.baseline_ns => 0.05,
            _ if away < 0.0 => 0.2,
            _ => 0.0,
        };
        State { baseline_ns: self.baseline_ns + away * share, ..self }
    }

    /// The baseline after a probe, where it really took the load down.
    fn measured(self, mean: f64, peak: u64) -> State {
        let took = peak as f64 <= (self.limit * (PROBED + 1.0) / 2.0).max(1.0);
        let near = (mean - self.baseline_ns).abs() <= NEAR * self.baseline_ns;
        let baseline_ns = match (took, near) {
            (false, _) => self.baseline_ns,
            (true, true) => (self.baseline_ns + mean) / 2.0,
            (true, false) => mean,
        };
        State { baseline_ns, phase: Phase::Steady, waited: 0, ..self }
    }

    /// One window more towards the next probe.
    fn pass_time(self, numbers: &Numbers, sum: &Sum, falls: bool) -> State {
        let is_used = sum.peak as f64 >= self.limit * USED;
        let needs_baseline = !matches!(numbers.algorithm, Algorithm::Aimd(_));
        if !needs_baseline || self.phase != Phase::Steady || !(is_used || falls) {
            return self;
        }
        let waited = self.waited.saturating_add(if falls { FALLING } else { 1 });
        let phase = if waited >= numbers.probe_every { Phase::Draining } else { Phase::Steady };
        State { phase, waited, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;
    const ALGORITHMS: [Algorithm; 3] = [
        Algorithm::Aimd(Aimd { timeout_ns: 50 * MS }),
        Algorithm::Vegas(Vegas { alpha: 3.0, beta: 6.0 }),
        Algorithm::Gradient2(Gradient2 { tolerance: 1.5, smoothing: 0.2 }),
    ];

    fn sum(mean_ns: u64, peak: u64, drops: u64) -> Sum {
        Sum { samples: 100, drops, total_ns: 100 * mean_ns, peak }
    }

    fn begun(limit: f64) -> State {
        State { limit, baseline_ns: 10e6, recent_ns: 10e6, ..State::default() }
    }

    #[test]
    fn nc176_drops_count_whatever_the_latency_says() {
        for algorithm in ALGORITHMS {
            let numbers = Numbers::new(algorithm);
            assert_eq!(begun(100.0).next(&numbers, &sum(10 * MS, 100, 10)).limit, 90.0);
            assert_eq!(
                begun(100.0).next(&numbers, &Sum { drops: 5, ..Sum::default() }).limit,
                90.0,
                "nothing else ended"
            );
            assert!(
                begun(100.0).next(&numbers, &sum(10 * MS, 100, 1)).limit > 100.0,
                "one in a hundred is everyday life"
            );
        }
    }

    #[test]
    fn an_unused_limit_does_not_grow() {
        for algorithm in ALGORITHMS {
            let numbers = Numbers::new(algorithm);
            assert_eq!(begun(100.0).next(&numbers, &sum(10 * MS, 49, 0)).limit, 100.0);
            assert!(begun(100.0).next(&numbers, &sum(10 * MS, 50, 0)).limit > 100.0);
        }
    }

    #[test]
    fn an_unused_limit_falls_to_twice_what_was_used() {
        let numbers = Numbers::new(ALGORITHMS[2]);
        let state = begun(21.0).next(&numbers, &sum(100 * MS, 10, 0));
        assert_eq!(state.limit, 20.0);
    }

    #[test]
    fn nc134_a_long_overload_does_not_raise_the_baseline() {
        let numbers = Numbers { probe_every: u32::MAX, ..Numbers::new(ALGORITHMS[2]) };
        let mut state = begun(100.0);
        for _ in 0..10_000 {
            state = state.next(&numbers, &sum(20 * MS, 100, 0));
        }
        assert_eq!(state.baseline_ns, 10e6);
        assert!(state.limit < 20.0, "{}", state.limit);
    }

    #[test]
    fn a_probe_drains_measures_and_raises_the_baseline_of_a_slower_service() {
        let numbers = Numbers::new(ALGORITHMS[1]);
        let mut state = State { waited: numbers.probe_every, ..begun(100.0) };
        state = state.next(&numbers, &sum(20 * MS, 100, 0));
        assert_eq!((state.phase, state.in_force(&numbers, true)), (Phase::Draining, state.limit as u32));
        assert_eq!(state.in_force(&numbers, false), (state.limit / 2.0) as u32);
        state = state.next(&numbers, &sum(20 * MS, 100, 0));
        assert_eq!((state.phase, state.baseline_ns), (Phase::Measuring, 10e6));
        state = state.next(&numbers, &sum(20 * MS, 40, 0));
        assert_eq!((state.phase, state.baseline_ns, state.waited), (Phase::Steady, 20e6, 0));
    }

    #[test]
    fn a_probe_that_took_no_load_away_teaches_nothing() {
        let numbers = Numbers::new(ALGORITHMS[1]);
        let state = State { phase: Phase::Measuring, ..begun(100.0) };
        assert_eq!(state.next(&numbers, &sum(20 * MS, 90, 0)).baseline_ns, 10e6);
    }

    #[test]
    fn an_idle_service_is_not_probed_and_one_whose_limit_falls_soon_is() {
        let numbers = Numbers::new(ALGORITHMS[2]);
        let (mut idle, mut falling) = (begun(100.0), begun(100.0));
        for _ in 0..5 {
            idle = idle.next(&numbers, &sum(10 * MS, 3, 0));
            falling = falling.next(&numbers, &sum(100 * MS, 100, 0));
        }
        assert_eq!((idle.waited, falling.phase), (0, Phase::Draining));
    }

    #[test]
    fn contradicting_numbers_are_taken_as_the_nearest_possible() {
        let numbers = Numbers { min: 0, max: 0, initial: 0, ..Numbers::new(ALGORITHMS[0]) };
        assert_eq!((numbers.clamp(f64::NAN), numbers.clamp(5.0)), (1.0, 1.0));
        let numbers = Numbers { min: 50, max: 10, ..numbers };
        assert_eq!((numbers.clamp(0.0), numbers.clamp(f64::INFINITY)), (50.0, 50.0));
        let numbers = Numbers { max: u32::MAX, ..numbers };
        assert_eq!(numbers.clamp(f64::INFINITY), f64::from(MAX_LIMIT));
    }

    fn windows() -> impl Strategy<Value = Vec<Sum>> {
        let any_sum = (0u64..1 << 20, 0u64..1 << 20, any::<u64>(), 0u64..16_000_000)
            .prop_map(|(samples, drops, total_ns, peak)| Sum { samples, drops, total_ns, peak });
        prop::collection::vec(any_sum, 1..100)
    }

    proptest! {
        #[test]
        fn a_limit_is_in_its_range_and_no_state_is_not_a_number(
            windows in windows(), which in 0usize..3, min in 0u32..20, max in 0u32..=MAX_LIMIT, initial in any::<u32>(), spared in any::<bool>(),
        ) {
            let numbers = Numbers { min, max, initial, ..Numbers::new(ALGORITHMS[which]) };
            let mut state = State { limit: f64::NAN, ..State::default() };
            for sum in windows {
                state = state.next(&numbers, &sum);
                prop_assert!(state.limit >= f64::from(min.max(1)) && state.limit <= f64::from(max.max(min).max(1)));
                prop_assert!(state.baseline_ns >= 0.0 && state.recent_ns >= 0.0, "{:?}", state);
                prop_assert!(state.in_force(&numbers, spared) >= min.max(1));
            }
        }

        /// Whatever came before: a service that is well and fully used gets more.
        #[test]
        fn no_limit_is_stuck(windows in windows(), which in 0usize..3) {
            let numbers = Numbers { max: 100_000, ..Numbers::new(ALGORITHMS[which]) };
            let mut state = State::default();
            for sum in windows {
                state = state.next(&numbers, &sum);
            }
            let before = state.limit;
            for _ in 0..300 {
                let peak = state.in_force(&numbers, false);
                state = state.next(&numbers, &sum(10 * MS, peak.into(), 0));
            }
            prop_assert!(state.limit >= (before + 50.0).min(100_000.0), "{} then {:?}", before, state);
        }
    }
}
