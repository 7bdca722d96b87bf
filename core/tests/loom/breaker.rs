//! The breaker.

use super::*;
use tidegate_core::breaker::consecutive;
use tidegate_core::breaker::counts::{Counted, Counts, Ending, Rule};
use tidegate_core::breaker::last_calls::LastCalls;
use tidegate_core::breaker::running::{self, Running, Slow};
use tidegate_core::breaker::state::{self, Admission, Breaker, ProbeEnd, Reason, State, Timing};
use tidegate_core::breaker::transition::Forced;
use tidegate_core::breaker::window::{BAD, SLOW, Sum};

const TIMING: Timing = Timing { open_for_ns: SECOND, probes: 1, probe_timeout_ns: SECOND, ..Timing::PLAIN };

#[test]
fn a_breaker_opens_once() {
    model(|| {
        let shared = word(0);
        let in_threads = shared.clone();
        let changed = on_threads(3, move |_| state::trip(&*in_threads, 0, Reason::Told, 1));
        assert_eq!(changed.into_iter().flatten().map(|change| change.to).collect::<Vec<_>>(), [State::Open]);
        let breaker = Breaker::of(shared.get());
        assert_eq!((breaker.state, breaker.generation), (State::Open, 1));
    });
}

#[test]
fn a_half_open_breaker_sends_one_probe() {
    model(|| {
        let shared = word(Breaker::default().trip(0, 0).word());
        let in_threads = shared.clone();
        let admitted = on_threads(3, move |_| {
            let (admission, _) = state::admit(&*in_threads, &TIMING, 2 * SECOND);
            match admission {
                Admission::Probe(generation) => {
                    state::end_probe(&*in_threads, &TIMING, generation, ProbeEnd::Passed, 2 * SECOND);
                    1
                }
                _ => 0,
            }
        });
        assert_eq!(admitted.iter().sum::<i32>(), 1, "closed once its probe passed, and only one was sent");
        assert_eq!(Breaker::of(shared.get()).state, State::Closed);
    });
}

#[test]
fn a_recovering_breaker_admits_by_the_share_under_any_order() {
    model(|| {
        let rule = Timing { recover_over_ns: SECOND, first_share: 1 << 15, ..TIMING };
        let half = Breaker::default().trip(0, 0).admit(&rule, SECOND).0;
        let shared = word(half.end_probe(&rule, 2, ProbeEnd::Passed, 0).word());
        let in_threads = shared.clone();
        let passed = on_threads(3, move |_| state::admit(&*in_threads, &rule, 0).0 == Admission::Pass(3));
        assert_eq!(passed.into_iter().filter(|&passed| passed).count(), 1, "half of three calls, rounded down");
        assert_eq!(Breaker::of(shared.get()).due, 1 << 15);
    });
}

#[test]
fn an_operator_and_a_bad_call_change_it_one_after_the_other() {
    model(|| {
        let shared = word(0);
        let in_threads = shared.clone();
        let changes = on_threads(3, move |index| match index {
            0 => state::trip(&*in_threads, 0, Reason::Told, 1),
            1 => state::force(&*in_threads, Forced::Closed, 1),
            _ => state::admit(&*in_threads, &TIMING, 2 * SECOND).1,
        });
        let breaker = Breaker::of(shared.get());
        assert_eq!(breaker.state, State::ForcedClosed, "whatever came before");
        assert_eq!(breaker.generation, changes.iter().flatten().count() as u64, "each change is told once");
    });
}

#[test]
fn a_late_failure_leaves_the_row_of_a_later_generation() {
    model(|| {
        let (breaker, row) = (word(0), word(0));
        let in_threads = (breaker.clone(), row.clone());
        let counted = on_threads(2, move |index| {
            let (breaker, row) = &in_threads;
            if index == 0 {
                return consecutive::failed(&**row, &**breaker, 0);
            }
            state::reset(&**breaker, 0);
            consecutive::failed(&**row, &**breaker, 1)
        });
        assert_eq!(counted[1], 1, "nothing of the earlier one counts");
        assert_eq!(consecutive::in_a_row(row.get(), 1), 1, "and nothing of it takes this one away");
    });
}

#[test]
fn the_last_calls_are_summed_exactly_once_all_have_ended() {
    model(|| {
        let words: Arc<[LoomWord; 3]> = Arc::new([0; 3].map(|value| LoomWord(AtomicU64::new(value))));
        let breaker = word(0);
        let in_threads = (words.clone(), breaker.clone());
        on_threads(2, move |index| {
            let window = LastCalls::new(&in_threads.0[..]).unwrap();
            window.count(&*in_threads.1, 0, if index == 0 { BAD } else { SLOW })
        });
        let window = LastCalls::new(&words[..]).unwrap();
        let sum = window.sum(0);
        assert_eq!((sum.calls, sum.bad + sum.slow), (1, 1), "one place, one call");
        assert_eq!(sum, window.recount(0));
    });
}

/// A window of one call, counted in by the generation before that begins anew meanwhile, and by the one that begins; and its sum then.
fn counted_while_a_generation_begins(already: Option<u64>, ending: u64, then: impl Fn(Sum) + Sync + Send + 'static) {
    model(move || {
        let words: Arc<[LoomWord; 3]> = Arc::new([0; 3].map(|value| LoomWord(AtomicU64::new(value))));
        let breaker = word(0);
        if let Some(before) = already {
            assert!(LastCalls::new(&words[..]).unwrap().count(&*breaker, 0, before));
        }
        let in_threads = (words.clone(), breaker.clone());
        on_threads(2, move |index| {
            let (words, breaker) = &in_threads;
            let window = LastCalls::new(&words[..]).unwrap();
            if index == 0 {
                window.count(&**breaker, 0, BAD);
            } else {
                state::reset(&**breaker, 0);
                assert!(window.count(&**breaker, 1, ending));
            }
        });
        let window = LastCalls::new(&words[..]).unwrap();
        assert_eq!(window.sum(1), window.recount(1));
        then(window.sum(1));
    });
}

/// Each replaces a call that ended as it did, which leaves the sums as they are, while another generation begins.
#[test]
fn last_calls_that_end_alike_count_once_and_in_their_generation() {
    counted_while_a_generation_begins(Some(BAD), BAD, |sum| assert_eq!((sum.calls, sum.bad), (1, 1)));
}

#[test]
fn the_last_calls_of_a_generation_keep_nothing_of_another() {
    counted_while_a_generation_begins(None, SLOW, |sum| assert_eq!((sum.calls, sum.bad, sum.slow), (1, 0, 1)));
}

#[test]
fn a_bucket_of_running_calls_that_two_turn_at_once_loses_none() {
    model(|| {
        let rule = Slow::new(SECOND, 0);
        let ring: Arc<[LoomWord; 9]> = Arc::new([0; 9].map(|value| LoomWord(AtomicU64::new(value))));
        let change = move |ring: &[LoomWord; 9], now, n| running::change_shared(&ring[0], &ring[8], rule.start(now), n);
        let count = move |ring: &[LoomWord; 9], now| {
            let mut running = Running::default();
            running.add_up(&ring[..], &rule, now);
            running.slow()
        };
        // Epochs of a quarter of a second, eight in a circle: these two share a bucket.
        let (begin, later) = (0, 8 * SECOND / 4);
        change(&ring, begin, 1);
        let in_threads = ring.clone();
        let counted = on_threads(3, move |index| {
            if index < 2 {
                change(&in_threads, later, 1);
                return 0;
            }
            count(&in_threads, later)
        });
        assert!(counted.iter().all(|&slow| slow <= 1), "no call is counted twice");
        assert_eq!(count(&ring, later), 1);
        assert_eq!(count(&ring, 100 * SECOND), 3);
    });
}

fn counted_words() -> Arc<[LoomWord; 6]> {
    Arc::new([0; 6].map(|value| LoomWord(AtomicU64::new(value))))
}

#[test]
fn a_counted_breaker_half_opens_for_no_more_than_it_may() {
    model(|| {
        let (words, rule) = (counted_words(), Rule::new(1, 0, 0, SECOND));
        let breaker = Counted::new(rule, &words[..]).unwrap();
        breaker.trip(0, 0);
        let in_threads = words.clone();
        let admitted = on_threads(2, move |_| Counted::new(rule, &in_threads[..]).unwrap().ask(2 * SECOND).0.is_ok());
        assert_eq!(admitted.into_iter().filter(|&admitted| admitted).count(), 1);
    });
}

#[test]
fn a_counted_breaker_takes_nothing_from_a_generation_before() {
    model(|| {
        let (words, rule) = (counted_words(), Rule::new(1, 0, 0, SECOND));
        let before = Counted::new(rule, &words[..]).unwrap().ask(0).0.unwrap();
        let in_threads = words.clone();
        on_threads(2, move |index| {
            let breaker = Counted::new(rule, &in_threads[..]).unwrap();
            if index == 0 {
                breaker.end(before, Ending::Success, 0);
                return;
            }
            breaker.trip(0, 0);
            let probe = breaker.ask(2 * SECOND).0.unwrap();
            breaker.end(probe, Ending::Success, 2 * SECOND);
        });
        let seen = Counted::new(rule, &words[..]).unwrap().snapshot(2 * SECOND).0;
        assert_eq!((seen.state, seen.generation, seen.counts), (State::Closed, 3, Counts::default()));
    });
}

#[test]
fn of_two_failures_that_end_at_once_one_sees_both_and_one_trips() {
    model(|| {
        let (words, rule) = (counted_words(), Rule::new(1, 0, 0, SECOND));
        let in_threads = words.clone();
        let tripped = on_threads(2, move |_| {
            let breaker = Counted::new(rule, &in_threads[..]).unwrap();
            let ticket = breaker.ask(0).0.unwrap();
            let (seen, _) = breaker.end(ticket, Ending::Failure, 0);
            let bad = seen.filter(|seen| seen.counts.consecutive_failures == 2);
            bad.is_some_and(|seen| breaker.trip(seen.generation, 0).is_some())
        });
        assert_eq!(tripped.into_iter().filter(|&tripped| tripped).count(), 1);
    });
}
