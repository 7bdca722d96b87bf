//! What the host offers; none of it waits.

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For whoever writes the policy.
    Debug = 0,
    /// Worth knowing.
    Info = 1,
    /// Worth looking at.
    Warning = 2,
    /// Wrong.
    Error = 3,
}

/// An attribute that `init` asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute(u32);

/// A counter, exported with the policy's metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter(i32);

/// A limiter: the host's state, one for all threads, and kept through swaps under its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limiter(i32);

/// What can be asked for in `init` alone.
pub struct Init(());

impl Init {
    pub(crate) const fn new() -> Self {
        Self(())
    }

    /// Lets records carry an attribute; `None` when the host knows too many names.
    pub fn attribute(&mut self, name: &str) -> Option<Attribute> {
        // SAFETY: the host reads the name.
        let id = unsafe { raw::attribute(name.as_ptr(), name.len()) };
        u32::try_from(id).ok().map(Attribute)
    }

    /// A counter of this name; `None` when the policy has 64 others.
    pub fn counter(&mut self, name: &str) -> Option<Counter> {
        // SAFETY: the host reads the name.
        let id = unsafe { raw::counter(name.as_ptr(), name.len()) };
        (id >= 0).then_some(Counter(id))
    }

    /// A limiter of `limit` units every `per_ns`, `burst` of them at once; `None` when a number is not positive or
    /// absurd, or the policy has 64 others.
    pub fn limiter(&mut self, name: &str, limit: i64, per_ns: i64, burst: i64) -> Option<Limiter> {
        // SAFETY: the host reads the name.
        let id = unsafe { raw::limiter(name.as_ptr(), name.len(), limit, per_ns, burst) };
        (id >= 0).then_some(Limiter(id))
    }
}

impl Attribute {
    pub(crate) fn id(self) -> u32 {
        self.0
    }

    #[cfg(test)]
    pub(crate) fn numbered(id: u32) -> Self {
        Self(id)
    }
}

impl Counter {
    /// Adds to it.
    pub fn add(self, n: u64) {
        // SAFETY: takes numbers only.
        unsafe { raw::counter_add(self.0, n as i64) }
    }
}

impl Limiter {
    /// Takes so many units, atomically; false when they are not there.
    pub fn acquire(self, cost: u32) -> bool {
        // SAFETY: takes numbers only.
        unsafe { raw::limiter_acquire(self.0, i64::from(cost)) == 1 }
    }
}

/// The record's `now_ns`; 0 in `init`.
pub fn now_ns() -> u64 {
    // SAFETY: takes nothing.
    unsafe { raw::now() as u64 }
}

/// A line for the operator: at most 240 bytes, kept in a ring of 256 lines.
pub fn log(level: Level, text: &str) {
    // SAFETY: the host reads the text.
    unsafe { raw::log(level as i32, text.as_ptr(), text.len()) }
}

/// Numbers under numbers, kept by the host for all threads through swaps: at most 4096 of them.
pub mod numbers {
    use super::raw;

    /// The number under a key.
    pub fn get(key: i64, otherwise: i64) -> i64 {
        // SAFETY: takes numbers only.
        unsafe { raw::kv_get(key, otherwise) }
    }

    /// Keeps a number for so long; false when there was no room, or another thread was at it.
    pub fn set(key: i64, value: i64, ttl_ns: i64) -> bool {
        // SAFETY: takes numbers only.
        unsafe { raw::kv_set(key, value, ttl_ns) == 1 }
    }

    /// Adds to a number, which lives for `ttl_ns` from its first change; the sum, or `None` when it was not kept.
    pub fn add(key: i64, delta: i64, ttl_ns: i64) -> Option<i64> {
        // SAFETY: takes numbers only.
        let sum = unsafe { raw::kv_incr(key, delta, ttl_ns) };
        (sum != i64::MIN).then_some(sum)
    }
}

#[cfg(target_family = "wasm")]
mod raw {
    #[link(wasm_import_module = "tidegate")]
    unsafe extern "C" {
        pub fn now() -> i64;
        pub fn log(level: i32, text: *const u8, length: usize);
        pub fn attribute(name: *const u8, length: usize) -> i32;
        pub fn counter(name: *const u8, length: usize) -> i32;
        pub fn counter_add(counter: i32, n: i64);
        pub fn limiter(name: *const u8, length: usize, limit: i64, per_ns: i64, burst: i64) -> i32;
        pub fn limiter_acquire(limiter: i32, cost: i64) -> i32;
        pub fn kv_get(key: i64, otherwise: i64) -> i64;
        pub fn kv_set(key: i64, value: i64, ttl_ns: i64) -> i32;
        pub fn kv_incr(key: i64, delta: i64, ttl_ns: i64) -> i64;
    }
}

/// Elsewhere (a policy's own unit tests) there is no host: names are refused, nothing is granted or kept.
#[cfg(not(target_family = "wasm"))]
#[allow(clippy::missing_safety_doc, reason = "as safe as they look; unsafe as the imports are")]
mod raw {
    pub unsafe fn now() -> i64 {
        0
    }
    pub unsafe fn log(_: i32, _: *const u8, _: usize) {}
    pub unsafe fn attribute(_: *const u8, _: usize) -> i32 {
        -1
    }
    pub unsafe fn counter(_: *const u8, _: usize) -> i32 {
        -1
    }
    pub unsafe fn counter_add(_: i32, _: i64) {}
    pub unsafe fn limiter(_: *const u8, _: usize, _: i64, _: i64, _: i64) -> i32 {
        -1
    }
    pub unsafe fn limiter_acquire(_: i32, _: i64) -> i32 {
        -1
    }
    pub unsafe fn kv_get(_: i64, otherwise: i64) -> i64 {
        otherwise
    }
    pub unsafe fn kv_set(_: i64, _: i64, _: i64) -> i32 {
        0
    }
    pub unsafe fn kv_incr(_: i64, _: i64, _: i64) -> i64 {
        i64::MIN
    }
}
