//! Loom drives the shared words through every interleaving of a few threads. The transitions are the very functions
//! that run on the segment.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use tidegate_core::breaker::state::{self, Admission, Breaker, ProbeEnd, State, Timing};
use tidegate_core::concurrency::fixed::{self, Held};
use tidegate_core::rate::fixed_window::FixedWindow;
use tidegate_core::rate::pacing::Pacing;
use tidegate_core::rate::reserve::Reserving;
use tidegate_core::rate::sliding_counter::SlidingCounter;
use tidegate_core::rate::sliding_window::SlidingWindow;
use tidegate_core::rate::token_bucket::{Bucket, Refusal};
use tidegate_core::rate::warm_up::WarmUp;
use tidegate_core::word::Word;

const SECOND: u64 = 1_000_000_000;

/// Every interleaving with up to two preemptions: beyond that, three threads on one word show nothing new and take
/// minutes.
fn model(body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(body);
}

struct LoomWord(AtomicU64);

impl Word for LoomWord {
    fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    fn swap_if(&self, old: u64, new: u64) -> Result<(), u64> {
        self.0.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).map(drop)
    }
}

fn word(value: u64) -> Arc<LoomWord> {
    Arc::new(LoomWord(AtomicU64::new(value)))
}

/// Runs a body on so many threads and gives what each answered.
fn on_threads<T: Send + 'static>(count: usize, body: impl Fn(usize) -> T + Clone + Send + 'static) -> Vec<T> {
    let threads: Vec<_> = (0..count)
        .map(|index| {
            let body = body.clone();
            thread::spawn(move || body(index))
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

#[test]
fn a_bucket_gives_no_token_twice() {
    model(|| {
        let (bucket, word) = (Bucket::new(1.0, SECOND, 2, 1).unwrap(), word(0));
        let taken = on_threads(3, move |_| bucket.take(&*word, 5, 1).is_ok());
        assert_eq!(taken.into_iter().filter(|&ok| ok).count(), 2);
    });
}

#[test]
fn a_bucket_keeps_its_tokens_while_its_rule_changes() {
    model(|| {
        let old = Bucket::new(1.0, SECOND, 3, 1).unwrap();
        let new = Bucket::new(2.0, SECOND, 3, 2).unwrap();
        let shared = word(0);
        old.take(&*shared, 0, 1).unwrap();
        let in_threads = shared.clone();
        let answers = on_threads(2, move |index| match index {
            0 => old.take(&*in_threads, 0, 1),
            _ => {
                let seen = in_threads.get();
                let _ = in_threads.swap_if(seen, new.rescale(&old, seen, 0));
                Err(Refusal::Stale)
            }
        });
        // Whoever came too late brings the word over, as a caller does that meets it.
        let seen = shared.get();
        if !new.owns(seen) {
            shared.swap_if(seen, new.rescale(&old, seen, 0)).unwrap();
        }
        let taken = 1 + u64::from(answers[0].is_ok());
        let left = (0..4).take_while(|_| new.take(&*shared, 0, 1).is_ok()).count() as u64;
        assert_eq!(taken + left, 3, "none lost, none made");
    });
}

#[test]
fn a_cancelled_reservation_gives_nobody_the_same_token() {
    model(|| {
        let (rule, shared) = (Reserving::new(1.0, SECOND, 1, 10 * SECOND, 1).unwrap(), word(0));
        rule.take(&*shared, 0, 1).unwrap();
        let mut waits = on_threads(3, move |index| {
            let reservation = rule.reserve(&*shared, 0, 1, u64::MAX).unwrap();
            if index > 0 {
                return Some(reservation.wait_ns);
            }
            rule.cancel(&*shared, 0, &reservation).unwrap();
            None
        });
        waits.sort();
        assert!(waits[1] < waits[2] && waits[1] >= Some(SECOND), "{waits:?}");
    });
}

#[test]
fn a_fixed_window_admits_its_limit_while_it_turns() {
    model(|| {
        let (rule, shared) = (FixedWindow::new(2, 10, 1).unwrap(), word(0));
        rule.take(&*shared, 5, 2).unwrap();
        let in_threads = shared.clone();
        // One reading is late: it counts in the window that it finds open.
        let taken = on_threads(3, move |index| rule.take(&*in_threads, if index == 0 { 9 } else { 12 }, 1).is_ok());
        let turned = taken.iter().filter(|&&ok| ok).count();
        let left = (0..3).take_while(|_| rule.take(&*shared, 19, 1).is_ok()).count();
        assert_eq!(turned + left, 2);
    });
}

#[test]
fn a_sliding_counter_admits_its_estimate_while_it_turns() {
    model(|| {
        let (rule, shared) = (SlidingCounter::new(4, 10, 1).unwrap(), word(0));
        rule.take(&*shared, 5, 4).unwrap();
        let in_threads = shared.clone();
        let taken = on_threads(3, move |index| rule.take(&*in_threads, if index == 0 { 9 } else { 15 }, 1).is_ok());
        let turned = taken.iter().filter(|&&ok| ok).count();
        let left = (0..5).take_while(|_| rule.take(&*shared, 15, 1).is_ok()).count();
        assert_eq!(turned + left, 2, "half of the window before counts still");
    });
}

#[test]
fn paced_calls_have_slots_of_their_own() {
    model(|| {
        let (rule, shared) = (Pacing::new(1.0, 100, 250, 1).unwrap(), word(0));
        let mut waits = on_threads(3, move |index| {
            let wait = rule.take(&*shared, 0, 1).unwrap();
            if index == 0 {
                rule.give_back(&*shared, wait, 1);
                return None;
            }
            Some(wait)
        });
        waits.sort();
        let (first, second) = (waits[1].unwrap(), waits[2].unwrap());
        assert!(second - first >= 100, "{first} {second}");
    });
}

#[test]
fn a_ramps_slots_and_permits_are_taken_once() {
    model(|| {
        let rule = WarmUp::new(10.0, SECOND, SECOND, 3.0, 10 * SECOND, 1).unwrap();
        let (shared, alone) = (word(0), word(0));
        let in_threads = shared.clone();
        let mut waits = on_threads(3, move |_| rule.take(&*in_threads, 7, 1).unwrap());
        waits.sort();
        let expected: Vec<_> = (0..3).map(|_| rule.take(&*alone, 7, 1).unwrap()).collect();
        assert_eq!((waits, shared.get()), (expected, alone.get()));
    });
}

type Buckets = Arc<Vec<LoomWord>>;

fn buckets(count: usize) -> Buckets {
    Arc::new((0..count).map(|_| LoomWord(AtomicU64::new(0))).collect())
}

#[test]
fn a_sliding_window_never_exceeds_its_limit_while_it_moves() {
    model(|| {
        let (rule, shared, buckets) = (SlidingWindow::new(2, 30, 3, 1).unwrap(), word(0), buckets(3));
        rule.take(&*shared, &buckets, 5, 1).unwrap();
        let taken = on_threads(3, move |index| rule.take(&*shared, &buckets, [6, 15, 25][index], 1).is_ok());
        assert_eq!(taken.into_iter().filter(|&ok| ok).count(), 1, "all are in one window");
    });
}

#[test]
fn a_late_mover_takes_no_count_back() {
    model(|| {
        let (rule, shared, buckets) = (SlidingWindow::new(1, 30, 3, 1).unwrap(), word(0), buckets(3));
        rule.take(&*shared, &buckets, 5, 1).unwrap();
        let in_threads = (shared.clone(), buckets.clone());
        let taken = on_threads(2, move |index| {
            let take = |now| rule.take(&*in_threads.0, &in_threads.1, now, 1).is_ok();
            if index == 0 { vec![take(15)] } else { vec![take(35), take(45), take(55)] }
        });
        // Buckets 0 and 3 have their counts in the same word.
        assert_eq!(taken, [vec![false], vec![true, false, false]]);
        assert!(rule.take(&*shared, &buckets, 65, 1).is_ok());
    });
}

#[test]
fn a_sliding_window_counts_what_is_given_back_amid_a_move_at_most_too_long() {
    model(|| {
        let (rule, shared, buckets) = (SlidingWindow::new(2, 20, 2, 1).unwrap(), word(0), buckets(2));
        rule.take(&*shared, &buckets, 5, 1).unwrap();
        let in_threads = (shared.clone(), buckets.clone());
        let taken = on_threads(2, move |index| match index {
            0 => {
                if rule.take(&*in_threads.0, &in_threads.1, 6, 1).is_ok() {
                    rule.give_back(&*in_threads.0, 6, 1);
                }
                0
            }
            _ => (0..2).filter(|_| rule.take(&*in_threads.0, &in_threads.1, 15, 1).is_ok()).count(),
        });
        assert!(taken[1] <= 1);
        assert!(rule.take(&*shared, &buckets, 15, 2).is_err());
    });
}

#[test]
fn a_sliding_windows_change_of_rule_loses_no_count() {
    model(|| {
        let old = SlidingWindow::new(2, 20, 2, 1).unwrap();
        let new = SlidingWindow::new(2, 20, 2, 2).unwrap();
        let (shared, buckets) = (word(0), buckets(2));
        old.take(&*shared, &buckets, 5, 1).unwrap();
        let in_threads = (shared.clone(), buckets.clone());
        let taken = on_threads(2, move |index| {
            let (word, buckets) = &in_threads;
            if index == 0 {
                return u32::from(old.take(&**word, buckets, 15, 1).is_ok());
            }
            let mut seen = word.get();
            while let Err(other) = word.swap_if(seen, new.rescale(&old, seen, buckets, 15)) {
                seen = other;
            }
            (0..3).filter(|_| new.take(&**word, buckets, 15, 1).is_ok()).count() as u32
        });
        assert_eq!(taken.iter().sum::<u32>(), 1);
        assert!(new.take(&*shared, &buckets, 25, 2).is_err(), "what was carried over counts from the change on");
        assert!(new.take(&*shared, &buckets, 35, 2).is_ok());
    });
}

#[test]
fn places_in_flight_are_counted_exactly() {
    model(|| {
        let (shared, inside) = (word(0), word(0));
        let in_threads = (shared.clone(), inside.clone());
        let entered = on_threads(3, move |_| {
            let (shared, inside) = &in_threads;
            let Ok(taken) = fixed::take(&**shared, 2, 0) else { return false };
            assert!(inside.0.fetch_add(1, Ordering::AcqRel) < 2, "never more than the limit");
            inside.0.fetch_sub(1, Ordering::AcqRel);
            assert!(fixed::give_back(&**shared, taken.epoch).is_some());
            true
        });
        assert!(entered.iter().filter(|&&ok| ok).count() >= 2);
        assert_eq!(Held::of(shared.get()).inflight(), 0);
    });
}

#[test]
fn a_place_is_given_back_once_by_its_holder_or_by_time() {
    model(|| {
        let shared = word(0);
        let lost = fixed::take(&*shared, 1, 0).unwrap();
        let in_threads = shared.clone();
        let answers = on_threads(2, move |index| match index {
            0 => fixed::give_back(&*in_threads, lost.epoch).map_or(0, |_| 1),
            _ => fixed::take(&*in_threads, 1, 2).map_or(0, |taken| taken.expired),
        });
        assert_eq!(answers[0] + answers[1], 1, "given back by the holder, or expired, never both");
        assert_eq!(Held::of(shared.get()).inflight(), 1, "the second one's place");
    });
}

const TIMING: Timing = Timing { open_for_ns: SECOND, probes: 1, probe_timeout_ns: SECOND };

#[test]
fn a_breaker_opens_once() {
    model(|| {
        let shared = word(0);
        let in_threads = shared.clone();
        let changed = on_threads(3, move |_| state::transition(&*in_threads, |breaker| (breaker.trip(0, 1), ())).1);
        assert_eq!(changed.into_iter().flatten().collect::<Vec<_>>(), [State::Open]);
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
                    let end =
                        |breaker: Breaker| (breaker.end_probe(&TIMING, generation, ProbeEnd::Passed, 2 * SECOND), ());
                    state::transition(&*in_threads, end);
                    1
                }
                Admission::Pass(_) => 0,
                Admission::Refuse(_) => 0,
            }
        });
        assert_eq!(admitted.iter().sum::<i32>(), 1, "closed once its probe passed, and only one was sent");
        assert_eq!(Breaker::of(shared.get()).state, State::Closed);
    });
}
