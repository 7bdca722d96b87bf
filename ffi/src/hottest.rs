//! The keys that call most at a rate limit by key.

use crate::arguments::{invalid, is_usable, out};
use crate::boundary::cold;
use crate::guard::{alive, tg_guard};
use crate::status::tg_status;
use std::ffi::c_char;
use std::ptr::null_mut;
use tidegate_core::rate::keyed::{Hot, NAME_BYTES};

/// One of the keys that call most.
#[repr(C)]
pub struct tg_hot_key {
    /// The key's first bytes, not ended by a zero.
    pub name: [c_char; 48],
    /// How many bytes of them.
    pub len: u64,
    /// About how often it has called, refused calls included.
    pub count: u64,
    /// By how much the count may be too large, apart from the chance of sampling.
    pub error: u64,
}

const _: () = assert!(NAME_BYTES == 48);

/// The keys that call most at the rate limit of an index (from 0, as the rules list them), the loudest first. *count is how many
/// fit into keys, and then how many were written: at most what the rule remembers (16 unless it says otherwise). Of admitted calls one in
/// sixteen is looked at, of refused ones each; every ten seconds the counts are halved. TG_NOT_FOUND: that limit has no key. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_guard_hottest(
    guard: *const tg_guard,
    rate_index: u32,
    keys: *mut tg_hot_key,
    count: *mut u32,
) -> tg_status {
    // SAFETY: NULL or a handle; NULL, or the caller's array of *count; NULL or writable.
    unsafe {
        cold(null_mut(), || {
            let count = out("count", count)?;
            let room = std::mem::take(count);
            if room > 0 && !is_usable(keys.cast_const()) {
                return Err(invalid("keys: NULL or misaligned"));
            }
            for (at, hot) in alive(guard)?.hottest(rate_index as usize)?.iter().take(room as usize).enumerate() {
                keys.add(at).write(written(hot));
                *count += 1;
            }
            Ok(())
        })
    }
}

fn written(hot: &Hot) -> tg_hot_key {
    let mut name = [0; NAME_BYTES];
    name.iter_mut().zip(&hot.name).for_each(|(to, from)| *to = *from as c_char);
    tg_hot_key { name, len: hot.name.len().min(NAME_BYTES) as u64, count: hot.count, error: hot.error }
}
