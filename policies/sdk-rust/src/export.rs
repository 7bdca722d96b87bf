//! What `policy!` puts between the host and a [`Policy`]. Not for use by hand.

use crate::config::Config;
use crate::host::{Init, Level, log};
use crate::record::{Call, Record};
use crate::{ARENA_BYTES, Policy};
use core::cell::UnsafeCell;
use core::fmt::{self, Write};
#[cfg(target_family = "wasm")]
use core::panic::PanicInfo;

#[cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "for the panic handler"))]
const LINE_BYTES: usize = 240;

/// The region that the host writes calls into.
#[repr(align(8))]
pub struct Arena(UnsafeCell<[u8; ARENA_BYTES]>);

// SAFETY: an instance of a policy is entered by one thread at a time.
unsafe impl Sync for Arena {}

impl Arena {
    /// All zero.
    #[allow(clippy::new_without_default, reason = "for statics")]
    pub const fn new() -> Self {
        Self(UnsafeCell::new([0; ARENA_BYTES]))
    }

    /// Where it is.
    pub fn address(&'static self) -> usize {
        self.0.get() as usize
    }
}

/// The policy, once it is initialised.
pub struct Cell<P>(UnsafeCell<Option<P>>);

// SAFETY: an instance of a policy is entered by one thread at a time.
unsafe impl<P> Sync for Cell<P> {}

impl<P> Cell<P> {
    /// Empty.
    #[allow(clippy::new_without_default, reason = "for statics")]
    pub const fn new() -> Self {
        Self(UnsafeCell::new(None))
    }

    /// # Safety
    /// Nobody else is in the policy.
    #[allow(clippy::mut_from_ref, reason = "the caller is alone")]
    unsafe fn get(&self) -> &mut Option<P> {
        // SAFETY: as the caller says.
        unsafe { &mut *self.0.get() }
    }
}

/// # Safety
/// Called by the host, with the configuration that it wrote.
pub unsafe fn init<P: Policy>(cell: &Cell<P>, config: *const u8, length: usize) -> i32 {
    // SAFETY: as the caller says.
    let json = unsafe { core::slice::from_raw_parts(config, length) };
    match P::init(Config::new(json), &mut Init::new()) {
        Ok(policy) => {
            // SAFETY: the host enters an instance once at a time.
            *unsafe { cell.get() } = Some(policy);
            0
        }
        Err(why) => {
            log(Level::Error, why);
            1
        }
    }
}

/// # Safety
/// Called by the host, with the record that it wrote.
pub unsafe fn decide<P: Policy>(cell: &Cell<P>, record: *const Record) -> i64 {
    // SAFETY: as the caller says; the host enters an instance once at a time.
    let (policy, call) = unsafe { (cell.get(), Call::at(record)) };
    match policy {
        Some(policy) => policy.decide(&call).packed(),
        None => -1, // Not a verdict; the host never comes here before init.
    }
}

/// # Safety
/// Called by the host, with the record that it wrote.
pub unsafe fn observe<P: Policy>(cell: &Cell<P>, record: *const Record, outcome: u32, duration_ns: u64) {
    // SAFETY: as the caller says; the host enters an instance once at a time.
    let (policy, call) = unsafe { (cell.get(), Call::at(record)) };
    if let Some(policy) = policy {
        policy.observe(call.record, outcome, duration_ns);
    }
}

/// Logs what a panic says, and traps.
#[cfg(target_family = "wasm")]
pub fn panicked(info: &PanicInfo<'_>) -> ! {
    let mut line = Line { bytes: [0; LINE_BYTES], length: 0 };
    let _ = write!(line, "{info}");
    log(Level::Error, line.text());
    core::arch::wasm32::unreachable()
}

/// A line that takes what fits.
#[cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "for the panic handler"))]
struct Line {
    bytes: [u8; LINE_BYTES],
    length: usize,
}

#[cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "for the panic handler"))]
impl Line {
    fn text(&self) -> &str {
        let whole = &self.bytes[..self.length];
        match core::str::from_utf8(whole) {
            Ok(text) => text,
            Err(cut) => core::str::from_utf8(&whole[..cut.valid_up_to()]).unwrap_or(""),
        }
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LINE_BYTES - self.length;
        let taken = text.len().min(room);
        self.bytes[self.length..self.length + taken].copy_from_slice(&text.as_bytes()[..taken]);
        self.length += taken;
        Ok(())
    }
}
