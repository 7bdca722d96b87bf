//! How much of its stack a thread has left. The engine keeps a guest to its 256 KiB, but takes it for granted that the
//! thread has them: on a small stack, a guest that recurses without end would kill the process.

use crate::engine::STACK_MAX_BYTES;
use std::cell::Cell;
use std::ptr::null_mut;

/// What a guest may use, and what the host does above it.
const FOR_A_CALL: usize = STACK_MAX_BYTES + (64 << 10);
/// What compiling a module takes.
const FOR_A_LOAD: usize = 512 << 10;

thread_local! {
    /// The lowest address of this thread's stack; 0: not known.
    static END: Cell<usize> = const { Cell::new(0) };
}

/// Whether a guest may run from here. **Hot** once the thread has [`find`]; before, and on a stack that the thread
/// switched to by itself, it is true.
#[inline(always)]
pub(crate) fn suffices_for_a_call() -> bool {
    left() >= FOR_A_CALL
}

/// Whether a module may be compiled from here.
pub(crate) fn suffices_for_a_load() -> bool {
    find();
    left() >= FOR_A_LOAD
}

/// Bytes down to the stack's end, or very many where this is not that stack.
#[inline(always)]
fn left() -> usize {
    let here = 0u8;
    (&raw const here as usize).wrapping_sub(END.get())
}

/// Finds the end of this thread's stack. **Cold**: once a thread.
pub(crate) fn find() {
    if END.get() == 0 {
        END.set(end().unwrap_or(0));
    }
}

fn end() -> Option<usize> {
    // SAFETY: asks about this thread; the attributes are read only once they were filled, and then destroyed.
    unsafe {
        let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
        if libc::pthread_getattr_np(libc::pthread_self(), &mut attributes) != 0 {
            return None;
        }
        let (mut lowest, mut size, mut guard) = (null_mut(), 0, 0);
        let told = libc::pthread_attr_getstack(&attributes, &mut lowest, &mut size) == 0
            && libc::pthread_attr_getguardsize(&attributes, &mut guard) == 0;
        libc::pthread_attr_destroy(&mut attributes);
        told.then_some(lowest as usize + guard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern "C" fn run(what: *mut libc::c_void) -> *mut libc::c_void {
        // SAFETY: what `on_a_stack_of` hands over, and waits for.
        let what = unsafe { &mut *what.cast::<&mut dyn FnMut()>() };
        what();
        null_mut()
    }

    /// On exactly such a stack: asked for one, the C library may give a larger one that it has left over.
    fn on_a_stack_of<T>(bytes: usize, what: fn() -> T) -> T {
        let mut stack = vec![0u128; bytes / 16];
        let mut result = None;
        let mut set: &mut dyn FnMut() = &mut || result = Some(what());
        // SAFETY: the stack and the closure outlive the thread, which is waited for.
        unsafe {
            let (mut attributes, mut thread) = std::mem::zeroed();
            assert_eq!(libc::pthread_attr_init(&mut attributes), 0);
            assert_eq!(libc::pthread_attr_setstack(&mut attributes, stack.as_mut_ptr().cast(), bytes), 0);
            assert_eq!(libc::pthread_create(&mut thread, &attributes, run, (&raw mut set).cast()), 0);
            assert_eq!(libc::pthread_join(thread, null_mut()), 0);
            libc::pthread_attr_destroy(&mut attributes);
        }
        result.expect("ran to its end")
    }

    fn both() -> (bool, bool) {
        let load = suffices_for_a_load();
        (suffices_for_a_call(), load)
    }

    #[test]
    fn a_small_stack_is_told_from_a_large_one() {
        assert_eq!(on_a_stack_of(128 << 10, both), (false, false));
        assert_eq!(on_a_stack_of(448 << 10, both), (true, false));
        assert_eq!(on_a_stack_of(2 << 20, both), (true, true));
    }

    #[test]
    fn what_was_used_before_counts() {
        #[inline(never)]
        fn deep(bytes: usize) -> bool {
            let used = std::hint::black_box([0u8; 4096]);
            let enough = if bytes == 0 { suffices_for_a_call() } else { deep(bytes - 4096) };
            std::hint::black_box(&used);
            std::hint::black_box(enough)
        }
        assert!(on_a_stack_of(1 << 20, || both().0));
        assert!(!on_a_stack_of(1 << 20, || both().0 && deep(768 << 10)));
    }
}
