//! The memory behind a segment: a sealed memfd, mapped shared.

use crate::error::{Error, ErrorKind, Result};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::null_mut;

const SEALS: i32 = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
/// Bytes mapped behind the segment, so that a masked offset near its end stays harmless.
pub const TAIL: usize = 4096;
const PREFIX: &str = "tidegate:";

/// One shared mapping; unmapped when dropped.
pub struct Map {
    base: *mut u8,
    len: usize,
}

// SAFETY: the mapping is shared memory, reached only through atomics.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    /// Maps a file of `len` bytes, with zeros of our own behind it.
    pub fn shared(file: &OwnedFd, len: usize) -> Result<Map> {
        let rw = libc::PROT_READ | libc::PROT_WRITE;
        let reserve = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let flags = libc::MAP_SHARED | libc::MAP_NORESERVE | libc::MAP_FIXED;
        // SAFETY: a new mapping at an address of the kernel's choice, then the file over its beginning; both
        // checked for failure.
        unsafe {
            let base = libc::mmap(null_mut(), len + TAIL, rw, reserve, -1, 0);
            if base == libc::MAP_FAILED {
                return Err(Error::system("reserving addresses for the segment"));
            }
            let map = Map { base: base.cast(), len };
            if libc::mmap(base, len, rw, flags, file.as_raw_fd(), 0) == libc::MAP_FAILED {
                return Err(Error::system("mapping the segment"));
            }
            Ok(map)
        }
    }

    #[inline(always)]
    pub fn base(&self) -> *mut u8 {
        self.base
    }

    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn replace_by_zeros(&self) {
        let rw = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
        // SAFETY: replaces our own mapping in one step; readers only ever use atomics on it.
        unsafe { libc::mmap(self.base.cast(), self.len, rw, flags, -1, 0) };
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: ours, and nobody borrows it any longer.
        unsafe { libc::munmap(self.base.cast(), self.len + TAIL) };
    }
}

/// A memfd of a fixed size that nobody can change any more.
pub fn create_memfd(name: &str, bytes: u64) -> Result<OwnedFd> {
    let title = CString::new(format!("{PREFIX}{name}"))
        .map_err(|_| Error::new(ErrorKind::Invalid, "name: holds a NUL byte"))?;
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: a valid C string; the result is checked before it is owned.
    let fd = unsafe { libc::memfd_create(title.as_ptr(), flags) };
    if fd < 0 {
        return Err(Error::system("memfd_create"));
    }
    // SAFETY: a fresh descriptor of ours.
    let file = unsafe { OwnedFd::from_raw_fd(fd) };
    check_file_size_limit(bytes)?;
    // SAFETY: plain system calls on our descriptor.
    let sized = unsafe { libc::ftruncate(fd, bytes as i64) == 0 && libc::fcntl(fd, libc::F_ADD_SEALS, SEALS) == 0 };
    if !sized {
        return Err(Error::system("sizing the segment"));
    }
    reopen(file.as_fd())
}

/// Where the limit on file sizes is lower, the system would not only refuse: it would send SIGXFSZ, which ends a process
/// that does not handle it.
fn check_file_size_limit(bytes: u64) -> Result<()> {
    // SAFETY: an all-zero limit is valid; the system writes the whole of it.
    let mut limit: libc::rlimit = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let told = unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &mut limit) } == 0;
    if !told || limit.rlim_cur >= bytes {
        return Ok(());
    }
    let what = format!(
        "sizing the segment: it has {bytes} bytes, and files of this process may have {} (RLIMIT_FSIZE, ulimit -f)",
        limit.rlim_cur
    );
    Err(Error::new(ErrorKind::System, what))
}

/// A new description of the same file (an inherited one shares its locks with the parent).
pub fn reopen(file: BorrowedFd<'_>) -> Result<OwnedFd> {
    let path = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap_or_default();
    // SAFETY: a valid C string.
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    if fd < 0 {
        return Err(Error::system("opening the segment through /proc/self/fd"));
    }
    // SAFETY: a fresh descriptor of ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The size of a file that is sealed against changes of it.
pub fn sealed_size(file: &OwnedFd) -> Result<usize> {
    // SAFETY: plain system calls; `stat` is filled by the second.
    unsafe {
        let seals = libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS);
        let mut stat: libc::stat = std::mem::zeroed();
        if seals < 0 || libc::fstat(file.as_raw_fd(), &mut stat) != 0 {
            return Err(Error::system("reading the segment's seals"));
        }
        let size = stat.st_size as u64;
        if seals & SEALS != SEALS || size < 1 << 20 || !size.is_power_of_two() {
            let what = "this file is not a Tidegate segment: it is not sealed, or of no size that one has";
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        Ok(stat.st_size as usize)
    }
}

/// A descriptor of this process (or inherited by it) that is the memfd of this name.
pub fn find_memfd(name: &str) -> Option<OwnedFd> {
    let wanted = format!("/memfd:{PREFIX}{name} (deleted)");
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    let path = paths.find(|path| std::fs::read_link(path).is_ok_and(|to| to.as_os_str() == wanted.as_str()))?;
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).ok()?;
    Some(file.into())
}
