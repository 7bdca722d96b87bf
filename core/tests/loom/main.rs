//! Loom drives the shared words through every interleaving of a few threads. The transitions are the very functions
//! that run on the segment.

mod adaptive;
mod breaker;
mod concurrency;
mod keyed;
mod rate;
mod retry;
mod tagged;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use tidegate_core::word::Word;

const SECOND: u64 = 1_000_000_000;

/// Every interleaving with up to two preemptions: beyond that, three threads on one word show nothing new and take
/// minutes.
fn model(body: impl Fn() + Sync + Send + 'static) {
    model_with(2, body);
}

struct LoomWord(AtomicU64);

impl Word for LoomWord {
    fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    fn swap_if(&self, old: u64, new: u64) -> Result<(), u64> {
        self.0.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).map(drop)
    }

    fn add(&self, n: u64) -> u64 {
        self.0.fetch_add(n, Ordering::AcqRel)
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

/// Every interleaving with up to so many preemptions: what takes many steps would take minutes with two.
fn model_with(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(body);
}
