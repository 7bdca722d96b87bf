//! Where this process's control group has its files. All functions are **cold**: they read files.

use std::path::{Path, PathBuf};

/// Where the kernel's files are; other places are for tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// Usually `/proc`.
    pub proc: PathBuf,
    /// Usually `/sys/fs/cgroup`.
    pub cgroup: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Roots { proc: "/proc".into(), cgroup: "/sys/fs/cgroup".into() }
    }
}

impl Roots {
    /// The directories of our group in the unified hierarchy (v2), from our own to its root.
    pub fn unified(&self) -> Vec<PathBuf> {
        let is_unified = self.cgroup.join("cgroup.controllers").exists();
        let path = self.path_of(|line| line.strip_prefix("0::"));
        if is_unified { levels(&self.cgroup, path.as_deref().unwrap_or("/")) } else { vec![] }
    }

    /// The same for one controller of the older hierarchies (v1); none where it is not mounted.
    pub fn of_controller(&self, controller: &str) -> Vec<PathBuf> {
        let path = self.path_of(|line| {
            let (names, path) = line.split_once(':')?.1.split_once(':')?;
            names.split(',').any(|name| name == controller).then_some(path)
        });
        let Some(mount) = self.mount_of(controller) else { return vec![] };
        levels(&mount, path.as_deref().unwrap_or("/"))
    }

    /// Controllers are mounted alone or together: `cpuacct`, `cpu,cpuacct`.
    fn mount_of(&self, controller: &str) -> Option<PathBuf> {
        let alone = self.cgroup.join(controller);
        if alone.is_dir() {
            return Some(alone);
        }
        let entries = std::fs::read_dir(&self.cgroup).ok()?;
        let names = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.split(',').any(|name| name == controller)
        };
        entries.filter_map(|entry| Some(entry.ok()?.path())).find(names)
    }

    fn path_of(&self, of_line: impl Fn(&str) -> Option<&str>) -> Option<String> {
        let text = std::fs::read_to_string(self.proc.join("self/cgroup")).ok()?;
        text.lines().find_map(of_line).map(str::to_owned)
    }
}

/// The directories from the group's own to the mount's root. Within a container the kernel may name a path of
/// the host, which is not there: what is missing is passed over, so that the root stands for the container's own.
fn levels(mount: &Path, path: &str) -> Vec<PathBuf> {
    let inside: Vec<_> = path.split('/').filter(|part| !part.is_empty() && *part != "..").collect();
    let at = |depth: usize| inside.iter().take(depth).fold(mount.to_path_buf(), |dir, part| dir.join(part));
    (0..=inside.len()).rev().map(at).filter(|dir| dir.is_dir()).collect()
}

/// The number that a file holds alone.
pub(super) fn number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The number behind a name in a file of `name number` lines.
pub(super) fn field(path: &Path, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix([' ', ':'])?.split_whitespace().next()?.parse().ok();
    text.lines().find_map(value)
}

#[cfg(test)]
pub(super) mod fixture {
    use super::Roots;
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    /// Files of a kernel that is not there, removed in the end.
    pub struct Kernel(PathBuf);

    impl Kernel {
        pub fn with(files: &[(&str, &str)]) -> Kernel {
            static NEXT: AtomicU64 = AtomicU64::new(0);
            let name = format!("tidegate-kernel-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
            let kernel = Kernel(std::env::temp_dir().join(name));
            files.iter().for_each(|(path, text)| kernel.write(path, text));
            kernel
        }

        pub fn write(&self, path: impl AsRef<Path>, text: &str) {
            let path = self.0.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }

        pub fn roots(&self) -> Roots {
            Roots { proc: self.0.join("proc"), cgroup: self.0.join("cgroup") }
        }
    }

    impl Drop for Kernel {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fixture::Kernel;

    #[test]
    fn a_nested_group_has_its_own_directory_and_those_above_it() {
        let kernel = Kernel::with(&[
            ("proc/self/cgroup", "0::/pod/web\n"),
            ("cgroup/cgroup.controllers", "cpu memory"),
            ("cgroup/pod/web/cpu.stat", ""),
        ]);
        let root = kernel.roots().cgroup;
        assert_eq!(kernel.roots().unified(), [root.join("pod/web"), root.join("pod"), root.clone()]);
        assert!(kernel.roots().of_controller("cpuacct").is_empty());
    }

    #[test]
    fn a_path_of_the_host_is_the_root_within_a_container() {
        let kernel = Kernel::with(&[
            ("proc/self/cgroup", "7:memory:/docker/1\n4:cpuacct,cpu:/docker/0123\n"),
            ("cgroup/cpu,cpuacct/cpuacct.usage", "1"),
        ]);
        assert_eq!(kernel.roots().of_controller("cpuacct"), [kernel.roots().cgroup.join("cpu,cpuacct")]);
        assert!(kernel.roots().of_controller("memory").is_empty(), "not mounted");
        assert!(kernel.roots().unified().is_empty());
    }

    #[test]
    fn no_path_leads_out_of_the_mount() {
        let kernel = Kernel::with(&[("proc/self/cgroup", "0::/../../x\n"), ("cgroup/cgroup.controllers", "cpu")]);
        assert_eq!(kernel.roots().unified(), [kernel.roots().cgroup]);
    }
}
