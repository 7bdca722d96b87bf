//! Which boot and which time namespace a monotonic reading belongs to.

/// The kernel's random id of this boot; zeros when it does not say.
pub fn boot_id() -> [u64; 2] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let half = |range: std::ops::Range<usize>| {
        digits.get(range).and_then(|part| u64::from_str_radix(part, 16).ok()).unwrap_or(0)
    };
    [half(0..16), half(16..32)]
}

/// The inode of this process's time namespace; 0 when there is none.
pub fn time_namespace() -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self/ns/time").map_or(0, |meta| meta.ino())
}
