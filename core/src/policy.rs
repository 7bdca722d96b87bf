//! What the guard pipeline asks of a policy, without knowing who runs it.
//!
//! The host (see `wasm-host`) implements [`PolicyHost`] and [`Policy`]; the
//! pipeline builds a [`Record`] for each call and obeys the [`Verdict`].

use std::sync::Arc;

/// Version of [`Record`]; fields are only ever added at its end.
pub const RECORD_VERSION: u16 = 1;

/// The most attributes that one call may carry.
pub const MAX_ATTRIBUTES: usize = 16;

/// One call as a policy sees it: little-endian, 64 bytes, the layout that
/// `include/tidegate_policy.h` gives to guests. Attributes follow it in the
/// guest's arena as the host writes them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Bytes of this record, without attributes.
    pub size: u16,
    /// [`RECORD_VERSION`].
    pub version: u16,
    /// 0: default, 1: critical, 2: sheddable.
    pub criticality: u16,
    /// 0 disabled, 1 closed, 2 open, 3 half-open.
    pub breaker: u16,
    /// Now, in nanoseconds on the runtime's clock.
    pub now_ns: u64,
    /// A hash of the call's key; 0 without one.
    pub key_hash: u64,
    /// Nanoseconds left to the call's deadline; `u64::MAX` without one.
    pub remaining_ns: u64,
    /// Cost of the call in units of its rate limits (saturating).
    pub cost: u32,
    /// Calls in flight through the guard.
    pub inflight: u32,
    /// The guard's concurrency limit; 0 without one.
    pub limit: u32,
    /// How near the guard is to refusing, in thousandths: the largest of in-flight / limit
    /// and the used share of each rate limit's burst.
    pub pressure: u32,
    /// A number for the guard, stable while it lives.
    pub guard: u32,
    /// Written by the host: how many attributes follow.
    pub attribute_count: u32,
    /// Written by the host: where they start, in bytes from the start of the record.
    pub attribute_offset: u32,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<Record>() == 64);

/// One attribute of a call: an id from [`AttributeNames::id`] and bytes.
#[derive(Clone, Copy, Debug)]
pub struct Attribute<'a> {
    /// The interned name.
    pub id: u32,
    /// The value.
    pub value: &'a [u8],
}

/// What a policy decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Go on with the next stage.
    Allow,
    /// Refuse; the argument is a retry-after in milliseconds (0: not known).
    Deny,
    /// Go on, after waiting the argument's microseconds.
    Delay,
    /// Go on; the argument is the route that the permit carries.
    Route,
}

/// A checked answer of a policy. An answer that cannot be had (a trap, a deadline, no free
/// instance) is `None` where it is returned, and the guard's `on_fail` decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What to do.
    pub action: Action,
    /// The policy's own reason, for metrics and for the permit.
    pub reason: u16,
    /// As [`Action`] says.
    pub argument: u32,
}

/// A loaded policy, bound to guards by name. It outlives swaps of its module.
pub trait Policy: Send + Sync {
    /// **Hot.** Decides one call. `None`: no answer was to be had (and was counted by the host).
    /// The second value stands for the generation that answered, for [`Policy::observe`]; 0 when that
    /// generation does not want to observe.
    fn decide(&self, record: &Record, attributes: &[Attribute<'_>]) -> (Option<Verdict>, u64);

    /// **Hot.** Tells the generation that decided a call how it ended. Called exactly once for each
    /// `decide` that returned a generation other than 0, whatever became of the call.
    /// `outcome` is the number of the guard outcome (0 success .. 5 ignored; 255: never ran).
    fn observe(&self, generation: u64, record: &Record, outcome: u8, duration_ns: u64);
}

/// Who finds policies by name.
pub trait PolicyHost: Send + Sync {
    /// The policy loaded under this name.
    fn find(&self, name: &str) -> Option<Arc<dyn Policy>>;
    /// Counts up whenever `find` may answer differently than before.
    fn epoch(&self) -> u64;
}

/// The most attribute names that there are.
pub const ATTRIBUTES_MAX: usize = 1023;

/// Who knows the ids of attributes' names.
pub trait AttributeNames: Send + Sync {
    /// The id of a name, the same one for callers, rules and policies; from 1 up. `None`: the name is empty or too long,
    /// or there are too many.
    fn id(&self, name: &str) -> Option<u32>;
}
