//! Deadlines as they travel in headers: the time left.

use crate::arguments::{bytes, invalid, is_usable, tg_str};
use crate::boundary::cold;
use crate::status::tg_status;
use std::ffi::c_char;
use std::ptr::null_mut;
use tidegate_core::deadline::{grpc_timeout, millis};
use tidegate_core::{Error, ErrorKind};

/// The header grpc-timeout: one to eight digits and a unit, as "1500m".
pub const TG_TIMEOUT_GRPC: u32 = 0;
/// A number of milliseconds, as in Envoy's headers x-envoy-expected-rq-timeout-ms (what we send, and read first) and
/// x-envoy-upstream-rq-timeout-ms (in which 0 means no limit).
pub const TG_TIMEOUT_MILLIS: u32 = 1;

/// Reads the time left from a header's value, in nanoseconds; more than 64 bits saturate. TG_INVALID when it is not
/// one. COLD: locks nothing and allocates only for an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_timeout_parse(form: u32, value: tg_str, ns: *mut u64) -> tg_status {
    // SAFETY: NULL or writable; readable for its length.
    unsafe {
        cold(null_mut(), || {
            let to = crate::arguments::out("ns", ns)?;
            let value = bytes("value", value.ptr.cast(), value.len)?;
            let parsed = match form {
                TG_TIMEOUT_GRPC => grpc_timeout::parse(value),
                TG_TIMEOUT_MILLIS => millis::parse(value),
                other => return Err(unknown(other)),
            };
            *to = parsed.ok_or_else(|| invalid("value: not a timeout of this form"))?;
            Ok(())
        })
    }
}

/// Writes the time left as a header's value, NUL-terminated and never more than it is; 24 bytes are always enough. TG_FULL when
/// they are fewer than it takes. COLD, as tg_timeout_parse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_timeout_format(form: u32, ns: u64, text: *mut c_char, room: usize) -> tg_status {
    // SAFETY: NULL or writable for `room` bytes.
    unsafe {
        cold(null_mut(), || {
            let written = match form {
                TG_TIMEOUT_GRPC => grpc_timeout::format(ns),
                TG_TIMEOUT_MILLIS => millis::format(ns),
                other => return Err(unknown(other)),
            };
            let value = written.as_str();
            if !is_usable(text.cast_const()) {
                return Err(invalid("text: NULL"));
            }
            if value.len() >= room {
                return Err(Error::new(ErrorKind::Full, format!("text: {} bytes are needed", value.len() + 1)));
            }
            std::ptr::copy_nonoverlapping(value.as_ptr(), text.cast(), value.len());
            *text.add(value.len()) = 0;
            Ok(())
        })
    }
}

fn unknown(form: u32) -> Error {
    invalid(format!("form: {form} is none of TG_TIMEOUT_*"))
}
