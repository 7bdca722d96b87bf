//! Counted breakers: they count, and leave the verdict to their user.

use crate::arguments::{invalid, is_usable, out, reference, reserved, sized, text, tg_str};
use crate::boundary::{cold, hot};
use crate::breaker::{TG_BREAKER_HALF_OPEN, TG_BREAKER_OPEN, number_of};
use crate::runtime::{tg_runtime, with};
use crate::status::{TG_INVALID, TG_NOT_HELD, TG_OK, TG_REFUSED_BREAKER, of_kind, tg_error, tg_status};
use std::ptr::{null, null_mut};
use tidegate_core::breaker::counts::{Denied, Ending, Rule, Ticket};
use tidegate_core::breaker::handle::CountedBreaker;

/// How a call of a counted breaker ended.
pub type tg_ending = i32;
/// Well.
pub const TG_ENDING_SUCCESS: tg_ending = 0;
/// Not.
pub const TG_ENDING_FAILURE: tg_ending = 1;
/// So that it says nothing.
pub const TG_ENDING_EXCLUDED: tg_ending = 2;

/// A breaker that counts, and leaves the verdict to its user.
pub struct tg_breaker {
    _opaque: [u8; 0],
}

/// What a counted breaker goes by. Set by TG_BREAKER_OPTIONS_INIT; all of it may stay as it is.
#[repr(C)]
pub struct tg_breaker_options {
    /// sizeof(tg_breaker_options).
    pub struct_size: u32,
    /// Calls that it lets pass while half-open, all of which have to end well; 0: one.
    pub max_requests: u32,
    /// Closed, it forgets what it counted after this time; 0: never.
    pub interval_ns: u64,
    /// It forgets in steps of this time, of which there are at most 10 000; 0: all at once.
    pub bucket_period_ns: u64,
    /// How long it is open; 0: a minute.
    pub timeout_ns: u64,
    /// Zeros.
    pub reserved: [u8; 32],
}

/// What a call that was let pass hands to tg_breaker_end. The caller's own; a copy of one that is out is misuse.
#[repr(C)]
pub struct tg_breaker_ticket {
    /// 0; or of a refused call TG_BREAKER_OPEN, or TG_BREAKER_HALF_OPEN: as many as may pass are out.
    pub refused_by: u32,
    /// Zero.
    pub reserved: u32,
    /// The library's own.
    pub opaque: [u64; 3],
}

/// What a counted breaker has counted in its generation. Set by TG_BREAKER_COUNTS_INIT.
#[repr(C)]
pub struct tg_breaker_counts {
    /// sizeof(tg_breaker_counts).
    pub struct_size: u32,
    /// TG_BREAKER_CLOSED, TG_BREAKER_OPEN or TG_BREAKER_HALF_OPEN.
    pub state: u32,
    /// For tg_breaker_trip.
    pub generation: u64,
    /// Calls let pass.
    pub requests: u32,
    /// Of them those that ended well.
    pub total_successes: u32,
    /// Of them those that failed.
    pub total_failures: u32,
    /// Of them those that said nothing.
    pub total_exclusions: u32,
    /// Ended well since the last that failed.
    pub consecutive_successes: u32,
    /// Failed since the last that ended well.
    pub consecutive_failures: u32,
    /// Zeros.
    pub reserved: [u8; 32],
}

/// Finds or makes the counted breaker of this name (as a guard's): shared by all who resolve it on the segment, with the
/// same options (else TG_CONFLICT). Without a name: a new one of this process's own. The handle is never unmapped, nor are the
/// words of one without a name (16 bytes and 32 a bucket). options may be NULL. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_breaker_resolve(
    runtime: *const tg_runtime,
    name: tg_str,
    options: *const tg_breaker_options,
    out_breaker: *mut *const tg_breaker,
    error: *mut tg_error,
) -> tg_status {
    // SAFETY: NULL or a handle; NULL or readable; NULL or writable.
    unsafe {
        if let Ok(to) = out("out", out_breaker) {
            *to = null();
        }
        with(runtime, error, |_, runtime| {
            let to = out("out", out_breaker)?;
            let rule = if options.is_null() { Rule::new(0, 0, 0, 0) } else { rule_of(sized("options", options)?)? };
            *to = std::ptr::from_ref(runtime.breaker(text("name", name)?, rule)?).cast();
            Ok(())
        })
    }
}

fn rule_of(options: &tg_breaker_options) -> Result<Rule, tidegate_core::Error> {
    reserved("options", &options.reserved)?;
    let buckets = options.interval_ns.checked_div(options.bucket_period_ns).unwrap_or(0);
    if buckets > 10_000 {
        return Err(invalid(format!(
            "options.bucket_period_ns: {buckets} buckets an interval; expected at most 10 000"
        )));
    }
    Ok(Rule::new(options.max_requests, options.interval_ns, options.bucket_period_ns, options.timeout_ns))
}

/// # Safety
/// NULL, or a handle from tg_breaker_resolve.
unsafe fn breaker_of(breaker: *const tg_breaker) -> Option<&'static CountedBreaker> {
    // SAFETY: by contract; handles are never unmapped.
    if is_usable(breaker.cast::<CountedBreaker>()) { Some(unsafe { &*breaker.cast() }) } else { None }
}

/// Asks for one call. TG_OK: the ticket goes to tg_breaker_end. TG_REFUSED_BREAKER: the ticket says why. It is initialised in
/// any case. HOT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_breaker_ask(breaker: *const tg_breaker, ticket: *mut tg_breaker_ticket) -> tg_status {
    hot(|| {
        // SAFETY: NULL or the caller's own; NULL or a handle.
        let (Ok(ticket), breaker) = (unsafe { (out("ticket", ticket), breaker_of(breaker)) }) else {
            return TG_INVALID;
        };
        *ticket = tg_breaker_ticket { refused_by: 0, reserved: 0, opaque: [0; 3] };
        let Some(breaker) = breaker else { return TG_INVALID };
        match breaker.ask() {
            Ok((Ok(Ticket { generation, bucket }), _)) => {
                ticket.opaque = [generation, bucket, seal(breaker, generation, bucket)];
                TG_OK
            }
            Ok((Err(denied), _)) => {
                ticket.refused_by = if denied == Denied::Open { TG_BREAKER_OPEN } else { TG_BREAKER_HALF_OPEN };
                TG_REFUSED_BREAKER
            }
            Err(kind) => of_kind(kind),
        }
    })
}

/// Of a ticket that is out: not 0.
fn seal(breaker: &CountedBreaker, generation: u64, bucket: u64) -> u64 {
    let mixed =
        (std::ptr::from_ref(breaker).addr() as u64 ^ generation << 40 ^ bucket).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed | 1
}

/// Says how a call ended. TG_NOT_HELD: the ticket is not out, or is another breaker's. Calls of an earlier generation change
/// nothing (TG_OK). After a failure whoever judges calls tg_breaker_counts_read, and trips the generation found there. HOT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_breaker_end(
    breaker: *const tg_breaker,
    ticket: *mut tg_breaker_ticket,
    ending: tg_ending,
) -> tg_status {
    hot(|| {
        // SAFETY: NULL or the caller's own; NULL or a handle.
        let (Ok(ticket), Some(breaker)) = (unsafe { (out("ticket", ticket), breaker_of(breaker)) }) else {
            return TG_INVALID;
        };
        let ending = match ending {
            TG_ENDING_SUCCESS => Ending::Success,
            TG_ENDING_FAILURE => Ending::Failure,
            TG_ENDING_EXCLUDED => Ending::Excluded,
            _ => return TG_INVALID,
        };
        let [generation, bucket, sealed] = ticket.opaque;
        if sealed != seal(breaker, generation, bucket) {
            return TG_NOT_HELD;
        }
        ticket.opaque = [0; 3];
        breaker.end(Ticket { generation, bucket }, ending).map_or_else(of_kind, |_| TG_OK)
    })
}

/// Opens it, if it is closed and in this generation still: what the generation's counts say of it is true then. TG_OK also
/// where it is not. HOT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_breaker_trip(breaker: *const tg_breaker, generation: u64) -> tg_status {
    hot(|| {
        // SAFETY: NULL or a handle.
        let Some(breaker) = (unsafe { breaker_of(breaker) }) else { return TG_INVALID };
        breaker.trip(generation).map_or_else(of_kind, |_| TG_OK)
    })
}

/// Reads where it stands and what it has counted, all of one generation. HOT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_breaker_counts_read(
    breaker: *const tg_breaker,
    counts: *mut tg_breaker_counts,
) -> tg_status {
    hot(|| {
        // SAFETY: NULL or the caller's own; NULL or a handle.
        let usable =
            unsafe { (sized("counts", counts.cast_const()).is_ok(), out("counts", counts), breaker_of(breaker)) };
        let (true, Ok(to), Some(breaker)) = usable else { return TG_INVALID };
        match breaker.counts() {
            Ok((snapshot, _)) => {
                let from = snapshot.counts;
                (to.state, to.generation) = (number_of(snapshot.state), snapshot.generation);
                (to.requests, to.total_exclusions) = (from.requests, from.total_exclusions);
                (to.total_successes, to.total_failures) = (from.total_successes, from.total_failures);
                to.consecutive_successes = from.consecutive_successes;
                to.consecutive_failures = from.consecutive_failures;
                TG_OK
            }
            Err(kind) => of_kind(kind),
        }
    })
}

/// The words that it lives in, for bindings that make its transitions themselves (see docs/breaker.md): two, then four a bucket.
/// They stay readable; of a breaker with a name they lie in the segment, and are zeros once the runtime is closed. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_breaker_words(
    breaker: *const tg_breaker,
    words: *mut *const u64,
    count: *mut usize,
) -> tg_status {
    // SAFETY: NULL or a handle; NULL or writable.
    unsafe {
        cold(null_mut(), || {
            let (to, count) = (out("words", words)?, out("count", count)?);
            let all = reference("breaker", breaker.cast::<CountedBreaker>())?.words();
            (*to, *count) = (all.as_ptr().cast(), all.len());
            Ok(())
        })
    }
}

/// Ends a breaker: one with a name for all processes; its room is used again, so whoever makes transitions by the words has to
/// have stopped. What is called with a handle of it answers TG_CLOSED. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_breaker_retire(breaker: *const tg_breaker) -> tg_status {
    // SAFETY: NULL or a handle.
    unsafe { cold(null_mut(), || reference("breaker", breaker.cast::<CountedBreaker>())?.retire()) }
}
