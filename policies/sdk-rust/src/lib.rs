//! Write Tidegate policies in Rust.
//!
//! ```text
//! #![no_std]
//! use tidegate_policy::{Call, Config, Init, Policy, Verdict, policy};
//!
//! struct Shed { above: u32 }
//!
//! impl Policy for Shed {
//!     fn init(config: Config<'_>, _host: &mut Init) -> Result<Self, &'static str> {
//!         Ok(Self { above: config.number("above", 800) as u32 })
//!     }
//!     fn decide(&mut self, call: &Call<'_>) -> Verdict {
//!         if call.record.pressure > self.above { Verdict::deny(1, 1000) } else { Verdict::ALLOW }
//!     }
//! }
//!
//! policy!(Shed);
//! ```
//!
//! The crate is compiled as a `cdylib` for `wasm32-unknown-unknown`; `policies/README.md` says how. What a policy
//! may do and is held to is written in `docs/policies.md`. An instance serves one thread, and many
//! instances serve at once: a policy's own fields are scratch, and what has to be counted once is the host's
//! ([`Limiter`], [`Counter`], [`numbers`]).

#![no_std]
#![deny(missing_docs)]

mod config;
mod export;
mod host;
mod record;
mod verdict;

pub use config::Config;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub use export::panicked;
#[doc(hidden)]
pub use export::{Arena, Cell, decide, init, observe};
pub use host::{Attribute, Counter, Init, Level, Limiter, log, now_ns, numbers};
pub use record::{Call, Record};
pub use verdict::Verdict;

/// The version of the contract with the host.
pub const ABI_VERSION: u32 = 1;
/// What stands before the version in memory: "TGPA".
pub const ABI_MAGIC: u32 = u32::from_le_bytes(*b"TGPA");
/// Bytes of the region that the host writes calls into.
pub const ARENA_BYTES: usize = 16384;

/// A policy: made by `init` for each thread, then asked about calls.
pub trait Policy: Sized {
    /// Reads the operator's configuration, and asks for attributes, counters and limiters. An error refuses the
    /// load; its text is logged, and part of what the operator sees.
    ///
    /// # Errors
    /// Whatever the policy finds wrong with its configuration.
    fn init(config: Config<'_>, host: &mut Init) -> Result<Self, &'static str>;

    /// Decides one call.
    fn decide(&mut self, call: &Call<'_>) -> Verdict;

    /// Hears how a call ended (only with `policy!(Type, observe)`): `outcome` is 0 success, 1 failure, 2 timeout,
    /// 3 overloaded, 4 cancelled, 5 ignored, 255 never ran.
    fn observe(&mut self, record: &Record, outcome: u32, duration_ns: u64) {
        let _ = (record, outcome, duration_ns);
    }
}

/// Exports a [`Policy`] from this crate, with a panic handler that logs and traps. `policy!(Type, observe)` exports
/// [`Policy::observe`] too.
#[macro_export]
macro_rules! policy {
    ($policy:ty) => {
        #[doc(hidden)]
        #[unsafe(no_mangle)]
        #[allow(non_upper_case_globals)]
        pub static tg_policy_abi: [u32; 2] = [$crate::ABI_MAGIC, $crate::ABI_VERSION];
        static ARENA: $crate::Arena = $crate::Arena::new();
        static POLICY: $crate::Cell<$policy> = $crate::Cell::new();

        #[unsafe(no_mangle)]
        extern "C" fn tg_policy_arena() -> usize {
            ARENA.address()
        }
        #[unsafe(no_mangle)]
        extern "C" fn tg_policy_init(config: *const u8, length: usize) -> i32 {
            // SAFETY: the host gives the bytes that it wrote into the arena.
            unsafe { $crate::init(&POLICY, config, length) }
        }
        #[unsafe(no_mangle)]
        extern "C" fn tg_policy_decide(record: *const $crate::Record) -> i64 {
            // SAFETY: the host gives the record that it wrote into the arena.
            unsafe { $crate::decide(&POLICY, record) }
        }
        #[cfg(target_family = "wasm")]
        #[panic_handler]
        fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
            $crate::panicked(info)
        }
    };
    ($policy:ty, observe) => {
        $crate::policy!($policy);
        #[unsafe(no_mangle)]
        extern "C" fn tg_policy_observe(record: *const $crate::Record, outcome: u32, duration_ns: u64) {
            // SAFETY: the host gives the record that it wrote into the arena.
            unsafe { $crate::observe(&POLICY, record, outcome, duration_ns) }
        }
    };
}
