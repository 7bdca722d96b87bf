//! The counted breaker: case by case, against a plain model, and under a storm.

use super::*;
use proptest::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// A unit of its time, so that times are kept exactly.
const UNIT: u64 = 1 << UNIT_BITS;
const OPEN: u64 = 60 * UNIT;

fn words(rule: &Rule) -> Vec<AtomicU64> {
    (0..rule.words()).map(|_| AtomicU64::new(0)).collect()
}

fn plain(max_requests: u32) -> Rule {
    Rule::new(max_requests, 0, 0, OPEN)
}

fn call(breaker: &Counted<'_, AtomicU64>, ending: Ending, now: u64) -> (Option<Snapshot>, Moved) {
    breaker.end(breaker.ask(now).0.unwrap(), ending, now)
}

fn counts_of(breaker: &Counted<'_, AtomicU64>, now: u64) -> [u32; 6] {
    let counts = breaker.snapshot(now).0.counts;
    [
        counts.requests,
        counts.total_successes,
        counts.total_failures,
        counts.total_exclusions,
        counts.consecutive_successes,
        counts.consecutive_failures,
    ]
}

fn tripped(breaker: &Counted<'_, AtomicU64>, now: u64) {
    let generation = breaker.settle(now).0.generation;
    assert_eq!(breaker.trip(generation, now), Some((State::Closed, State::Open)));
}

#[test]
fn counts_and_trips_when_told() {
    let (rule, now) = (plain(1), 5 * UNIT);
    let words = words(&rule);
    let breaker = Counted::new(rule, &words).unwrap();
    call(&breaker, Ending::Success, now);
    call(&breaker, Ending::Excluded, now);
    let out = breaker.ask(now).0.unwrap();
    let (snapshot, moved) = call(&breaker, Ending::Failure, now);
    let snapshot = snapshot.unwrap();
    assert_eq!((snapshot.state, snapshot.counts.consecutive_failures, moved), (State::Closed, 1, None));
    assert_eq!(counts_of(&breaker, now), [4, 1, 1, 1, 0, 1]);
    assert_eq!(breaker.trip(snapshot.generation + 1, now), None, "another generation");
    assert_eq!(breaker.trip(snapshot.generation, now), Some((State::Closed, State::Open)));
    assert_eq!(breaker.trip(snapshot.generation, now), None, "once");
    assert_eq!(breaker.ask(now), (Err(Denied::Open), None));
    assert_eq!(breaker.end(out, Ending::Success, now), (None, None));
    assert_eq!(counts_of(&breaker, now), [0; 6], "a call of the generation before changes nothing");
}

#[test]
fn goes_half_open_and_closes() {
    let rule = plain(2);
    let words = words(&rule);
    let breaker = Counted::new(rule, &words).unwrap();
    tripped(&breaker, 0);
    assert_eq!(breaker.ask(OPEN).0, Err(Denied::Open), "not before the time is over");
    let (first, moved) = breaker.ask(OPEN + 1);
    assert_eq!(moved, Some((State::Open, State::HalfOpen)));
    let second = breaker.ask(OPEN + 1).0.unwrap();
    assert_eq!(breaker.ask(OPEN + 1), (Err(Denied::TooMany), None));
    assert_eq!(breaker.end(second, Ending::Excluded, OPEN + 1), (None, None));
    let third = breaker.ask(OPEN + 1).0.unwrap();
    assert_eq!(breaker.ask(OPEN + 1).0, Err(Denied::TooMany), "an excluded call gives its place to one");
    assert_eq!(breaker.end(first.unwrap(), Ending::Success, OPEN + 2), (None, None));
    assert_eq!(breaker.end(third, Ending::Success, OPEN + 2), (None, Some((State::HalfOpen, State::Closed))));
    assert_eq!(counts_of(&breaker, OPEN + 2), [0; 6]);
}

#[test]
fn a_failure_opens_a_half_open_one() {
    let rule = plain(3);
    let words = words(&rule);
    let breaker = Counted::new(rule, &words).unwrap();
    tripped(&breaker, 0);
    let [first, second] = [0, 1].map(|_| breaker.ask(OPEN + 1).0.unwrap());
    assert_eq!(breaker.end(first, Ending::Failure, OPEN + 1), (None, Some((State::HalfOpen, State::Open))));
    assert_eq!(breaker.end(second, Ending::Failure, OPEN + 1), (None, None), "too late");
    assert_eq!(breaker.settle(2 * OPEN).0.state, State::Open, "for a whole time again");
}

#[test]
fn an_interval_forgets_all_at_once() {
    let rule = Rule::new(1, 10 * UNIT, 0, OPEN);
    let words = words(&rule);
    let breaker = Counted::new(rule, &words).unwrap();
    let ticket = breaker.ask(UNIT).0.unwrap();
    assert_eq!(counts_of(&breaker, 10 * UNIT), [1, 0, 0, 0, 0, 0]);
    assert_eq!(breaker.end(ticket, Ending::Failure, 10 * UNIT + 1), (None, None), "no change of state");
    assert_eq!(counts_of(&breaker, 10 * UNIT + 1), [0; 6]);
}

#[test]
fn buckets_forget_one_by_one() {
    let rule = Rule::new(1, 29 * UNIT, 10 * UNIT, OPEN);
    let words = words(&rule);
    assert_eq!(words.len(), 14, "three buckets");
    let breaker = Counted::new(rule, &words).unwrap();
    call(&breaker, Ending::Failure, 0);
    let out = breaker.ask(9 * UNIT).0.unwrap();
    call(&breaker, Ending::Failure, 10 * UNIT);
    assert_eq!(counts_of(&breaker, 29 * UNIT), [3, 0, 2, 0, 0, 2]);
    assert_eq!(counts_of(&breaker, 30 * UNIT), [1, 0, 1, 0, 0, 1]);
    let (snapshot, _) = breaker.end(out, Ending::Failure, 30 * UNIT);
    assert_eq!(snapshot.unwrap().counts.total_failures, 1, "its bucket is over");
    call(&breaker, Ending::Success, 35 * UNIT);
    assert_eq!(counts_of(&breaker, 39 * UNIT), [2, 1, 1, 0, 1, 0]);
    assert_eq!(counts_of(&breaker, 1000 * UNIT), [0; 6]);
}

#[test]
fn time_that_went_back_or_beyond_the_word_begins_anew() {
    let rule = Rule::new(1, 10 * UNIT, 0, OPEN);
    let words = words(&rule);
    let breaker = Counted::new(rule, &words).unwrap();
    let hour = 3600 * 1_000_000_000;
    call(&breaker, Ending::Failure, hour);
    assert_eq!(counts_of(&breaker, hour - UNIT), [1, 0, 1, 0, 0, 1], "a late thread");
    assert_eq!(counts_of(&breaker, hour / 2), [0; 6]);
    tripped(&breaker, hour);
    assert_eq!(breaker.settle(hour - UNIT).0.state, State::Open);
    assert_eq!(breaker.settle(0).0.state, State::HalfOpen, "not for ever");
    let rolling = Rule::new(1, 30 * UNIT, 10 * UNIT, OPEN);
    let standing = Standing::of(0);
    assert_eq!(standing.at(&rolling, LONGEST).generation, 0);
    assert_eq!(standing.at(&rolling, LONGEST + 1).generation, 1);
    let long = Rule::new(1, 0, 0, u64::MAX);
    let open = standing.begin(State::Open, 0);
    assert_eq!(open.at(&long, LONGEST_WAIT).state, State::Open);
    assert_eq!(open.at(&long, LONGEST_WAIT + 1).state, State::HalfOpen);
}

#[test]
fn generations_and_numbers_near_their_end() {
    let rule = plain(1);
    let words = words(&rule);
    let last = Standing { state: State::Closed, generation: GENERATION_MASK, since: 0 };
    words[0].store(last.word(), Relaxed);
    let tag = GENERATION_MASK << 32;
    words[2].store(tag | u64::from(u32::MAX), Relaxed);
    words[5].store(tag | u64::from(u32::MAX - 1), Relaxed);
    let breaker = Counted::new(rule, &words).unwrap();
    for _ in 0..2 {
        call(&breaker, Ending::Failure, 0);
        assert_eq!(counts_of(&breaker, 0)[..3], [u32::MAX, 0, u32::MAX], "they stop");
    }
    tripped(&breaker, 0);
    assert_eq!(breaker.settle(0).0, Standing { state: State::Open, generation: 0, since: 0 });
}

#[test]
fn words_are_needed_for_every_bucket() {
    for (interval, period, buckets) in [(0, 5, 1), (5, 0, 1), (5, 5, 1), (6, 5, 2), (u64::MAX, 1, MAX_BUCKETS)] {
        let rule = Rule::new(1, interval, period, 0);
        assert_eq!(rule.words() as u64, 2 + 4 * buckets);
        let words = words(&rule);
        assert!(Counted::new(rule, &words).is_some() && Counted::new(rule, &words[1..]).is_none());
    }
}

#[test]
fn a_storm_admits_no_more_than_half_open_may_and_counts_exactly() {
    let rule = plain(5);
    let words = words(&rule);
    let breaker = Counted::new(rule, &words).unwrap();
    let on_threads = |body: &(dyn Fn(u64) -> u64 + Sync)| -> u64 {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| (0..5000).map(body).sum::<u64>())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        })
    };
    on_threads(&|n| {
        call(&breaker, [Ending::Success, Ending::Failure, Ending::Excluded, Ending::Success][n as usize % 4], 0);
        0
    });
    assert_eq!(counts_of(&breaker, 0)[..4], [20_000, 10_000, 5000, 5000]);
    tripped(&breaker, 0);
    assert_eq!(on_threads(&|_| u64::from(breaker.ask(OPEN + 1).0.is_ok())), 5);
}

/// What gobreaker does under its mutex, with a list of calls in place of counts.
struct Model {
    rule: Rule,
    state: State,
    generation: u64,
    began: u64,
    calls: Vec<(u64, Option<Ending>)>,
    in_a_row: (u32, u32),
}

impl Model {
    fn go(&mut self, state: State, now: u64) {
        (self.state, self.generation, self.began) = (state, self.generation + 1, now);
        (self.calls, self.in_a_row) = (vec![], (0, 0));
    }

    fn settle(&mut self, now: u64) {
        let (age, rule) = (now - self.began, self.rule);
        match self.state {
            State::Closed if rule.buckets == 1 && rule.interval_ns > 0 && age > rule.interval_ns => {
                self.go(State::Closed, now)
            }
            State::Open if age > rule.timeout_ns => self.go(State::HalfOpen, now),
            _ => {}
        }
    }

    fn bucket(&self, now: u64) -> u64 {
        if self.rule.buckets > 1 && self.state == State::Closed { (now - self.began) / self.rule.period_ns } else { 0 }
    }

    fn count(&self, now: u64, which: impl Fn(Option<Ending>) -> bool) -> u32 {
        let first = (self.bucket(now) + 1).saturating_sub(self.rule.buckets);
        self.calls.iter().filter(|call| call.0 >= first && which(call.1)).count() as u32
    }

    fn ask(&mut self, now: u64) -> Result<usize, Denied> {
        self.settle(now);
        let valid = self.count(now, |end| end != Some(Ending::Excluded));
        match self.state {
            State::Open => return Err(Denied::Open),
            State::HalfOpen if valid >= self.rule.max_requests => return Err(Denied::TooMany),
            _ => self.calls.push((self.bucket(now), None)),
        }
        Ok(self.calls.len() - 1)
    }

    fn end(&mut self, (generation, call): (u64, usize), ending: Ending, now: u64) {
        self.settle(now);
        if generation != self.generation {
            return;
        }
        if self.bucket(now) - self.calls[call].0 < self.rule.buckets {
            self.calls[call].1 = Some(ending);
            self.in_a_row = match ending {
                Ending::Success => (self.in_a_row.0 + 1, 0),
                Ending::Failure => (0, self.in_a_row.1 + 1),
                Ending::Excluded => self.in_a_row,
            };
        }
        match (self.state, ending) {
            (State::HalfOpen, Ending::Failure) => self.go(State::Open, now),
            (State::HalfOpen, Ending::Success) if self.in_a_row.0 >= self.rule.max_requests => {
                self.go(State::Closed, now)
            }
            (State::Closed, Ending::Failure) if self.counts(now).consecutive_failures > 2 => self.go(State::Open, now),
            _ => {}
        }
    }

    fn counts(&self, now: u64) -> Counts {
        let ended = |ending| self.count(now, |end| end == Some(ending));
        let (good, bad) = (ended(Ending::Success), ended(Ending::Failure));
        Counts {
            requests: self.count(now, |_| true),
            total_successes: good,
            total_failures: bad,
            total_exclusions: ended(Ending::Excluded),
            consecutive_successes: self.in_a_row.0.min(good),
            consecutive_failures: self.in_a_row.1.min(bad),
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_a_mutex_and_a_list(
        max_requests in 1u32..5, interval in 0u64..50, period in 0u64..20,
        steps in prop::collection::vec((0u8..8, 0u64..8, any::<u16>()), 1..300),
    ) {
        let rule = Rule::new(max_requests, interval * UNIT, period * UNIT, 20 * UNIT);
        let words = words(&rule);
        let breaker = Counted::new(rule, &words).unwrap();
        let mut model = Model { rule, state: State::Closed, generation: 0, began: 0, calls: vec![], in_a_row: (0, 0) };
        let (mut now, mut out) = (0, vec![]);
        for (step, pause, pick) in steps {
            now += pause * UNIT;
            if step < 4 || out.is_empty() {
                let (asked, modelled) = (breaker.ask(now).0, model.ask(now));
                prop_assert_eq!(asked.err(), modelled.err());
                out.extend(asked.ok().zip(modelled.ok().map(|call| (model.generation, call))));
            } else {
                let (ticket, call) = out.swap_remove(usize::from(pick) % out.len());
                let ending = [Ending::Success, Ending::Failure, Ending::Failure, Ending::Excluded][usize::from(step) - 4];
                let seen = breaker.end(ticket, ending, now).0;
                if let Some(seen) = seen.filter(|seen| seen.counts.consecutive_failures > 2) {
                    breaker.trip(seen.generation, now);
                }
                model.end(call, ending, now);
            }
            let seen = breaker.snapshot(now).0;
            model.settle(now);
            prop_assert_eq!((seen.state, seen.generation), (model.state, model.generation));
            prop_assert_eq!(seen.counts, model.counts(now));
        }
    }
}
