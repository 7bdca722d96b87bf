//! The disciplines that Tidegate's core has without a guard, and the decisions that callers make around one.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crossbeam_utils::CachePadded;
use tidegate_core::breaker::counts::{Ending, Rule};
use tidegate_core::guard::hedging::Hedged;
use tidegate_core::limiter::{Algorithm, Limiter, Options};
use tidegate_core::retry::budget::ratio::Ratio;
use tidegate_core::retry::budget::{Budget, Price, Reserve};
use tidegate_core::retry::plan::{Attempt, Decision, Reason};
use tidegate_core::{Call, Criticality, Outcome, Runtime};

use crate::Failure;
use crate::measure::Case;

const WHO: &str = "tidegate-rust";
const SECOND: u64 = 1_000_000_000;
/// So many a second that the limit is never reached.
const UNREACHED: f64 = 1e9;

/// All of them.
pub fn cases(runtime: &'static Runtime) -> Result<Vec<Case>, Failure> {
    let mut cases = limiters(runtime)?;
    cases.extend([
        breaker(runtime)?,
        retry(runtime)?,
        retry_decision(runtime)?,
        retry_budget(runtime)?,
        hedge(runtime)?,
    ]);
    Ok(cases)
}

/// A limiter by name of each algorithm. The two sliding ones count to 4 million, so their windows are of 10 ms. A warm-up lets
/// 15 million a second pass at most, so these calls are told longer and longer waits, which nobody waits.
fn limiters(runtime: &Runtime) -> Result<Vec<Case>, Failure> {
    let plain = |algorithm| Options { algorithm, limit: UNREACHED, ..Options::default() };
    let short = |algorithm| Options { limit: 4e6, per_ns: SECOND / 100, ..plain(algorithm) };
    let make = |name: &'static str, options: Options| runtime.limiter(name, Some(&options));
    let slots =
        Options { limit: 1.5e7, warm_up_ns: SECOND / 100, max_wait_ns: 15 * SECOND, ..plain(Algorithm::WarmUp) };
    // A thread that read the clock before another may find the other's slot a little ahead of it.
    let paced = Options { limit: 1e10, max_wait_ns: SECOND / 2, ..plain(Algorithm::Pacing) };
    let bucket = Options::token_bucket(UNREACHED, SECOND);
    Ok(vec![
        take("limiter_allow", make("token bucket", bucket)?),
        reserve(make("reserve", bucket)?),
        take("pacing", make("pacing", paced)?),
        take("fixed_window", make("fixed window", plain(Algorithm::FixedWindow))?),
        take("sliding_counter", make("sliding counter", short(Algorithm::SlidingCounter))?),
        take("sliding_window", make("sliding window", short(Algorithm::SlidingWindow))?),
        take("warm_up", make("warm-up", slots)?),
    ])
}

fn take(work: &'static str, limiter: &'static Limiter) -> Case {
    Case::new(work, WHO, move |_| {
        move || match limiter.take(1, 0) {
            Ok(wait) => {
                black_box(wait);
            }
            Err(why) => panic!("the limiter of {work} refused: {why:?}"),
        }
    })
}

/// Reserves, however long the wait, and cancels.
fn reserve(limiter: &'static Limiter) -> Case {
    Case::new("limiter_reserve", WHO, move |_| {
        move || {
            let reserved = limiter.reserve(1, 0, u64::MAX);
            let cancelled = reserved.map(|mut reserved| limiter.cancel(&mut reserved, 0));
            assert!(matches!(cancelled, Ok(Ok(()))), "not reserved, or not cancelled: {cancelled:?}");
        }
    })
}

/// One that counts and leaves the verdict to its user, forgets every ten seconds, and is closed.
fn breaker(runtime: &Runtime) -> Result<Case, Failure> {
    let breaker = runtime.breaker("counted", Rule::new(1, 10 * SECOND, 0, 5 * SECOND))?;
    Ok(Case::new("breaker_counted", WHO, move |_| {
        move || match breaker.ask() {
            Ok((Ok(ticket), _)) => {
                black_box(breaker.end(ticket, Ending::Success)).ok();
            }
            other => panic!("the counted breaker did not let a call pass: {other:?}"),
        }
    }))
}

/// A call that does not fail: begun, and ended well.
fn retry(runtime: &Runtime) -> Result<Case, Failure> {
    attempts(runtime, "retry", Outcome::Success, |decision| decision == Decision::Stop(Reason::Done))
}

/// A call that fails once: begun, and told how long to wait before it is tried again.
fn retry_decision(runtime: &Runtime) -> Result<Case, Failure> {
    attempts(runtime, "retry_decision", Outcome::Failure, |decision| matches!(decision, Decision::Retry { .. }))
}

fn attempts(
    runtime: &Runtime,
    work: &'static str,
    outcome: Outcome,
    is_right: impl Fn(Decision) -> bool + Copy + Send + Sync + 'static,
) -> Result<Case, Failure> {
    let guard = runtime.guard("bench.retry")?;
    Ok(Case::new(work, WHO, move |_| {
        let call = Call::default();
        move || {
            let Ok(mut retry) = guard.begin_retry(black_box(&call)) else { panic!("{work}: no retry was begun") };
            let decided = retry.next(Attempt::Ended(outcome), 0);
            assert!(decided.is_ok_and(is_right), "{work}: {decided:?}");
        }
    }))
}

/// The budget alone: a first attempt earns as much as a retry costs, which is then made.
fn retry_budget(runtime: &'static Runtime) -> Result<Case, Failure> {
    let ratio = Ratio::new(1.0, 10.0, 10 * SECOND, Reserve::default(), 1).ok_or("no such budget")?;
    let (budget, word) = (Budget::Ratio(ratio), Arc::new(CachePadded::new(AtomicU64::new(0))));
    Ok(Case::new("retry_budget", WHO, move |_| {
        let word = Arc::clone(&word);
        move || {
            let word: &AtomicU64 = &word;
            let begun = budget.begin(word, runtime.clock().now());
            let now = runtime.clock().now();
            let spent = begun.and_then(|()| budget.spend(word, Criticality::Default, Price::Normal, now));
            assert!(spent.is_ok(), "the budget is exhausted");
        }
    }))
}

/// A call that ends before its hedge is due: begun, told how long that is, ended well.
fn hedge(runtime: &Runtime) -> Result<Case, Failure> {
    let guard = runtime.guard("bench.hedge")?;
    Ok(Case::new("hedge", WHO, move |_| {
        let call = Call::default();
        move || {
            let Ok(mut hedging) = guard.begin_hedge(black_box(&call)) else { panic!("no hedge was begun") };
            let asked = hedging.ask();
            assert!(matches!(asked, Ok(Hedged::Wait(_))), "a hedge: {asked:?}");
            black_box(hedging.end(Outcome::Success)).ok();
        }
    }))
}
