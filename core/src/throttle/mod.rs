//! Client throttling: a caller whose callee turns most calls away sends fewer, and refuses the rest by itself at once.
//!
//! The mathematics are those of the SRE book (Beyer et al., "Site Reliability Engineering", 2016, chapter "Handling Overload"): of
//! the last two minutes' calls a new one is refused with probability
//!
//! ```text
//! max(0, (requests − K × accepts) / (requests + 1))
//! ```
//!
//! where requests are all calls that were asked for, refused ones included, and accepts are those that the callee took on; a call in
//! flight counts as accepted until it has turned out otherwise, or the first few calls after a pause would be refused for being many at
//! once. With K = 2 the callee sees about twice as many calls as it accepts, so that its recovery is noticed within seconds.
//!
//! The window is twelve words, each a bucket: index (16 bits) | requests (24) | accepts (24); and one that says in which bucket's
//! time a call was last not accepted: while none is in the window, none is refused, and the other buckets need not be read. A
//! decision is one compare-and-swap on the current bucket, which counts the request and numbers it; its draw follows from that
//! number ([`spread`]), so the share is met exactly in the mean and the same calls are refused in every run. In the other buckets
//! only accepts are taken off that turned out to be none, so the decision is that of the formula over what was known when it was
//! made. The window reaches back from eleven to twelve twelfths of its length. A count that is full halves both counts of its
//! bucket, which keeps their ratio. Buckets that nobody has touched for 65 536 widths
//! (a week, by default) count once more as new ones.

use crate::random::spread;
use crate::word::{Word, update, update_if};
use std::convert::Infallible;

/// Buckets of a throttle's window.
pub const BUCKETS: usize = 12;
/// Its words.
pub const WORDS: usize = BUCKETS + 1;
/// Which of them says when a call was last not accepted: the number of that bucket since the clock's zero, + 1; 0: none ever was.
const TROUBLE: usize = BUCKETS;
/// The window that the SRE book names: two minutes.
pub const DEFAULT_WINDOW_NS: u64 = 120_000_000_000;
/// Its K.
pub const DEFAULT_K: f64 = 2.0;

const INDEX_AT: u32 = 48;
const INDEX_MASK: u64 = (1 << 16) - 1;
const REQUESTS_AT: u32 = 24;
const COUNT_MASK: u64 = (1 << 24) - 1;
/// A call more that is accepted, in a bucket's word.
const ONE_ACCEPTED: u64 = 1 << REQUESTS_AT | 1;
/// Bits of counts that may be full with one more.
const NEARLY_FULL: u64 = ONE_ACCEPTED << (REQUESTS_AT - 1);
/// One in K's fixed point.
const ONE: u64 = 1 << 10;

/// A rule's numbers, ready for use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// K, in 2⁻¹⁰.
    k: u64,
    /// 2⁶⁴ / width of a bucket in ns, rounded up.
    reciprocal: u64,
    seed: u64,
}

/// Calls of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Asked for.
    pub requests: u64,
    /// Accepted by the callee.
    pub accepts: u64,
}

/// A bucket's word taken apart.
#[derive(Clone, Copy)]
struct Bucket {
    index: u64,
    counts: Counts,
}

impl Throttle {
    /// A throttle with K of `k` (1 to 100, kept to 2⁻¹⁰) over `window_ns` (1 ms to a day). `seed` decides which calls are
    /// refused. None for other numbers: under 1, K would refuse calls of a callee that accepts all.
    pub fn new(k: f64, window_ns: u64, seed: u64) -> Option<Throttle> {
        let sound = (1.0..=100.0).contains(&k) && (1_000_000..=86_400_000_000_000).contains(&window_ns);
        let width = window_ns / BUCKETS as u64;
        sound.then(|| Throttle {
            k: (k * ONE as f64).round() as u64,
            reciprocal: (u128::from(u64::MAX) / u128::from(width) + 1) as u64,
            seed,
        })
    }

    /// As plain words, for a block in the segment.
    pub fn words(&self) -> [u64; 8] {
        [self.k, self.reciprocal, self.seed, 0, 0, 0, 0, 0]
    }

    /// From [`Throttle::words`]; garbage gives some throttle.
    pub fn of([k, reciprocal, seed, ..]: [u64; 8]) -> Throttle {
        Throttle { k: k.min(100 * ONE), reciprocal, seed }
    }

    /// Whether a call may be sent; counts it either way, and as accepted where it may. **Hot.** `words` are [`WORDS`] words, 0 at first.
    ///
    /// A caller whose time lies before the current bucket's passes uncounted.
    #[inline(always)]
    pub fn admits<W: Word>(&self, words: &[W], now: u64) -> bool {
        let at = self.bucket_at(now);
        if troubled(words, at) {
            return self.admits_in_trouble(words, at);
        }
        let index = at & INDEX_MASK;
        let has_room = |seen: u64| seen >> INDEX_AT == index && seen & NEARLY_FULL == 0;
        let one_more = |seen: u64| if has_room(seen) { Some(seen + ONE_ACCEPTED) } else { None };
        if words.get(index as usize % BUCKETS).and_then(|word| update_if(word, one_more)).is_none() {
            accept_anew(words, index);
        }
        true
    }

    /// The same where calls of the window were not accepted.
    #[inline(never)]
    fn admits_in_trouble<W: Word>(&self, words: &[W], at: u64) -> bool {
        let index = at & INDEX_MASK;
        let older = counts_of(words, index, 1);
        let step = |bucket: Bucket| {
            let number = bucket.counts.requests;
            let refused = self.refuses(older.plus(bucket.counts), || spread(self.seed ^ index, number));
            let accepts = bucket.counts.accepts + u64::from(!refused);
            let counts = Counts { requests: number + 1, accepts };
            (Bucket { counts, ..bucket }, !refused)
        };
        let admitted = change(words, index, step).unwrap_or(true);
        if !admitted {
            note_trouble(words, at);
        }
        admitted
    }

    /// The callee did not accept a call that was admitted at `then`. **Hot.** One of before the window changes nothing.
    pub fn refused_there<W: Word>(&self, words: &[W], then: u64) {
        note_trouble(words, self.bucket_at(then));
        self.take_off(words, then, 0);
    }

    /// A call that was admitted at `then` was not sent after all, for a reason of ours.
    pub fn forget<W: Word>(&self, words: &[W], then: u64) {
        self.take_off(words, then, 1);
    }

    /// Takes an accept off the bucket of `then`, and so many requests, where that is a bucket still.
    fn take_off<W: Word>(&self, words: &[W], then: u64, requests: u64) {
        let index = self.index(then);
        let Some(word) = words.get(index as usize % BUCKETS) else { return };
        let _: Result<(), ()> = update(word, |seen| {
            let bucket = Bucket::of(seen);
            let Counts { requests: asked, accepts } = bucket.counts;
            let counts = Counts { requests: asked.saturating_sub(requests), accepts: accepts.saturating_sub(1) };
            let is_there = seen != 0 && bucket.index == index;
            if is_there { Ok((Bucket { counts, ..bucket }.word(), ())) } else { Err(()) }
        });
    }

    /// The calls in the window.
    pub fn counts<W: Word>(&self, words: &[W], now: u64) -> Counts {
        counts_of(words, self.index(now), 0)
    }

    /// With which probability a call would be refused, in millionths.
    pub fn refusal_ppm(&self, counts: Counts) -> u32 {
        let (over, of) = self.fraction(counts);
        (u128::from(over) * 1_000_000 / u128::from(of)) as u32
    }

    /// Whether the formula says no to a draw, in 2⁻³².
    fn refuses(&self, counts: Counts, draw: impl FnOnce() -> u32) -> bool {
        let (over, of) = self.fraction(counts);
        over > 0 && u128::from(draw()) * u128::from(of) < u128::from(over) << 32
    }

    /// max(0, requests − K × accepts) and requests + 1. All counts together have 28 bits.
    fn fraction(&self, counts: Counts) -> (u64, u64) {
        let over = (counts.requests * ONE).saturating_sub(self.k * counts.accepts);
        (over, (counts.requests + 1) * ONE)
    }

    /// The index of the bucket of a moment.
    fn index(&self, now: u64) -> u64 {
        self.bucket_at(now) & INDEX_MASK
    }

    /// Its number since the clock's zero.
    #[inline(always)]
    fn bucket_at(&self, now: u64) -> u64 {
        ((u128::from(now) * u128::from(self.reciprocal)) >> 64) as u64
    }
}

impl Counts {
    fn plus(self, other: Counts) -> Counts {
        Counts { requests: self.requests + other.requests, accepts: self.accepts + other.accepts }
    }
}

impl Bucket {
    fn of(word: u64) -> Bucket {
        let counts = Counts { requests: word >> REQUESTS_AT & COUNT_MASK, accepts: word & COUNT_MASK };
        Bucket { index: word >> INDEX_AT, counts }
    }

    fn word(self) -> u64 {
        let Counts { requests, accepts } = self.counts;
        let full = u64::from(requests > COUNT_MASK || accepts > COUNT_MASK);
        self.index << INDEX_AT | requests >> full << REQUESTS_AT | accepts >> full
    }

    /// How many widths it lies before `index`, modulo 2¹⁶.
    fn age(self, index: u64) -> u64 {
        index.wrapping_sub(self.index) & INDEX_MASK
    }
}

/// The sum over the buckets that are in the window at `index`, from the youngest that is asked for. Without branches, and over
/// a number of words that is known when it is compiled, as every call needs it.
fn counts_of<W: Word>(words: &[W], index: u64, youngest: u64) -> Counts {
    let Some(words) = words.first_chunk::<BUCKETS>() else { return Counts::default() };
    words.iter().fold(Counts::default(), |sum, word| {
        let seen = word.get();
        let older = (index.wrapping_sub(seen >> INDEX_AT) & INDEX_MASK).wrapping_sub(youngest);
        let live = u64::from(older < BUCKETS as u64 - youngest).wrapping_neg();
        sum.plus(Bucket::of(seen & live).counts)
    })
}

/// Counts a call as accepted in a bucket that begins anew, or may be full. One that is a bit later is left as it is.
#[cold]
fn accept_anew<W: Word>(words: &[W], index: u64) {
    let _: Option<()> = change(words, index, |bucket| {
        let counts = bucket.counts.plus(Counts { requests: 1, accepts: 1 });
        (Bucket { counts, ..bucket }, ())
    });
}

/// Whether a call of the window of bucket number `at` may have been one that was not accepted. Where time went back, all may have been.
#[inline(always)]
fn troubled<W: Word>(words: &[W], at: u64) -> bool {
    let seen = words.get(TROUBLE).map_or(0, W::get);
    seen != 0 && at < seen.saturating_add(BUCKETS as u64 - 1)
}

/// Says that a call of bucket number `at` was not accepted. The latest counts.
fn note_trouble<W: Word>(words: &[W], at: u64) {
    let noted = |seen: u64| (seen <= at).then_some(at.saturating_add(1));
    if let Some(word) = words.get(TROUBLE) {
        update_if(word, noted);
    }
}

/// Applies a transition to the bucket of `index`, which begins anew where it is of another time; None where that is a bit later.
fn change<W: Word, T>(words: &[W], index: u64, step: impl Fn(Bucket) -> (Bucket, T)) -> Option<T> {
    let word = words.get(index as usize % BUCKETS)?;
    let done: Result<_, Option<Infallible>> = update(word, |seen| {
        let bucket = Bucket::of(seen);
        let current = match bucket.age(index) {
            0 => bucket,
            age if seen != 0 && age >= INDEX_MASK + 1 - BUCKETS as u64 => return Err(None),
            _ => Bucket { index, counts: Counts::default() },
        };
        let (next, answer) = step(current);
        Ok((next.word(), answer))
    });
    done.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::sync::atomic::AtomicU64;

    const SECOND: u64 = 1_000_000_000;
    const START: u64 = 1_000 * SECOND;

    fn words() -> [AtomicU64; WORDS] {
        std::array::from_fn(|_| AtomicU64::new(0))
    }

    fn throttle(k: f64) -> Throttle {
        Throttle::new(k, DEFAULT_WINDOW_NS, 7).unwrap()
    }

    /// Sends so many calls at one moment, of which the callee accepts those that `accepts` says; tells how many were sent.
    fn send(rule: &Throttle, words: &[AtomicU64], now: u64, calls: u64, accepts: impl Fn(u64) -> bool) -> u64 {
        let sent = |call: &u64| {
            let sent = rule.admits(words, now);
            if sent && !accepts(*call) {
                rule.refused_there(words, now);
            }
            sent
        };
        (0..calls).filter(sent).count() as u64
    }

    #[test]
    fn a_callee_that_accepts_half_is_not_throttled() {
        let (rule, words) = (throttle(2.0), words());
        assert_eq!(send(&rule, &words, START, 10_000, |call| call % 2 == 0), 10_000);
    }

    #[test]
    fn a_callee_that_accepts_none_gets_next_to_nothing() {
        let (rule, words) = (throttle(2.0), words());
        let sent = send(&rule, &words, START, 10_000, |_| false);
        assert!((1..40).contains(&sent), "the harmonic sum of 10 000 is 9.8: {sent}");
    }

    #[test]
    fn the_callee_sees_k_times_what_it_accepts() {
        for k in [1.5, 2.0, 4.0] {
            let (rule, words) = (throttle(k), words());
            let mut sent = 0;
            // 1000 calls a second, of which it accepts the first 50 of each second that come.
            for second in 0..600 {
                let left = std::cell::Cell::new(50);
                let accepts = |_| left.replace((left.get() - 1i32).max(0)) > 0;
                let now = START + second * SECOND;
                let passed = send(&rule, &words, now, 1000, accepts);
                sent += if second < 300 { 0 } else { passed };
            }
            let mean = sent as f64 / 300.0 / 50.0;
            assert!((mean / k - 1.0).abs() < 0.1, "{mean} for {k}");
        }
    }

    #[test]
    fn what_is_two_minutes_old_is_forgotten() {
        let (rule, words) = (throttle(2.0), words());
        send(&rule, &words, START, 1000, |_| false);
        assert_eq!(rule.counts(&words, START + 100 * SECOND).requests, 1000);
        assert_eq!(rule.counts(&words, START + 120 * SECOND).requests, 0);
        assert!(rule.admits(&words, START + 120 * SECOND));
    }

    #[test]
    fn trouble_that_is_over_is_over_for_good() {
        const WINDOW: u64 = 1_200_000;
        let (rule, words) = (Throttle::new(2.0, WINDOW, 7).unwrap(), words());
        let in_trouble = |now| troubled(&words, rule.bucket_at(now));
        assert!(!in_trouble(START));
        send(&rule, &words, START, 100, |_| false);
        assert!(in_trouble(START) && in_trouble(START + WINDOW - WINDOW / 12) && !in_trouble(START + WINDOW));
        assert!((1..20_000).all(|windows| !in_trouble(START + windows * WINDOW)), "however often indices turn");
        assert!(in_trouble(START - WINDOW), "time went back");
        rule.refused_there(&words, START - WINDOW);
        assert!(in_trouble(START), "the latest counts");
    }

    #[test]
    fn time_that_goes_back_heals_itself() {
        let (rule, words) = (throttle(2.0), words());
        send(&rule, &words, START, 1000, |_| false);
        assert!(rule.admits(&words, START - 120 * SECOND), "a late caller passes");
        assert_eq!(rule.counts(&words, START).requests, 1000, "and is not counted where the bucket is newer");
        for back in (0..24).map(|bucket| 1 + bucket * 10 * SECOND) {
            send(&rule, &words, back, 10, |_| false);
        }
        assert!(rule.counts(&words, 240 * SECOND).requests >= 100);
    }

    #[test]
    fn full_counts_keep_their_ratio() {
        let (rule, words) = (throttle(2.0), words());
        let full = Counts { requests: COUNT_MASK, accepts: COUNT_MASK / 4 };
        let index = rule.index(u64::MAX);
        words[index as usize % BUCKETS]
            .store(Bucket { index, counts: full }.word(), std::sync::atomic::Ordering::Relaxed);
        send(&rule, &words, u64::MAX, 1, |_| false);
        let counts = rule.counts(&words, u64::MAX);
        assert_eq!(counts.requests, COUNT_MASK.div_ceil(2));
        assert_eq!(rule.refusal_ppm(counts) / 1000, 500);
    }

    #[test]
    fn garbage_and_short_memory_lead_nowhere() {
        let rule = Throttle::of([u64::MAX; 8]);
        let garbage: [AtomicU64; WORDS] = std::array::from_fn(|_| AtomicU64::new(u64::MAX));
        for now in (0..u64::MAX - SECOND).step_by(usize::MAX / 1000) {
            send(&rule, &garbage, now, 3, |_| true);
            assert!(rule.admits::<AtomicU64>(&[], now));
        }
    }

    #[test]
    fn contradictions_are_refused() {
        for k in [0.99, 0.0, -1.0, 100.5, f64::NAN] {
            assert_eq!(Throttle::new(k, DEFAULT_WINDOW_NS, 0), None);
        }
        assert_eq!(Throttle::of(throttle(1.5).words()), throttle(1.5));
        assert_eq!(Throttle::new(2.0, 0, 0), None);
        assert_eq!(Throttle::new(2.0, u64::MAX, 0), None);
    }

    #[test]
    fn calls_in_flight_count_as_accepted() {
        let (rule, words) = (throttle(2.0), words());
        assert!((0..100).all(|_| rule.admits(&words, START)), "a burst after a pause passes");
        (0..90).for_each(|_| rule.refused_there(&words, START));
        assert_eq!(rule.counts(&words, START + SECOND), Counts { requests: 100, accepts: 10 });
        (0..10).for_each(|_| rule.forget(&words, START));
        assert_eq!(rule.counts(&words, START + SECOND), Counts { requests: 90, accepts: 0 });
        rule.refused_there(&words, START - 120 * SECOND);
        assert_eq!(rule.counts(&words, START + SECOND).requests, 90, "of before the window");
    }

    /// Each request has a number of its own; at most four in flight stand for accepted, each for K requests, which is
    /// 9 times the harmonic sum that one thread sends.
    #[test]
    fn a_storm_refuses_what_a_single_thread_does_but_for_calls_in_flight() {
        let (rule, alone, shared) = (throttle(2.0), words(), words());
        let sent_alone = send(&rule, &alone, START, 8000, |_| false);
        let sent: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| send(&rule, &shared, START, 2000, |_| false))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!(sent < 16 * sent_alone, "{sent}, alone {sent_alone}");
        assert_eq!(rule.counts(&shared, START).requests, 8000);
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_window(
            k in 1.0f64..5.0,
            steps in prop::collection::vec((any::<bool>(), any::<bool>(), 0u64..4 * SECOND), 1..400),
        ) {
            let (rule, words) = (throttle(k), words());
            let mut model: VecDeque<(u64, Counts)> = VecDeque::new();
            let mut now = START;
            for (pause, accepts, passed) in steps {
                now += if pause { passed } else { 0 };
                let index = rule.index(now);
                model.retain(|&(of, _)| index - of < BUCKETS as u64);
                if model.back().is_none_or(|&(of, _)| of != index) {
                    model.push_back((index, Counts::default()));
                }
                let sum = model.iter().fold(Counts::default(), |sum, (_, counts)| sum.plus(*counts));
                prop_assert_eq!(rule.counts(&words, now), sum);
                let kept = (k * 1024.0).round() / 1024.0;
                let refusal = (sum.requests as f64 - kept * sum.accepts as f64).max(0.0) / (sum.requests as f64 + 1.0);
                let current = &mut model.back_mut().unwrap().1;
                let draw = f64::from(spread(7 ^ index, current.requests)) / 2f64.powi(32);
                current.requests += 1;
                let sent = rule.admits(&words, now);
                if (draw - refusal).abs() > 1e-9 {
                    prop_assert_eq!(sent, draw >= refusal);
                }
                current.accepts += u64::from(sent && accepts);
                if sent && !accepts {
                    rule.refused_there(&words, now);
                }
            }
        }
    }
}
