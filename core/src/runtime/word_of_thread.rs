//! One word of each thread's own: zero at its start, and read on the hot path.
//!
//! In a shared library the compiler reaches thread-local storage by calling the loader's `__tls_get_addr`. A TLS descriptor
//! (A. Oliva, "Thread-Local Storage Descriptors for IA32 and AMD64/EM64T", 2006) is called too, but where the word lies
//! in static storage its code is two instructions; and a linker of a program makes a constant of it. No option of
//! a stable compiler asks for one, so the access is written out.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod by_descriptor {
    use std::arch::{asm, global_asm};

    /// The word's name, of this version's own: a program may be linked with two.
    macro_rules! name {
        () => {
            concat!("tidegate_word_of_thread_", env!("CARGO_PKG_VERSION_MAJOR"), "_", env!("CARGO_PKG_VERSION_MINOR"))
        };
    }

    global_asm!(
        ".section .tbss.tidegate,\"awT\",@nobits",
        concat!(".globl ", name!()),
        concat!(".hidden ", name!()),
        concat!(".type ", name!(), ",@object"),
        concat!(".size ", name!(), ",8"),
        ".balign 8",
        concat!(name!(), ":"),
        ".zero 8",
        ".previous",
    );

    /// Finds the word, and does one thing with it. Before 2.39 glibc's code behind a descriptor did not keep vector
    /// registers at a thread's first access, so none is left in one.
    macro_rules! at_word {
        ($then:literal, $($operand:tt)*) => {
            asm!(
                concat!("lea rax, [rip + ", name!(), "@tlsdesc]"),
                concat!("call [rax + ", name!(), "@tlscall]"),
                $then,
                $($operand)*
                out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
                out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _, out("k1") _, out("k2") _,
                out("k3") _, out("k4") _, out("k5") _, out("k6") _, out("k7") _,
            )
        };
    }

    /// This thread's word.
    #[inline(always)]
    pub fn get() -> usize {
        let word;
        // SAFETY: reads the word of this thread, which the linker has reserved.
        unsafe { at_word!("mov rax, fs:[rax]", out("rax") word,) };
        word
    }

    /// Sets it.
    pub fn set(word: usize) {
        // SAFETY: writes the word of this thread, which the linker has reserved.
        unsafe { at_word!("mov fs:[rax], {word}", word = in(reg) word, out("rax") _,) };
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod by_compiler {
    use std::cell::Cell;

    thread_local! {
        static WORD: Cell<usize> = const { Cell::new(0) };
    }

    /// This thread's word.
    #[inline(always)]
    pub fn get() -> usize {
        WORD.get()
    }

    /// Sets it.
    pub fn set(word: usize) {
        WORD.set(word)
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub use by_compiler::{get, set};
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub use by_descriptor::{get, set};
