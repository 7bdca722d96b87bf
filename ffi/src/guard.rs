//! Guards: the pipeline in front of a protected resource.

use crate::arguments::{invalid, is_usable, out, reference, reserved, sized, text, tg_str};
use crate::boundary::{cold, hot, status_of, value};
use crate::breaker::{TG_BREAKER_DISABLED, number_of};
use crate::runtime::{tg_runtime, with};
use crate::status::{TG_INVALID, TG_OK, of_kind, of_stage, tg_error, tg_status};
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};
use tidegate_core::breaker::state::State;
use tidegate_core::guard::exit::Unended;
use tidegate_core::guard::handle::Guard;
use tidegate_core::guard::permit::PermitState;
use tidegate_core::guard::plain::Stopped;
use tidegate_core::guard::stats::GuardStats;
use tidegate_core::guard::{Call, Criticality, NotEntered, Outcome};
use tidegate_core::policy::{Attribute, MAX_ATTRIBUTES};
use tidegate_core::{Error, ErrorKind, Permit};

/// How a guarded call ended.
pub type tg_outcome = i32;
/// Well.
pub const TG_OUTCOME_SUCCESS: tg_outcome = 0;
/// The callee failed.
pub const TG_OUTCOME_FAILURE: tg_outcome = 1;
/// The callee took too long.
pub const TG_OUTCOME_TIMEOUT: tg_outcome = 2;
/// The callee said that it has too much to do.
pub const TG_OUTCOME_OVERLOADED: tg_outcome = 3;
/// Our own caller left: says nothing of the callee, and has no duration.
pub const TG_OUTCOME_CANCELLED: tg_outcome = 4;
/// Says nothing about health, but its duration counts.
pub const TG_OUTCOME_IGNORED: tg_outcome = 5;

/// A stage of the pipeline.
pub type tg_stage = i32;
/// No stage.
pub const TG_STAGE_NONE: tg_stage = 0;
/// Time left.
pub const TG_STAGE_DEADLINE: tg_stage = 1;
/// Faults on purpose.
pub const TG_STAGE_FAULT: tg_stage = 2;
/// The circuit breaker.
pub const TG_STAGE_BREAKER: tg_stage = 3;
/// The client-side throttle.
pub const TG_STAGE_THROTTLE: tg_stage = 4;
/// The policy.
pub const TG_STAGE_POLICY: tg_stage = 5;
/// Protection of the whole process.
pub const TG_STAGE_SYSTEM: tg_stage = 6;
/// The concurrency limit.
pub const TG_STAGE_CONCURRENCY: tg_stage = 7;
/// The rate limits.
pub const TG_STAGE_RATE: tg_stage = 8;

/// A call matters as most do. Where a concurrency limit sheds by criticality, calls that matter less are refused first.
pub const TG_CRITICALITY_DEFAULT: u32 = 0;
/// A call to be shed last.
pub const TG_CRITICALITY_CRITICAL: u32 = 1;
/// A call to be shed first.
pub const TG_CRITICALITY_SHEDDABLE: u32 = 2;

/// In tg_call.flags: it must not be made twice. It is neither tried again, unless it was refused here, nor hedged.
pub const TG_CALL_ONCE: u32 = 1;

/// A named protected resource.
pub struct tg_guard {
    _opaque: [u8; 0],
}

/// What a successful enter hands out and exit gives back: the caller's own plain data. Copying one that is held is
/// misuse. Zero-filled, it is a permit that holds nothing.
#[repr(C)]
pub struct tg_permit {
    /// The library's own.
    pub opaque: [u64; 16],
}

const _: () = assert!(size_of::<tg_permit>() == size_of::<Permit>() && align_of::<tg_permit>() == align_of::<Permit>());

/// One attribute of a call, for policies.
#[repr(C)]
pub struct tg_attribute {
    /// From tg_attribute_resolve.
    pub id: u32,
    /// Zero.
    pub reserved: u32,
    /// Any bytes.
    pub value: tg_str,
}

/// What a caller says of a call. Set by TG_CALL_INIT; all of it may stay as it is.
#[repr(C)]
pub struct tg_call {
    /// sizeof(tg_call).
    pub struct_size: u32,
    /// TG_CRITICALITY_*.
    pub criticality: u32,
    /// Tokens that it takes of each rate limit; 0 means 1.
    pub cost: u64,
    /// How long its caller waits, from now; 0: no limit.
    pub timeout_ns: u64,
    /// The same as a moment on the runtime's clock; 0: none. The earliest of this, timeout_ns and the rule's timeout
    /// counts.
    pub deadline_ns: u64,
    /// Whom it is for; any bytes.
    pub key: tg_str,
    /// What policies may look at.
    pub attributes: *const tg_attribute,
    /// How many: at most 16.
    pub attribute_count: usize,
    /// How much it matters among the calls of its criticality: 0 to 99, higher matters more. Looked at where has_level is 1.
    pub level: u32,
    /// 1: level is set; 0: it is not, and counts as 99.
    pub has_level: u32,
    /// A sum of TG_CALL_*.
    pub flags: u32,
    /// Zeros.
    pub reserved: [u8; 36],
}

/// What a guard did and how it stands.
#[repr(C)]
pub struct tg_guard_stats {
    /// sizeof(tg_guard_stats), as TG_GUARD_STATS_INIT sets it.
    pub struct_size: u32,
    /// TG_BREAKER_*.
    pub breaker: u32,
    /// Calls in flight.
    pub inflight: u64,
    /// The concurrency limit in force; 0: none.
    pub limit: u64,
    /// Exits, by tg_outcome.
    pub calls: [u64; 6],
    /// Refusals, by tg_stage.
    pub rejected: [u64; 9],
    /// What stages in shadow mode would have refused, by tg_stage.
    pub shadow_rejected: [u64; 9],
    /// Permits that max_hold took back.
    pub expired: u64,
    /// Exits that held nothing, or were another process's.
    pub misused_exits: u64,
    /// Durations recorded.
    pub latency_count: u64,
    /// Their sum in seconds.
    pub latency_sum: f64,
    /// Quantiles in seconds, off by at most 2.2 %; 0 when nothing was recorded.
    pub latency_p50: f64,
    /// See latency_p50.
    pub latency_p90: f64,
    /// See latency_p50.
    pub latency_p99: f64,
    /// How often the breaker went to each state, by TG_BREAKER_*.
    pub breaker_transitions: [u64; 8],
    /// Retries that were decided on and not abandoned.
    pub retries: u64,
    /// Hedges that were sent.
    pub hedges: u64,
    /// Retries or hedges that the budget has left for a critical call; 0 without a budget.
    pub retry_budget: u64,
    /// Zeros.
    pub reserved: [u8; 8],
}

/// Finds or makes the guard of this name: 1 to 128 bytes of UTF-8 without control characters. Once per name; the handle
/// is never unmapped. Names beyond the runtime's max_guards get the guard "tidegate.overflow". COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_guard_resolve(
    runtime: *const tg_runtime,
    name: tg_str,
    out_guard: *mut *const tg_guard,
    error: *mut tg_error,
) -> tg_status {
    // SAFETY: NULL or a handle; NULL or readable; NULL or writable.
    unsafe {
        if let Ok(to) = out("out", out_guard) {
            *to = null();
        }
        with(runtime, error, |_, runtime| {
            let to = out("out", out_guard)?;
            *to = std::ptr::from_ref(runtime.guard(text("name", name)?)?).cast();
            Ok(())
        })
    }
}

/// Takes a guard out; its room is used again. Its handle, and exits of its permits, answer TG_CLOSED. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_guard_retire(guard: *const tg_guard) -> tg_status {
    // SAFETY: NULL or a handle.
    unsafe { cold(null_mut(), || alive(guard)?.retire()) }
}

/// Asks to pass. TG_OK: the permit holds a place until tg_guard_exit; wait tg_permit_wait first. A refusal (1 to 99): see
/// tg_permit_stage and tg_permit_retry_after. An error (100 and up): nobody can tell; go ahead, or not, as you choose. The
/// permit is initialised in any case. call may be NULL. HOT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_guard_enter(
    guard: *const tg_guard,
    call: *const tg_call,
    permit: *mut tg_permit,
) -> tg_status {
    // SAFETY: NULL, or the caller's own; NULL or a handle.
    if let (true, Some(own), Some(handle)) = unsafe { (call.is_null(), permit_of(permit), guard_of(guard)) } {
        // This way calls nothing, so it cannot panic, and needs no stack.
        return match handle.enter_plain(own) {
            Ok(()) => TG_OK,
            Err(stopped) => enter_after(handle, own, stopped),
        };
    }
    // SAFETY: as this function's.
    unsafe { enter_with(guard, call, permit) }
}

/// Goes on where the plain way ended.
#[inline(never)]
extern "C" fn enter_after(guard: &'static Guard, permit: &mut Permit, stopped: Stopped) -> tg_status {
    hot(|| status_of_entry(guard.enter_after(stopped, const { &Call::PLAIN }, permit)))
}

/// # Safety
/// As of [`tg_guard_enter`].
#[inline(never)]
unsafe extern "C" fn enter_with(guard: *const tg_guard, call: *const tg_call, permit: *mut tg_permit) -> tg_status {
    hot(|| {
        // SAFETY: NULL, or the caller's own.
        let Some(permit) = (unsafe { permit_of(permit) }) else { return TG_INVALID };
        let mut attributes = [const { MaybeUninit::uninit() }; MAX_ATTRIBUTES];
        // SAFETY: NULL or a handle; NULL or the caller's struct.
        match unsafe { (guard_of(guard), read_call(call, &mut attributes)) } {
            (Some(guard), Ok(call)) => status_of_entry(guard.enter(&call, permit)),
            (guard, call) => {
                *permit = Permit::default();
                let kind = call.err().filter(|_| guard.is_some()).map_or(ErrorKind::Invalid, |error| error.kind);
                of_kind(kind)
            }
        }
    })
}

#[inline(always)]
fn status_of_entry(entered: Result<(), NotEntered>) -> tg_status {
    match entered {
        Ok(()) => TG_OK,
        Err(NotEntered::Refused(stage)) => of_stage(stage),
        Err(NotEntered::Failed(kind)) => of_kind(kind),
    }
}

/// # Safety
/// `call` is the caller's struct, and what it points to is readable.
unsafe fn read_call<'a>(
    call: *const tg_call,
    attributes: &'a mut [MaybeUninit<Attribute<'a>>; MAX_ATTRIBUTES],
) -> Result<Call<'a>, Error> {
    // SAFETY: by contract.
    unsafe {
        let call = sized("call", call)?;
        reserved("call", &call.reserved)?;
        let count = call.attribute_count;
        if count > MAX_ATTRIBUTES || (count > 0 && !is_usable(call.attributes)) {
            return Err(invalid("call.attributes: NULL, misaligned, or more than 16"));
        }
        let attributes = &mut attributes[..count];
        for (index, attribute) in attributes.iter_mut().enumerate() {
            let from = &*call.attributes.add(index);
            attribute.write(Attribute { id: from.id, value: bytes_of("call.attributes", from.value)? });
        }
        Ok(Call {
            cost: call.cost,
            criticality: criticality(call.criticality)?,
            level: level(call)?,
            timeout_ns: call.timeout_ns,
            deadline_ns: call.deadline_ns,
            once: once(call.flags)?,
            key: bytes_of("call.key", call.key)?,
            attributes: attributes.assume_init_ref(),
        })
    }
}

/// # Safety
/// As `arguments::bytes`.
#[inline(always)]
unsafe fn bytes_of<'a>(name: &str, bytes: tg_str) -> Result<&'a [u8], Error> {
    // SAFETY: by contract.
    unsafe { crate::arguments::bytes(name, bytes.ptr.cast(), bytes.len) }
}

#[inline(always)]
fn once(flags: u32) -> Result<bool, Error> {
    match flags {
        0 => Ok(false),
        TG_CALL_ONCE => Ok(true),
        _ => Err(Error::new(ErrorKind::Unsupported, "call.flags: a flag is set that this version does not know")),
    }
}

/// What a caller says of a logical call, of which NULL says nothing. Its attributes are not looked at.
///
/// # Safety
/// As [`read_call`], or NULL.
pub(crate) unsafe fn about<'a>(call: *const tg_call) -> Result<Call<'a>, Error> {
    if call.is_null() {
        return Ok(Call::PLAIN);
    }
    // SAFETY: by contract.
    unsafe {
        let call = sized("call", call)?;
        reserved("call", &call.reserved)?;
        Ok(Call {
            criticality: criticality(call.criticality)?,
            timeout_ns: call.timeout_ns,
            deadline_ns: call.deadline_ns,
            once: once(call.flags)?,
            ..Call::PLAIN
        })
    }
}

#[inline(always)]
fn criticality(number: u32) -> Result<Criticality, Error> {
    match number {
        TG_CRITICALITY_DEFAULT => Ok(Criticality::Default),
        TG_CRITICALITY_CRITICAL => Ok(Criticality::Critical),
        TG_CRITICALITY_SHEDDABLE => Ok(Criticality::Sheddable),
        other => Err(invalid(format!("call.criticality: {other} is none of TG_CRITICALITY_*"))),
    }
}

#[inline(always)]
fn level(call: &tg_call) -> Result<u8, Error> {
    match (call.has_level, call.level) {
        (0, 0) => Ok(Call::PLAIN.level),
        (1, level @ 0..=99) => Ok(level as u8),
        (has, level) => Err(invalid(format!("call.level: {level}, with has_level {has}; expected 0 to 99, with 1"))),
    }
}

/// Gives a permit back and tells how the call ended. TG_NOT_HELD when it holds nothing (refused, zeroed, already exited),
/// TG_FOREIGN when another process entered it, TG_EXPIRED when max_hold had taken it back, TG_CLOSED when the runtime or
/// guard is gone: nothing else happens then, but it is counted. HOT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_guard_exit(permit: *mut tg_permit, outcome: tg_outcome) -> tg_status {
    // SAFETY: NULL, or the caller's own.
    let Some(permit) = (unsafe { permit_of(permit) }) else { return TG_INVALID };
    if outcome != TG_OUTCOME_SUCCESS {
        return exit_with(permit, outcome);
    }
    // This way calls nothing, so it cannot panic, and needs no stack.
    match permit.exit_plain() {
        Ok(()) => TG_OK,
        Err(unended) => exit_after(permit, unended),
    }
}

/// Goes on where the plain way ended.
#[inline(never)]
extern "C" fn exit_after(permit: &mut Permit, unended: Unended) -> tg_status {
    hot(|| status_of(permit.exit_after(unended, Outcome::Success)))
}

#[inline(never)]
extern "C" fn exit_with(permit: &mut Permit, outcome: tg_outcome) -> tg_status {
    hot(|| Outcome::of(outcome).map_or(TG_INVALID, |outcome| status_of(permit.exit(outcome))))
}

/// # Safety
/// NULL, or a caller's struct of its size.
#[inline(always)]
unsafe fn permit_of<'a>(permit: *mut tg_permit) -> Option<&'a mut Permit> {
    // SAFETY: by contract; any bytes are a permit.
    if is_usable(permit.cast_const()) { Some(unsafe { &mut *permit.cast::<Permit>() }) } else { None }
}

/// # Safety
/// NULL, or a handle from tg_guard_resolve.
#[inline(always)]
pub(crate) unsafe fn guard_of(guard: *const tg_guard) -> Option<&'static Guard> {
    // SAFETY: by contract; handles are never unmapped.
    if is_usable(guard.cast::<Guard>()) { Some(unsafe { &*guard.cast::<Guard>() }) } else { None }
}

/// # Safety
/// As [`guard_of`].
pub unsafe fn alive(guard: *const tg_guard) -> Result<&'static Guard, Error> {
    // SAFETY: by contract.
    let guard = unsafe { reference("guard", guard.cast::<Guard>()) }?;
    if guard.is_alive() { Ok(guard) } else { Err(Error::new(tidegate_core::ErrorKind::Closed, "the guard is gone")) }
}

fn see<T: Copy>(permit: *const tg_permit, otherwise: T, part: impl FnOnce(&Permit) -> T) -> T {
    value(otherwise, || {
        // SAFETY: NULL, or the caller's own.
        match unsafe { permit_of(permit.cast_mut()) } {
            Some(permit) if permit.state() != PermitState::Zeroed => part(permit),
            _ => otherwise,
        }
    })
}

/// How long until a refused call may come back: 0: not known; UINT64_MAX: never (its cost exceeds the burst). HOT.
#[unsafe(no_mangle)]
pub extern "C" fn tg_permit_retry_after(permit: *const tg_permit) -> u64 {
    see(permit, 0, Permit::retry_after_ns)
}

/// How long to wait before the guarded work starts. HOT.
#[unsafe(no_mangle)]
pub extern "C" fn tg_permit_wait(permit: *const tg_permit) -> u64 {
    see(permit, 0, Permit::wait_ns)
}

/// The moment on the runtime's clock at which the call should be over; 0: none. HOT.
#[unsafe(no_mangle)]
pub extern "C" fn tg_permit_deadline(permit: *const tg_permit) -> u64 {
    see(permit, 0, Permit::deadline_ns)
}

/// Which stage refused. HOT.
#[unsafe(no_mangle)]
pub extern "C" fn tg_permit_stage(permit: *const tg_permit) -> tg_stage {
    see(permit, TG_STAGE_NONE, |permit| permit.stage().into())
}

/// The stage's own reason: a policy's number, the index of the rate limit that refused, or the tg_outcome that a fault stands
/// for. HOT.
#[unsafe(no_mangle)]
pub extern "C" fn tg_permit_reason(permit: *const tg_permit) -> u32 {
    see(permit, 0, Permit::reason)
}

/// The route that a policy chose; 0: none. HOT.
#[unsafe(no_mangle)]
pub extern "C" fn tg_permit_route(permit: *const tg_permit) -> u32 {
    see(permit, 0, Permit::route)
}

/// Reads a guard's figures into the caller's struct. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_guard_stats_read(guard: *const tg_guard, stats: *mut tg_guard_stats) -> tg_status {
    // SAFETY: NULL or a handle; NULL or the caller's struct.
    unsafe {
        cold(null_mut(), || {
            sized("stats", stats.cast_const())?;
            fill(out("stats", stats)?, &alive(guard)?.stats()?);
            Ok(())
        })
    }
}

fn fill(to: &mut tg_guard_stats, from: &GuardStats) {
    let quantile = |q| from.latency.quantile(q).unwrap_or(0.0);
    to.breaker = from.breaker.map_or(TG_BREAKER_DISABLED, number_of);
    for state in State::ALL {
        to.breaker_transitions[number_of(state) as usize] = from.breaker_transitions[state as usize];
    }
    (to.inflight, to.limit) = (from.inflight, from.limit);
    (to.calls, to.rejected, to.shadow_rejected) = (from.calls, from.rejected, from.shadow_rejected);
    if let Some(retries) = &from.retries {
        (to.retries, to.hedges, to.retry_budget) = (retries.decided[0], retries.hedges, retries.budget_left);
    }
    (to.expired, to.misused_exits) = (from.expired, from.misused_exits);
    (to.latency_count, to.latency_sum) = (from.latency.count(), from.latency.sum);
    (to.latency_p50, to.latency_p90, to.latency_p99) = (quantile(0.5), quantile(0.9), quantile(0.99));
}

/// The id of an attribute's name, for tg_attribute: the same for callers, rules and policies; at most 1023 names. COLD:
/// once per name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_attribute_resolve(runtime: *const tg_runtime, name: tg_str, id: *mut u32) -> tg_status {
    // SAFETY: NULL or a handle; NULL or readable; NULL or writable.
    unsafe {
        with(runtime, null_mut(), |_, runtime| {
            let to = out("id", id)?;
            *to = runtime.attribute(text("name", name)?)?;
            Ok(())
        })
    }
}
