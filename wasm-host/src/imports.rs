//! What a guest may call. Nothing here waits; what takes a lock tries it and gives up.

use crate::guest::GuestState;
use crate::limiter::Rate;
use wasmtime::{Caller, Extern, Linker, Result, bail};

/// The one module that guests import from.
pub(crate) const MODULE: &str = "tidegate";
const NAME_MAX_BYTES: i32 = 128;
const LOG_MAX_BYTES: i32 = crate::log::LOG_LINE_BYTES as i32;
/// What an init-only import answers elsewhere, or when there is no more room.
const REFUSED: i32 = -1;

/// Every import with its type, as [`crate::check`] writes types.
pub(crate) const SIGNATURES: [(&str, &str); 10] = [
    ("now", "func() -> i64"),
    ("log", "func(i32, i32, i32)"),
    ("attribute", "func(i32, i32) -> i32"),
    ("counter", "func(i32, i32) -> i32"),
    ("counter_add", "func(i32, i64)"),
    ("limiter", "func(i32, i32, i64, i64, i64) -> i32"),
    ("limiter_acquire", "func(i32, i64) -> i32"),
    ("kv_get", "func(i64, i64) -> i64"),
    ("kv_set", "func(i64, i64, i64) -> i32"),
    ("kv_incr", "func(i64, i64, i64) -> i64"),
];

/// The names of all imports, for messages.
pub(crate) fn names() -> String {
    SIGNATURES.map(|(name, _)| name).join(", ")
}

/// Defines every import.
pub(crate) fn define(linker: &mut Linker<GuestState>) -> Result<()> {
    linker.func_wrap(MODULE, "now", now)?;
    linker.func_wrap(MODULE, "log", log)?;
    linker.func_wrap(MODULE, "attribute", attribute)?;
    linker.func_wrap(MODULE, "counter", counter)?;
    linker.func_wrap(MODULE, "counter_add", counter_add)?;
    linker.func_wrap(MODULE, "limiter", limiter)?;
    linker.func_wrap(MODULE, "limiter_acquire", limiter_acquire)?;
    linker.func_wrap(MODULE, "kv_get", kv_get)?;
    linker.func_wrap(MODULE, "kv_set", kv_set)?;
    linker.func_wrap(MODULE, "kv_incr", kv_incr)?;
    Ok(())
}

type Guest<'a> = Caller<'a, GuestState>;

fn now(guest: Guest<'_>) -> i64 {
    guest.data().now_ns as i64
}

fn log(mut guest: Guest<'_>, level: i32, ptr: i32, len: i32) -> Result<()> {
    let (text, state) = bytes(&mut guest, ptr, len.min(LOG_MAX_BYTES), "log")?;
    state.host.log.write(level, state.now_ns, text);
    Ok(())
}

fn attribute(mut guest: Guest<'_>, ptr: i32, len: i32) -> Result<i32> {
    let (name, state) = name(&mut guest, ptr, len, "attribute")?;
    if !state.initialising {
        return Ok(REFUSED);
    }
    let Some(id) = state.host.attributes.id(name) else {
        return Ok(REFUSED);
    };
    state.wanted.insert(id);
    Ok(id as i32)
}

fn counter(mut guest: Guest<'_>, ptr: i32, len: i32) -> Result<i32> {
    let (name, state) = name(&mut guest, ptr, len, "counter")?;
    if !state.initialising {
        return Ok(REFUSED);
    }
    let id = state.host.counter(name).ok().flatten();
    Ok(id.map_or(REFUSED, |id| id as i32))
}

fn counter_add(guest: Guest<'_>, id: i32, n: i64) {
    if let Ok(id) = usize::try_from(id) {
        guest.data().host.counter_add(id, n);
    }
}

fn limiter(mut guest: Guest<'_>, ptr: i32, len: i32, limit: i64, per_ns: i64, burst: i64) -> Result<i32> {
    let (name, state) = name(&mut guest, ptr, len, "limiter")?;
    if !state.initialising {
        return Ok(REFUSED);
    }
    let id = Rate::new(limit, per_ns, burst).and_then(|rate| {
        let limiter = state.host.limiter(name).ok().flatten()?;
        state.add_limiter(limiter, rate)
    });
    Ok(id.unwrap_or(REFUSED))
}

fn limiter_acquire(guest: Guest<'_>, id: i32, cost: i64) -> i32 {
    guest.data().acquire(id, cost).map_or(REFUSED, i32::from)
}

fn kv_get(guest: Guest<'_>, key: i64, default: i64) -> i64 {
    let state = guest.data();
    state.host.numbers.get(key, state.now_ns).unwrap_or(default)
}

fn kv_set(guest: Guest<'_>, key: i64, value: i64, ttl_ns: i64) -> i32 {
    let state = guest.data();
    let ttl_ns = u64::try_from(ttl_ns).unwrap_or(0);
    state.host.numbers.set(key, value, ttl_ns, state.now_ns).into()
}

/// The sum, or the smallest number when it was not kept.
fn kv_incr(guest: Guest<'_>, key: i64, delta: i64, ttl_ns: i64) -> i64 {
    let state = guest.data();
    let ttl_ns = u64::try_from(ttl_ns).unwrap_or(0);
    state.host.numbers.add(key, delta, ttl_ns, state.now_ns).unwrap_or(i64::MIN)
}

/// The guest's bytes at `ptr`, and its state. An address outside of its memory is a trap: the
/// guest's mistake shows where it is made.
fn bytes<'a>(guest: &'a mut Guest<'_>, ptr: i32, len: i32, import: &str) -> Result<(&'a [u8], &'a mut GuestState)> {
    let memory = guest.data().memory.or_else(|| match guest.get_export("memory") {
        Some(Extern::Memory(memory)) => Some(memory),
        _ => None,
    });
    let Some(memory) = memory else {
        bail!("tidegate.{import} was called by a guest without memory");
    };
    let (data, state) = memory.data_and_store_mut(guest);
    let range = ptr as u32 as usize..(ptr as u32 as usize).saturating_add(len as u32 as usize);
    match data.get(range) {
        Some(bytes) => Ok((bytes, state)),
        None => bail!("tidegate.{import} was given {len} bytes at {ptr}, outside of the memory"),
    }
}

/// A name of 1 to 128 bytes of UTF-8, and the guest's state.
fn name<'a>(guest: &'a mut Guest<'_>, ptr: i32, len: i32, import: &str) -> Result<(&'a str, &'a mut GuestState)> {
    if !(1..=NAME_MAX_BYTES).contains(&len) {
        bail!("tidegate.{import} was given a name of {len} bytes; it has 1 to {NAME_MAX_BYTES}");
    }
    let (bytes, state) = bytes(guest, ptr, len, import)?;
    match std::str::from_utf8(bytes) {
        Ok(name) => Ok((name, state)),
        Err(_) => bail!("tidegate.{import} was given a name that is not UTF-8"),
    }
}
