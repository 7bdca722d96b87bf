//! What all handles of one runtime share. It is never freed, as handles may be used at any time; closing gives its
//! memory back and leaves a shell.

use super::Options;
use super::load::Sampler;
use super::local::Local;
use super::per_process::PerProcess;
use super::resolve::Caches;
use crate::clock::{Clock, ClockSource, boot};
use crate::error::{Error, ErrorKind, Result};
use crate::guard::recount;
use crate::policy::PolicyHost;
use crate::segment::Segment;
use crate::segment::cold_lock::{ColdLock, Held};
use crate::slot::process::{self, Process};
use parking_lot::{Mutex, MutexGuard};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// One runtime.
pub struct Shared {
    /// Never reused, so that a thread's memory of an old runtime cannot be taken for one of a new.
    pub(super) id: u64,
    segment: Segment,
    /// Whether rules may inject faults.
    faults: bool,
    closed: AtomicBool,
    lock: ColdLock,
    process: PerProcess<Option<Process>>,
    /// The fork epoch of the parent whose attachment this process has closed its copy of; 0: of none.
    let_go_of: AtomicU64,
    caches: PerProcess<Mutex<Caches>>,
    /// Where threads count that found no room, or come after their own end.
    fallback: PerProcess<Local>,
    host: OnceLock<Arc<dyn PolicyHost>>,
    pub(super) sampler: PerProcess<Mutex<Sampler>>,
    /// The turn of the rules that were looked at for it (63 bits) | whether they have a system stage.
    pub(super) wants_load: AtomicU64,
}

/// The cold lock, held, and the process that holds it.
pub struct Locked<'a> {
    pub(super) process: &'a Process,
    _held: Held<'a>,
}

impl Shared {
    pub(super) fn open(options: &Options) -> Result<&'static Shared> {
        static OPENING: PerProcess<Mutex<()>> = PerProcess::new();
        options.segment.check()?;
        let opening = OPENING.get().unwrap_or_else(|| OPENING.put(Mutex::new(())));
        let _one_at_a_time = opening.try_lock_for(Duration::from_secs(2)).ok_or_else(busy)?;
        let named = !options.segment.name.is_empty();
        if let Some(found) = named.then(|| Segment::find(&options.segment.name)).transpose()?.flatten() {
            return Shared::start(found, options.faults);
        }
        let segment = Segment::create(&options.segment)?;
        if let ClockSource::Virtual(_) = options.clock {
            // Tests are to be repeatable.
            segment.header().seed_keys([1, 2]);
        }
        segment.header().clock.start(options.clock);
        Shared::start(segment, options.faults)
    }

    /// A runtime on a segment, attached.
    pub(super) fn start(segment: Segment, faults: bool) -> Result<&'static Shared> {
        static IDS: AtomicU64 = AtomicU64::new(1);
        let shared: &'static Shared = Box::leak(Box::new(Shared {
            id: IDS.fetch_add(1, Relaxed),
            segment,
            faults,
            closed: AtomicBool::new(false),
            lock: ColdLock::default(),
            process: PerProcess::new(),
            let_go_of: AtomicU64::new(0),
            caches: PerProcess::new(),
            fallback: PerProcess::new(),
            host: OnceLock::new(),
            sampler: PerProcess::new(),
            wants_load: AtomicU64::new(0),
        }));
        let started = shared.locked().map(drop).and_then(|()| shared.renew_after_boot());
        match started.and_then(|()| shared.make_overflow_guard()) {
            Ok(()) => Ok(shared),
            Err(error) => {
                shared.close();
                Err(error)
            }
        }
    }

    fn renew_after_boot(&self) -> Result<()> {
        let header = self.segment.header();
        let (boot, namespace) = (boot::boot_id(), boot::time_namespace());
        let known = [header.boot[0].load(Relaxed), header.boot[1].load(Relaxed)];
        if known == boot && header.time_namespace.load(Relaxed) == namespace {
            return Ok(());
        }
        header.clock.restart();
        self.reset_timed_state()?;
        header.boot[0].store(boot[0], Relaxed);
        header.boot[1].store(boot[1], Relaxed);
        header.time_namespace.store(namespace, Relaxed);
        Ok(())
    }

    /// Whether rules may inject faults in this process.
    pub fn allows_faults(&self) -> bool {
        self.faults
    }

    #[inline(always)]
    pub fn segment(&self) -> &Segment {
        &self.segment
    }

    #[inline(always)]
    pub fn clock(&self) -> Clock<'_> {
        Clock(&self.segment.header().clock)
    }

    #[inline(always)]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Acquire)
    }

    pub fn open_or_err(&self) -> Result<()> {
        if self.is_closed() { Err(closed()) } else { Ok(()) }
    }

    /// Takes the cold lock, attaching this process first if it is not yet (a child after a fork).
    pub(super) fn locked(&self) -> Result<Locked<'_>> {
        let held = self.lock.hold()?;
        self.open_or_err()?;
        let process = match self.process.get() {
            Some(process) => process,
            None => {
                self.close_inherited();
                let file = self.segment.reopen()?;
                held.lock_file(file.as_raw_fd())?;
                let attached = Process::attach(&self.segment, file, |dead| recount::reap(&self.segment, dead))?;
                self.process.put(Some(attached))
            }
        };
        let process = process.as_ref().ok_or_else(closed)?;
        held.lock_file(process.file.as_raw_fd())?;
        Ok(Locked { process, _held: held })
    }

    /// As long as a child keeps its parent's description open, the parent's locks outlive the parent. Once only: a
    /// child that cannot attach (it has no /proc, or no descriptor left) comes here at every call, and by then the
    /// number may be a file of the host's.
    fn close_inherited(&self) {
        let Some(Some(parents)) = self.process.inherited() else { return };
        if self.let_go_of.swap(parents.epoch, AcqRel) != parents.epoch {
            // SAFETY: only users of the cold lock use it, and none after this.
            unsafe { libc::close(parents.file.as_raw_fd()) };
        }
    }

    /// This process's token and slot, attaching if need be.
    pub(super) fn attachment(&self) -> Result<(u64, Option<usize>)> {
        if let Some(Some(process)) = self.process.get() {
            return Ok((process.token, process.slot));
        }
        let locked = self.locked()?;
        Ok((locked.process.token, locked.process.slot))
    }

    pub(super) fn fallback(&self) -> &Local {
        self.fallback.get().unwrap_or_else(|| self.fallback.put(Local::fallback(self)))
    }

    pub(crate) fn caches(&self) -> Result<MutexGuard<'_, Caches>> {
        let caches = self.caches.get().unwrap_or_else(|| self.caches.put(Mutex::default()));
        caches.try_lock_for(Duration::from_secs(2)).ok_or_else(busy)
    }

    pub(super) fn set_host(&self, host: Arc<dyn PolicyHost>) {
        let _ = self.host.set(host);
    }

    pub fn host(&self) -> Option<&dyn PolicyHost> {
        self.host.get().map(|host| &**host)
    }

    pub(super) fn reap_dead(&self) -> Result<u32> {
        let locked = self.locked()?;
        let dead = process::dead(&self.segment, locked.process);
        dead.iter().for_each(|&index| recount::reap(&self.segment, index));
        Ok(dead.len() as u32)
    }

    pub(super) fn close(&self) -> bool {
        let Ok(held) = self.lock.hold() else { return false };
        if self.closed.swap(true, AcqRel) {
            return false;
        }
        let gone = self.caches().map_or_else(|_| Vec::new(), |mut caches| caches.mark_all_dead());
        self.detach(&held);
        drop(held);
        // Without a lock held, as it calls what watchers gave us.
        gone.iter().for_each(|guard| guard.end_watches());
        true
    }

    /// Gives back what this process holds, then the memory. What a thread still does meanwhile meets zeros.
    fn detach(&self, held: &Held<'_>) {
        self.close_inherited();
        if let Some(Some(process)) = self.process.get() {
            let fd = process.file.as_raw_fd();
            if held.lock_file(fd).is_ok() {
                process.slot.into_iter().for_each(|slot| recount::reap(&self.segment, slot));
            }
            // SAFETY: only users of the cold lock use the descriptor, and they find the runtime closed.
            unsafe { libc::close(fd) };
        }
        // SAFETY: likewise.
        unsafe { libc::close(self.segment.raw_fd()) };
        self.segment.abandon();
    }
}

pub(super) fn busy() -> Error {
    Error::new(ErrorKind::Busy, "another thread has held a lock of the runtime for two seconds")
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the runtime was closed")
}
