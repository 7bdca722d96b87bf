//! One measurement: the same operation in a loop, on one or two pinned threads, for a given time.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::pin;

/// Operations between two looks at the stop flag.
const CHUNK: u64 = 64;
/// Operations before the clock starts: first-call work, caches, branch predictors.
const WARM_UP: u64 = 2_000;
/// Steps of the work between two calls; [`spin`] takes about 50 ns for them.
const BETWEEN_STEPS: u32 = 26;

/// How to run a case.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Threads that call at once.
    pub threads: usize,
    /// Whether a little work lies between two calls.
    pub between: bool,
    /// For how long.
    pub time: Duration,
}

/// One thing that can be measured.
pub struct Case {
    /// What is done, in the words of `target/bench/summary.json`.
    pub work: &'static str,
    /// Who does it.
    pub who: &'static str,
    run: Box<dyn Fn(Plan) -> f64>,
}

impl Case {
    /// A case whose threads each call the operation that `make` gives them; `make` gets the thread's
    /// index and runs on that thread, so that an operation may own what cannot be shared.
    pub fn new<F, O>(work: &'static str, who: &'static str, make: F) -> Self
    where
        F: Fn(usize) -> O + Sync + 'static,
        O: FnMut(),
    {
        let run = Box::new(move |plan| measure(plan, &make));
        Self { work, who, run }
    }

    /// The same case, with something done before each measurement.
    pub fn after(self, prepare: impl Fn() + 'static) -> Self {
        let Self { work, who, run } = self;
        let run = Box::new(move |plan| {
            prepare();
            run(plan)
        });
        Self { work, who, run }
    }

    /// Nanoseconds an operation: wall time × threads / operations.
    pub fn run(&self, plan: Plan) -> f64 {
        (self.run)(plan)
    }
}

struct Span {
    start: Instant,
    end: Instant,
    operations: u64,
}

fn measure<F, O>(plan: Plan, make: &F) -> f64
where
    F: Fn(usize) -> O + Sync,
    O: FnMut(),
{
    let stop = AtomicBool::new(false);
    let ready = Barrier::new(plan.threads + 1);
    let spans: Vec<Span> = thread::scope(|scope| {
        let worker = |index| {
            let (stop, ready) = (&stop, &ready);
            scope.spawn(move || work(index, plan.between, &mut make(index), stop, ready))
        };
        let workers: Vec<_> = (0..plan.threads).map(worker).collect();
        ready.wait();
        thread::sleep(plan.time);
        stop.store(true, Ordering::Relaxed);
        workers.into_iter().filter_map(|w| w.join().ok()).collect()
    });
    nanoseconds_each(&spans)
}

fn work(index: usize, between: bool, op: &mut impl FnMut(), stop: &AtomicBool, ready: &Barrier) -> Span {
    pin::to_core(index);
    drive(op, between, None);
    ready.wait();
    let start = Instant::now();
    let operations = drive(op, between, Some(stop));
    Span { start, end: Instant::now(), operations }
}

/// Calls until told to stop; without somebody to tell, for the warm-up. Never inlined, so that there is one place
/// in the program that calls the operation, and the compiler is free to put it into the loop.
#[inline(never)]
fn drive(op: &mut impl FnMut(), between: bool, stop: Option<&AtomicBool>) -> u64 {
    let (mut operations, mut x) = (0, 1);
    while stop.map_or(operations < WARM_UP, |stop| !stop.load(Ordering::Relaxed)) {
        for _ in 0..CHUNK {
            op();
            if between {
                x = spin(x);
            }
        }
        operations += CHUNK;
    }
    black_box(x);
    operations
}

/// The work between two calls: four chains of steps that each need the one before, so that the
/// processor is busy but not stalled. The C and Go programs do the same.
#[inline]
fn spin(x: u64) -> u64 {
    let (mut a, mut b, mut c, mut d) = (x, x ^ 1, x ^ 2, x ^ 3);
    for _ in 0..BETWEEN_STEPS {
        a = mix(a);
        b = mix(b);
        c = mix(c);
        d = mix(d);
    }
    black_box(a ^ b ^ c ^ d)
}

#[inline]
fn mix(x: u64) -> u64 {
    (x ^ (x >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn nanoseconds_each(spans: &[Span]) -> f64 {
    let operations: u64 = spans.iter().map(|s| s.operations).sum();
    let start = spans.iter().map(|s| s.start).min();
    let end = spans.iter().map(|s| s.end).max();
    match start.zip(end) {
        Some((start, end)) if operations > 0 => {
            (end - start).as_nanos() as f64 * spans.len() as f64 / operations as f64
        }
        _ => f64::NAN,
    }
}
