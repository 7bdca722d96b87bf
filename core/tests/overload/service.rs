//! A service on a virtual clock: an open-loop load, callers with a deadline, a protection before a pool of workers
//! with a first-in-first-out queue. A caller whose deadline passes leaves; the service does its work nevertheless, or
//! notices.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use tidegate_core::guard::{Criticality, Outcome};

pub const MS: u64 = 1_000_000;
pub const SECOND: u64 = 1_000 * MS;
pub const WORKERS: usize = 32;
/// The mean service time.
pub const SERVICE_NS: u64 = 10 * MS;
/// Calls a second.
pub const CAPACITY: f64 = WORKERS as f64 * SECOND as f64 / SERVICE_NS as f64;
pub const DEADLINE_NS: u64 = 10 * SERVICE_NS;
/// Statistics are kept by slices of time.
pub const SLICE_NS: u64 = 20 * MS;

/// What decides who enters.
pub trait Protection {
    fn enter(&mut self, now: u64, source: &Source) -> bool;
    fn exit(&mut self, now: u64, started: u64, outcome: Outcome);
    /// What a sampler of the CPU would see: the share of workers that are busy, told at every arrival.
    fn see_busy(&mut self, _now: u64, _share: f64) {}
}

/// A stream of calls with exponential gaps.
pub struct Source {
    pub class: Criticality,
    pub level: u8,
    /// Calls at a time, as a multiple of the capacity.
    pub load: fn(u64) -> f64,
}

/// How one scenario differs from another.
pub struct Scenario<'a> {
    pub sources: &'a [Source],
    /// How many times as long as usual a call takes that begins at this time.
    pub slowness: fn(u64) -> f64,
    /// The share of a service time that is exponentially distributed, the rest being constant.
    pub spread: f64,
    /// When nothing ends, as everything stands still: begin and length.
    pub pause: (u64, u64),
    /// The longest queue; the service refuses calls beyond it.
    pub queue: usize,
    /// Whether the service passes over those in its queue whose callers have left.
    pub notices: bool,
    pub length_ns: u64,
}

pub const STEADY: Scenario<'static> = Scenario {
    sources: &[],
    slowness: |_| 1.0,
    spread: 0.5,
    pause: (u64::MAX, 0),
    queue: usize::MAX,
    notices: false,
    length_ns: 12 * SECOND,
};

/// What came of one source.
#[derive(Clone, Default)]
pub struct Tally {
    /// Calls that came, by slice.
    pub offered: Vec<u64>,
    /// Of them, answered in time; by the slice of the answer.
    pub good: Vec<u64>,
    /// How long the answered ones took.
    pub latencies: Vec<(u64, u64)>,
}

impl Tally {
    fn sum(slices: &[u64], from: u64, to: u64) -> f64 {
        let slice = |at: u64| ((at / SLICE_NS) as usize).min(slices.len());
        slices[slice(from)..slice(to)].iter().sum::<u64>() as f64
    }

    /// Answers in time between two moments, over what the capacity allows.
    pub fn goodput(&self, from: u64, to: u64) -> f64 {
        Tally::sum(&self.good, from, to) / (CAPACITY * (to - from) as f64 / SECOND as f64)
    }

    /// The share of calls that were answered in time.
    pub fn served(&self, from: u64, to: u64) -> f64 {
        Tally::sum(&self.good, from, to) / Tally::sum(&self.offered, from, to).max(1.0)
    }

    /// The 99th percentile of the answers' latency, over the mean service time.
    pub fn p99(&self, from: u64) -> f64 {
        let mut all: Vec<u64> = self.latencies.iter().filter(|(at, _)| *at >= from).map(|(_, ns)| *ns).collect();
        all.sort_unstable();
        all.get(all.len() * 99 / 100).map_or(f64::NAN, |ns| *ns as f64 / SERVICE_NS as f64)
    }
}

#[derive(Clone, Copy)]
enum Event {
    Arrival(usize),
    Done(usize),
    Deadline(usize),
}

struct Call {
    source: usize,
    started: u64,
    waits: bool,
}

/// SplitMix64: the same numbers in every run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ mixed >> 31) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn exponential(&mut self, mean: f64) -> u64 {
        (-(1.0 - self.next()).ln() * mean) as u64
    }
}

struct Run<'a, P> {
    scenario: &'a Scenario<'a>,
    protection: &'a mut P,
    random: Random,
    /// When the next call of each source comes.
    arrivals: Vec<u64>,
    /// When calls at the workers end.
    ends: BinaryHeap<Reverse<(u64, usize)>>,
    /// When callers leave; all wait equally long.
    deadlines: VecDeque<(u64, usize)>,
    calls: Vec<Call>,
    queue: VecDeque<usize>,
    tallies: Vec<Tally>,
}

/// Runs a scenario, and tells what came of each source.
pub fn run(scenario: &Scenario, protection: &mut impl Protection) -> Vec<Tally> {
    let slices = (scenario.length_ns / SLICE_NS) as usize + 1;
    let tally = Tally { offered: vec![0; slices], good: vec![0; slices], latencies: vec![] };
    let mut run = Run {
        scenario,
        protection,
        random: Random(scenario.sources.len() as u64),
        arrivals: vec![1; scenario.sources.len()],
        ends: BinaryHeap::new(),
        deadlines: VecDeque::new(),
        calls: vec![],
        queue: VecDeque::new(),
        tallies: vec![tally; scenario.sources.len()],
    };
    loop {
        let (at, event) = run.next_event();
        let now = scenario.after_pause(at);
        if now >= scenario.length_ns {
            return run.tallies;
        }
        match event {
            Event::Arrival(source) => run.arrive(source, now),
            Event::Done(call) => run.done(call, now),
            Event::Deadline(call) => run.pass_deadline(call, now),
        }
    }
}

impl Scenario<'_> {
    /// While all stands still, callers too, nothing happens; what would have happens after it.
    fn after_pause(&self, at: u64) -> u64 {
        let (begin, length) = self.pause;
        if at >= begin && at - begin < length { begin + length } else { at }
    }
}

impl<P: Protection> Run<'_, P> {
    fn next_event(&self) -> (u64, Event) {
        let (source, arrival) = self.arrivals.iter().enumerate().min_by_key(|(_, at)| **at).unwrap();
        let mut next = (*arrival, Event::Arrival(source));
        if let Some(Reverse((at, call))) = self.ends.peek().filter(|Reverse((at, _))| *at <= next.0) {
            next = (*at, Event::Done(*call));
        }
        if let Some((at, call)) = self.deadlines.front().filter(|(at, _)| *at < next.0) {
            next = (*at, Event::Deadline(*call));
        }
        next
    }

    fn arrive(&mut self, source: usize, now: u64) {
        let who = &self.scenario.sources[source];
        let load = (who.load)(now);
        if load <= 0.0 {
            self.arrivals[source] = now + SLICE_NS;
            return;
        }
        self.arrivals[source] = now + self.random.exponential(SECOND as f64 / (CAPACITY * load)).max(1);
        self.tallies[source].offered[(now / SLICE_NS) as usize] += 1;
        self.protection.see_busy(now, self.ends.len() as f64 / WORKERS as f64);
        if self.protection.enter(now, who) {
            self.admit(source, now);
        }
    }

    fn admit(&mut self, source: usize, now: u64) {
        let call = self.calls.len();
        self.calls.push(Call { source, started: now, waits: true });
        if self.ends.len() < WORKERS {
            self.serve(call, now);
        } else if self.queue.len() < self.scenario.queue {
            self.queue.push_back(call);
        } else {
            return self.leave(call, now, Outcome::Overloaded);
        }
        self.deadlines.push_back((now + DEADLINE_NS, call));
    }

    fn pass_deadline(&mut self, call: usize, now: u64) {
        self.deadlines.pop_front();
        self.leave(call, now, Outcome::Timeout);
    }

    fn serve(&mut self, call: usize, now: u64) {
        let (mean, spread) = (SERVICE_NS as f64, self.scenario.spread);
        let drawn = mean * (1.0 - spread) + self.random.exponential(mean * spread) as f64;
        let took = drawn * (self.scenario.slowness)(now);
        self.ends.push(Reverse((now + took as u64, call)));
    }

    fn done(&mut self, call: usize, now: u64) {
        self.ends.pop();
        while let Some(next) = self.queue.pop_front() {
            if self.calls[next].waits || !self.scenario.notices {
                self.serve(next, now);
                break;
            }
        }
        self.leave(call, now, Outcome::Success);
    }

    fn leave(&mut self, call: usize, now: u64, outcome: Outcome) {
        let Call { source, started, waits } = self.calls[call];
        if !std::mem::take(&mut self.calls[call].waits) || !waits {
            return;
        }
        self.protection.exit(now, started, outcome);
        if outcome == Outcome::Success && now - started <= DEADLINE_NS {
            let tally = &mut self.tallies[source];
            tally.good[(now / SLICE_NS) as usize] += 1;
            tally.latencies.push((now, now - started));
        }
    }
}
