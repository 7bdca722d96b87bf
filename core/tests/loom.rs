//! Loom drives the shared words through every interleaving of a few threads. The transitions are the very functions
//! that run on the segment.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use tidegate_core::breaker::state::{self, Admission, Breaker, ProbeEnd, State, Timing};
use tidegate_core::concurrency::adapt::{Algorithm, Numbers};
use tidegate_core::concurrency::adaptive::{InForce, Words};
use tidegate_core::concurrency::fixed::{self, Held};
use tidegate_core::concurrency::sample::Sum;
use tidegate_core::concurrency::{shed, window};
use tidegate_core::guard::Criticality;
use tidegate_core::rate::token_bucket::{Bucket, Refusal};
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

/// Ten milliseconds after which a fresh window is due.
const WINDOW: u64 = SECOND / 100;

#[test]
fn a_window_is_turned_once() {
    model(|| {
        let shared = word(0);
        let in_threads = shared.clone();
        // The second one comes when the first one's lease has ended.
        let turned = on_threads(2, move |index| {
            let now = index as u64 * SECOND;
            let lease = window::lease(&*in_threads, now, WINDOW);
            lease.is_some_and(|lease| lease.index() == 0 && lease.turn(&*in_threads, now, 60 * SECOND))
        });
        assert!(turned.iter().filter(|&&turned| turned).count() <= 1);
        assert!(window::index_of(shared.get()) <= 1);
    });
}

#[test]
fn a_limit_is_that_of_one_who_turned_a_window() {
    model(|| {
        let shared = Arc::new([0; 5].map(|value| LoomWord(AtomicU64::new(value))));
        let in_threads = shared.clone();
        let numbers = Numbers { window_ns: WINDOW, ..Numbers::new(Algorithm::Gradient2(Default::default())) };
        let turned = on_threads(2, move |index| {
            let [window, limit, memory, round_trip, priority] = &*in_threads;
            let words = Words { window, limit, memory, round_trip, priority };
            let sum = Sum { samples: 100, drops: 0, total_ns: SECOND / 1000, peak: 20 };
            words.turn(&numbers, index as u64 * SECOND, |_| sum).map(|turned| turned.index)
        });
        let mut indices: Vec<_> = turned.into_iter().flatten().collect();
        indices.sort_unstable();
        assert!(indices == [0] || indices == [0, 1], "{indices:?}");
        let limit = InForce::of(shared[1].get(), 20);
        assert!((20..=22).contains(&limit.critical), "{limit:?}");
        assert_eq!(window::index_of(shared[0].get()), indices.len() as u64);
    });
}

#[test]
fn what_a_class_met_is_noted_before_or_after_a_window_turns_and_never_lost() {
    model(|| {
        let shared = word(0);
        let in_threads = shared.clone();
        let answers = on_threads(2, move |index| match index {
            0 => {
                shed::note(&*in_threads, Criticality::Sheddable, true);
                false
            }
            _ => shed::turn(&*in_threads),
        });
        assert!(answers[1] ^ shed::turn(&*shared), "in one of the two windows");
    });
}

#[test]
fn each_refusal_makes_room_once() {
    model(|| {
        let shared = word(0);
        shed::note(&*shared, Criticality::Sheddable, true);
        let in_threads = shared.clone();
        on_threads(2, move |_| shed::note(&*in_threads, Criticality::Critical, false));
        let one_by_one = LoomWord(AtomicU64::new(0));
        shed::note(&one_by_one, Criticality::Sheddable, true);
        shed::note(&one_by_one, Criticality::Critical, false);
        shed::note(&one_by_one, Criticality::Critical, false);
        assert_eq!(shared.get(), one_by_one.get());
    });
}
