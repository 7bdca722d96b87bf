//! Text that the library owns.

use crate::arguments::{invalid, out, tg_str};
use crate::boundary::value;
use std::ptr::{null, null_mut};
use tidegate_core::Error;

const LIVE: u64 = u64::from_le_bytes(*b"tg_text_");

/// Text that the library owns, until tg_text_free.
#[repr(align(64))]
pub struct tg_text {
    life: u64,
    text: String,
    content_type: &'static str,
}

const EMPTY: tg_str = tg_str { ptr: null(), len: 0 };

/// Hands a text out.
pub(crate) fn hand_out(to: &mut *mut tg_text, text: String, content_type: &'static str) {
    *to = Box::into_raw(Box::new(tg_text { life: LIVE, text, content_type }));
}

/// Where a text goes: the caller's pointer, emptied first.
///
/// # Safety
/// NULL or writable.
pub(crate) unsafe fn place<'a>(to: *mut *mut tg_text) -> Result<&'a mut *mut tg_text, Error> {
    // SAFETY: by contract.
    let to = unsafe { out("out", to) }.map_err(|_| invalid("out: NULL or misaligned; a tg_text * goes there"))?;
    *to = null_mut();
    Ok(to)
}

fn see(text: *const tg_text, part: impl Fn(&tg_text) -> &str) -> tg_str {
    // SAFETY: NULL, or a text that was handed out and not freed.
    let text = unsafe { text.as_ref() }.filter(|text| text.life == LIVE);
    text.map_or(EMPTY, |text| tg_str { ptr: part(text).as_ptr().cast(), len: part(text).len() })
}

/// The bytes of a text, valid until it is freed; empty for NULL. HOT.
#[unsafe(no_mangle)]
pub extern "C" fn tg_text_bytes(text: *const tg_text) -> tg_str {
    value(EMPTY, || see(text, |text| &text.text))
}

/// What kind of text it is, as an HTTP Content-Type; empty for NULL. HOT.
#[unsafe(no_mangle)]
pub extern "C" fn tg_text_content_type(text: *const tg_text) -> tg_str {
    value(EMPTY, || see(text, |text| text.content_type))
}

/// Frees a text; NULL is fine. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_text_free(text: *mut tg_text) {
    value((), || {
        // SAFETY: NULL, or a text that was handed out and not freed.
        unsafe {
            if text.as_ref().is_some_and(|text| text.life == LIVE) {
                (*text).life = 0;
                drop(Box::from_raw(text));
            }
        }
    });
}
