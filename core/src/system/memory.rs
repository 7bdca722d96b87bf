//! How much of the memory that the container may use is used, in thousandths: without the page cache that can be dropped at
//! once (`inactive_file`), as the kernel's own and the orchestrators' reckoning has it.

use super::cgroup::{Roots, field, number};
use std::path::Path;

/// Reads the container's memory: the highest share of our group and those above it that have a limit, else the
/// machine's. None: there is nothing to read. **Cold**: opens files.
pub fn read(roots: &Roots) -> Option<u32> {
    let unified = roots.unified();
    let shares = unified.iter().map(|dir| share(dir, "memory.current", "memory.max", "inactive_file"));
    let old = roots.of_controller("memory");
    let old_shares =
        old.iter().map(|dir| share(dir, "memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file"));
    let machine = machine(&roots.proc.join("meminfo"));
    let total = field(&roots.proc.join("meminfo"), "MemTotal").map_or(u64::MAX, |kib| kib.saturating_mul(1024));
    // A limit over what there is (v1 says "none" by a huge number) limits nothing.
    let limited = |(used, limit): (u64, u64)| (limit > 0 && limit < total).then(|| permille(used, limit));
    shares.chain(old_shares).flatten().filter_map(limited).max().or(machine)
}

fn share(dir: &Path, used: &str, limit: &str, inactive: &str) -> Option<(u64, u64)> {
    let reclaimable = field(&dir.join("memory.stat"), inactive).unwrap_or(0);
    Some((number(&dir.join(used))?.saturating_sub(reclaimable), number(&dir.join(limit))?))
}

fn machine(meminfo: &Path) -> Option<u32> {
    let (total, available) = (field(meminfo, "MemTotal")?, field(meminfo, "MemAvailable")?);
    (total > 0).then(|| permille(total.saturating_sub(available), total))
}

fn permille(used: u64, of: u64) -> u32 {
    (u128::from(used) * 1000 / u128::from(of.max(1))).min(1000) as u32
}

#[cfg(test)]
mod tests {
    use super::super::cgroup::fixture::Kernel;
    use super::*;

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    250 kB\n");

    #[test]
    fn version_2_counts_without_what_can_be_dropped() {
        let kernel = Kernel::with(&[
            MEMINFO,
            ("proc/self/cgroup", "0::/web\n"),
            ("cgroup/cgroup.controllers", "memory"),
            ("cgroup/web/memory.current", "90000\n"),
            ("cgroup/web/memory.max", "100000\n"),
            ("cgroup/web/memory.stat", "anon 1\ninactive_file 30000\n"),
        ]);
        assert_eq!(read(&kernel.roots()), Some(600));
        kernel.write("cgroup/web/memory.max", "max\n");
        assert_eq!(read(&kernel.roots()), Some(750), "no limit: the machine's");
    }

    #[test]
    fn version_1_has_a_huge_number_for_no_limit() {
        let kernel = Kernel::with(&[
            MEMINFO,
            ("proc/self/cgroup", "4:memory:/\n"),
            ("cgroup/memory/memory.usage_in_bytes", "400000"),
            ("cgroup/memory/memory.limit_in_bytes", "500000"),
        ]);
        assert_eq!(read(&kernel.roots()), Some(800));
        kernel.write("cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
        assert_eq!(read(&kernel.roots()), Some(750));
    }

    #[test]
    fn nothing_to_read_says_nothing() {
        assert_eq!(read(&Kernel::with(&[]).roots()), None);
    }
}
