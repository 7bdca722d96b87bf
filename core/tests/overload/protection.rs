//! The protections: none, a fixed limit, an adaptive one; as a guard will put them together.

use crate::service::{MS, Protection, Source};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tidegate_core::concurrency::adapt::{Algorithm, Numbers};
use tidegate_core::concurrency::adaptive::{InForce, Words};
use tidegate_core::concurrency::fixed::{self, Held};
use tidegate_core::concurrency::sample::{self, Sample};
use tidegate_core::concurrency::shed::{self, Priority};
use tidegate_core::concurrency::window;
use tidegate_core::guard::Outcome;
use tidegate_core::slot::lane::Own;
use tidegate_core::system::gate;

/// Lets everything pass.
pub struct None;

impl Protection for None {
    fn enter(&mut self, _: u64, _: &Source) -> bool {
        true
    }

    fn exit(&mut self, _: u64, _: u64, _: Outcome) {}
}

/// A limit with ceilings by class; a fixed one is one that has no range to adapt in.
pub struct Limited {
    pub numbers: Numbers,
    inflight: AtomicU64,
    words: [AtomicU64; 5],
    lane: [AtomicU64; 4],
    /// The limit for critical calls after each window, with the window's end.
    pub history: Vec<(u64, u32)>,
}

impl Limited {
    pub fn fixed(limit: u32) -> Limited {
        let aimd = Algorithm::Aimd(tidegate_core::concurrency::aimd::Aimd { timeout_ns: u64::MAX });
        let numbers = Numbers { min: limit, max: limit, initial: limit, ..Numbers::new(aimd) };
        Limited::adaptive(numbers)
    }

    pub fn adaptive(numbers: Numbers) -> Limited {
        let numbers = Numbers { window_ns: 50 * MS, ..numbers };
        let (words, lane) = (Default::default(), Default::default());
        Limited { numbers, inflight: AtomicU64::new(0), words, lane, history: vec![] }
    }

    fn words(&self) -> Words<'_, AtomicU64> {
        let [window, limit, memory, round_trip, priority] = &self.words;
        Words { window, limit, memory, round_trip, priority }
    }

    /// The limits of the windows that ended between two moments.
    pub fn limits(&self, from: u64, to: u64) -> impl Iterator<Item = u32> {
        self.history.iter().filter(move |(at, _)| (from..to).contains(at)).map(|(_, limit)| *limit)
    }
}

impl Protection for Limited {
    fn enter(&mut self, _: u64, source: &Source) -> bool {
        let words = self.words();
        let limit = InForce::of(words.limit.load(Relaxed), self.numbers.initial);
        let priority = Priority { class: source.class, level: source.level };
        let ceiling = shed::ceiling(words.priority.load(Relaxed), limit, priority);
        let admitted = fixed::take(&self.inflight, u64::from(ceiling), 0).is_ok();
        shed::note(words.priority, source.class, admitted);
        admitted
    }

    fn exit(&mut self, now: u64, started: u64, outcome: Outcome) {
        let inflight = Held::of(self.inflight.load(Relaxed)).inflight();
        fixed::give_back(&self.inflight, 0);
        let words = self.words();
        let (window_word, round_trip) = (words.window.load(Relaxed), words.round_trip.load(Relaxed));
        let sample = Sample { outcome, duration_ns: now - started, inflight };
        sample::count(Own::new(&self.lane), 0, window::index_of(window_word), round_trip, &sample);
        if !window::is_due(window_word, now) {
            return;
        }
        let sum = |index| {
            let mut sum = sample::Sum::default();
            sample::add_up(self.lane.first_chunk().unwrap(), index, &mut sum);
            sum
        };
        if words.turn(&self.numbers, now, sum).is_none() {
            return;
        }
        let limit = InForce::of(words.limit.load(Relaxed), self.numbers.initial).critical;
        self.history.push((now, limit));
    }
}

/// The gate of the whole process, with busy workers as its CPU.
#[derive(Default)]
pub struct Guarded {
    numbers: gate::Numbers,
    inflight: u64,
    words: [AtomicU64; 4],
    ring: [AtomicU64; gate::RING],
    lane: [AtomicU64; 4],
    /// Busy time since the last sample; when it was taken; when busy workers were last seen; smoothed.
    busy_ns: f64,
    sampled: u64,
    seen: u64,
    cpu: f64,
}

const SAMPLE_NS: u64 = 100 * MS;

impl Guarded {
    fn words(&self) -> gate::Words<'_, AtomicU64> {
        let [load, guarding, window, capacity] = &self.words;
        gate::Words { load, guarding, window, capacity, ring: &self.ring }
    }
}

impl Protection for Guarded {
    fn enter(&mut self, now: u64, _: &Source) -> bool {
        let admits = self.words().admits(&self.numbers, self.inflight, now);
        self.inflight += u64::from(admits);
        admits
    }

    fn exit(&mut self, now: u64, started: u64, outcome: Outcome) {
        let words = self.words();
        let window_word = words.window.load(Relaxed);
        let sample = Sample { outcome, duration_ns: now - started, inflight: self.inflight };
        sample::count(Own::new(&self.lane), 0, window::index_of(window_word), 0, &sample);
        if window::is_due(window_word, now) {
            words.turn(&self.numbers, now, |index| {
                let mut sum = sample::Sum::default();
                sample::add_up(self.lane.first_chunk().unwrap(), index, &mut sum);
                sum
            });
        }
        self.inflight -= 1;
    }

    fn see_busy(&mut self, now: u64, share: f64) {
        self.busy_ns += share * (now - self.seen) as f64;
        self.seen = now;
        if now - self.sampled < SAMPLE_NS {
            return;
        }
        let since = (now - self.sampled) as f64;
        self.cpu += (self.busy_ns / since - self.cpu) * (1.0 - (-since / 1e9).exp());
        (self.busy_ns, self.sampled) = (0.0, now);
        self.words().sampled(gate::Load { cpu: (self.cpu * 1000.0) as u32, memory: 0 }, now);
    }
}
