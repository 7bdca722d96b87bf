//! The state of disciplines that only some guards have: words beside the cell, which come with the first rules that need
//! them and then stay with it, so that whoever is late writes into nobody else's.

use super::numbers::ExtraBlock;
use crate::segment::Shared;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Bytes of it.
pub const STATE_BYTES: usize = size_of::<State>();

/// Each discipline has so many words, all zeros to begin with.
macro_rules! states {
    ($($(#[$doc:meta])* $name:ident: $words:expr,)*) => {
        /// The words.
        #[repr(C, align(64))]
        pub struct State {
            $($(#[$doc])* pub $name: [AtomicU64; $words],)*
        }

        impl State {
            /// As at the beginning.
            pub fn clear(&self) {
                $(self.$name.iter().for_each(|word| word.store(0, Relaxed));)*
            }
        }
    };
}

states! {
    /// See [`crate::throttle`].
    throttle: 24,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for State {}

/// A guard's further disciplines: their numbers and their state.
#[derive(Clone, Copy)]
pub struct Extra<'a> {
    /// Immutable.
    pub numbers: &'a ExtraBlock,
    /// What all its callers share.
    pub state: &'a State,
}
