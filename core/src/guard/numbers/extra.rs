//! The numbers of disciplines that only some guards have, in a block of their own beside the guard's.

use crate::segment::Shared;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Bytes of a block.
pub const EXTRA_BYTES: usize = size_of::<ExtraBlock>();

/// Each discipline is so many words, which it makes of its numbers and reads back itself. All zeros: the guard has it not.
macro_rules! disciplines {
    ($($(#[$doc:meta])* $name:ident: $words:expr,)*) => {
        /// The numbers as plain words.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Extra {
            $($(#[$doc])* pub $name: [u64; $words],)*
        }

        /// The same in the segment.
        #[repr(C, align(64))]
        pub struct ExtraBlock {
            $($name: [AtomicU64; $words],)*
        }

        impl Extra {
            /// Nothing.
            pub const NONE: Extra = Extra { $($name: [0; $words],)* };
        }

        impl ExtraBlock {
            /// Everything.
            pub fn read(&self) -> Extra {
                Extra { $($name: self.$name(),)* }
            }

            /// Fills a new block.
            pub fn write(&self, extra: &Extra) {
                $(self.$name.iter().zip(extra.$name).for_each(|(to, from)| to.store(from, Relaxed));)*
            }

            $($(#[$doc])*
            #[inline]
            pub fn $name(&self) -> [u64; $words] {
                self.$name.each_ref().map(|word| word.load(Relaxed))
            })*
        }
    };
}

disciplines! {
    /// See [`crate::throttle`].
    throttle: 4,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for ExtraBlock {}
