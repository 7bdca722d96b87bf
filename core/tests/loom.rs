//! Loom drives the shared words through every interleaving of a few threads. The transitions are the very functions
//! that run on the segment.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use tidegate_core::breaker::state::{self, Admission, Breaker, ProbeEnd, State, Timing};
use tidegate_core::concurrency::fixed::{self, Held};
use tidegate_core::rate::keyed::{Known, Numbers, OnFull, Pace, Refusal as KeyRefusal, Set, Source};
use tidegate_core::rate::token_bucket::{Bucket, Refusal};
use tidegate_core::word::Word;

const SECOND: u64 = 1_000_000_000;

/// Every interleaving with up to two preemptions: beyond that, three threads on one word show nothing new and take
/// minutes.
fn model(body: impl Fn() + Sync + Send + 'static) {
    model_with(2, body);
}

/// Every interleaving with up to so many preemptions: what takes many steps would take minutes with two.
fn model_with(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
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

/// A set of two places, as a table has sets of fourteen.
struct SmallSet {
    stamp: LoomWord,
    claim: LoomWord,
    places: [LoomWord; 2],
}

impl SmallSet {
    fn new() -> Arc<SmallSet> {
        let zero = || LoomWord(AtomicU64::new(0));
        // Stamped already: of generation 1, in the first epoch.
        Arc::new(SmallSet { stamp: LoomWord(AtomicU64::new(1 << 32)), claim: zero(), places: [zero(), zero()] })
    }

    fn set(&self) -> Set<'_, LoomWord, 2> {
        Set::new(&self.stamp, &self.claim, &self.places)
    }

    fn take(&self, rule: &Numbers, key: u64, now: u64) -> Result<Source, KeyRefusal> {
        rule.take(&self.set(), Known::of(key, 2), now, 1).map(|(source, _)| source)
    }

    /// How often a key's fingerprint stands in the set.
    fn places_of(&self, key: u64) -> usize {
        self.places.iter().filter(|place| place.get() >> 36 == key).count()
    }
}

fn keyed(burst: u64, on_full: OnFull) -> Numbers {
    Numbers::new(Pace::new(burst as f64, SECOND, burst).unwrap(), on_full, 1).unwrap()
}

#[test]
fn a_new_key_that_two_bring_gets_one_bucket() {
    model(|| {
        let (rule, set) = (keyed(1, OnFull::Refuse), SmallSet::new());
        let in_threads = set.clone();
        let answers = on_threads(2, move |_| in_threads.take(&rule, 7, 5).is_ok());
        assert!(answers[0] ^ answers[1], "one token");
        assert_eq!(set.places_of(7), 1);
    });
}

#[test]
fn new_keys_share_the_places_and_none_gets_two() {
    model(|| {
        let (rule, set) = (keyed(1, OnFull::Refuse), SmallSet::new());
        let in_threads = set.clone();
        let answers = on_threads(2, move |thread| in_threads.take(&rule, [7, 8][thread], 5).is_ok());
        assert_eq!(answers, [true, true]);
        assert_eq!((set.places_of(7), set.places_of(8)), (1, 1));
    });
}

#[test]
fn a_place_that_changes_hands_makes_no_tokens() {
    model_with(1, || {
        let (rule, set) = (keyed(1, OnFull::Refuse), SmallSet::new());
        // Two keys whose buckets are full again.
        assert!(set.take(&rule, 1, 0).is_ok() && set.take(&rule, 2, 0).is_ok());
        let (now, in_threads) = (SECOND + 100, set.clone());
        let answers = on_threads(2, move |thread| in_threads.take(&rule, [7, 1][thread], now));
        assert_eq!(answers, [Ok(Source::Key); 2]);
        assert!(set.places_of(7) == 1 && set.places_of(1) == 1, "each stands once");
    });
}

#[test]
fn a_claim_whose_maker_died_is_completed() {
    model(|| {
        let (rule, set) = (keyed(1, OnFull::Refuse), SmallSet::new());
        // Key 9 into the first place, as the first insertion: then its maker died.
        set.claim.swap_if(0, 9 << 36 | 1 << 4 | 1).unwrap();
        let in_threads = set.clone();
        let answers = on_threads(2, move |thread| in_threads.take(&rule, [9, 7][thread], 5).is_ok());
        assert_eq!(answers, [true, true]);
        assert_eq!((set.places_of(9), set.places_of(7)), (1, 1));
    });
}

#[test]
fn keys_that_find_no_place_share_one_bucket() {
    model(|| {
        let (rule, set) = (keyed(1, OnFull::Shared), SmallSet::new());
        assert!(set.take(&rule, 1, 0).is_ok() && set.take(&rule, 2, 0).is_ok());
        let in_threads = set.clone();
        let answers = on_threads(2, move |thread| in_threads.take(&rule, [7, 8][thread], 0));
        assert_eq!(answers.iter().filter(|&&answer| answer == Ok(Source::Shared)).count(), 1);
    });
}

/// Two threads tidy at once, one of them with a reading of the clock that is an epoch older.
#[test]
fn tidying_a_set_forgets_nothing() {
    model_with(1, || {
        let (rule, set) = (keyed(1, OnFull::Refuse), SmallSet::new());
        // Four times the time to fill are an epoch.
        let in_threads = set.clone();
        assert!(set.take(&rule, 7, SECOND).is_ok());
        let now = [7_900_000_000, 8_100_000_000];
        let answers = on_threads(2, move |thread| in_threads.take(&rule, 7, now[thread]).is_ok());
        assert!(answers[0] ^ answers[1], "one token");
        assert_eq!(set.places_of(7), 1);
    });
}

#[test]
fn a_key_keeps_what_it_used_while_its_rule_changes() {
    model(|| {
        let old = keyed(2, OnFull::Refuse);
        let new = old.followed_by(Pace::new(4.0, SECOND, 4).unwrap(), OnFull::Refuse);
        let set = SmallSet::new();
        assert!(set.take(&old, 7, 0).is_ok());
        let in_threads = set.clone();
        let answers = on_threads(2, move |thread| in_threads.take([&old, &new][thread], 7, 0));
        // Half the burst was used. Then the old numbers' other half, or a quarter of the new ones'.
        let left = (0..5).take_while(|_| set.take(&new, 7, 0).is_ok()).count();
        let both = (answers[0].is_ok(), answers[1].is_ok(), left);
        assert!([(true, false, 0), (false, true, 1)].contains(&both), "{left} after {answers:?}");
    });
}
