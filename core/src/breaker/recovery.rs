//! Ramped recovery: after the probes passed, the admitted share climbs from `first_share` to all over `recover_over`.
//!
//! Which calls pass is no matter of chance. Each call adds the share of its moment to what is due (error diffusion, as in
//! Bresenham's line); when a whole call is due, this one passes and a whole is taken off. What is due lies in the word, between
//! 0 and 1, so among any consecutive calls, whoever makes them, the admitted number differs from the sum of
//! their shares by less than 1; and from the begin on it never exceeds it. The share is rounded down to 2⁻¹⁶.

use super::state::{Admission, Breaker, State, Timing};

/// All of the calls.
pub const ONE: u64 = 1 << 16;

/// The share that is admitted when so much of the ramp is left.
pub fn share(timing: &Timing, left_ns: u64) -> u64 {
    // So many of the highest bits that the product has room.
    let shift = (64 - timing.recover_over_ns.leading_zeros()).saturating_sub(47);
    let over = (timing.recover_over_ns >> shift).max(1);
    let left = (left_ns >> shift).min(over);
    ONE - ((ONE - timing.first_share.min(ONE)) * left).div_ceil(over)
}

/// What becomes of a recovering breaker, and of a call that asks at `now`. A refused call is told to come back after that
/// part of the rest of the ramp which is not due yet: so those that are refused come back spread over the
/// rest, instead of all at its end.
pub fn admit(breaker: Breaker, timing: &Timing, now: u64) -> (Breaker, Admission) {
    let (breaker, left) = match breaker.left(timing.recover_over_ns, now) {
        Some(left) => (breaker, left),
        // The clock went back behind the begin of the ramp: it begins anew.
        None => (breaker.since(now), timing.recover_over_ns),
    };
    if left == 0 {
        return (Breaker { state: State::Closed, due: 0, ..breaker }, Admission::Pass(breaker.generation));
    }
    let due = breaker.due + share(timing, left);
    if due >= ONE {
        return (Breaker { due: due - ONE, ..breaker }, Admission::Pass(breaker.generation));
    }
    let wait = (u128::from(left) * u128::from(ONE - due)) >> 16;
    (Breaker { due, ..breaker }, Admission::Refuse((wait as u64).max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breaker::state::{self, Reason};
    use crate::breaker::transition;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU64, Ordering::*};

    const SECOND: u64 = 1_000_000_000;

    fn timing(over: u64, first_share: u64) -> Timing {
        Timing { recover_over_ns: over, first_share, ..Timing::PLAIN }
    }

    fn recovering(now: u64) -> Breaker {
        Breaker { state: State::Recovering, generation: 7, ..Breaker::default() }.since(now)
    }

    #[test]
    fn the_share_climbs_from_the_first_to_all() {
        let rule = timing(10 * SECOND, ONE / 10);
        assert_eq!(share(&rule, 10 * SECOND), ONE / 10);
        assert_eq!(share(&rule, 5 * SECOND), ONE / 10 + (ONE - ONE / 10) / 2);
        assert_eq!(share(&rule, 0), ONE);
        assert_eq!(share(&rule, u64::MAX), ONE / 10, "a late thread, or time that went back");
        assert_eq!(share(&timing(u64::MAX, 0), u64::MAX / 2), ONE / 2, "no product overflows");
        assert_eq!(share(&timing(SECOND, u64::MAX), SECOND), ONE);
    }

    #[test]
    fn time_that_stands_still_keeps_the_share() {
        let (rule, mut breaker, mut passed) = (timing(10 * SECOND, ONE / 4), recovering(0), 0);
        for _ in 0..1000 {
            let (next, admission) = breaker.admit(&rule, 0);
            breaker = next;
            passed += u64::from(admission == Admission::Pass(7));
        }
        assert_eq!(passed, 250);
    }

    #[test]
    fn it_ends_closed_in_the_same_generation() {
        let rule = timing(SECOND, 0);
        let (closed, admission) = recovering(0).admit(&rule, SECOND);
        assert_eq!((closed.state, closed.generation, admission), (State::Closed, 7, Admission::Pass(7)));
        assert_eq!(closed.trip(7, SECOND).state, State::Open, "calls admitted meanwhile count");
        let word = AtomicU64::new(recovering(0).word());
        let (_, change) = state::admit(&word, &rule, 2 * SECOND);
        let change = change.unwrap();
        assert_eq!((change.from, change.to, change.reason), (State::Recovering, State::Closed, Reason::Recovered));
    }

    #[test]
    fn it_opens_again_when_it_is_bad() {
        let word = AtomicU64::new(recovering(0).word());
        assert_eq!(transition::trip(&word, 6, Reason::ErrorRatio, 5), None, "of another generation");
        let change = transition::trip(&word, 7, Reason::ErrorRatio, 5).unwrap();
        assert_eq!((change.from, change.to, change.reason), (State::Recovering, State::Open, Reason::ErrorRatio));
    }

    #[test]
    fn refused_calls_come_back_spread_over_the_rest() {
        let (rule, mut breaker, mut waits) = (timing(10 * SECOND, ONE / 8), recovering(0), vec![]);
        for _ in 0..7 {
            let (next, admission) = breaker.admit(&rule, 0);
            let Admission::Refuse(wait) = admission else { panic!("an eighth passes") };
            breaker = next;
            waits.push(wait / (SECOND / 100));
        }
        assert_eq!(waits, [875, 750, 625, 500, 375, 250, 125], "hundredths of ten seconds");
    }

    #[test]
    fn a_clock_that_went_back_begins_the_ramp_anew() {
        let rule = timing(10 * SECOND, 0);
        let (begun, admission) = recovering(3600 * SECOND).admit(&rule, SECOND);
        assert!(matches!(admission, Admission::Refuse(_)));
        assert_eq!(begun.admit(&rule, 12 * SECOND).0.state, State::Closed);
    }

    #[test]
    fn a_storm_admits_the_sum_of_the_shares() {
        let (rule, word) = (timing(SECOND, ONE / 5), AtomicU64::new(recovering(0).word()));
        let moment = SECOND / 3;
        let storm =
            || (0..20_000).filter(|_| state::admit(&word, &rule, moment).0 == Admission::Pass(7)).count() as u64;
        let admitted: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(storm)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, share(&rule, SECOND - moment) * 80_000 / ONE);
        assert_eq!(Breaker::of(word.load(Relaxed)).state, State::Recovering);
    }

    proptest! {
        #[test]
        fn any_run_of_calls_is_admitted_by_its_share(
            first in 0u64..=ONE, over in 1u64..1 << 40,
            pauses in prop::collection::vec(0u64..1 << 34, 1..300), from in 0usize..300,
        ) {
            let (rule, mut breaker, mut now) = (timing(over, first), recovering(0), 0);
            let (mut sums, mut all) = (vec![], 0i128);
            for pause in pauses {
                now += pause;
                let left = breaker.left(over, now).unwrap();
                let (next, admission) = breaker.admit(&rule, now);
                if next.state == State::Closed { break }
                breaker = next;
                // In 2⁻¹⁶: the shares so far less what was admitted.
                all += i128::from(share(&rule, left)) - if admission == Admission::Pass(7) { i128::from(ONE) } else { 0 };
                prop_assert!((0..i128::from(ONE)).contains(&all), "from the begin on no more than the shares");
                sums.push(all);
            }
            if let Some(&begin) = sums.get(from) {
                prop_assert!(sums[from..].iter().all(|sum| (sum - begin).abs() < i128::from(ONE)));
            }
        }
    }
}
