//! How much of the CPU that the container may use is used, in thousandths.
//!
//! In order: cgroup v2 (`cpu.stat` against `cpu.max`), v1 (`cpuacct.usage` against `cpu.cfs_quota_us`), else the
//! machine's `/proc/stat`. A quota of a group above ours counts too, against what that group uses; without any, the
//! machine's processors are what may be used (those of the cpuset, where there is one). The result is the highest of these.
//!
//! Sources: the kernel's documents *cgroup-v2*, *cpuacct*, *sched-bwc*, *proc*.

use super::cgroup::{Roots, field, number};
use std::path::{Path, PathBuf};

/// Reads the container's CPU. **Cold**: opens a few files at each reading; of one thread.
#[derive(Debug)]
pub struct CpuMeter {
    roots: Roots,
    last: Vec<Counter>,
    smoothed: Option<(u64, f64)>,
    /// How long a change takes to show for the most part, in ns.
    settling_ns: u64,
}

/// What a group used, and what it might have used, since some beginning.
#[derive(Clone, Debug, PartialEq)]
struct Counter {
    group: PathBuf,
    used: f64,
    /// None: time × processors.
    might: Might,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Might {
    /// At a time in ns, as many processors.
    Processors(u64, f64),
    /// In the unit of what was used.
    Counted(f64),
}

impl CpuMeter {
    /// A meter whose figure follows a change within about `settling_ns` (a second to five are usual).
    pub fn new(roots: Roots, settling_ns: u64) -> CpuMeter {
        CpuMeter { roots, last: vec![], smoothed: None, settling_ns: settling_ns.max(1) }
    }

    /// The share used since the last reading, in thousandths, smoothed. None: the first reading, no time has passed
    /// since the last, or there is nothing to read.
    pub fn read(&mut self, now: u64) -> Option<u32> {
        let counters = self.counters(now);
        let shares = counters.iter().filter_map(|counter| {
            let last = self.last.iter().find(|last| last.group == counter.group)?;
            counter.share_since(last)
        });
        let share = shares.reduce(f64::max);
        self.last = counters;
        share.map(|share| self.smooth(now, share))
    }

    fn smooth(&mut self, now: u64, share: f64) -> u32 {
        let smoothed = match self.smoothed {
            None => share,
            Some((at, before)) => {
                let passed = now.saturating_sub(at) as f64 / self.settling_ns as f64;
                before + (share - before) * (1.0 - (-passed).exp())
            }
        };
        self.smoothed = Some((now, smoothed));
        (smoothed * 1000.0).round() as u32
    }

    fn counters(&self, now: u64) -> Vec<Counter> {
        let processors = self.processors();
        let unified = counters(&self.roots.unified(), now, processors, used_unified, quota_unified);
        if !unified.is_empty() {
            return unified;
        }
        let quotas = self.roots.of_controller("cpu");
        // Both controllers are usually one mount; where they are not, our own quota counts against our own use.
        let quota = |dir: &Path| quota_old(dir).or_else(|| quotas.iter().find_map(|dir| quota_old(dir)));
        let old = counters(&self.roots.of_controller("cpuacct"), now, processors, used_old, quota);
        if !old.is_empty() {
            return old;
        }
        machine(&self.roots.proc.join("stat")).into_iter().collect()
    }

    /// How many processors there are for us, 1 or more.
    fn processors(&self) -> f64 {
        let online = std::fs::read_to_string(self.roots.proc.join("stat"))
            .map_or(0, |text| text.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count());
        let unified = self.roots.unified().into_iter().map(|dir| dir.join("cpuset.cpus.effective"));
        let old = self.roots.of_controller("cpuset").into_iter().map(|dir| dir.join("cpuset.effective_cpus"));
        let set = unified.chain(old).find_map(|path| listed(&std::fs::read_to_string(path).ok()?));
        let fewest = [online, set.unwrap_or(0)].into_iter().filter(|&count| count > 0).min();
        fewest.unwrap_or(1) as f64
    }
}

impl Counter {
    fn share_since(&self, last: &Counter) -> Option<f64> {
        let might = match (self.might, last.might) {
            (Might::Processors(now, processors), Might::Processors(then, _)) => {
                now.saturating_sub(then) as f64 * processors
            }
            (Might::Counted(now), Might::Counted(then)) => now - then,
            _ => return None,
        };
        (might > 0.0).then(|| ((self.used - last.used) / might).clamp(0.0, 1.0))
    }
}

/// The counters of our own group, and of each above it that has a quota.
fn counters(
    levels: &[PathBuf],
    now: u64,
    processors: f64,
    used: impl Fn(&Path) -> Option<f64>,
    quota: impl Fn(&Path) -> Option<f64>,
) -> Vec<Counter> {
    let counter = |(index, dir): (usize, &PathBuf)| {
        let quota = quota(dir);
        if index > 0 && quota.is_none() {
            return None;
        }
        let might = Might::Processors(now, quota.unwrap_or(processors).min(processors));
        Some(Counter { group: dir.clone(), used: used(dir)?, might })
    };
    levels.iter().enumerate().filter_map(counter).collect()
}

fn used_unified(dir: &Path) -> Option<f64> {
    field(&dir.join("cpu.stat"), "usage_usec").map(|us| us as f64 * 1000.0)
}

/// Processors: `max 100000` or `50000 100000`.
fn quota_unified(dir: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(dir.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    share(quota.parse().ok()?, period.parse().ok()?)
}

fn used_old(dir: &Path) -> Option<f64> {
    number(&dir.join("cpuacct.usage")).map(|ns| ns as f64)
}

/// No quota is −1, which is no number here.
fn quota_old(dir: &Path) -> Option<f64> {
    share(number(&dir.join("cpu.cfs_quota_us"))?, number(&dir.join("cpu.cfs_period_us"))?)
}

fn share(quota: u64, period: u64) -> Option<f64> {
    (quota > 0 && period > 0).then(|| quota as f64 / period as f64)
}

/// The machine's: user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
fn machine(stat: &Path) -> Option<Counter> {
    let text = std::fs::read_to_string(stat).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let times: Vec<f64> = line.split_whitespace().map_while(|time| time.parse().ok()).take(8).collect();
    let idle = times.get(3)? + times.get(4).unwrap_or(&0.0);
    let all: f64 = times.iter().sum();
    Some(Counter { group: stat.to_path_buf(), used: all - idle, might: Might::Counted(all) })
}

/// How many a list like `0-3,8` names.
fn listed(text: &str) -> Option<usize> {
    let count = |part: &str| -> Option<usize> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        last.checked_sub(first).map(|more| more.saturating_add(1))
    };
    text.trim().split(',').map(count).try_fold(0usize, |sum, part| Some(sum.saturating_add(part?)))
}

#[cfg(test)]
mod tests {
    use super::super::cgroup::fixture::Kernel;
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;
    const FOUR: &str = "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1\ncpu1 1\ncpu2 1\ncpu3 1\nintr 5\n";

    /// Two readings, a second apart, of a meter that shows a change at once.
    fn second_reading(kernel: &Kernel, change: impl Fn(&Kernel)) -> Option<u32> {
        let mut meter = CpuMeter::new(kernel.roots(), 1);
        assert_eq!(meter.read(SECOND), None, "one reading says nothing");
        change(kernel);
        meter.read(2 * SECOND)
    }

    fn unified(path: &str, max: &str) -> Kernel {
        let kernel = Kernel::with(&[
            ("proc/stat", FOUR),
            ("proc/self/cgroup", &format!("0::{path}\n")),
            ("cgroup/cgroup.controllers", "cpu"),
        ]);
        kernel.write(format!("cgroup{path}/cpu.stat"), "usage_usec 1000000\nuser_usec 1\n");
        kernel.write(format!("cgroup{path}/cpu.max"), max);
        kernel
    }

    #[test]
    fn version_2_is_measured_against_its_quota() {
        for (max, permille) in
            [("50000 100000\n", 600), ("max 100000\n", 75), ("100000 100000\n", 300), ("9900000 100000\n", 75)]
        {
            let kernel = unified("/", max);
            let used = second_reading(&kernel, |kernel| kernel.write("cgroup/cpu.stat", "usage_usec 1300000\n"));
            assert_eq!(used, Some(permille), "{max}");
        }
    }

    #[test]
    fn a_nested_group_is_measured_and_so_is_a_quota_above_it() {
        let kernel = unified("/pod/web", "max 100000\n");
        kernel.write("cgroup/pod/cpu.stat", "usage_usec 5000000\n");
        kernel.write("cgroup/pod/cpu.max", "100000 100000\n");
        let change = |kernel: &Kernel| {
            kernel.write("cgroup/pod/web/cpu.stat", "usage_usec 1200000\n");
            kernel.write("cgroup/pod/cpu.stat", "usage_usec 5900000\n");
        };
        assert_eq!(second_reading(&kernel, change), Some(900), "its neighbour's use, of one quota");
    }

    #[test]
    fn a_cpuset_says_what_may_be_used() {
        let kernel = unified("/", "max 100000\n");
        kernel.write("cgroup/cpuset.cpus.effective", "0-1\n");
        assert_eq!(
            second_reading(&kernel, |kernel| kernel.write("cgroup/cpu.stat", "usage_usec 2000000\n")),
            Some(500)
        );
    }

    #[test]
    fn version_1_is_measured_against_its_quota() {
        for (mount, names) in [("cpu,cpuacct", "cpu,cpuacct"), ("cpuacct", "cpuacct")] {
            for (quota, permille) in [("200000", 250), ("-1", 125)] {
                let kernel =
                    Kernel::with(&[("proc/stat", FOUR), ("proc/self/cgroup", &format!("3:{names}:/docker/x\n"))]);
                kernel.write(format!("cgroup/{mount}/cpuacct.usage"), "7000000000\n");
                let quotas = if mount == "cpuacct" { "cpu" } else { mount };
                kernel.write(format!("cgroup/{quotas}/cpu.cfs_quota_us"), quota);
                kernel.write(format!("cgroup/{quotas}/cpu.cfs_period_us"), "100000");
                let change = |kernel: &Kernel| kernel.write(format!("cgroup/{mount}/cpuacct.usage"), "7500000000\n");
                assert_eq!(second_reading(&kernel, change), Some(permille), "{mount} {quota}");
            }
        }
    }

    #[test]
    fn without_groups_the_machine_is_measured() {
        let kernel = Kernel::with(&[("proc/stat", FOUR)]);
        let change = |kernel: &Kernel| kernel.write("proc/stat", "cpu  130 0 110 850 10 0 0 0 99 0\ncpu0 1\n");
        assert_eq!(second_reading(&kernel, change), Some(400), "40 of 100 ticks; guests are in user");
    }

    #[test]
    fn nothing_to_read_says_nothing() {
        let kernel = Kernel::with(&[("proc/self/cgroup", "garbage\n")]);
        assert_eq!(second_reading(&kernel, |_| ()), None);
        let kernel = Kernel::with(&[("proc/stat", "cpu  x y\n")]);
        assert_eq!(second_reading(&kernel, |_| ()), None);
    }

    #[test]
    fn counters_and_clocks_that_go_back_say_nothing_wrong() {
        let kernel = unified("/", "max 100000\n");
        assert_eq!(second_reading(&kernel, |kernel| kernel.write("cgroup/cpu.stat", "usage_usec 5\n")), Some(0));
        let mut meter = CpuMeter::new(kernel.roots(), 1);
        assert_eq!((meter.read(SECOND), meter.read(SECOND), meter.read(5)), (None, None, None));
    }

    #[test]
    fn a_change_shows_by_and_by() {
        let kernel = unified("/", "100000 100000\n");
        let mut meter = CpuMeter::new(kernel.roots(), 5 * SECOND);
        let mut seen = vec![];
        for second in 0..12 {
            let used = if second < 2 { 0 } else { (second - 1) * 1_000_000 };
            kernel.write("cgroup/cpu.stat", &format!("usage_usec {}\n", 1_000_000 + used));
            seen.extend(meter.read((1 + second) * SECOND));
        }
        assert_eq!((seen[0], seen[1], seen[5]), (0, 181, 632));
        assert!(seen.is_sorted() && seen.iter().all(|&permille| permille <= 1000));
    }

    proptest! {
        #[test]
        fn lists_are_counted(text in "[0-9]{0,3}(-[0-9]{0,3})?(,[0-9]{0,3}(-[0-9]{0,3})?){0,3}") {
            let plain = |part: &str| -> Option<usize> {
                let ends: Vec<usize> = part.split('-').map(|end| end.parse().ok()).collect::<Option<_>>()?;
                (ends[0] <= *ends.last()?).then(|| (ends[0]..=*ends.last().unwrap()).count())
            };
            prop_assert_eq!(listed(&text), text.split(',').map(plain).sum::<Option<usize>>());
        }
    }
}
