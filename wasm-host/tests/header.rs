//! The record of `include/tidegate_policy.h` is the host's, byte for byte.

use std::mem::offset_of;
use std::process::Command;
use tidegate_core::policy::Record;
use tidegate_wasm_host::{ABI_MAGIC, ABI_VERSION, ARENA_BYTES};

macro_rules! fields {
    ($($field:ident)*) => { [$((stringify!($field), offset_of!(Record, $field))),*] };
}

/// Runs a C program that includes the header and prints what it is asked for.
fn printed_by_c(prints: &str) -> String {
    let include = concat!(env!("CARGO_MANIFEST_DIR"), "/../include");
    let dir = std::env::temp_dir().join(format!("tidegate-header-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let (source, program) = (dir.join("print.c"), dir.join("print"));
    let text = format!("#include <stdio.h>\n#include \"tidegate_policy.h\"\nint main(void) {{ {prints} }}\n");
    std::fs::write(&source, text).expect("written");
    let cc = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-I", include, "-o"];
    let compiled = Command::new(cc).args(flags).arg(&program).arg(&source).output().expect("cc runs");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let output = Command::new(&program).output().expect("runs").stdout;
    std::fs::remove_dir_all(&dir).expect("removed");
    String::from_utf8(output).expect("text")
}

#[test]
fn the_layout_is_the_hosts() {
    let fields = fields!(size version criticality breaker now_ns key_hash remaining_ns cost inflight limit pressure
        guard attribute_count attribute_offset reserved);
    let mut prints = String::new();
    let mut expected = String::new();
    for (field, offset) in fields {
        prints += &format!("printf(\"{field} %zu\\n\", offsetof(tg_record, {field}));\n");
        expected += &format!("{field} {offset}\n");
    }
    prints += "printf(\"%zu %u %#x %u\\n\", sizeof(tg_record), TG_POLICY_ABI_VERSION, TG_POLICY_ABI_MAGIC,
                      TG_POLICY_ARENA_BYTES);";
    expected += &format!("{} {ABI_VERSION} {ABI_MAGIC:#x} {ARENA_BYTES}\n", size_of::<Record>());
    assert_eq!(printed_by_c(&prints), expected);
}
