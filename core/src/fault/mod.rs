//! Faults on purpose: delays and aborts of a share of the calls that match, to see what a service makes of them.
//!
//! Two words a fault. One counts the calls that match; which of them are hit follows from their number ([`spread`]), so
//! a share is met exactly in the mean, and the same calls are hit in every run. The other counts the delays in progress, in the form of
//! [`crate::concurrency::fixed`]: whoever never says that its delay has ended (it died, it forgot) gives its place back by time, not before
//! the longest delay and a second more, so the count cannot leak. An abort is over at once and takes no place.

pub mod when;

use crate::concurrency::fixed::{self, Hold, MAX_LIMIT};
use crate::guard::Outcome;
use crate::policy::Attribute;
use crate::random::spread;
use crate::word::{Word, update};
use std::convert::Infallible;
use when::When;

/// A share of all, in parts.
pub const PPM: u32 = 1_000_000;
/// The longest delay: an hour.
pub const MAX_DELAY_NS: u64 = 3_600_000_000_000;
/// A second: how late a delay may end before its place is given back by time.
const GRACE_NS: u64 = 1_000_000_000;

/// What an aborted call gives in place of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abort {
    /// Its class.
    pub outcome: Outcome,
    /// A status of the protocol's (HTTP's or gRPC's), for the wrapper; 0: its own choice.
    pub status: u32,
}

/// What a rule says of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Of which calls.
    pub when: When,
    /// Of how many of those, in [`PPM`].
    pub share_ppm: u32,
    /// Least and longest delay in ns; equal: always that long; 0 and 0: none.
    pub delay_ns: (u64, u64),
    /// With which end, after the delay.
    pub abort: Option<Abort>,
    /// The most delays at a time.
    pub max_active: u32,
    /// Decides which calls are hit.
    pub seed: u64,
}

/// A fault, ready for use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    spec: Spec,
    hold: Hold,
}

/// The state of a fault, 0 at first.
#[derive(Clone, Copy)]
pub struct Words<'a, W> {
    /// Counts the calls that match.
    pub matched: &'a W,
    /// The delays in progress.
    pub active: &'a W,
}

/// What a fault does to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: it does not match, or is not of the share.
    Spared,
    /// Nothing, though it was its turn: so many are in progress already. To be counted.
    Crowded,
    /// It is hit.
    Hit(Injected),
}

/// What is done to a call that is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Injected {
    /// How long it waits first.
    pub delay_ns: u64,
    /// How it ends then; None: it goes on.
    pub abort: Option<Abort>,
    /// The place of its delay, to be given to [`Fault::end_delay`]; None: there is nothing to end.
    pub place: Option<u64>,
}

impl Fault {
    /// A fault from `now` on, counting its places from `epoch` on: that of the word that counts them, 0 at first.
    ///
    /// None when it does nothing, when its share exceeds all, its delays are the wrong way round or over [`MAX_DELAY_NS`], an
    /// abort is no failure, timeout or overload, or no or over [`MAX_LIMIT`] delays may be in progress.
    pub fn new(spec: Spec, now: u64, epoch: u64) -> Option<Fault> {
        let (least, longest) = spec.delay_ns;
        let sound = spec.share_ppm <= PPM && least <= longest && longest <= MAX_DELAY_NS;
        let does = longest > 0 || spec.abort.is_some();
        let bad = spec.abort.is_none_or(|abort| abort.outcome.is_bad());
        let counted = (1..=MAX_LIMIT).contains(&spec.max_active);
        let hold = Hold::new(Some(longest.saturating_add(GRACE_NS)), now, epoch);
        (sound && does && bad && counted).then_some(Fault { spec, hold })
    }

    /// The same from `now` on, with its places counted from `epoch` on.
    pub fn beginning(&self, now: u64, epoch: u64) -> Fault {
        let longest = self.spec.delay_ns.1;
        Fault { hold: Hold::new(Some(longest.saturating_add(GRACE_NS)), now, epoch), ..*self }
    }

    /// The epoch of places that are taken at `now`.
    pub fn epoch(&self, now: u64) -> u64 {
        self.hold.epoch(now)
    }

    /// As plain words, for a block in the segment.
    pub fn words(&self) -> [u64; 16] {
        let Spec { when, share_ppm, delay_ns: (least, longest), abort, max_active, seed } = self.spec;
        let [head, a, b, c, d] = when.words();
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let end = abort.map_or(0, |abort| pair(abort.outcome as u32, abort.status));
        let Hold { reciprocal, anchor, first } = self.hold;
        let parts = pair(share_ppm, max_active);
        [head, a, b, c, d, parts, least, longest, end, seed, reciprocal, anchor, first, 0, 0, 0]
    }

    /// From [`Fault::words`]; garbage gives some fault.
    pub fn of(words: [u64; 16]) -> Fault {
        let [head, a, b, c, d, parts, least, longest, end, seed, reciprocal, anchor, first, ..] = words;
        // A success is no abort, so it stands for none.
        let abort = Outcome::of(end as u8 as i32).filter(|outcome| outcome.is_bad());
        let spec = Spec {
            when: When::from_words([head, a, b, c, d]),
            share_ppm: parts as u32,
            delay_ns: (least.min(longest).min(MAX_DELAY_NS), longest.min(MAX_DELAY_NS)),
            abort: abort.map(|outcome| Abort { outcome, status: (end >> 32) as u32 }),
            max_active: ((parts >> 32) as u32).min(MAX_LIMIT),
            seed,
        };
        // Half the range each, so that no epoch overflows.
        let hold = Hold { reciprocal: reciprocal & (u64::MAX >> 1), anchor, first: first & (u64::MAX >> 1) };
        Fault { spec, hold }
    }

    /// What becomes of a call with these attributes. **Hot.**
    pub fn inject<W: Word>(&self, words: Words<'_, W>, attributes: &[Attribute<'_>], now: u64) -> Effect {
        if !self.spec.when.matches(attributes) {
            return Effect::Spared;
        }
        let number = count(words.matched);
        if !self.hits(number) {
            return Effect::Spared;
        }
        let delay_ns = self.delay(number);
        match self.place(words.active, delay_ns, now) {
            Ok(place) => Effect::Hit(Injected { delay_ns, abort: self.spec.abort, place }),
            Err(_) => Effect::Crowded,
        }
    }

    /// A delay is over, or was given up. Late by more than the longest delay and a second it changes nothing.
    pub fn end_delay<W: Word>(&self, active: &W, place: u64) {
        // None: time has given it back already.
        let _ = fixed::give_back(active, place);
    }

    /// How many delays are in progress.
    pub fn active(&self, seen: u64, now: u64) -> u64 {
        fixed::Held::of(seen).at(self.hold.epoch(now)).inflight()
    }

    fn place<W: Word>(&self, active: &W, delay_ns: u64, now: u64) -> Result<Option<u64>, u64> {
        if delay_ns == 0 {
            return Ok(None);
        }
        let limit = u64::from(self.spec.max_active);
        fixed::take(active, limit, self.hold.epoch(now)).map(|taken| Some(taken.epoch))
    }

    /// Whether the call of this number is of the share.
    fn hits(&self, number: u64) -> bool {
        u64::from(spread(self.spec.seed, number)) * u64::from(PPM) < u64::from(self.spec.share_ppm) << 32
    }

    /// How long the call of this number waits: spread evenly over the range, whatever share is hit.
    fn delay(&self, number: u64) -> u64 {
        let (least, longest) = self.spec.delay_ns;
        let draw = u128::from(spread(!self.spec.seed, number));
        least + ((draw * (u128::from(longest - least) + 1)) >> 32) as u64
    }
}

/// Counts one more, and tells how many there were.
fn count<W: Word>(word: &W) -> u64 {
    let counted: Result<u64, Infallible> = update(word, |seen| Ok((seen.wrapping_add(1), seen)));
    match counted {
        Ok(number) => number,
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::AtomicU64;

    const MS: u64 = 1_000_000;
    const SECOND: u64 = 1000 * MS;
    const NOW: u64 = 77 * SECOND;
    const UNAVAILABLE: Abort = Abort { outcome: Outcome::Failure, status: 503 };

    fn spec() -> Spec {
        let all = When::any();
        Spec { when: all, share_ppm: PPM, delay_ns: (0, 0), abort: Some(UNAVAILABLE), max_active: 1, seed: 5 }
    }

    fn slow(least_ms: u64, longest_ms: u64) -> Spec {
        Spec { delay_ns: (least_ms * MS, longest_ms * MS), abort: None, ..spec() }
    }

    #[derive(Default)]
    struct State {
        matched: AtomicU64,
        active: AtomicU64,
    }

    impl State {
        fn words(&self) -> Words<'_, AtomicU64> {
            Words { matched: &self.matched, active: &self.active }
        }
    }

    fn fault(spec: Spec) -> Fault {
        Fault::new(spec, NOW, 0).unwrap()
    }

    fn hits(fault: &Fault, state: &State, calls: usize, now: u64) -> Vec<Injected> {
        let hit = |_| match fault.inject(state.words(), &[], now) {
            Effect::Hit(injected) => Some(injected),
            _ => None,
        };
        (0..calls).filter_map(hit).collect()
    }

    #[test]
    fn aborts_take_no_place() {
        let (fault, state) = (fault(spec()), State::default());
        let all = hits(&fault, &state, 10, NOW);
        assert_eq!(all, [Injected { delay_ns: 0, abort: Some(UNAVAILABLE), place: None }; 10]);
        assert_eq!(fault.active(state.active.into_inner(), NOW), 0);
    }

    #[test]
    fn a_share_is_met_exactly_in_the_mean() {
        for (share_ppm, want) in [(0, 0), (PPM / 2, 2048), (PPM / 4, 1024), (PPM / 1000, 4), (PPM, 4096)] {
            let fault = fault(Spec { share_ppm, ..spec() });
            let hit = hits(&fault, &State::default(), 4096, NOW).len();
            assert!(hit.abs_diff(want) <= 1, "{hit} of {want}");
        }
    }

    #[test]
    fn the_same_calls_are_hit_in_every_run() {
        let run = |seed| {
            hits(&fault(Spec { seed, share_ppm: 300_000, max_active: 99, ..slow(1, 1000) }), &State::default(), 90, NOW)
        };
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
    }

    #[test]
    fn only_what_matches_is_hit_or_counted() {
        let when = When::prefix(3, b"/v1/").unwrap();
        let (fault, state) = (fault(Spec { when, ..spec() }), State::default());
        let effect = |value: &[u8]| fault.inject(state.words(), &[Attribute { id: 3, value }], NOW);
        assert_eq!(effect(b"/v2/pay"), Effect::Spared);
        assert!(matches!(effect(b"/v1/pay"), Effect::Hit(_)));
        assert_eq!(state.matched.into_inner(), 1);
    }

    #[test]
    fn no_more_than_so_many_delays_at_a_time() {
        let (fault, state) = (fault(Spec { max_active: 2, ..slow(10, 10) }), State::default());
        let running = hits(&fault, &state, 5, NOW);
        assert_eq!(running.len(), 2);
        assert_eq!(fault.inject(state.words(), &[], NOW), Effect::Crowded);
        fault.end_delay(&state.active, running[0].place.unwrap());
        assert_eq!(hits(&fault, &state, 5, NOW).len(), 1);
    }

    #[test]
    fn delays_whose_end_is_never_told_end_by_time() {
        let (fault, state) = (fault(slow(10, 10)), State::default());
        let lost = hits(&fault, &state, 1, NOW)[0].place.unwrap();
        assert!(hits(&fault, &state, 1, NOW + 1010 * MS - 1).is_empty());
        let next = hits(&fault, &state, 1, NOW + 2 * 1010 * MS + 1);
        assert_eq!(next.len(), 1);
        fault.end_delay(&state.active, lost);
        assert_eq!(fault.active(state.active.into_inner(), NOW + 2 * 1010 * MS + 1), 1, "told late: nothing");
    }

    #[test]
    fn contradictions_are_refused() {
        let none = Spec { abort: None, ..spec() };
        let good = Abort { outcome: Outcome::Success, status: 200 };
        let wrong = [
            none,
            Spec { share_ppm: PPM + 1, ..spec() },
            slow(2, 1),
            Spec { delay_ns: (0, MAX_DELAY_NS + 1), ..none },
            Spec { abort: Some(good), ..spec() },
            Spec { max_active: 0, ..spec() },
            Spec { max_active: MAX_LIMIT + 1, ..spec() },
        ];
        for spec in wrong {
            assert_eq!(Fault::new(spec, NOW, 0), None, "{spec:?}");
        }
    }

    #[test]
    fn words_keep_every_number() {
        let when = When::equal(3, b"acme").unwrap();
        for spec in [spec(), slow(1, 1000), Spec { when, abort: Some(UNAVAILABLE), ..slow(7, 7) }] {
            let fault = Fault::new(spec, NOW, 9).unwrap();
            assert_eq!(Fault::of(fault.words()), fault);
        }
    }

    #[test]
    fn a_storm_hits_its_share_and_never_crowds() {
        let (fault, state) = (fault(Spec { share_ppm: PPM / 4, max_active: 3, ..slow(1, 9) }), State::default());
        let inside = AtomicU64::new(0);
        let storm = || {
            let turn = |_: &u32| match fault.inject(state.words(), &[], NOW) {
                Effect::Spared => false,
                Effect::Crowded => true,
                Effect::Hit(injected) => {
                    use std::sync::atomic::Ordering::SeqCst;
                    assert!(inside.fetch_add(1, SeqCst) < 3);
                    inside.fetch_sub(1, SeqCst);
                    fault.end_delay(&state.active, injected.place.unwrap());
                    true
                }
            };
            (0..1024).filter(turn).count()
        };
        let turns: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(storm)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(turns, 1024);
        assert_eq!(fault.active(state.active.into_inner(), NOW), 0);
    }

    proptest! {
        #[test]
        fn delays_stay_in_their_range(least in 0u64..1000, over in 0u64..1000, seed: u64, number: u64) {
            let fault = fault(Spec { seed, ..slow(least + 1, least + 1 + over) });
            let delay = fault.delay(number);
            prop_assert!(delay >= (least + 1) * MS && delay <= (least + 1 + over) * MS);
        }

        #[test]
        fn any_words_and_times_are_defined(words: [u64; 16], matched: u64, active: u64, now: u64) {
            let (fault, state) = (Fault::of(words), State { matched: matched.into(), active: active.into() });
            if let Effect::Hit(Injected { place: Some(place), .. }) = fault.inject(state.words(), &[], now) {
                fault.end_delay(&state.active, place);
            }
        }
    }
}
