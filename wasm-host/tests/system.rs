//! A system that refuses memory: told apart from a module that is wrong.

mod common;

use common::{denies, guest_with};
use tidegate_wasm_host::{Host, Options, PolicyError};

/// How many bytes of addresses this process has.
fn address_space() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc is mounted");
    let pages: u64 = statm.split(' ').next().and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4096
}

/// Whether `what` is true in a forked child that may have no more than `more` bytes of addresses besides what it has.
fn in_a_narrow_child(more: u64, what: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child runs `what` and leaves without unwinding into the parent's frames.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            let most = address_space() + more;
            let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
            let narrow = libc::setrlimit(libc::RLIMIT_AS, &limit) == 0;
            libc::_exit(i32::from(!(narrow && what())));
        }
        assert!(child > 0, "fork failed");
        let mut status = -1;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        status == 0
    }
}

fn refused_by_system(loaded: Result<u64, PolicyError>, what: &str) -> bool {
    let right = matches!(&loaded, Err(PolicyError::System { detail }) if detail.contains(what));
    if !right {
        eprintln!("{loaded:?}");
    }
    right
}

#[test]
fn refused_memory_is_not_the_modules_fault() {
    let host = Host::new();
    let plain = denies(1);
    host.load("warm", &plain, &Options::default()).expect("memory enough");
    let options = Options { memory_max_bytes: 128 << 20, ..Options::default() };
    // 96 MiB more in init, or a trap.
    let grows = "(if (i32.lt_s (memory.grow (i32.const 1536)) (i32.const 0)) (then unreachable)) (i32.const 0)";
    let grows = guest_with("", grows, "(i64.const 0)", "");

    let for_an_instance = in_a_narrow_child(12 << 20, || {
        refused_by_system(host.load("p", &plain, &options), "mmap failed")
            && matches!(host.generation("p"), Err(PolicyError::NotLoaded { .. }))
            && host.generation("warm") == Ok(1)
    });
    assert!(for_an_instance, "an instance takes 16 MiB of addresses");
    let for_a_growth = in_a_narrow_child(64 << 20, || refused_by_system(host.load("p", &grows, &options), "mmap"));
    assert!(for_a_growth);
    assert_eq!(host.load("p", &grows, &options), Ok(1), "here there is room");

    let beyond_its_limit = host.load("p", &grows, &Options::default());
    assert!(matches!(beyond_its_limit, Err(PolicyError::Stopped { .. })), "{beyond_its_limit:?}");
}
