//! Another Rust static library: it brings std once more, with its own allocator shims, threads and unwinding.

use std::collections::HashMap;

/// Counts words in a thread of its own.
#[unsafe(no_mangle)]
pub extern "C" fn other_words() -> u32 {
    let counted = std::thread::spawn(|| {
        let mut counts = HashMap::new();
        for word in "tide gate tide".split(' ') {
            *counts.entry(word.to_owned()).or_insert(0u32) += 1;
        }
        counts["tide"]
    });
    counted.join().unwrap_or(0)
}

/// Panics and catches it: whether unwinding is whole in a program with two copies of std.
#[unsafe(no_mangle)]
pub extern "C" fn other_panics() -> bool {
    std::panic::set_hook(Box::new(|_| {}));
    std::panic::catch_unwind(|| panic!("on purpose")).is_err()
}
