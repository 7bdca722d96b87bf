//! Limiters that stand alone, without a guard.

use crate::arguments::{invalid, is_usable, out, reserved, sized, text, tg_str};
use crate::boundary::{cold, hot, status_of};
use crate::runtime::{tg_runtime, with};
use crate::status::{TG_INVALID, TG_OK, TG_REFUSED_RATE, of_kind, tg_error, tg_status};
use std::ptr::{null, null_mut};
use tidegate_core::limiter::{Algorithm, Limiter, NotTaken, Options, Reserved};
use tidegate_core::{Error, ErrorKind};

/// Tokens: `limit` come in each `per_ns`, and at most `burst` are kept. It may go into debt, for those who wait.
pub const TG_LIMITER_TOKEN_BUCKET: u32 = 0;
/// One after the other at even distances: who comes early waits, at most `max_wait_ns`, or is refused.
pub const TG_LIMITER_PACING: u32 = 1;
/// At most `limit` in each window of `per_ns`, counted from the clock's zero: twice as many around the border of two.
pub const TG_LIMITER_FIXED_WINDOW: u32 = 2;
/// About `limit` in any `per_ns`, estimated from two windows' counts.
pub const TG_LIMITER_SLIDING_COUNTER: u32 = 3;
/// At most `limit` in any `per_ns`, in `buckets`.
pub const TG_LIMITER_SLIDING_WINDOW: u32 = 4;
/// `limit` once it has been in use for `warm_up_ns`, and `limit` / `cold_factor` after a rest.
pub const TG_LIMITER_WARM_UP: u32 = 5;

/// A wait without end, and the retry-after of what will never be admitted.
pub const TG_LIMITER_FOREVER: u64 = u64::MAX;
/// A token bucket that holds nothing, and so refuses all that costs something.
pub const TG_LIMITER_NO_BURST: u64 = u64::MAX;

/// What a limiter is made of. Set by TG_LIMITER_OPTIONS_INIT, then `limit` and what else is needed; what the algorithm does not
/// have stays 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tg_limiter_options {
    /// sizeof(tg_limiter_options).
    pub struct_size: u32,
    /// TG_LIMITER_TOKEN_BUCKET or another.
    pub algorithm: u32,
    /// So much in each per_ns. Infinity lets a token bucket pass all, and 0 gains it nothing. Windows want a whole number: up to 2^40 - 1
    /// the fixed one, up to 2^22 - 1 the sliding ones.
    pub limit: f64,
    /// 0: a second.
    pub per_ns: u64,
    /// Of a token bucket; 0: as many as `limit`, rounded up. TG_LIMITER_NO_BURST: none.
    pub burst: u64,
    /// How long tg_limiter_take may let its caller wait; 0: it refuses. Not of windows.
    pub max_wait_ns: u64,
    /// Of a warm-up.
    pub warm_up_ns: u64,
    /// Of a warm-up: 1 to 1000; 0: 3.
    pub cold_factor: f64,
    /// Of a sliding window: 2 to 60; 0: 10.
    pub buckets: u32,
    /// Zeros.
    pub reserved: [u8; 60],
}

/// A limiter.
pub struct tg_limiter {
    _opaque: [u8; 0],
}

/// What was reserved: plain data, of which a copy is the same reservation. Zeros hold nothing.
#[repr(C)]
pub struct tg_reservation {
    /// How long to wait before acting; of a refusal, after how long to come back (TG_LIMITER_FOREVER: never).
    pub wait_ns: u64,
    /// When to act, on the runtime's clock.
    pub act_at_ns: u64,
    /// The library's.
    pub opaque: [u64; 6],
}

const _: () = assert!(size_of::<Reserved>() == size_of::<tg_reservation>());

/// Where a limiter's state stands, for bindings that decide by themselves, as docs/limiters.md says how.
#[repr(C)]
pub struct tg_limiter_place {
    /// sizeof(tg_limiter_place).
    pub struct_size: u32,
    /// What *generation says as long as the limiter stands.
    pub life: u32,
    /// The cell's generation.
    pub generation: *const u32,
    /// The word that decides.
    pub word: *mut u64,
    /// The numbers of even and of odd changes: 24 words each.
    pub numbers: [*const u64; 2],
    /// Counts refusals: whoever decides by itself adds its own.
    pub rejected: *mut u64,
    /// Zeros.
    pub reserved: [u8; 16],
}

fn options_of(from: &tg_limiter_options) -> Result<Options, Error> {
    reserved("options", &from.reserved)?;
    let algorithm = Algorithm::of(from.algorithm);
    let burst = match from.burst {
        0 => None,
        TG_LIMITER_NO_BURST => Some(0),
        burst => Some(burst),
    };
    Ok(Options {
        algorithm: algorithm.ok_or_else(|| invalid(format!("options.algorithm: {} is none", from.algorithm)))?,
        limit: from.limit,
        per_ns: from.per_ns,
        burst,
        max_wait_ns: from.max_wait_ns,
        buckets: from.buckets,
        warm_up_ns: from.warm_up_ns,
        cold_factor: from.cold_factor,
    })
}

fn write(options: &Options, to: &mut tg_limiter_options) {
    *to = tg_limiter_options {
        struct_size: to.struct_size,
        algorithm: options.algorithm as u32,
        limit: options.limit,
        per_ns: options.per_ns,
        burst: options.burst.map_or(0, |burst| if burst == 0 { TG_LIMITER_NO_BURST } else { burst }),
        max_wait_ns: options.max_wait_ns,
        warm_up_ns: options.warm_up_ns,
        cold_factor: options.cold_factor,
        buckets: options.buckets,
        reserved: [0; 60],
    };
}

/// # Safety
/// NULL, or a handle.
#[inline(always)]
unsafe fn handle(limiter: *const tg_limiter) -> Option<&'static Limiter> {
    let limiter = limiter.cast::<Limiter>();
    // SAFETY: by contract; handles are never unmapped.
    if is_usable(limiter) { Some(unsafe { &*limiter }) } else { None }
}

/// # Safety
/// As [`handle`].
unsafe fn handle_or_err(limiter: *const tg_limiter) -> Result<&'static Limiter, Error> {
    // SAFETY: by contract.
    unsafe { handle(limiter) }.ok_or_else(|| invalid("limiter: NULL or misaligned"))
}

/// A struct of the caller's to be written to: as large as ours at least.
///
/// # Safety
/// NULL, or as many bytes as the struct says.
unsafe fn sized_out<'a, T>(name: &str, to: *mut T) -> Result<&'a mut T, Error> {
    // SAFETY: by contract; the size is its first field.
    unsafe {
        let to = out(name, to)?;
        let size = *std::ptr::from_ref(to).cast::<u32>() as usize;
        if size < size_of::<T>() {
            return Err(invalid(format!("{name}: struct_size is {size}; this library's is {}", size_of::<T>())));
        }
        Ok(to)
    }
}

#[inline(always)]
fn told(taken: Result<u64, NotTaken>) -> (tg_status, u64) {
    match taken {
        Ok(wait) => (TG_OK, wait),
        Err(NotTaken::Refused(after)) => (TG_REFUSED_RATE, after),
        Err(NotTaken::Failed(kind)) => (of_kind(kind), 0),
    }
}

/// Finds or makes the limiter of a name (1 to 128 bytes of UTF-8 without control characters), which all who resolve it share, in
/// every process on the segment; with an empty name it makes a new one, the caller's own, which is not in the segment. One that stands already keeps
/// its numbers, whatever options says; with options NULL it must stand already (TG_NOT_FOUND). Once per name; the handle is never
/// unmapped. COLD: TG_INVALID for options out of their range, TG_FULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_limiter_resolve(
    runtime: *const tg_runtime,
    name: tg_str,
    options: *const tg_limiter_options,
    out_limiter: *mut *const tg_limiter,
    error: *mut tg_error,
) -> tg_status {
    // SAFETY: the caller's pointers, checked by `out` and `sized`.
    unsafe {
        if let Ok(to) = out("out", out_limiter) {
            *to = null();
        }
        with(runtime, error, |_, runtime| {
            let to = out("out", out_limiter)?;
            let options = if options.is_null() { None } else { Some(options_of(sized("options", options)?)?) };
            *to = std::ptr::from_ref(runtime.limiter(text("name", name)?, options.as_ref())?).cast();
            Ok(())
        })
    }
}

/// Takes cost at at_ns of the runtime's clock (0: now). TG_OK: *wait_or_retry_ns says how long to wait before acting, which is nothing unless the
/// options have a max_wait_ns. TG_REFUSED_RATE: nothing was taken, and it says after how long to come back (TG_LIMITER_FOREVER: the cost is
/// more than the limiter can ever give). wait_or_retry_ns may be NULL. A cost of 0 takes nothing. An at_ns before the last one finds no more
/// than there was then. HOT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_limiter_take(
    limiter: *const tg_limiter,
    cost: u64,
    at_ns: u64,
    wait_or_retry_ns: *mut u64,
) -> tg_status {
    hot(|| {
        // SAFETY: NULL or a handle; NULL or writable.
        unsafe {
            let (status, ns) = handle(limiter).map_or((TG_INVALID, 0), |limiter| told(limiter.take(cost, at_ns)));
            if is_usable(wait_or_retry_ns) {
                *wait_or_retry_ns = ns;
            }
            status
        }
    })
}

/// As tg_limiter_take with a wait of at most max_wait_ns, whatever the options say (TG_LIMITER_FOREVER: any, also one without end), for callers who
/// may cancel. *reservation is always initialised. HOT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_limiter_reserve(
    limiter: *const tg_limiter,
    cost: u64,
    at_ns: u64,
    max_wait_ns: u64,
    reservation: *mut tg_reservation,
) -> tg_status {
    hot(|| {
        let to = reservation.cast::<Reserved>();
        // SAFETY: NULL or a handle; NULL or writable.
        unsafe {
            if !is_usable(to) {
                return TG_INVALID;
            }
            *to = Reserved::default();
            match handle(limiter).map(|limiter| limiter.reserve(cost, at_ns, max_wait_ns)) {
                None => TG_INVALID,
                Some(Ok(reserved)) => {
                    *to = reserved;
                    TG_OK
                }
                Some(Err(why)) => {
                    let (status, after) = told(Err(why));
                    (*to).wait_ns = after;
                    status
                }
            }
        }
    })
}

/// Gives back what was reserved and will not be used. Of a token bucket that is what golang.org/x/time/rate gives back: nothing once its moment has passed,
/// else what it took less what was reserved after it. A second time: TG_NOT_HELD, as for a refused or zeroed one; of another limiter:
/// TG_INVALID. HOT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_limiter_cancel(
    limiter: *const tg_limiter,
    reservation: *mut tg_reservation,
    at_ns: u64,
) -> tg_status {
    hot(|| {
        let reserved = reservation.cast::<Reserved>();
        // SAFETY: NULL or a handle; NULL or the caller's.
        unsafe {
            match handle(limiter) {
                Some(limiter) if is_usable(reserved) => status_of(limiter.cancel(&mut *reserved, at_ns)),
                _ => TG_INVALID,
            }
        }
    })
}

/// What could be taken at at_ns (0: now): tokens, negative in debt; of other algorithms the largest whole cost. HOT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_limiter_tokens(limiter: *const tg_limiter, at_ns: u64, out_tokens: *mut f64) -> tg_status {
    hot(|| {
        // SAFETY: NULL or a handle; NULL or writable.
        unsafe {
            match handle(limiter) {
                Some(limiter) if is_usable(out_tokens) => {
                    status_of(limiter.tokens(at_ns).map(|tokens| *out_tokens = tokens))
                }
                _ => TG_INVALID,
            }
        }
    })
}

/// Puts other numbers in force at at_ns (0: now), for all who share the limiter. Tokens stay, as many as the new burst holds, and debts
/// stay debts; another algorithm begins afresh. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_limiter_set(
    limiter: *const tg_limiter,
    options: *const tg_limiter_options,
    at_ns: u64,
    error: *mut tg_error,
) -> tg_status {
    // SAFETY: NULL or a handle; the caller's pointers.
    unsafe { cold(error, || handle_or_err(limiter)?.set(&options_of(sized("options", options)?)?, at_ns)) }
}

/// The options in force. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_limiter_read(
    limiter: *const tg_limiter,
    out_options: *mut tg_limiter_options,
) -> tg_status {
    // SAFETY: NULL or a handle; NULL or the caller's struct.
    unsafe {
        cold(null_mut(), || {
            let to = sized_out("options", out_options)?;
            write(&handle_or_err(limiter)?.options()?, to);
            Ok(())
        })
    }
}

/// Tells where a limiter's state stands. The addresses stay mapped for ever; they hold zeros once the runtime is closed. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_limiter_locate(limiter: *const tg_limiter, out_place: *mut tg_limiter_place) -> tg_status {
    // SAFETY: NULL or a handle; NULL or the caller's struct.
    unsafe {
        cold(null_mut(), || {
            let to = sized_out("place", out_place)?;
            let told = handle_or_err(limiter)?.place();
            let (cell, life) = told.map_err(|kind: ErrorKind| Error::new(kind, "the limiter is gone"))?;
            to.life = life;
            to.generation = cell.cell.generation.as_ptr();
            to.word = cell.word.as_ptr();
            to.rejected = cell.rejected().as_ptr();
            to.numbers = cell.sides.each_ref().map(|side| std::ptr::from_ref(side).cast());
            Ok(())
        })
    }
}

/// Takes the limiter out, for all who share it; its room is used again, and its handles answer TG_CLOSED. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_limiter_retire(limiter: *const tg_limiter) -> tg_status {
    // SAFETY: NULL or a handle.
    unsafe { cold(null_mut(), || handle_or_err(limiter)?.retire()) }
}
