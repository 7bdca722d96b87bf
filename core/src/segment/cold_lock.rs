//! The lock for cold changes (directory, rules, slots): within a process a word that knows forks, between
//! processes a lock on the file that the kernel releases when its holder dies.
//!
//! What it guards lives in the segment and is published by single stores, so that a holder that dies
//! half-way leaves nothing torn: at worst a block that nobody refers to.

use crate::error::{Error, ErrorKind, Result};
use crate::fork;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering::*};
use std::time::Duration;

/// Tries before giving up: about two seconds.
const TRIES: u32 = 20_000;

/// The byte of the file that stands for the lock; the process slots' bytes follow it.
pub const LOCK_BYTE: i64 = 1 << 40;

/// The process's side of the lock: the fork epoch of its holder here, or 0. A parent's is void in
/// the child.
#[derive(Default)]
pub struct ColdLock {
    holder: AtomicU64,
}

/// Held until dropped.
pub struct Held<'a> {
    lock: &'a ColdLock,
    /// The descriptor through which the file is locked too, or −1.
    fd: AtomicI32,
}

impl ColdLock {
    /// Takes the lock within this process.
    pub fn hold(&self) -> Result<Held<'_>> {
        let me = fork::epoch();
        for turn in 0..TRIES {
            let holder = self.holder.load(Acquire);
            if holder != me && self.holder.compare_exchange(holder, me, AcqRel, Acquire).is_ok() {
                return Ok(Held { lock: self, fd: AtomicI32::new(-1) });
            }
            pause(turn);
        }
        Err(busy())
    }
}

impl Held<'_> {
    /// Locks the file too, through a description that this process opened itself (an inherited one would
    /// share its locks with the parent). A second call changes nothing.
    pub fn lock_file(&self, fd: i32) -> Result<()> {
        if self.fd.load(Relaxed) >= 0 {
            return Ok(());
        }
        for turn in 0..TRIES {
            if lock_byte(fd, LOCK_BYTE, libc::F_WRLCK) {
                self.fd.store(fd, Relaxed);
                return Ok(());
            }
            pause(turn);
        }
        Err(busy())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let fd = self.fd.load(Relaxed);
        if fd >= 0 {
            lock_byte(fd, LOCK_BYTE, libc::F_UNLCK);
        }
        self.lock.holder.store(0, Release);
    }
}

fn pause(turn: u32) {
    if turn < 64 {
        std::thread::yield_now();
    } else {
        std::thread::sleep(Duration::from_micros(100));
    }
}

fn busy() -> Error {
    Error::new(ErrorKind::Busy, "another thread or process has held the segment's cold lock for two seconds")
}

/// Sets or clears a lock of this description on one byte; false when another has it.
pub fn lock_byte(fd: i32, byte: i64, kind: i32) -> bool {
    // SAFETY: flock is plain data, filled here.
    unsafe {
        let mut what: libc::flock = std::mem::zeroed();
        what.l_type = kind as i16;
        what.l_whence = libc::SEEK_SET as i16;
        what.l_start = byte;
        what.l_len = 1;
        libc::fcntl(fd, libc::F_OFD_SETLK, &what) == 0
    }
}

/// Whether somebody holds a lock on the byte that this description would collide with.
pub fn byte_is_locked(file: &OwnedFd, byte: i64) -> bool {
    // SAFETY: flock is plain data, filled here and by the kernel.
    unsafe {
        let mut what: libc::flock = std::mem::zeroed();
        what.l_type = libc::F_WRLCK as i16;
        what.l_whence = libc::SEEK_SET as i16;
        what.l_start = byte;
        what.l_len = 1;
        let asked = libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &mut what) == 0;
        !asked || what.l_type != libc::F_UNLCK as i16
    }
}
