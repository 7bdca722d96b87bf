//! A retry storm, simulated on a clock of its own: callers with three attempts each, a service of known capacity that stands
//! still for ten seconds. Without a budget the retries keep it busy with calls that nobody waits for any more, long
//! after the cause is gone (a metastable failure: Bronson et al., HotOS 2021); with one it is over in seconds.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::atomic::AtomicU64;
use tidegate_core::Outcome;
use tidegate_core::random::Draws;
use tidegate_core::retry::budget::Reserve;
use tidegate_core::retry::budget::quota::Quota;
use tidegate_core::retry::budget::ratio::Ratio;
use tidegate_core::retry::plan::{End, Traits, bit};
use tidegate_core::retry::{Attempt, Backoff, Budget, Decision, Growth, Jitter, Plan, Retry};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1000 * MS;
const RUN: u64 = 90 * SECOND;
const OUTAGE: std::ops::Range<u64> = 20 * SECOND..30 * SECOND;
/// 50 workers of 50 ms: 1000 calls a second.
const WORKERS: usize = 50;
const SERVICE: u64 = 50 * MS;
/// A second of work; more is turned away.
const QUEUE: usize = 1000;
/// First attempts a second, on average.
const OFFERED: u64 = 700;
const TIMEOUT: u64 = 500 * MS;

/// What happens at a moment. Attempts are known by the call's number and theirs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive,
    Send(usize),
    Served(usize, u32),
    TimeOut(usize, u32),
}

struct Call {
    begun: u64,
    retry: Retry,
    over: bool,
    good: bool,
}

struct World {
    now: u64,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    draws: Draws,
    plan: Plan,
    budget: Budget,
    word: AtomicU64,
    calls: Vec<Call>,
    /// Of the service.
    queue: VecDeque<(usize, u32)>,
    idle: usize,
    /// When each attempt was sent.
    sent: Vec<u64>,
}

impl World {
    fn new(budget: Budget) -> World {
        let growth = Growth::exponential(2.0).unwrap();
        let backoff = Backoff::new(growth, Jitter::Full, 50 * MS, 2 * SECOND).unwrap();
        let on = bit(Outcome::Failure) | bit(Outcome::Timeout) | bit(Outcome::Overloaded);
        World {
            now: 0,
            events: BinaryHeap::from([Reverse((0, Event::Arrive))]),
            draws: Draws(42),
            plan: Plan::new(backoff, 3, 0, on).unwrap(),
            budget,
            word: AtomicU64::new(0),
            calls: vec![],
            queue: VecDeque::new(),
            idle: WORKERS,
            sent: vec![],
        }
    }

    fn run(budget: Budget) -> World {
        let mut world = World::new(budget);
        while let Some(Reverse((at, event))) = world.events.pop() {
            world.now = at;
            world.step(event);
        }
        world
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Arrive => self.arrive(),
            Event::Send(call) => self.send(call),
            Event::Served(call, attempt) => {
                self.idle += 1;
                self.end(call, attempt, Outcome::Success);
                self.serve();
            }
            Event::TimeOut(call, attempt) => self.end(call, attempt, Outcome::Timeout),
        }
    }

    fn at(&mut self, after: u64, event: Event) {
        self.events.push(Reverse((self.now + after, event)));
    }

    /// Calls come whatever becomes of those before, with exponential gaps.
    fn arrive(&mut self) {
        let traits = Traits { idempotent: true, ..Traits::default() };
        let seed = self.draws.draw();
        let retry = Retry::begin((&self.budget, &self.word), traits, seed, self.now).unwrap();
        self.calls.push(Call { begun: self.now, retry, over: false, good: false });
        self.send(self.calls.len() - 1);
        let uniform = (self.draws.draw() >> 11) as f64 / (1u64 << 53) as f64;
        let gap = -(1.0 - uniform).ln() * (SECOND / OFFERED) as f64;
        if self.now < RUN {
            self.at(gap as u64, Event::Arrive);
        }
    }

    fn send(&mut self, call: usize) {
        self.sent.push(self.now);
        let attempt = self.calls[call].retry.attempts();
        if self.queue.len() >= QUEUE {
            return self.end(call, attempt, Outcome::Overloaded);
        }
        self.queue.push_back((call, attempt));
        self.at(TIMEOUT, Event::TimeOut(call, attempt));
        self.serve();
    }

    /// The service takes what has waited longest. It does not know who waits for it still.
    fn serve(&mut self) {
        while self.idle > 0 {
            let Some((call, attempt)) = self.queue.pop_front() else { return };
            self.idle -= 1;
            let took = self.draws.between(SERVICE / 2, SERVICE * 3 / 2);
            let stands_still = OUTAGE.contains(&(self.now + took)).then(|| OUTAGE.end - self.now);
            self.at(took + stands_still.unwrap_or(0), Event::Served(call, attempt));
        }
    }

    fn end(&mut self, call: usize, attempt: u32, outcome: Outcome) {
        let Call { retry, over, good, .. } = &mut self.calls[call];
        if *over || retry.attempts() != attempt {
            return;
        }
        let end = End { attempt: Attempt::Ended(outcome), retry_after_ns: None, now: self.now, deadline_ns: 0 };
        match retry.next(&self.plan, (&self.budget, &self.word), end) {
            Decision::Retry { wait_ns } => self.at(wait_ns, Event::Send(call)),
            Decision::Stop(_) => (*over, *good) = (true, outcome == Outcome::Success),
            Decision::Stale => unreachable!("one rule"),
        }
    }

    /// The share of the calls begun in a second that succeeded.
    fn success(&self, second: u64) -> f64 {
        let begun = |call: &&Call| call.begun / SECOND == second;
        let (all, good) =
            self.calls.iter().filter(begun).fold((0, 0), |(all, good), call| (all + 1, good + i32::from(call.good)));
        f64::from(good) / f64::from(all)
    }

    /// Seconds after the outage from which on 99 % of each second's calls succeed; None: they never do.
    fn over_after(&self) -> Option<u64> {
        let end = RUN / SECOND;
        let last_bad = (0..end).rev().find(|&second| self.success(second) < 0.99)?;
        (last_bad + 1 < end).then(|| (last_bad + 1).saturating_sub(OUTAGE.end / SECOND))
    }

    /// Attempts a first attempt, in a time.
    fn amplification(&self, during: std::ops::Range<u64>) -> f64 {
        let sent = self.sent.iter().filter(|at| during.contains(at)).count();
        let begun = self.calls.iter().filter(|call| during.contains(&call.begun)).count();
        sent as f64 / begun as f64
    }

    fn print(&self, name: &str) {
        let over = self.over_after().map_or("never".into(), |seconds| format!("{seconds} s"));
        println!(
            "{name:<34} over after {over:>6}   amplification {:.3} in the outage and 5 s after, {:.3} at the end   served {:.1} % at the end",
            self.amplification(OUTAGE.start..OUTAGE.end + 5 * SECOND),
            self.amplification(RUN - 20 * SECOND..RUN),
            100.0 * self.success(RUN / SECOND - 5),
        );
    }
}

fn ratio(share: f64, min_per_sec: f64) -> Budget {
    Budget::Ratio(Ratio::new(share, min_per_sec, 10 * SECOND, Reserve::default(), 1).unwrap())
}

fn is_over_soon(world: &World) -> bool {
    world.over_after().is_some_and(|seconds| seconds <= 5)
}

#[test]
fn with_a_budget_it_is_over_within_five_seconds() {
    let world = World::run(ratio(0.05, 1.0));
    world.print("ratio 0.05, 1 a second");
    assert!(is_over_soon(&world));
    assert!(world.amplification(OUTAGE.start..OUTAGE.end + 5 * SECOND) <= 1.1);
}

#[test]
fn with_a_quota_it_is_over_within_five_seconds() {
    let world = World::run(Budget::Quota(Quota::new(Quota::AWS, Reserve::default(), 1).unwrap()));
    world.print("quota of the AWS SDKs");
    assert!(is_over_soon(&world));
    assert!(world.amplification(OUTAGE.start..OUTAGE.end + 5 * SECOND) <= 1.1);
}

/// A larger budget is a larger amplification, by its own mathematics; but still an end.
#[test]
fn with_a_larger_budget_it_is_over_too() {
    for (share, min_per_sec) in [(0.1, 3.0), (0.2, 10.0)] {
        let world = World::run(ratio(share, min_per_sec));
        world.print(&format!("ratio {share}, {min_per_sec} a second"));
        assert!(is_over_soon(&world));
        // The store, and what is earned: each of ten seconds' worth in an outage of ten.
        let most = 1.0 + (share + min_per_sec / OFFERED as f64) * 2.0;
        assert!(world.amplification(OUTAGE) <= most * 1.02);
    }
}

#[test]
fn without_a_budget_the_storm_goes_on() {
    let world = World::run(Budget::Unlimited);
    world.print("no budget");
    assert_eq!(world.over_after(), None, "metastable");
    assert!(world.amplification(RUN - 20 * SECOND..RUN) > 2.0);
    assert!(world.success(OUTAGE.start / SECOND - 5) > 0.99, "all was well before");
}
