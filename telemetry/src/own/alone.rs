//! Limiters and breakers that stand alone, where they have a name. What a limiter admits is not counted: a caller's
//! compare-and-swap decides, and counting it would cost as much again.

use super::{Own, Source};
use crate::page::Kind::{Counter, Gauge};
use tidegate_core::breaker::state::State;
use tidegate_core::limiter::figures::LimiterFigures;

/// Their metrics, in the order of the page.
pub const FAMILIES: &[Own] = &[
    Own::new(
        Gauge,
        "tidegate_limiter_tokens",
        &["limiter"],
        "What could be taken of the limiter at once; negative while it is in debt.",
        |from, to| from.each_limiter(|name, limiter| to.put_float(&[name], limiter.tokens)),
    ),
    Own::new(
        Gauge,
        "tidegate_limiter_limit_per_second",
        &["limiter"],
        "How much the limiter allows in each second.",
        |from, to| from.each_limiter(|name, limiter| to.put_float(&[name], limiter.limit_per_second)),
    ),
    Own::new(
        Gauge,
        "tidegate_limiter_burst",
        &["limiter"],
        "The most tokens of the limiter, where it is a token bucket that was given a burst.",
        |from, to| {
            from.each_limiter(|name, limiter| limiter.burst.into_iter().for_each(|burst| to.put(&[name], burst)))
        },
    ),
    Own::new(
        Counter,
        "tidegate_limiter_rejected",
        &["limiter"],
        "Calls that the limiter refused, reservations among them.",
        |from, to| from.each_limiter(|name, limiter| to.put(&[name], limiter.rejected)),
    ),
    Own::new(
        Gauge,
        "tidegate_counted_breaker_state",
        &["breaker", "state"],
        "1 for the state that the breaker without a guard is in, 0 for the others.",
        |from, to| {
            for (name, now) in &from.snapshot.breakers {
                for state in [State::Closed, State::Open, State::HalfOpen] {
                    to.put(&[name, state.name()], u64::from(state == *now));
                }
            }
        },
    ),
];

impl Source<'_> {
    fn each_limiter(&self, mut then: impl FnMut(&str, &LimiterFigures)) {
        self.snapshot.limiters.iter().for_each(|(name, limiter)| then(name, limiter));
    }
}
