//! Limits by key at 10³, 10⁶ and 10⁷ keys: nanoseconds a call of a known key, and bytes a key. Such a process is started for each
//! size, as the larger ones take seconds to fill, and gives its memory back by ending.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::{Quota, RateLimiter};
use serde_json::{Value, json};
use tidegate_core::hash::mix;
use tidegate_core::rate::keyed::{Keyed, Numbers, OnFull, Overrides, Pace, Seed, Shape, Table};
use tidegate_core::segment::SegmentOptions;
use tidegate_core::{Call, Options, Runtime};

use crate::Failure;
use crate::counting::bytes_of;
use crate::measure::Case;
use crate::stages::pass;

/// A key takes one token a call and gets it back after 100 s, so all of them are in use for as long as this takes; and none is
/// ever without one.
const PERIOD: Duration = Duration::from_secs(100);
const BURST: u32 = 300_000;
/// How many of the hottest keys the limits remember, which is what rules say by default.
const HOTTEST: usize = 16;
/// Room for the tables of 10⁷ keys.
const SEGMENT_BYTES: u64 = 2 << 30;

/// Bytes of a key.
pub type Key = [u8; 16];

/// The key of a number.
#[inline]
fn key(number: u64) -> Key {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&mix(number).to_le_bytes());
    key[8..].copy_from_slice(&mix(!number).to_le_bytes());
    key
}

/// Known keys, in an order by chance: of so many.
pub struct Keys {
    count: u64,
    state: u64,
}

impl Keys {
    /// Those of a thread.
    pub fn new(count: u64, thread: usize) -> Self {
        Self { count, state: mix(thread as u64 + 1) }
    }

    /// The next one.
    #[inline]
    pub fn next(&mut self) -> Key {
        self.state = self.state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        key(((self.state >> 32) * self.count) >> 32)
    }
}

/// The cases of one size, full of keys, and the bytes that a key takes of each.
pub struct Stand {
    pub cases: Vec<Case>,
    pub bytes: Value,
}

/// Makes and fills all limits of this size.
pub fn stand(count: u64) -> Result<Stand, Failure> {
    let work: &'static str = format!("keyed_1e{}", count.max(1).ilog10()).leak();
    let runtime: &'static Runtime = Box::leak(Box::new(open()?));
    let (table, table_bytes) = alone(runtime, work, count)?;
    let (guard, guard_bytes) = guarded(runtime, work, count)?;
    let (governor, governor_bytes) = bytes_of(|| by_governor(work, count));
    let each = |bytes: u64| (bytes as f64 / count as f64 * 10.0).round() / 10.0;
    let bytes = json!({
        table.who: each(table_bytes), guard.who: each(guard_bytes), governor.who: each(governor_bytes),
    });
    Ok(Stand { cases: vec![table, guard, governor], bytes })
}

fn open() -> Result<Runtime, Failure> {
    let segment = SegmentOptions { bytes: SEGMENT_BYTES, ..SegmentOptions::default() };
    Ok(Runtime::open(&Options { segment, ..Options::default() })?)
}

/// Calls `take` once with each key, and makes a case of calling it with keys by chance.
fn filled(
    work: &'static str,
    who: &'static str,
    count: u64,
    take: impl Fn(&Key) -> bool + Send + Sync + 'static,
) -> Case {
    let take = Arc::new(move |key: &Key| assert!(take(key), "{who} refused a key"));
    (0..count).for_each(|number| take(&key(number)));
    Case::new(work, who, move |thread| {
        let (take, mut keys) = (Arc::clone(&take), Keys::new(count, thread));
        move || take(black_box(&keys.next()))
    })
}

/// The limit by itself, its table in a segment. Bytes: by which the segment grew, its blocks being powers of two.
fn alone(runtime: &'static Runtime, work: &'static str, count: u64) -> Result<(Case, u64), Failure> {
    let before = runtime.segment_usage().used_bytes;
    let shape = Shape::for_keys(count, HOTTEST).ok_or("no such table")?;
    let view = runtime.segment().view();
    let at = view.alloc(shape.words() * 8).ok_or("the segment is full")?;
    let bytes = runtime.segment_usage().used_bytes - before;
    let pace = Pace::new(1.0, PERIOD.as_nanos() as u64, BURST.into()).ok_or("no such pace")?;
    let limit = Keyed::new(Numbers::new(pace, OnFull::Shared, 1).ok_or("no such numbers")?, Overrides::NONE);
    // A view may be leaked as its runtime is.
    let view: &'static _ = Box::leak(Box::new(view));
    let words = view.words(at, shape.words()).ok_or("the table is not in the segment")?;
    let table = Table::new(words, shape, Seed { k0: mix(1), k1: mix(2) }).ok_or("no such table")?;
    let take = move |key: &Key| limit.take(&table, &table.key(key), runtime.clock().now(), 1).is_ok();
    Ok((filled(work, "tidegate-rust", count, take), bytes))
}

/// A guard with that limit, entered and exited.
fn guarded(runtime: &'static Runtime, work: &'static str, count: u64) -> Result<(Case, u64), Failure> {
    let before = runtime.segment_usage().used_bytes;
    let rate = json!({"limit": 1, "per": "100s", "burst": BURST, "key": "tenant", "keys": count, "hottest": HOTTEST});
    let rules = json!({"schema": 1, "version": 1, "guards": {"keyed": {"rate": [rate]}}});
    runtime.apply_rules(rules.to_string().as_bytes())?;
    let guard = runtime.guard("keyed")?;
    let bytes = runtime.segment_usage().used_bytes - before;
    let take = move |key: &Key| {
        pass(work, guard, &Call { key, ..Call::default() });
        true
    };
    Ok((filled(work, "tidegate-rust guard", count, take), bytes))
}

/// governor's keyed limiter with its default store, hasher and clock.
pub fn by_governor(work: &'static str, count: u64) -> Case {
    let burst = NonZeroU32::new(BURST).unwrap_or(NonZeroU32::MAX);
    let quota = Quota::with_period(PERIOD).map(|quota| quota.allow_burst(burst));
    let limiter = RateLimiter::keyed(quota.unwrap_or_else(|| Quota::per_second(burst)));
    filled(work, "governor", count, move |key: &Key| limiter.check_key(key).is_ok())
}
