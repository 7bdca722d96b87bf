//! Peers for a limit by key and for decisions about retries.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tower::retry::budget::{Budget, TpsBudget};

use crate::keyed;
use crate::measure::Case;
use crate::stages;

/// All of them.
pub fn cases() -> Vec<Case> {
    vec![keyed::by_governor("keyed", stages::KEYS), retry_budget(), backoff()]
}

/// tower's budget: a first attempt earns as much as a retry costs, which is then made.
fn retry_budget() -> Case {
    let budget = Arc::new(TpsBudget::new(Duration::from_secs(10), 10, 1.0));
    Case::new("retry_budget", "tower", move |_| {
        let budget = Arc::clone(&budget);
        move || {
            budget.deposit();
            assert!(budget.withdraw(), "tower's budget is exhausted");
        }
    })
}

/// backon's exponential backoff with jitter: made for a call, and asked for its first wait. It has no budget and no clock.
fn backoff() -> Case {
    let builder = ExponentialBuilder::default().with_jitter();
    Case::new("retry_decision", "backon", move |_| {
        let builder = builder;
        move || {
            black_box(black_box(&builder).build().next());
        }
    })
}
