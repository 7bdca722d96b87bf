//! From names to limiters, and back to free room. **Cold.**

use super::cell::{Buckets, LimiterCell};
use super::handle::{Limiter, gone};
use super::options::{Options, invalid};
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{PerProcess, Shared, check_name, full};
use crate::segment::directory::{Directory, Found, Kind};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::*};
use std::time::Duration;

/// Cells outside of any segment, ready to be used again.
type Spare = Mutex<Vec<&'static LimiterCell>>;

impl Shared {
    pub(crate) fn limiter(&'static self, name: &str, options: Option<&Options>) -> Result<&'static Limiter> {
        self.open_or_err()?;
        if name.is_empty() {
            let options = options.ok_or_else(|| invalid("limiter: without a name it needs options"))?;
            return self.make_own(options);
        }
        check_name("limiter", name)?;
        let known = self.caches()?.limiters.get(name).copied();
        if let Some(limiter) = known.filter(|limiter| limiter.alive().is_ok()) {
            return Ok(limiter);
        }
        let found = self.find_or_make_limiter(name, options)?;
        let cell = self.segment().at::<LimiterCell>(found.at).ok_or_else(full)?;
        let mut caches = self.caches()?;
        let limiter = match caches.limiters.get(name).copied().filter(|known| known.found() == Some(found)) {
            Some(known) => known,
            None => Limiter::leak(self, cell, found.generation, Some(found)),
        };
        caches.limiters.insert(name.to_owned(), limiter);
        Ok(limiter)
    }

    fn find_or_make_limiter(&self, name: &str, options: Option<&Options>) -> Result<Found> {
        let _locked = self.lock_directory()?;
        let directory = Directory(self.segment());
        if let Some(found) = directory.find(Kind::Limiter, name) {
            return Ok(found);
        }
        let unknown = || Error::new(ErrorKind::NotFound, format!("limiter: nobody has made {name:?}"));
        let options = options.ok_or_else(unknown)?;
        let (numbers, now) = (options.numbers(1)?, self.clock().now());
        // What it finds no room for is made before anybody can find it, or not at all.
        let mut placed = Ok(());
        let made = directory.insert(Kind::Limiter, name, "", |found, _| {
            if let Some(cell) = self.segment().at::<LimiterCell>(found.at) {
                placed = if numbers.buckets() > 0 { self.place_buckets(cell) } else { Ok(()) };
                self.clear_buckets(cell);
                cell.begin(options, &numbers, now);
            }
        });
        let found = made.ok_or_else(full)?;
        if placed.is_err() {
            directory.retire(found);
        }
        placed.map(|()| found)
    }

    /// Sees to it that a cell has a table of buckets. Under the cold lock.
    pub(super) fn place_buckets(&self, cell: &LimiterCell) -> Result<()> {
        if self.segment().at::<Buckets>(cell.buckets.load(Acquire)).is_none() {
            let table = self.segment().alloc(size_of::<Buckets>()).ok_or_else(full)?;
            cell.buckets.store(table, Release);
        }
        Ok(())
    }

    /// What the windows of a life before have counted is not of this one.
    fn clear_buckets(&self, cell: &LimiterCell) {
        if let Some(table) = self.segment().at::<Buckets>(cell.buckets.load(Acquire)) {
            table.0.iter().for_each(|bucket| bucket.store(0, Relaxed));
        }
    }

    fn make_own(&'static self, options: &Options) -> Result<&'static Limiter> {
        let numbers = options.numbers(1)?;
        static LIVES: AtomicU32 = AtomicU32::new(0);
        let cell = match spare()?.pop() {
            Some(cell) => cell,
            None => Box::leak(Box::new(LimiterCell::empty())),
        };
        let generation = LIVES.fetch_add(1, Relaxed) % (u32::MAX - 1) + 1;
        cell.begin(options, &numbers, self.clock().now());
        cell.cell.generation.store(generation, Release);
        let limiter = Limiter::leak(self, cell, generation, None);
        self.caches()?.own_limiters.insert(std::ptr::from_ref(limiter) as usize, limiter);
        Ok(limiter)
    }

    pub(super) fn retire_limiter(&self, limiter: &Limiter) -> Result<()> {
        let locked = self.lock_directory()?;
        limiter.alive().map_err(gone)?;
        let Some(found) = limiter.found() else {
            limiter.end_own();
            self.caches()?.own_limiters.remove(&(std::ptr::from_ref(limiter) as usize));
            return Ok(());
        };
        let directory = Directory(self.segment());
        let name = directory.name(&limiter.cell().cell);
        directory.retire(found);
        limiter.mark_dead();
        drop(locked);
        self.caches()?.limiters.remove(&name);
        Ok(())
    }

    /// Full buckets and empty windows, as time means something else. Under the cold lock.
    pub(crate) fn start_limiters_afresh(&self, now: u64) {
        Directory(self.segment()).each(Kind::Limiter, |found, _| {
            if let Some(cell) = self.segment().at::<LimiterCell>(found.at) {
                cell.start_afresh(now);
            }
        });
    }
}

impl Limiter {
    /// Ends one of the process's own; its cell will be another's.
    pub(crate) fn end_own(&self) {
        self.mark_dead();
        // SAFETY: cells of the process's own are leaked.
        let cell: &'static LimiterCell = unsafe { &*std::ptr::from_ref(self.cell()) };
        cell.cell.generation.store(0, Release);
        if let Ok(mut spare) = spare() {
            spare.push(cell);
        }
    }
}

fn spare() -> Result<parking_lot::MutexGuard<'static, Vec<&'static LimiterCell>>> {
    static SPARE: PerProcess<Spare> = PerProcess::new();
    let spare = SPARE.get().unwrap_or_else(|| SPARE.put(Mutex::default()));
    let busy = || Error::new(ErrorKind::Busy, "another thread has held a lock of the process for two seconds");
    spare.try_lock_for(Duration::from_secs(2)).ok_or_else(busy)
}
