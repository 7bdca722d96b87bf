//! A breaker that counts, and leaves the verdict to its user: what sony/gobreaker v2 offers (its states, counts, intervals and
//! buckets), on words that processes and languages share instead of a mutex.
//!
//! ```text
//! words: state | run | bucket 0 (four words) | bucket 1 | ...
//! ```
//!
//! The state word: state (2 bits) | generation (24) | since (38, in 2¹⁵ ns, rounded up, modulo 104 days; longer waits than
//! 26 days count as that). Each change of state makes a new generation, and so does each interval of a closed breaker without
//! buckets. The other words hold a number each, under a tag of the generation: see [`rolling`](super::rolling).
//!
//! | from | what happens | to |
//! |---|---|---|
//! | closed | [`Counted::trip`] in the generation that the verdict was made in | open |
//! | open | any use after `timeout` | half-open |
//! | half-open | `max_requests` calls ended well in a row | closed |
//! | half-open | a call failed | open |
//!
//! **Exact.** A generation is half-open for no more than `max_requests` calls that are not excluded, under any order of
//! events, as one word counts them. A call that was admitted in an earlier generation changes nothing. Numbers are
//! each exact; a snapshot is all of one generation, and no fewer requests than ends, but calls that
//! end meanwhile may be in one number and not yet in the next. A failed call's own snapshot holds it, and of two that fail at once
//! at least one sees both. (Two differences from gobreaker: numbers stop at 2³² - 1, and calls in a row that are older than
//! all buckets are told as no more than the buckets hold. A tag comes again after 2²⁴ generations; with buckets
//! after 4096 generations in a bucket of the same age, modulo 2²⁰. A thread that is held up for a whole interval between
//! reading the time and asking may empty the bucket that it finds.)

use super::rolling::{BUCKET_WORDS, Kept, change, ends_of, number, run_on, tag};
use super::state::{LATE, State};
use crate::word::{Word, update};
use std::sync::atomic::{Ordering::SeqCst, fence};

const SINCE_BITS: u32 = 38;
const UNIT_BITS: u32 = 15;
const GENERATION_MASK: u64 = (1 << 24) - 1;
/// Nanoseconds after which times come again, less one.
const TIME_MASK: u64 = (1 << (SINCE_BITS + UNIT_BITS)) - 1;
const LONGEST: u64 = TIME_MASK / 2;
/// The longest wait.
const LONGEST_WAIT: u64 = TIME_MASK / 4;
/// Words before the buckets.
pub const HEAD_WORDS: usize = 2;
/// The most buckets.
pub const MAX_BUCKETS: u64 = 10_000;

/// The settings, ready for decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    max_requests: u32,
    interval_ns: u64,
    period_ns: u64,
    buckets: u64,
    timeout_ns: u64,
}

impl Rule {
    /// Half-open admits so many calls (0: one). A closed breaker forgets what it counted after `interval_ns` (0: never): at
    /// once, or bucket by bucket of `period_ns` each where that is not 0; the interval is then rounded up to whole buckets, of
    /// which there are at most [`MAX_BUCKETS`]. Open lasts `timeout_ns` (0: a minute).
    pub fn new(max_requests: u32, interval_ns: u64, period_ns: u64, timeout_ns: u64) -> Rule {
        let buckets = if interval_ns == 0 || period_ns == 0 { 1 } else { interval_ns.div_ceil(period_ns) };
        let buckets = buckets.clamp(1, MAX_BUCKETS);
        Rule {
            max_requests: max_requests.max(1),
            interval_ns,
            period_ns,
            buckets,
            timeout_ns: if timeout_ns == 0 { 60_000_000_000 } else { timeout_ns },
        }
    }

    /// The settings as numbers: [`Rule::of`] makes the same of them.
    pub fn numbers(&self) -> [u64; 4] {
        [self.max_requests.into(), self.interval_ns, self.period_ns, self.timeout_ns]
    }

    /// The rule of such numbers; of any others, some rule.
    pub fn of([max_requests, interval_ns, period_ns, timeout_ns]: [u64; 4]) -> Rule {
        Rule::new(max_requests as u32, interval_ns, period_ns, timeout_ns)
    }

    /// Words that its breaker needs.
    pub fn words(&self) -> usize {
        HEAD_WORDS + BUCKET_WORDS * self.buckets as usize
    }
}

/// A state word taken apart: closed, open or half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where it stands.
    pub state: State,
    /// Counts generations, modulo 2²⁴.
    pub generation: u64,
    since: u64,
}

impl Standing {
    /// Reads a word.
    pub fn of(word: u64) -> Standing {
        let state = match word >> 62 {
            0 => State::Closed,
            1 => State::Open,
            _ => State::HalfOpen,
        };
        let since = word & ((1 << SINCE_BITS) - 1);
        Standing { state, generation: word >> SINCE_BITS & GENERATION_MASK, since }
    }

    fn word(self) -> u64 {
        (self.state as u64) << 62 | self.generation << SINCE_BITS | self.since
    }

    /// The next generation.
    fn begin(self, state: State, now: u64) -> Standing {
        let since = now.div_ceil(1 << UNIT_BITS) & ((1 << SINCE_BITS) - 1);
        Standing { state, generation: (self.generation + 1) & GENERATION_MASK, since }
    }

    /// How old it is. None: it began in what is now the future, as time went back or it is older than can be told. By little,
    /// a thread is late, and it has just begun.
    fn age(self, now: u64) -> Option<u64> {
        let passed = now.wrapping_sub(self.since << UNIT_BITS) & TIME_MASK;
        if passed <= LONGEST {
            return Some(passed);
        }
        (TIME_MASK - passed < LATE).then_some(0)
    }

    /// What time has made of it.
    #[inline(always)]
    pub fn at(self, rule: &Rule, now: u64) -> Standing {
        let over = |wait: u64| self.age(now).is_none_or(|age| age > wait.min(LONGEST_WAIT));
        match self.state {
            State::Closed if rule.buckets > 1 && self.age(now).is_none() => self.begin(State::Closed, now),
            State::Closed if rule.buckets == 1 && rule.interval_ns != 0 && over(rule.interval_ns) => {
                self.begin(State::Closed, now)
            }
            State::Open if over(rule.timeout_ns) => self.begin(State::HalfOpen, now),
            _ => self,
        }
    }

    /// Buckets since it began. Only a closed breaker has more than one.
    fn bucket(self, rule: &Rule, now: u64) -> u64 {
        let counted = rule.buckets > 1 && self.state == State::Closed;
        if counted { self.age(now).unwrap_or(0) / rule.period_ns.max(1) } else { 0 }
    }
}

/// What a breaker counted in its generation, or in the buckets of it that are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counts {
    /// Calls admitted.
    pub requests: u32,
    /// Of them those that ended well.
    pub total_successes: u32,
    /// Of them those that failed.
    pub total_failures: u32,
    /// Of them those that said nothing.
    pub total_exclusions: u32,
    /// Ended well since the last one that failed.
    pub consecutive_successes: u32,
    /// Failed since the last one that ended well.
    pub consecutive_failures: u32,
}

/// A breaker's counts, and of which generation they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Where it stood.
    pub state: State,
    /// Name it to [`Counted::trip`].
    pub generation: u64,
    /// What it had counted.
    pub counts: Counts,
}

/// A change of state: from, to. None: there was none.
pub type Moved = Option<(State, State)>;

/// What a call that was admitted has to name at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The generation.
    pub generation: u64,
    /// The bucket, counted from the generation's begin.
    pub bucket: u64,
}

/// Why a call was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The breaker is open.
    Open,
    /// It is half-open, and all that it admits are out.
    TooMany,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Well.
    Success,
    /// Not.
    Failure,
    /// So that it says nothing.
    Excluded,
}

/// The breaker in the words that it lives in; all of them 0 is a closed one.
pub struct Counted<'a, W> {
    rule: Rule,
    state: &'a W,
    run: &'a W,
    buckets: &'a [[W; BUCKET_WORDS]],
}

impl<'a, W: Word> Counted<'a, W> {
    /// The breaker in the first [`Rule::words`] of these. None: there are too few.
    #[inline(always)]
    pub fn new(rule: Rule, words: &'a [W]) -> Option<Self> {
        let [state, run, rest @ ..] = words else { return None };
        let buckets = rest.as_chunks().0.get(..rule.buckets as usize)?;
        Some(Counted { rule, state, run, buckets })
    }

    /// Where it stands at `now`: changes that are due are made.
    #[inline(always)]
    pub fn settle(&self, now: u64) -> (Standing, Moved) {
        self.change(now, |standing| standing)
    }

    /// Applies what time makes of the state, and then a step.
    #[inline(always)]
    fn change(&self, now: u64, step: impl Fn(Standing) -> Standing) -> (Standing, Moved) {
        let changed: Result<_, std::convert::Infallible> = update(self.state, |seen| {
            let before = Standing::of(seen);
            let after = step(before.at(&self.rule, now));
            let moved = (before.state != after.state).then_some((before.state, after.state));
            Ok((after.word(), (after, moved)))
        });
        match changed {
            Ok(changed) => changed,
            Err(never) => match never {},
        }
    }

    fn is_in(&self, generation: u64) -> bool {
        Standing::of(self.state.get()).generation == generation
    }

    fn tag(&self, generation: u64, bucket: u64) -> u64 {
        tag(self.rule.buckets, generation, bucket)
    }

    fn bucket(&self, bucket: u64) -> Option<&'a [W; BUCKET_WORDS]> {
        self.buckets.get((bucket % self.rule.buckets) as usize)
    }

    /// Asks for one call.
    #[inline(always)]
    pub fn ask(&self, now: u64) -> (Result<Ticket, Denied>, Moved) {
        let mut moved = None;
        loop {
            let (standing, change_now) = self.settle(now);
            moved = moved.or(change_now);
            let most = match standing.state {
                State::Open => return (Err(Denied::Open), moved),
                State::HalfOpen => self.rule.max_requests,
                _ => u32::MAX,
            };
            let (generation, bucket) = (standing.generation, standing.bucket(&self.rule, now));
            let Some([asked, ..]) = self.bucket(bucket) else { return (Err(Denied::TooMany), moved) };
            let one_more = |count: u32| match most {
                u32::MAX => Some(count.saturating_add(1)),
                _ => (count < most).then(|| count + 1),
            };
            match change(asked, self.tag(generation, bucket), || self.is_in(generation), one_more) {
                Ok(_) => return (Ok(Ticket { generation, bucket }), moved),
                Err(Kept::Refused) => return (Err(Denied::TooMany), moved),
                Err(Kept::Past) => {}
            }
        }
    }

    /// Says how a call ended. A failed call of a closed breaker gets the counts to judge by: whoever finds them bad calls
    /// [`Counted::trip`] with their generation.
    #[inline(always)]
    pub fn end(&self, ticket: Ticket, ending: Ending, now: u64) -> (Option<Snapshot>, Moved) {
        let (standing, moved) = self.settle(now);
        if standing.generation != ticket.generation {
            return (None, moved);
        }
        let gone = standing.bucket(&self.rule, now).saturating_sub(ticket.bucket) >= self.rule.buckets;
        let counted = !gone && self.count(ticket, ending);
        match (standing.state, ending) {
            (State::HalfOpen, Ending::Failure) => {
                (None, moved.or(self.go(ticket.generation, State::HalfOpen, State::Open, now)))
            }
            (State::HalfOpen, Ending::Success) if self.in_a_row(ticket).0 >= self.rule.max_requests => {
                (None, moved.or(self.go(ticket.generation, State::HalfOpen, State::Closed, now)))
            }
            (State::Closed, Ending::Failure) if counted || gone => (self.snapshot_of(standing, now), moved),
            _ => (None, moved),
        }
    }

    /// Opens a closed breaker that is still in this generation.
    pub fn trip(&self, generation: u64, now: u64) -> Moved {
        self.go(generation, State::Closed, State::Open, now)
    }

    /// What it has counted. Changes that are due are made first.
    pub fn snapshot(&self, now: u64) -> (Snapshot, Moved) {
        let mut moved = None;
        loop {
            let (standing, change_now) = self.settle(now);
            moved = moved.or(change_now);
            if let Some(snapshot) = self.snapshot_of(standing, now) {
                return (snapshot, moved);
            }
        }
    }

    /// Changes the state of a generation, if it is in that state and generation still.
    fn go(&self, generation: u64, from: State, to: State, now: u64) -> Moved {
        let gone = update(self.state, |seen| {
            let standing = Standing::of(seen);
            let same = standing.generation == generation && standing.state == from;
            if same { Ok((standing.begin(to, now).word(), (from, to))) } else { Err(()) }
        });
        gone.ok()
    }

    /// False: its bucket, or its generation, is over.
    fn count(&self, ticket: Ticket, ending: Ending) -> bool {
        let Some([asked, excluded, succeeded, failed]) = self.bucket(ticket.bucket) else { return false };
        let tag = self.tag(ticket.generation, ticket.bucket);
        // Calls are asked for before they end: where others are, all of this bucket is over.
        let present = || self.is_in(ticket.generation) && asked.get() >> 32 == tag;
        let one_more = |count: u32| Some(count.saturating_add(1));
        let word = match ending {
            Ending::Success => succeeded,
            Ending::Failure => failed,
            Ending::Excluded => excluded,
        };
        if change(word, tag, present, one_more).is_err() {
            return false;
        }
        if ending == Ending::Excluded {
            return change(asked, tag, present, |count| Some(count.saturating_sub(1))).is_ok();
        }
        let run = |run| Some(run_on(run, ending == Ending::Failure));
        change(self.run, ticket.generation, || self.is_in(ticket.generation), run).is_ok()
    }

    fn in_a_row(&self, ticket: Ticket) -> (u32, u32) {
        ends_of(number(self.run.get(), ticket.generation))
    }

    /// The counts of a generation; None when it ended meanwhile. Ends are read before requests, so that there are no more.
    fn snapshot_of(&self, standing: Standing, now: u64) -> Option<Snapshot> {
        let (generation, last) = (standing.generation, standing.bucket(&self.rule, now));
        let mut counts = Counts::default();
        // Behind our own count: of two that count at once, one sees both.
        fence(SeqCst);
        let (good, bad) = ends_of(number(self.run.get(), generation));
        for bucket in last.saturating_sub(self.rule.buckets - 1)..=last {
            let Some([asked, excluded, succeeded, failed]) = self.bucket(bucket) else { continue };
            let tag = self.tag(generation, bucket);
            let [succeeded, failed, excluded, asked] =
                [succeeded, failed, excluded, asked].map(|word| number(word.get(), tag));
            counts.total_successes = counts.total_successes.saturating_add(succeeded);
            counts.total_failures = counts.total_failures.saturating_add(failed);
            counts.total_exclusions = counts.total_exclusions.saturating_add(excluded);
            counts.requests = counts.requests.saturating_add(asked).saturating_add(excluded);
        }
        counts.consecutive_successes = good.min(counts.total_successes);
        counts.consecutive_failures = bad.min(counts.total_failures);
        self.is_in(generation).then_some(Snapshot { state: standing.state, generation, counts })
    }
}

#[cfg(test)]
mod tests;
