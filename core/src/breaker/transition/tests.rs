//! The state machine: case by case, against a plain model, and under a storm.

use super::super::state;
use super::*;
use proptest::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering::*};

const SECOND: u64 = 1_000_000_000;
/// A unit of a half-open breaker's time.
const COARSE: u64 = 1 << 19;
const TIMING: Timing = Timing { open_for_ns: 5 * SECOND, probes: 2, probe_timeout_ns: 3 * SECOND, ..Timing::PLAIN };

fn opened(now: u64) -> Breaker {
    Breaker::default().trip(0, now)
}

fn half_open(timing: &Timing) -> Breaker {
    let half = opened(0).admit(timing, 6 * SECOND).0;
    (1..timing.probes).fold(half, |half, _| half.admit(timing, 6 * SECOND).0)
}

#[test]
fn opens_probes_and_closes() {
    let open = opened(SECOND);
    assert_eq!(open.state, State::Open);
    assert!(matches!(open.admit(&TIMING, SECOND).1, Admission::Refuse(_)));
    let (half, first) = open.admit(&TIMING, 6 * SECOND + (1 << 17));
    let (half, second) = half.admit(&TIMING, 7 * SECOND);
    assert_eq!((half.state, first, second), (State::HalfOpen, Admission::Probe(2), Admission::Probe(2)));
    assert!(matches!(half.admit(&TIMING, 7 * SECOND).1, Admission::Refuse(_)), "two probes at most");
    let half = half.end_probe(&TIMING, 2, ProbeEnd::Passed, 8 * SECOND);
    assert_eq!(half.state, State::HalfOpen);
    assert_eq!(half.end_probe(&TIMING, 2, ProbeEnd::Passed, 8 * SECOND).state, State::Closed);
    assert_eq!(half.end_probe(&TIMING, 2, ProbeEnd::Failed, 8 * SECOND).state, State::Open);
}

#[test]
fn some_of_the_probes_may_fail() {
    let timing = Timing { probes: 5, probes_ok: 3, ..TIMING };
    let end = |breaker: Breaker, end| breaker.end_probe(&timing, 2, end, 6 * SECOND);
    let half = [ProbeEnd::Failed, ProbeEnd::Failed, ProbeEnd::Passed, ProbeEnd::Passed]
        .into_iter()
        .fold(half_open(&timing), end);
    assert_eq!((half.state, half.ok, half.failed, half.out), (State::HalfOpen, 2, 2, 5));
    assert_eq!(end(half, ProbeEnd::Passed).state, State::Closed);
    assert_eq!(end(half, ProbeEnd::Failed).state, State::Open, "three cannot pass any more");
    let (again, admission) = end(half, ProbeEnd::Unjudged).admit(&timing, 6 * SECOND);
    assert_eq!((again, admission), (half, Admission::Probe(2)), "given back, and sent again");
    for probes_ok in [0, 5, 9] {
        let timing = Timing { probes_ok, ..timing };
        assert_eq!(half_open(&timing).end_probe(&timing, 2, ProbeEnd::Failed, 0).state, State::Open, "all must pass");
    }
}

#[test]
fn probes_are_bounded_by_what_the_word_holds() {
    let timing = Timing { probes: 100_000, probes_ok: 1, ..TIMING };
    let mut half = half_open(&Timing { probes: 255, ..timing });
    assert!(matches!(half.admit(&timing, 6 * SECOND).1, Admission::Refuse(_)));
    for failed in 1..=127 {
        half = half.end_probe(&timing, 2, ProbeEnd::Failed, 6 * SECOND);
        assert_eq!((half.state, half.failed), (State::HalfOpen, failed));
    }
    assert_eq!(half.end_probe(&timing, 2, ProbeEnd::Failed, 6 * SECOND).state, State::Open);
    assert!(matches!(opened(0).admit(&Timing { probes: 0, ..TIMING }, 6 * SECOND).1, Admission::Probe(2)));
}

#[test]
fn probes_that_passed_begin_a_recovery() {
    let timing = Timing { probes: 1, recover_over_ns: 10 * SECOND, first_share: 1 << 15, ..TIMING };
    let half = half_open(&timing);
    let recovering = half.end_probe(&timing, 2, ProbeEnd::Passed, 8 * SECOND);
    assert_eq!((recovering.state, recovering.generation), (State::Recovering, 3));
    let admitted = recovering.admit(&timing, 8 * SECOND).0.admit(&timing, 8 * SECOND);
    assert_eq!(admitted.1, Admission::Pass(3));
    assert_eq!(recovering.end_probe(&timing, 2, ProbeEnd::Failed, 8 * SECOND), recovering, "too late");
    assert_eq!(recovering.admit(&timing, 19 * SECOND).0.state, State::Closed);
}

#[test]
fn never_opens_early() {
    for now in [SECOND, SECOND + 1, SECOND + 65_535, 12_345_678_901] {
        let (_, admission) = opened(now).admit(&TIMING, now + TIMING.open_for_ns - 1);
        assert!(matches!(admission, Admission::Refuse(_)));
        let Admission::Refuse(left) = opened(now).admit(&TIMING, now + 17).1 else { panic!("open") };
        let (_, admission) = opened(now).admit(&TIMING, now + 17 + left);
        assert!(matches!(admission, Admission::Probe(_)), "retry-after is not too early");
        assert!(17 + left < TIMING.open_for_ns + (1 << 16));
    }
}

#[test]
fn a_probe_that_never_comes_back_does_not_wedge_it() {
    let half = half_open(&TIMING);
    let (same, admission) = half.admit(&TIMING, 9 * SECOND - 1);
    assert!(same == half && matches!(admission, Admission::Refuse(_)));
    let (again, admission) = half.admit(&TIMING, 9 * SECOND + COARSE);
    assert_eq!(admission, Admission::Probe(3));
    assert_eq!(again.end_probe(&TIMING, 2, ProbeEnd::Failed, 10 * SECOND), again, "the late one counts no more");
}

#[test]
fn a_probe_given_back_frees_its_place() {
    let timing = Timing { probes: 1, ..TIMING };
    let half = half_open(&timing).end_probe(&timing, 2, ProbeEnd::Unjudged, 6 * SECOND);
    assert_eq!(half.admit(&timing, 6 * SECOND).1, Admission::Probe(2));
    let twice = half_open(&TIMING).end_probe(&TIMING, 2, ProbeEnd::Passed, 0);
    let twice = (0..3).fold(twice, |half, _| half.end_probe(&TIMING, 2, ProbeEnd::Unjudged, 0));
    assert_eq!((twice.out, twice.ok), (1, 1), "not more than are out");
}

#[test]
fn a_clock_that_went_back_costs_one_open_time_more() {
    let (open, admission) = opened(3600 * SECOND).admit(&TIMING, SECOND);
    assert_eq!(admission, Admission::Refuse(TIMING.open_for_ns));
    assert!(matches!(open.admit(&TIMING, 7 * SECOND).1, Admission::Probe(_)));
    let (open, admission) = opened(10 * SECOND).admit(&TIMING, 9 * SECOND);
    assert_eq!(open, opened(10 * SECOND), "a late thread takes no time back that has passed");
    let Admission::Refuse(left) = admission else { panic!("open") };
    assert!((6 * SECOND..6 * SECOND + (1 << 16)).contains(&left));
}

#[test]
fn time_that_stands_still_moves_nothing() {
    let half = half_open(&TIMING);
    for (breaker, now) in [(opened(SECOND), SECOND), (half, 6 * SECOND)] {
        assert_eq!((0..100).fold(breaker, |breaker, _| breaker.admit(&TIMING, now).0), breaker);
    }
}

#[test]
fn calls_of_an_earlier_generation_do_not_trip_it() {
    let closed = Breaker { generation: 9, ..Breaker::default() };
    assert_eq!(closed.trip(8, SECOND), closed);
    assert_eq!(closed.trip(9, SECOND).state, State::Open);
}

#[test]
fn generations_go_round() {
    let last = Breaker { generation: 1023, ..Breaker::default() };
    let open = last.trip(1023, 0);
    assert_eq!((open.state, open.generation), (State::Open, 0));
    assert_eq!(Breaker::of(open.word()), open);
    assert_eq!(open.admit(&TIMING, 6 * SECOND).1, Admission::Probe(1));
}

#[test]
fn what_is_forced_stays_until_reset() {
    let day = 86_400 * SECOND;
    for begin in [Breaker::default(), opened(0), half_open(&TIMING)] {
        let open = begin.force(Forced::Open, 0);
        assert_eq!(open.admit(&TIMING, day), (open, Admission::Refuse(u64::MAX)));
        assert_eq!(open.trip(open.generation, day), open);
        assert_eq!(open.end_probe(&TIMING, open.generation, ProbeEnd::Passed, day), open);

        let closed = begin.force(Forced::Closed, 0);
        assert_eq!(closed.admit(&TIMING, day), (closed, Admission::Pass(closed.generation)));
        assert_eq!(closed.trip(closed.generation, day), closed, "never trips");
        assert!(state::is_closed(closed.word()), "and passes by the shortest way");

        let disabled = closed.force(Forced::Disabled, 0);
        assert_eq!(disabled.admit(&TIMING, day), (disabled, Admission::Unjudged));
        assert_eq!(disabled.trip(disabled.generation, day), disabled);

        for forced in [open, closed, disabled] {
            let reset = forced.reset(day);
            assert_eq!((reset.state, reset.generation), (State::Closed, forced.generation + 1));
        }
    }
}

#[test]
fn changes_tell_where_from_where_to_and_why() {
    let word = AtomicU64::new(0);
    let told = |change: Option<Change>| change.map(|change| (change.from, change.to, change.generation, change.reason));
    let timing = Timing { recover_over_ns: SECOND, ..TIMING };
    assert_eq!(told(trip(&word, 0, Reason::ErrorCount, 0)), Some((State::Closed, State::Open, 1, Reason::ErrorCount)));
    assert_eq!(trip(&word, 0, Reason::ErrorCount, 0), None, "once");
    let probe = |now| told(admit(&word, &timing, now).1);
    assert_eq!(probe(6 * SECOND), Some((State::Open, State::HalfOpen, 2, Reason::OpenEnded)));
    assert_eq!(probe(6 * SECOND), None);
    assert_eq!(probe(10 * SECOND), Some((State::HalfOpen, State::HalfOpen, 3, Reason::ProbesLost)));
    let end = |generation, end| told(end_probe(&word, &timing, generation, end, 10 * SECOND));
    assert_eq!(end(2, ProbeEnd::Failed), None);
    assert_eq!(end(3, ProbeEnd::Failed), Some((State::HalfOpen, State::Open, 4, Reason::ProbesFailed)));
    assert_eq!(probe(16 * SECOND), Some((State::Open, State::HalfOpen, 5, Reason::OpenEnded)));
    assert_eq!(end(5, ProbeEnd::Passed), None);
    assert_eq!(end(5, ProbeEnd::Passed), Some((State::HalfOpen, State::Recovering, 6, Reason::ProbesPassed)));
    assert_eq!(probe(18 * SECOND), Some((State::Recovering, State::Closed, 6, Reason::Recovered)));
    let forced = told(force(&word, Forced::Disabled, 0));
    assert_eq!(forced, Some((State::Closed, State::Disabled, 7, Reason::Forced)));
    assert_eq!(force(&word, Forced::Disabled, 0), None, "it is already");
    assert_eq!(told(reset(&word, 0)), Some((State::Disabled, State::Closed, 8, Reason::Reset)));
    assert_eq!(told(reset(&word, 0)), Some((State::Closed, State::Closed, 9, Reason::Reset)), "empties the window");
}

#[test]
fn a_storm_sends_no_more_probes_than_there_are() {
    let timing = Timing { probes: 7, probe_timeout_ns: u64::MAX, ..TIMING };
    let word = AtomicU64::new(opened(0).word());
    let storm = || (0..1000).filter(|_| matches!(admit(&word, &timing, 6 * SECOND).0, Admission::Probe(2))).count();
    let sent: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(storm)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!((sent, Breaker::of(word.load(Relaxed)).out), (7, 7));
}

/// The machine without words: nothing packed, generations that never end, times as they are.
struct Plain {
    state: State,
    generation: u64,
    began: u64,
    live: u64,
    ok: u64,
    failed: u64,
    due: u64,
}

impl Plain {
    fn go(&mut self, state: State, now: u64) {
        *self = Plain { state, generation: self.generation + 1, began: now, live: 0, ok: 0, failed: 0, due: 0 };
    }

    fn probe(&mut self) -> Admission {
        self.live += 1;
        Admission::Probe(self.generation)
    }

    fn admit(&mut self, timing: &Timing, now: u64) -> Admission {
        let age = now - self.began;
        match self.state {
            State::Closed | State::ForcedClosed => Admission::Pass(self.generation),
            State::Disabled => Admission::Unjudged,
            State::Open if age >= timing.open_for_ns => {
                self.go(State::HalfOpen, now);
                self.probe()
            }
            State::HalfOpen if self.live + self.ok + self.failed < timing.probes => self.probe(),
            State::HalfOpen if age >= timing.probe_timeout_ns => {
                self.go(State::HalfOpen, now);
                self.probe()
            }
            State::Recovering if age >= timing.recover_over_ns => {
                (self.state, self.due) = (State::Closed, 0);
                Admission::Pass(self.generation)
            }
            State::Recovering => {
                let rest = (recovery::ONE - timing.first_share) as u128 * (timing.recover_over_ns - age) as u128;
                self.due += recovery::ONE - rest.div_ceil(timing.recover_over_ns as u128) as u64;
                match self.due.checked_sub(recovery::ONE) {
                    Some(due) => {
                        self.due = due;
                        Admission::Pass(self.generation)
                    }
                    None => Admission::Refuse(0),
                }
            }
            _ => Admission::Refuse(0),
        }
    }

    fn end(&mut self, timing: &Timing, generation: u64, end: ProbeEnd, now: u64) {
        if self.state != State::HalfOpen || self.generation != generation || self.live == 0 {
            return;
        }
        self.live -= 1;
        match end {
            ProbeEnd::Passed => self.ok += 1,
            ProbeEnd::Failed => self.failed += 1,
            ProbeEnd::Unjudged => {}
        }
        if self.ok >= timing.needed() {
            let next = if timing.recover_over_ns == 0 { State::Closed } else { State::Recovering };
            self.go(next, now);
        } else if self.failed > timing.probes - timing.needed() {
            self.go(State::Open, now);
        }
    }
}

proptest! {
    /// Times are multiples of the coarse unit, so that both machines round alike.
    #[test]
    fn agrees_with_a_plain_machine(
        probes in 1u64..9, probes_ok in 0u64..9, over in 0u64..3000, first_share in 0u64..=65536,
        steps in prop::collection::vec((0u8..12, 0u64..2000, 0u64..3), 1..400),
    ) {
        let timing = Timing {
            open_for_ns: 4000 * COARSE, probes, probe_timeout_ns: 3000 * COARSE,
            probes_ok, recover_over_ns: over * COARSE, first_share,
        };
        let word = AtomicU64::new(0);
        let mut plain = Plain { state: State::Closed, generation: 0, began: 0, live: 0, ok: 0, failed: 0, due: 0 };
        let mut now = 0;
        for (step, pause, back) in steps {
            now += pause * COARSE;
            let named = plain.generation.saturating_sub(back.saturating_sub(1));
            match step {
                0..5 => {
                    let (said, _) = admit(&word, &timing, now);
                    let said = if let Admission::Refuse(_) = said { Admission::Refuse(0) } else { said };
                    prop_assert_eq!(said, plain.admit(&timing, now));
                }
                5..9 => {
                    let end = [ProbeEnd::Passed, ProbeEnd::Passed, ProbeEnd::Failed, ProbeEnd::Unjudged][step as usize - 5];
                    if plain.live > 0 || named != plain.generation {
                        end_probe(&word, &timing, named, end, now);
                        plain.end(&timing, named, end, now);
                    }
                }
                9 => {
                    trip(&word, named, Reason::Told, now);
                    if matches!(plain.state, State::Closed | State::Recovering) && named == plain.generation {
                        plain.go(State::Open, now);
                    }
                }
                10 => {
                    let forced = [Forced::Open, Forced::Closed, Forced::Disabled][back as usize];
                    force(&word, forced, now);
                    if plain.state != forced.state() { plain.go(forced.state(), now) }
                }
                _ => {
                    reset(&word, now);
                    plain.go(State::Closed, now);
                }
            }
            let seen = Breaker::of(word.load(Relaxed));
            prop_assert_eq!((seen.state, seen.generation, seen.due), (plain.state, plain.generation, plain.due));
            if seen.state == State::HalfOpen {
                prop_assert_eq!((seen.ok, seen.failed, seen.out), (plain.ok, plain.failed, plain.live + plain.ok + plain.failed));
            }
        }
    }
}
