//! Limits by key.

use super::*;
use tidegate_core::rate::keyed::{Known, Numbers, OnFull, Pace, Refusal as KeyRefusal, Set, Source};

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
        let (set, key) = (self.set(), Known::of(key, 2));
        match rule.take_one(&set, key, now) {
            Some(_) => Ok(Source::Key),
            None => rule.take(&set, key, now, 1).map(|(source, _)| source),
        }
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

/// Five epochs after a reading of the clock, the times of words are too far away to be compared with it.
const LATE: u64 = 21 * SECOND;

/// One thread reads the clock and sleeps, for another five epochs; whoever comes first gets the token.
#[test]
fn who_sleeps_after_reading_the_clock_makes_no_tokens() {
    model(|| {
        let (rule, set) = (keyed(1, OnFull::Refuse), SmallSet::new());
        assert!(set.take(&rule, 7, SECOND).is_ok());
        let (now, in_threads) = ([SECOND + 9, LATE], set.clone());
        let answers = on_threads(2, move |thread| in_threads.take(&rule, 7, now[thread]).is_ok());
        assert!(answers[0] ^ answers[1], "one token");
        assert!(set.take(&rule, 7, LATE).is_err());
    });
}

#[test]
fn who_sleeps_after_reading_the_clock_takes_no_place_that_is_needed() {
    model_with(1, || {
        let (rule, set) = (keyed(1, OnFull::Refuse), SmallSet::new());
        assert!(set.take(&rule, 7, SECOND).is_ok() && set.take(&rule, 8, SECOND).is_ok());
        let in_threads = set.clone();
        let answers = on_threads(2, move |thread| match thread {
            0 => in_threads.take(&rule, 9, SECOND + 9).is_ok(),
            _ => in_threads.take(&rule, 7, LATE).is_ok() && in_threads.take(&rule, 8, LATE).is_ok(),
        });
        assert!(answers[0] ^ answers[1], "two places");
        assert!([7, 8].iter().all(|&key| set.take(&rule, key, LATE).is_err()));
    });
}

/// A place whose key's bucket is full is there for another, also for one that has to read the clock again.
#[test]
fn who_sleeps_after_reading_the_clock_does_not_take_a_set_for_full() {
    model_with(1, || {
        let (rule, set) = (keyed(1, OnFull::Refuse), SmallSet::new());
        assert!(set.take(&rule, 1, 0).is_ok() && set.take(&rule, 2, 0).is_ok());
        let in_threads = set.clone();
        let answers = on_threads(2, move |thread| match thread {
            0 => in_threads.take(&rule, 7, SECOND + 100),
            _ => in_threads.take(&rule, 1, LATE),
        });
        assert!(matches!(answers[0], Ok(Source::Key) | Err(KeyRefusal::Stale)), "{answers:?}");
    });
}

#[test]
fn who_sleeps_after_reading_the_clock_makes_no_tokens_of_the_shared_bucket() {
    model_with(1, || {
        let (rule, set) = (keyed(1, OnFull::Shared), SmallSet::new());
        let fill = |now| [1, 2, 3].map(|key| set.take(&rule, key, now));
        assert_eq!(fill(SECOND), [Ok(Source::Key), Ok(Source::Key), Ok(Source::Shared)]);
        let in_threads = set.clone();
        let answers = on_threads(2, move |thread| match thread {
            0 => in_threads.take(&rule, 9, SECOND + 9).is_ok(),
            _ => [1, 2, 3].iter().all(|&key| in_threads.take(&rule, key, LATE).is_ok()),
        });
        assert!(answers[0] ^ answers[1], "two places and the shared bucket");
        assert!(set.take(&rule, 9, LATE).is_err());
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
