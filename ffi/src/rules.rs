//! Rules: the JSON document that says what each guard does (see docs/rules.md).

use crate::arguments::{bytes, out};
use crate::boundary::cold;
use crate::runtime::{tg_runtime, with};
use crate::status::{tg_error, tg_status};
use crate::text::{hand_out, place, tg_text};
use std::ffi::c_char;
use std::ptr::null_mut;
use tidegate_core::runtime::check_rules;
use tidegate_core::{Error, ErrorKind};

/// Checks a document without applying it. *report, if not NULL, becomes {"ok":true} or {"ok":false,"errors":
/// [{"path":…,"message":…},…]} with every error, to be freed by tg_text_free. TG_INVALID when anything is wrong. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_rules_check(
    json: *const c_char,
    len: usize,
    report: *mut *mut tg_text,
    error: *mut tg_error,
) -> tg_status {
    // SAFETY: NULL or readable; NULL or writable.
    unsafe {
        cold(error, || {
            let to = if report.is_null() { None } else { Some(place(report)?) };
            let checked = check_rules(bytes("json", json.cast(), len)?);
            if let Some(to) = to {
                let text = checked.as_ref().map_or_else(|report| report.to_json(), |_| r#"{"ok":true}"#.to_owned());
                hand_out(to, text, "application/json");
            }
            checked.map(drop).map_err(|report| Error {
                kind: ErrorKind::Invalid,
                message: report.summary(480),
                count: report.count() as u32,
            })
        })
    }
}

/// Puts a document in force, whole or not at all. TG_INVALID: error.message begins with the first errors and
/// error.count says how many there are. TG_CONFLICT: its version is older than the one in force, or the same with other
/// content. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_rules_apply(
    runtime: *const tg_runtime,
    json: *const c_char,
    len: usize,
    error: *mut tg_error,
) -> tg_status {
    // SAFETY: NULL or a handle; NULL or readable.
    unsafe { with(runtime, error, |_, runtime| runtime.apply_rules(bytes("json", json.cast(), len)?)) }
}

/// The version of the rules in force; 0 before the first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_rules_version(runtime: *const tg_runtime, version: *mut u64) -> tg_status {
    // SAFETY: NULL or a handle; NULL or writable.
    unsafe {
        with(runtime, null_mut(), |_, runtime| {
            *out("version", version)? = runtime.rules_version();
            Ok(())
        })
    }
}
