//! Guests that mean no good: refused with a clear error, or contained.

mod common;

use common::{host_with, hostile, record};
use tidegate_core::policy::{Action, PolicyHost};
use tidegate_wasm_host::{Cause, Host, MODULE_MAX_BYTES, Options, Phase, PolicyError};

fn refusal(wasm: &[u8]) -> PolicyError {
    let host = Host::new();
    let refused = host.load("p", wasm, &Options::default()).expect_err("hostile");
    assert!(host.find("p").is_none(), "nothing is published");
    refused
}

#[test]
fn a_well_behaved_guest_is_loaded() {
    assert_eq!(Host::new().load("p", &hostile("well_behaved"), &Options::default()), Ok(1));
}

#[test]
fn what_is_not_a_module_is_refused() {
    let garbage: [&[u8]; 5] = [b"", b"\0asm", b"\0asm\x02\0\0\0", b"{\"a\": 1}", &[0xff; 10_000]];
    for bytes in garbage {
        assert!(matches!(refusal(bytes), PolicyError::NotWasm { .. }), "{bytes:?}");
    }
    assert!(matches!(refusal(&hostile("component")), PolicyError::NotWasm { .. }));
    assert!(matches!(refusal(b"\0asm\x01\0\0\0rubbish"), PolicyError::NotCompiled { .. }));
    let huge = vec![0; MODULE_MAX_BYTES + 1];
    assert!(matches!(refusal(&huge), PolicyError::TooLarge { .. }));
}

#[test]
fn a_module_cut_short_anywhere_is_refused() {
    let whole = hostile("on_demand");
    for end in (0..whole.len()).step_by(7) {
        assert!(Host::new().check(&whole[..end], &Options::default()).is_err(), "{end} bytes");
    }
}

#[test]
fn what_a_module_looks_like_is_checked() {
    let says = |name: &str, words: &str| {
        let message = refusal(&hostile(name)).to_string();
        assert!(message.contains(words), "{name}: {message:?} should contain {words:?}");
    };
    says("no_decide", "export tg_policy_decide is missing; it must be func(i32) -> i64");
    says("no_memory", "export memory is missing");
    says("wrong_decide", "is func(i32) -> i32; it must be func(i32) -> i64");
    says("wrong_observe", "it must be func(i32, i32, i64)");
    says("mutable_abi", "is mutable global i32; it must be const global i32");
    says("newer_abi", "tg_policy_abi says 2; this host speaks version 1");
    says("wild_abi", "tg_policy_abi says -2");
    says("imports_wasi", "import wasi_snapshot_preview1.fd_write is not allowed");
    says("imports_unknown", "import tidegate.sleep is not allowed");
    says("imports_memory", "import tidegate.memory is not allowed");
    says("imports_wrong_type", "import tidegate.now is func() -> i32; it must be func() -> i64");
    says("starts_with_4_gib", "starts with 4294967296 bytes; memory_max_bytes grants 16777216");
    says("arena_outside", "tg_policy_arena gives address 65528");
    says("arena_at_the_end_of_the_world", "tg_policy_arena gives address 4294967288");
    says("arena_unaligned", "must be a multiple of 8");
    says("init_refuses", "refused its configuration with 7: free_above missing");
    for feature in ["simd", "threads", "memory64"] {
        says(feature, "does not compile");
    }
}

#[test]
fn what_a_module_does_before_its_first_call_is_contained() {
    let cases = [
        ("trap_in_start", Phase::Start, Cause::Trap),
        ("loop_in_start", Phase::Start, Cause::Deadline),
        ("huge_table", Phase::Start, Cause::Trap),
        ("data_outside", Phase::Start, Cause::Trap),
        ("trap_in_arena", Phase::Arena, Cause::Trap),
        ("trap_in_init", Phase::Init, Cause::Trap),
        ("loop_in_init", Phase::Init, Cause::Deadline),
        ("bad_name", Phase::Init, Cause::Trap),
        ("trap_in_decide", Phase::Golden(0), Cause::Trap),
        ("loop_in_decide", Phase::Golden(0), Cause::Deadline),
        ("bad_verdict", Phase::Golden(0), Cause::BadVerdict),
        ("trap_in_observe", Phase::Observe, Cause::Trap),
    ];
    for (name, expected_phase, expected_cause) in cases {
        match refusal(&hostile(name)) {
            PolicyError::Stopped { phase, cause, .. } => {
                assert_eq!((phase, cause), (expected_phase, expected_cause), "{name}");
            }
            other => panic!("{name}: {other}"),
        }
    }
}

#[test]
fn names_without_end_are_refused_and_the_guest_goes_on() {
    assert_eq!(Host::new().load("p", &hostile("endless_names"), &Options::default()), Ok(1));
}

#[test]
fn what_a_call_does_costs_that_call() {
    let cases = [
        (1, Cause::Trap),
        (2, Cause::Deadline),
        (3, Cause::Memory),
        (4, Cause::Stack),
        (5, Cause::BadVerdict),
        (6, Cause::BadVerdict),
        (7, Cause::Trap),
        (8, Cause::Trap),
        (9, Cause::Trap),
        (10, Cause::Deadline),
    ];
    let (host, policy) = host_with(&hostile("on_demand"));
    for (what, cause) in cases {
        let before = host.figures_of("p").expect("loaded").failed(cause);
        assert_eq!(policy.decide(&record(what), &[]), (None, 0), "{what}");
        let after = host.figures_of("p").expect("loaded").failed(cause);
        assert_eq!(after, before + 1, "{what} counts as {cause:?}");
        let answer = policy.decide(&record(0), &[]).0.expect("the next call is answered");
        assert_eq!(answer.action, Action::Allow);
    }
    assert_eq!(host.generation("p"), Ok(1), "single failures put nothing out of service");
}

#[test]
fn a_growing_guest_gets_no_more_than_its_share() {
    let host = Host::new();
    let options = Options { memory_max_bytes: 2 << 20, ..Options::default() };
    host.load("p", &hostile("on_demand"), &options).expect("loads");
    let policy = host.find("p").expect("loaded");
    for _ in 0..3 {
        assert_eq!(policy.decide(&record(3), &[]).0, None);
        assert!(policy.decide(&record(0), &[]).0.is_some());
    }
    assert_eq!(host.figures_of("p").expect("loaded").failed(Cause::Memory), 3);
}

/// The memory outgrows the address space that it was given at first, and moves.
#[test]
fn a_record_is_written_where_the_memory_has_moved_to() {
    let grows = "(drop (memory.grow (i32.const 100)))
        (i64.or (i64.const 1) (i64.shl (i64.load offset=16 (local.get 0)) (i64.const 32)))";
    let host = Host::new();
    let options = Options { memory_max_bytes: 64 << 20, ..Options::default() };
    host.load("p", &common::guest(grows), &options).expect("loads");
    let policy = host.find("p").expect("loaded");
    for call in 1..20 {
        let seen = policy.decide(&record(call), &[]).0.map(|verdict| u64::from(verdict.argument));
        assert_eq!(seen, Some(call));
    }
}

#[test]
fn a_check_publishes_nothing() {
    let host = Host::new();
    assert_eq!(host.check(&hostile("well_behaved"), &Options::default()), Ok(()));
    assert!(host.find("p").is_none());
    assert_eq!(host.generation("p"), Err(PolicyError::NotLoaded { name: "p".into() }));
}

#[test]
fn a_refused_module_leaves_the_old_one_serving() {
    let (host, policy) = host_with(&common::denies(4));
    for name in ["trap_in_init", "no_decide", "loop_in_decide"] {
        assert!(host.load("p", &hostile(name), &Options::default()).is_err());
    }
    assert_eq!(host.generation("p"), Ok(1));
    assert_eq!(policy.decide(&record(0), &[]).0.map(|verdict| verdict.reason), Some(4));
}
