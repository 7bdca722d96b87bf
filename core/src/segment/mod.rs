//! The segment: one contiguous shared region with all live state, as fixed-layout cells of atomics
//! addressed by offset, never by pointer.
//!
//! Every process, and every mapping within one, sees the same bytes at an address of its own. What is
//! read here may have been written by another release or spoiled by another process: offsets are
//! bounds-checked where they are resolved.

pub mod alloc;
pub mod cold_lock;
pub mod directory;
pub mod header;
mod map;

use crate::error::{Error, ErrorKind, Result};
use header::{Header, Layout};
use map::Map;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::*;

/// Bytes of one unit: offsets count units, so that 32 bits address 256 GiB.
pub const UNIT: usize = 64;

/// The place of a cell in the segment, in [`UNIT`]s from its start; 0 is none.
pub type Offset = u32;

/// What a segment is made with.
#[derive(Clone, Debug)]
pub struct SegmentOptions {
    /// Name under which the same process and its children find it; empty: private.
    pub name: String,
    /// Bytes, 1 MiB to 64 GiB, rounded up to a power of two. Pages come as they are touched.
    pub bytes: u64,
    /// Thread slots, 1 to 1024. Threads beyond share one.
    pub max_threads: u32,
    /// Guards, 1 to 65536. Names beyond share the overflow guard.
    pub max_guards: u32,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        SegmentOptions { name: String::new(), bytes: 64 << 20, max_threads: 128, max_guards: 4096 }
    }
}

impl SegmentOptions {
    /// Tells which option is out of its range.
    pub fn check(&self) -> Result<()> {
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c);
        if self.name.len() > 128 || !self.name.bytes().all(plain) {
            let what = "name: at most 128 of A-Z a-z 0-9 . _ -, or empty for a private runtime";
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        in_range("segment_bytes", self.bytes, 1 << 20, 64 << 30)?;
        in_range("max_threads", self.max_threads.into(), 1, 1024)?;
        in_range("max_guards", self.max_guards.into(), 1, 65536)
    }
}

fn in_range(name: &str, value: u64, least: u64, most: u64) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let what = format!("{name}: {value} is not from {least} to {most}");
    Err(Error::new(ErrorKind::Invalid, what))
}

/// A mapped segment. All methods may be called by many threads at once.
pub struct Segment {
    map: Map,
    /// A file description of this mapping's own, so that its locks die with it alone.
    file: OwnedFd,
}

/// Where a segment is mapped: what the hot path keeps at hand. A segment's size is a power of two, and some bytes are
/// mapped behind it, so an offset only has to be masked to be safe, whatever another process wrote.
#[derive(Clone, Copy)]
pub struct View {
    base: *mut u8,
    mask: u32,
}

// SAFETY: shared memory, reached only through atomics.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

impl View {
    /// The header.
    #[inline(always)]
    pub fn header(&self) -> &Header {
        // SAFETY: a map is at least as large as the header, page-aligned, and outlives its views.
        unsafe { &*self.base.cast::<Header>() }
    }

    /// The cell at `offset`, masked into the segment; None for 0.
    #[inline(always)]
    pub fn at<T: Shared>(&self, offset: Offset) -> Option<&T> {
        const { assert!(size_of::<T>() <= map::TAIL + UNIT) };
        if offset == 0 {
            return None;
        }
        // SAFETY: the masked offset lies within the map, whose tail holds what reaches over its end; 64-byte
        // aligned, and `Shared` says that any bytes are a T.
        Some(unsafe { &*self.base.add((offset & self.mask) as usize * UNIT).cast::<T>() })
    }

    /// `count` words from `offset` on, when they lie within the segment; None for 0.
    pub fn words(&self, offset: Offset, count: usize) -> Option<&[AtomicU64]> {
        let start = offset as usize * UNIT;
        let end = count.checked_mul(8).and_then(|bytes| bytes.checked_add(start))?;
        if offset == 0 || end > (self.mask as usize + 1) * UNIT {
            return None;
        }
        // SAFETY: within the map, aligned, and any bytes are atomics.
        Some(unsafe { std::slice::from_raw_parts(self.base.add(start).cast::<AtomicU64>(), count) })
    }
}

/// A type that may be laid over bytes of the segment.
///
/// # Safety
/// It is `repr(C)`, made of atomics only, and valid for every bit pattern.
pub unsafe trait Shared {}

impl Segment {
    /// Makes a new segment in a sealed memfd.
    pub fn create(options: &SegmentOptions) -> Result<Segment> {
        options.check()?;
        let layout = Layout::of(options)?;
        let file = map::create_memfd(&options.name, layout.bytes)?;
        let segment = Segment { map: Map::shared(&file, layout.bytes as usize)?, file };
        segment.header().initialise(&layout);
        Ok(segment)
    }

    /// Maps a segment that stands already, after checking what it says of itself.
    pub fn attach(file: BorrowedFd<'_>) -> Result<Segment> {
        let file = map::reopen(file)?;
        let bytes = map::sealed_size(&file)?;
        let segment = Segment { map: Map::shared(&file, bytes)?, file };
        segment.header().check(bytes as u64)?;
        Ok(segment)
    }

    /// The segment of this name that this process, or a parent that forked it, has open.
    pub fn find(name: &str) -> Result<Option<Segment>> {
        match map::find_memfd(name) {
            Some(file) => Segment::attach(std::os::fd::AsFd::as_fd(&file)).map(Some),
            None => Ok(None),
        }
    }

    /// The header.
    #[inline(always)]
    pub fn header(&self) -> &Header {
        // SAFETY: a map is at least as large as the header, page-aligned, and lives as long as self.
        unsafe { &*self.map.base().cast::<Header>() }
    }

    /// What the hot path needs to find cells. It must not outlive the segment.
    #[inline(always)]
    pub fn view(&self) -> View {
        View { base: self.map.base(), mask: (self.map.len() / UNIT - 1) as u32 }
    }

    /// The cell at `offset`, when it lies within the segment.
    #[inline(always)]
    pub fn at<T: Shared>(&self, offset: Offset) -> Option<&T> {
        self.many::<T>(offset, 1).map(|cells| &cells[0])
    }

    /// `count` cells from `offset` on, when they lie within the segment.
    pub fn many<T: Shared>(&self, offset: Offset, count: usize) -> Option<&[T]> {
        let start = offset as usize * UNIT;
        let end = start.checked_add(size_of::<T>().checked_mul(count)?)?;
        if offset == 0 || end > self.map.len() {
            return None;
        }
        // SAFETY: in bounds, 64-byte aligned, and `Shared` says that any bytes are a T.
        Some(unsafe { std::slice::from_raw_parts(self.map.base().add(start).cast::<T>(), count) })
    }

    /// Mapped bytes.
    pub fn bytes(&self) -> u64 {
        self.map.len() as u64
    }

    /// The file behind it, to attach to it or to lock in it.
    pub fn file(&self) -> BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.file)
    }

    /// Another description of the same file, whose locks are its own.
    pub fn reopen(&self) -> Result<OwnedFd> {
        map::reopen(self.file())
    }

    /// Gives the memory back while the addresses stay: late readers find zeros, never a fault.
    pub fn abandon(&self) {
        self.map.replace_by_zeros();
    }

    /// Bytes handed out so far (the arena's high-water mark, with the fixed tables).
    pub fn used_bytes(&self) -> u64 {
        self.header().alloc.next_unit.load(Relaxed) * UNIT as u64
    }

    /// The number of the descriptor, for tests and tools.
    pub fn raw_fd(&self) -> i32 {
        self.file.as_raw_fd()
    }
}
