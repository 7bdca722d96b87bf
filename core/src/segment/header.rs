//! The first bytes of a segment: what it is, and where its tables stand.

use super::{Offset, SegmentOptions, Shared, UNIT, alloc::Arena, alloc::CLASSES};
use crate::clock::page::ClockPage;
use crate::error::{Error, ErrorKind, Result};
use crate::random;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// "TIDEGATE", as a little-endian number.
pub const MAGIC: u64 = u64::from_le_bytes(*b"TIDEGATE");
/// Version of the header and of the tables that it points to.
pub const LAYOUT_VERSION: u32 = 5;
/// Process slots of every segment.
pub const MAX_PROCESSES: usize = 256;
/// Kinds of cells that overflow separately.
pub const KINDS: usize = 16;

/// The header. Everything is atomic, as other processes write it.
#[repr(C, align(64))]
pub struct Header {
    /// [`MAGIC`], stored last of all by the creator.
    pub magic: AtomicU64,
    /// [`LAYOUT_VERSION`].
    pub layout_version: AtomicU32,
    /// Thread slots, without the shared one.
    pub max_threads: AtomicU32,
    /// Bytes of the whole segment.
    pub bytes: AtomicU64,
    /// Boot of the machine, in which timed state means something.
    pub boot: [AtomicU64; 2],
    /// Time namespace, likewise.
    pub time_namespace: AtomicU64,
    /// Pages (of 64 words) of each lane.
    pub lane_pages: AtomicU32,
    /// Hash buckets of the directory, a power of two.
    pub buckets: AtomicU32,
    /// Process slots.
    pub processes_at: AtomicU32,
    /// Thread slots.
    pub threads_at: AtomicU32,
    /// Lane page tables, one a thread slot.
    pub lanes_at: AtomicU32,
    /// The directory's buckets.
    pub buckets_at: AtomicU32,
    /// Highest thread slot ever taken, plus one.
    pub threads_used: AtomicU32,
    /// Highest process slot ever taken, plus one.
    pub processes_used: AtomicU32,
    /// Guards that stand, and how many may.
    pub guards: AtomicU32,
    /// See `guards`.
    pub max_guards: AtomicU32,
    /// Gives every cell that is made its generation, and every attached process its token.
    pub last_generation: AtomicU32,
    /// Lane runs handed out: next free page, and the page in use of each size of run.
    pub next_lane_page: AtomicU32,
    /// See `next_lane_page`: the word after the last handed out, by size class.
    pub lane_partial: [AtomicU32; 2],
    /// Retired cells by kind, ready to be used again.
    pub free_cells: [AtomicU32; KINDS],
    /// How often each kind found no room.
    pub overflowed: [AtomicU64; KINDS],
    /// Version of the rules in force.
    pub rules_version: AtomicU64,
    /// Counts publications; its parity is the side of each guard's numbers that is in force.
    pub rules_turn: AtomicU64,
    /// Counts what makes void what threads remember of guards: new rules, and guards that are retired. Never 0 while
    /// the segment stands.
    pub changes: AtomicU64,
    /// Where the text of the rules in force stands (by side), and its length in bytes.
    pub rules_text: [AtomicU32; 2],
    /// See `rules_text`.
    pub rules_len: [AtomicU64; 2],
    /// Tags for blocks of numbers.
    pub last_tag: AtomicU64,
    /// Times that a dead process's share was taken back.
    pub reaped: AtomicU64,
    /// The container's CPU and memory as last sampled: see [`crate::system::gate::Load`].
    pub load: AtomicU64,
    /// Tables that nobody uses, by size: see [`crate::runtime`].
    pub spare_tables: [AtomicU32; CLASSES],
    /// Secret of the hashes of keys: see [`crate::rate::keyed::Seed`].
    pub key_seed: [AtomicU64; 2],
    /// The arena behind the tables.
    pub alloc: Arena,
    /// The clock.
    pub clock: ClockPage,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for Header {}

/// Where a new segment's tables stand.
pub struct Layout {
    /// Bytes of the whole.
    pub bytes: u64,
    max_threads: u32,
    max_guards: u32,
    lane_pages: u32,
    buckets: u32,
    processes_at: Offset,
    threads_at: Offset,
    lanes_at: Offset,
    buckets_at: Offset,
    arena_at: Offset,
}

impl Layout {
    /// Lays the tables out; fails when they leave less than half of the segment.
    pub fn of(options: &SegmentOptions) -> Result<Layout> {
        let bytes = options.bytes.next_power_of_two();
        let slots = u64::from(options.max_threads) + 1;
        let lane_pages = ((bytes / 4096) as u32).clamp(64, 1 << 20).next_multiple_of(16);
        let buckets = (bytes / 8192).next_power_of_two().clamp(256, 1 << 20) as u32;
        let mut at = size_of::<Header>() as u64;
        let mut take = |size: u64| {
            let start = at.next_multiple_of(UNIT as u64);
            at = start + size;
            (start / UNIT as u64) as Offset
        };
        let processes_at = take(MAX_PROCESSES as u64 * UNIT as u64);
        let threads_at = take(slots * UNIT as u64);
        let lanes_at = take(slots * u64::from(lane_pages) * 4);
        let buckets_at = take(u64::from(buckets) * 4);
        let arena_at = take(0);
        if u64::from(arena_at) * UNIT as u64 > bytes / 2 {
            let what = format!("segment_bytes: {bytes} is too small for {} threads", options.max_threads);
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        let (max_threads, max_guards) = (options.max_threads, options.max_guards);
        Ok(Layout {
            bytes,
            max_threads,
            max_guards,
            lane_pages,
            buckets,
            processes_at,
            threads_at,
            lanes_at,
            buckets_at,
            arena_at,
        })
    }
}

impl Header {
    /// Fills a fresh header; the magic comes last, as it says that the rest is there.
    pub fn initialise(&self, layout: &Layout) {
        self.layout_version.store(LAYOUT_VERSION, Relaxed);
        self.max_threads.store(layout.max_threads, Relaxed);
        self.max_guards.store(layout.max_guards, Relaxed);
        self.bytes.store(layout.bytes, Relaxed);
        self.lane_pages.store(layout.lane_pages, Relaxed);
        self.buckets.store(layout.buckets, Relaxed);
        self.processes_at.store(layout.processes_at, Relaxed);
        self.threads_at.store(layout.threads_at, Relaxed);
        self.lanes_at.store(layout.lanes_at, Relaxed);
        self.buckets_at.store(layout.buckets_at, Relaxed);
        self.alloc.initialise(layout.arena_at, (layout.bytes / UNIT as u64) as u32);
        let (boot, namespace) = (crate::clock::boot::boot_id(), crate::clock::boot::time_namespace());
        self.boot[0].store(boot[0], Relaxed);
        self.boot[1].store(boot[1], Relaxed);
        self.time_namespace.store(namespace, Relaxed);
        self.changes.store(1, Relaxed);
        self.seed_keys(random::secret());
        self.magic.store(MAGIC, Release);
    }

    /// Replaces the secret of the hashes of keys, before anybody has hashed one.
    pub fn seed_keys(&self, seed: [u64; 2]) {
        self.key_seed.iter().zip(seed).for_each(|(to, from)| to.store(from, Relaxed));
    }

    /// Refuses a header that is not one, or not ours, saying which.
    pub fn check(&self, mapped: u64) -> Result<()> {
        let refuse = |what: String| Err(Error::new(ErrorKind::Invalid, what));
        if self.magic.load(Acquire) != MAGIC {
            return refuse("this file is not a Tidegate segment: its magic is wrong".into());
        }
        let version = self.layout_version.load(Relaxed);
        if version != LAYOUT_VERSION {
            return refuse(format!("the segment has layout version {version}; this library knows {LAYOUT_VERSION}"));
        }
        let bytes = self.bytes.load(Relaxed);
        if bytes != mapped {
            return refuse(format!("the segment says {bytes} bytes but its file has {mapped}"));
        }
        self.check_tables(mapped)
    }

    fn check_tables(&self, mapped: u64) -> Result<()> {
        let slots = u64::from(self.max_threads.load(Relaxed)) + 1;
        let pages = u64::from(self.lane_pages.load(Relaxed));
        let buckets = u64::from(self.buckets.load(Relaxed));
        let fits = |at: &AtomicU32, bytes: u64| u64::from(at.load(Relaxed)) * UNIT as u64 + bytes <= mapped;
        let good = (2..=1025).contains(&slots)
            && buckets.is_power_of_two()
            && pages.is_multiple_of(16)
            && fits(&self.processes_at, (MAX_PROCESSES * UNIT) as u64)
            && fits(&self.threads_at, slots * UNIT as u64)
            && fits(&self.lanes_at, slots * pages * 4)
            && fits(&self.buckets_at, buckets * 4);
        if good {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Invalid, "the segment's header points outside the segment"))
    }
}
